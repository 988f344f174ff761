/* SPDX-License-Identifier: MIT */
/* bench.h - measures zero copy against copying on this machine; the door of this directory */
#ifndef ZCSOCK_BENCH_H
#define ZCSOCK_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lab/behave.h"
#include "plan.h"
#include "stats.h"
#include "worker.h"

struct row;

struct bench_opts {
	struct plan_opts plan;
	const char *peer;     /* HOST[:PORT], or NULL */
	unsigned samples;     /* pairs */
	unsigned sample_ms;   /* how long each should take */
	unsigned repeats;     /* of what was too noisy */
	unsigned patience_ms; /* after which nothing is repeated any more; 0: without end */
	uint64_t area;	      /* working set in bytes; 0: twice the last-level cache */
	bool hot;	      /* a small working set instead */
	bool touch;	      /* receivers read every cache line */
	bool instructions;    /* count them, by valgrind */
	bool explain;	      /* ask the library what it did where it chose, and why */
	bool bars;	      /* bars_run: the source on loopback is held back */
	unsigned mtu;	      /* of the lab; 0: the lab's default */
	struct behave behave; /* of the lab's partner */
	bool tap;	      /* a packet socket looks at all that is sent, as a capture does */
	unsigned in_flight;   /* messages that may be lent at a time; 0: what the socket holds */
	/* Called after each scenario with its rows; may be NULL. */
	void (*progress)(void *user, const struct row *rows, size_t nr);
	void *user;
	bool (*stop)(void); /* asked between samples: come to an end */
};

/* One mode of one scenario. Medians of its samples; NAN where something does not apply. */
struct row {
	struct scenario scenario;
	const char *mode;
	unsigned samples;
	double seconds, bytes; /* of all samples */
	double gbytes_per_s;   /* 10^9 bytes */
	double cpu_us_per_mib; /* of the process that moves */
	double syscalls_per_mib, instructions_per_call;
	double zerocopied_pct, mapped_pct;
	double notes_per_mib, enobufs;
	double p50_us, p99_us, p999_us;
	/* CPU, of a ping-pong its median time, against the first mode of the scenario */
	struct ratio against_first;
	bool settled;	 /* its spread is small enough to believe the figure */
	char *explained; /* by the library, in lines; NULL: it was not asked, or did not choose */
	bool touch;
	uint64_t area;
	char failed[256]; /* why there are no figures; empty: there are */
};

struct results {
	size_t nr;
	struct row *rows;
	bool had_lab;
	char lab[256]; /* why the lab could not be had; empty: it could, or was not needed */
	char instructions[64]; /* why none were counted; empty: they were, or nobody asked */
};

#define BENCH_SPREAD 0.03 /* above it a ratio is measured again, and then not believed */

/*
 * A negative errno, with `why` in words; then, too, `out` has what there is. -EINVAL: such a bench
 * cannot be. -EINTR: a signal asked for the end. -ENODATA: nothing could be measured.
 */
int bench_run(const struct bench_opts *opts, struct results *out, char *why, size_t len);
void bench_free(struct results *results);
/* Is the other end of a bench until a signal; a negative errno, with `why` in words, as above. */
int bench_serve(const char *where, char *why, size_t len);

#define BENCH_PORT "7100" /* of --peer HOST */
#define BENCH_HOST 300
/* HOST, HOST:PORT, [HOST]:PORT; *port_out is NULL without one. The parts lie in `buf`. */
bool bench_split(const char *text, char buf[BENCH_HOST], char **host_out, char **port_out);
/* Whether it is a number, and leaves room for the two ports behind it. */
bool bench_is_port(const char *text);

#endif
