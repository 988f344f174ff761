/* SPDX-License-Identifier: MIT */
/*
 * How many times slower than a plain computer this one is: an emulated processor is ten times as
 * slow. ZCS_TEST_SLOWNESS says so; 1 without it. Time limits grow by it, and what is random is
 * tried less often. Never a reason to expect something else.
 */
#ifndef ZCST_SLOWNESS_H
#define ZCST_SLOWNESS_H

#include <stdlib.h>

static inline unsigned slowness(void)
{
	const char *text = getenv("ZCS_TEST_SLOWNESS");
	int n = text ? atoi(text) : 1;

	return n > 1 ? (unsigned)n : 1;
}

/* How often to try what is tried `often` times on a plain computer */
static inline unsigned tries(unsigned often)
{
	unsigned n = often / slowness();

	return n ? n : 1;
}

#endif
