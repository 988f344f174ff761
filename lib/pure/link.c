// SPDX-License-Identifier: MIT
#include "link.h"

/* What comes later is measured one time in two: it is many things' together. */
#define LATER_EVERY  2
#define LATER_MEMORY 8

/* One thing in so many is measured, at most. */
#define THRIFT	     64
#define THRIFT_LEAST 8

#define NEAR 2 /* classes at most so far away speak for one that is not sure */

uint32_t link_class(uint64_t len)
{
	uint32_t class = (uint32_t)(63 - __builtin_clzll(len / LINK_LEAST));

	return class < LINK_CLASSES ? class : LINK_CLASSES - 1;
}

uint64_t link_least(uint32_t class)
{
	return (uint64_t)LINK_LEAST << class;
}

/* Where zero copy is taken to begin to pay, until something was measured. */
static const uint64_t guess[LINK_SIDES] = { [LINK_SEND] = 16 << 10, [LINK_RECV] = 128 << 10 };

/*
 * To measure a thing takes 1.3 us, two readings of the clock. Of receives, which take longer the
 * larger they are, half a percent of that.
 */
static unsigned thrift(enum link_side side, uint64_t len)
{
	uint64_t one_in = THRIFT * (uint64_t)(32 << 10) / len;

	if (side == LINK_SEND || one_in > THRIFT)
		return THRIFT;
	return one_in > THRIFT_LEAST ? (unsigned)one_in : THRIFT_LEAST;
}

void link_init(struct link *l, uint64_t key, uint64_t now_ns)
{
	*l = (struct link){ .key = key, .used_ns = now_ns };
	for (int side = 0; side < LINK_SIDES; side++) {
		for (uint32_t i = 0; i < LINK_CLASSES; i++)
			choice_init(&l->choices[side][i], link_least(i) >= guess[side],
				    thrift((enum link_side)side, link_least(i)));
	}
}

/*
 * What classes around one that is not sure by itself say: all together, the nearer the louder; then
 * one for which zero copy pays and that is smaller, or does not and is larger; then the guess.
 */
static int inherited(const struct choice *choices, uint32_t class, uint64_t from)
{
	double nr = 0, mean = 0, dev = 0;

	for (uint32_t i = 0; i < LINK_CLASSES; i++) {
		uint32_t apart = i < class ? class - i : i - class;
		double weight = apart <= NEAR ? choices[i].nr / (1.0 + apart) : 0;

		nr += weight;
		mean += choices[i].mean * weight;
		dev += choices[i].dev * weight;
	}
	if (nr > 0 && choice_says(mean / nr, dev / nr, nr))
		return mean < 0;
	for (uint32_t i = class; i-- > 0;) {
		if (choice_is_sure(&choices[i]) && choices[i].way)
			return 1;
	}
	for (uint32_t i = class + 1; i < LINK_CLASSES; i++) {
		if (choice_is_sure(&choices[i]) && !choices[i].way)
			return 0;
	}
	return link_least(class) >= from;
}

bool link_choose(struct link *l, enum link_side side, uint64_t len, uint64_t now_ns, bool *measure)
{
	uint32_t class = link_class(len);
	struct choice *c = &l->choices[side][class];

	if (c->wait == 1 && !c->settled)
		choice_lean(c, inherited(l->choices[side], class, guess[side]));
	return choice_take(c, now_ns, measure);
}

bool link_is_sure(const struct link *l, enum link_side side, uint64_t len)
{
	return choice_is_sure(&l->choices[side][link_class(len)]);
}

void link_cost(struct link *l, enum link_side side, uint64_t len, bool zerocopy, double cost_ns,
	       uint64_t bytes)
{
	struct choice *c = &l->choices[side][link_class(len)];

	if (!choice_cost(c, zerocopy, cost_ns / (double)bytes))
		return;
	/* What has changed for one size may have changed for all. */
	for (uint32_t i = 0; i < LINK_CLASSES; i++)
		choice_doubt(&l->choices[side][i]);
}

void link_sent(struct link *l, uint64_t len, bool flagged, uint64_t cpu_ns, uint64_t bytes)
{
	double later = flagged ? l->notes.each_ns : 0;

	link_cost(l, LINK_SEND, len, flagged, (double)cpu_ns + later, bytes);
}

bool later_is_due(struct later *l)
{
	if (l->in) {
		l->in--;
		return false;
	}
	l->in = LATER_EVERY - 1;
	return true;
}

void later_note(struct later *l, uint64_t cpu_ns, uint64_t nr)
{
	double each = (double)cpu_ns / (double)nr;

	l->each_ns += (each - l->each_ns) / (l->each_ns > 0 ? LATER_MEMORY : 1);
}

uint64_t link_copy_ns(const struct link *l, uint64_t len)
{
	double per_byte = len < LINK_LEAST ? 0 : l->choices[LINK_SEND][link_class(len)].cost[0];

	return per_byte > 0 ? (uint64_t)(per_byte * (double)len) : len / 4;
}

uint64_t link_crossover(const struct link *l, enum link_side side)
{
	const struct choice *choices = l->choices[side];

	for (uint32_t i = 0; i < LINK_CLASSES; i++) {
		if (choices[i].way)
			return link_least(i);
	}
	return UINT64_MAX;
}
