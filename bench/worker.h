/* SPDX-License-Identifier: MIT */
/*
 * worker.h - one mover in a process of its own, told when to move how much
 *
 * It stays for all samples of its scenario, so that what is measured is neither its start nor its
 * first touch of memory, and waits between them, so that no two of a pair run at the same time.
 */
#ifndef ZCSOCK_BENCH_WORKER_H
#define ZCSOCK_BENCH_WORKER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct lab;

struct worker_opts {
	const char *direction, *mode;
	const char *to, *onto; /* ADDRESS:PORT; onto: of a relay */
	const struct lab *lab; /* NULL: in the network that we are in */
	uint64_t size, area;   /* bytes */
	uint64_t warm;	       /* bytes before each sample */
	uint64_t buffer;       /* bytes of a receiving socket; 0: the kernel's choice */
	unsigned in_flight;    /* messages; 0: no limit */
	int cpu;
	bool tap;
	bool touch; /* read every cache line of what is received */
	bool udp;
	bool (*stop)(void); /* asked while it is waited for; may be NULL */
};

struct worker {
	pid_t pid;
	FILE *in, *out; /* what it is told, what it says */
	char why[256];	/* the last line that it said instead of an answer */
	bool (*stop)(void);
};

/* What a worker says of a sample, or a sum of them; NAN: does not apply, or was not counted. */
struct sample {
	double parts; /* of a sum; else 1 */
	double ns, cpu_ns;
	double bytes, calls;
	double zerocopied, mapped; /* bytes */
	double notes, enobufs;
	double syscalls;
	double p50_ns, p99_ns, p999_ns; /* of a round trip; of a sum: added up, too */
};

/* Its command line, from argv[0] to the NULL. It names strings of `opts`. */
struct worker_args {
	char program[PATH_MAX]; /* what to execute */
	char *argv[28];
	char size[24], area[24], warm[24], buffer[24], cpu[12], in_flight[12];
};
void worker_args(struct worker_args *args, const struct worker_opts *opts);

/*
 * Returns when it is connected and ready. A negative errno; then w->why tells more. -EINTR, here
 * and below: asked to stop, and of no use any more.
 */
int worker_start(struct worker *w, const struct worker_opts *opts);
/* One sample; with `count` its system calls are counted, which makes them slower. */
int worker_sample(struct worker *w, bool count, uint64_t bytes, struct sample *out);
/* In words what it did and why, a line or more; "" if it is not the library. */
int worker_explain(struct worker *w, char *out, size_t len);
void worker_stop(struct worker *w);

#endif
