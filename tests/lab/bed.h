/* SPDX-License-Identifier: MIT */
/* bed.h - a connection of the library to the partner, and what holds for each that sends */
#ifndef ZCS_TESTS_BED_H
#define ZCS_TESTS_BED_H

#include "far.h"

#define TICK 30 /* ms: the library's times are as exact as CLOCK_MONOTONIC_COARSE, and round */

/* A test is run with each of these. */
#define FAMILY(state) (*(const enum net_family *)*(state))
#define EACH(f)	      FAR_TEST_ON(f, NET_V4), FAR_TEST_ON(f, NET_V6)
#define EVERY(f)      EACH(f), FAR_TEST_ON(f, NET_MAPPED)

struct bed {
	struct net net;
	struct app *app;
};

void bed_make(struct bed *b, enum net_family family, uint16_t port,
	      const struct zcs_conn_opts *opts);
/* Closes; all came back, all arrived at the sink, and what was looked at was right. */
void bed_close(struct bed *b);

extern const struct shape lend; /* 64 KiB */
/* nr messages of 1 MiB, not all of which the socket takes at once. */
void lend_much(struct bed *b, unsigned nr);

/*
 * Bytes that were reported as released are acknowledged: no piece of a message comes back before
 * its last byte is. As long as nothing was copied, which is released at once.
 */
void none_too_early(const struct app *a);
#define LOOK_UNTIL(b, condition)                                                                   \
	do {                                                                                       \
		while (!(condition)) {                                                             \
			net_step(&(b)->net, #condition);                                           \
			none_too_early((b)->app);                                                  \
		}                                                                                  \
	} while (0)

#endif
