/* SPDX-License-Identifier: MIT */
/*
 * unit.h - what the unit tests share: cmocka and a source of random numbers that repeats itself
 */
#ifndef ZCST_UNIT_H
#define ZCST_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
	rng->state ^= rng->state << 13;
	rng->state ^= rng->state >> 7;
	rng->state ^= rng->state << 17;
	return rng->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* xorshift needs a state other than 0, and small seeds a few rounds to spread. */
static inline struct rng rng_seeded(uint64_t seed)
{
	struct rng rng = { seed * UINT64_C(0x9e3779b97f4a7c15) + 1 };
	int i;

	for (i = 0; i < 4; i++)
		rng_next(&rng);
	return rng;
}

/* From lo to hi, both included. */
static inline int64_t rng_between(struct rng *rng, int64_t lo, int64_t hi)
{
	return lo + (int64_t)((rng_next(rng) >> 11) % (uint64_t)(hi - lo + 1));
}

static inline int rng_percent(struct rng *rng, int percent)
{
	return rng_between(rng, 0, 99) < percent;
}

#endif
