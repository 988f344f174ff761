/* SPDX-License-Identifier: MIT */
/* run.h - what a run of the bench needs around its workers: setup.c makes it, run.c uses it */
#ifndef ZCSOCK_BENCH_RUN_H
#define ZCSOCK_BENCH_RUN_H

#include "awake.h"
#include "bench.h"
#include "lab/lab.h"
#include "peer.h"

struct run {
	const struct bench_opts *opts;
	uint64_t area;
	int cpu, far_cpu; /* of what is measured, and of who is at the other end */
	uint64_t started_ms;
	double share;			/* of the plan, when the scenario that runs is done */
	uint64_t buffer[NR_DIRECTIONS]; /* bytes that a socket may hold; 0: does not matter */
	struct lab lab;
	bool have_lab;
	struct bench_peer local[2]; /* on loopback: IPv4, IPv6; pid 0: none */
	char peer_host[64];	    /* a numeric address on another machine */
	unsigned peer_port;
};

struct endpoints {
	char to[96], onto[96]; /* ADDRESS:PORT; onto is empty but for a relay */
};

/* A negative errno, with `why` in words. What is missing of the lab is said in results->lab. */
int run_open(struct run *run, const struct bench_opts *opts, const struct plan *plan,
	     struct results *results, char *why, size_t len);
void run_close(struct run *run);
/* Whether there is another end for it. */
bool can_run(const struct run *run, const struct scenario *s);
uint64_t area_of(const struct run *run, const struct scenario *s);
void endpoints_of(const struct run *run, const struct scenario *s, struct endpoints *out);
struct worker_opts worker_of(const struct run *run, const struct scenario *s,
			     const struct endpoints *ends);
/* A clock that only goes on. */
uint64_t run_now_ms(void);
/* Whether patience is at its end, as far as this scenario has a share in it. */
bool is_late(const struct run *run);
/* Fills in instructions_per_call. -EINTR: asked to stop. -ENOENT: there is no valgrind. */
int count_instructions(const struct run *run, const struct scenario *s, struct row *rows);

#endif
