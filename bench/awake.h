/* SPDX-License-Identifier: MIT */
/*
 * awake.h - keeps two processors from sleeping
 *
 * To wake a processor that sleeps takes the one that does it, and the one that wakes, longer than
 * most of what is measured, and how long depends on how deep it slept. On a virtual machine the
 * host has a part in it, too. So somebody runs there who makes way at once for anybody else.
 */
#ifndef ZCSOCK_BENCH_AWAKE_H
#define ZCSOCK_BENCH_AWAKE_H

#include <sys/types.h>

struct awake {
	pid_t pids[2];
};

/* Of the same one twice: one. It does what it can: where that fails, figures are noisier. */
void awake_start(struct awake *awake, int cpu, int other);
void awake_stop(struct awake *awake);

#endif
