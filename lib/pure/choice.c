// SPDX-License-Identifier: MIT
#include "choice.h"

#include <string.h>

/* Measurements that were not made when they might have been, and may be made later. */
#define SPARE_MAX 16u
/* Things between two pairs when they are made fast, of those from one to the next. */
#define EAGER_PART 8u
/* A pair that is not due is made after this time all the same: a decision is left in seconds. */
#define AGE_NS	  UINT64_C(1000000000)
#define EVERY_MAX 8192u

/* Things done the other way for a pair: the more, the less the change of ways disturbs. */
#define TRIES_MIN   2
#define TRIES_MAX   16
#define TRIES_FIRST 4
/* The share of all cost that trying the dearer way may take. */
#define PRICE 0.006

#define NR_SURE	  4   /* pairs before anything is decided */
#define NR_FIRST  8   /* made as fast as allowed */
#define NR_MEMORY 128 /* older ones fade */
#define NR_RUN	  3   /* in a row and far off: a change */
#define NR_EAGER  6
/* What many pairs say, by so many of their deviations, is asked half as often. */
#define CALM 1

/* Of the relative difference; a tenth of a cost is 0.05. */
#define MARGIN	 0.015
#define SURPRISE 0.1
/* Few pairs can lie close together by chance: as if their variance were larger by this / nr. */
#define DOUBT 0.4
/* A pair that is further off than so many deviations counts as if it were that far. */
#define OUTLYING 2.5
/* An outlier counts no more than this many times the mean of its way. */
#define WILD 4
/* A watched cost above so many times its mean, so many times in a row, is a change. */
#define RISE	 1.5
#define NR_RISEN 2

enum step { IDLE, WATCH, FIRST, TRYING, SECOND };

/* Things from one look at the time, or at the cost, to the next: a pair takes two measurements. */
static uint32_t look(const struct choice *c)
{
	uint32_t things = 2u * c->thrift;

	return c->eager ? things / EAGER_PART : things;
}

static void wait_for(struct choice *c, uint32_t things)
{
	c->wait = c->waited = things;
}

void choice_init(struct choice *c, int way, unsigned thrift)
{
	memset(c, 0, sizeof(*c));
	c->way = (uint8_t)way;
	c->thrift = (uint8_t)thrift;
	c->tries = TRIES_FIRST;
	wait_for(c, look(c));
}

/* ---- when to measure what ------------------------------------------------------------------- */

static int ask(struct choice *c, enum step step, int way, bool *measure)
{
	c->step = step;
	c->spare -= c->thrift;
	/* It may not come: nothing was sent, or not this way. That is given up after a while. */
	wait_for(c, c->thrift - 1u);
	*measure = true;
	return way;
}

static bool is_due(const struct choice *c, uint64_t now_ns)
{
	if (c->spare < 2u * c->thrift)
		return false;
	return c->eager > 0 || c->since >= c->every || now_ns - c->pair_ns >= AGE_NS;
}

int choice_step(struct choice *c, uint64_t now_ns, bool *measure)
{
	c->since += c->waited;
	c->spare += c->calm ? c->waited / 2 : c->waited;
	if (c->spare > SPARE_MAX * c->thrift)
		c->spare = SPARE_MAX * c->thrift;
	if (c->step == TRYING && --c->left > 0) {
		wait_for(c, 1);
		return !c->way;
	}
	if (c->step == TRYING)
		return ask(c, SECOND, !c->way, measure);
	c->step = IDLE; /* a cost that was waited for did not come */
	if (is_due(c, now_ns)) {
		c->since = 0;
		c->pair_ns = now_ns;
		return ask(c, FIRST, c->way, measure);
	}
	if (c->every > 2u * c->thrift && c->spare >= 4u * c->thrift)
		return ask(c, WATCH, c->way, measure);
	wait_for(c, look(c));
	return c->way;
}

/* ---- what the pairs say --------------------------------------------------------------------- */

static double square(double x)
{
	return x * x;
}

static void fade_in(double *mean, double value, double share)
{
	*mean += (value - *mean) * share;
}

static void note_cost(struct choice *c, int way, double cost, double share)
{
	if (c->nr >= NR_SURE && cost > WILD * c->cost[way])
		cost = WILD * c->cost[way];
	fade_in(&c->cost[way], cost, share);
}

void choice_doubt(struct choice *c)
{
	c->calm = false;
	c->eager = NR_EAGER;
	if (c->step == IDLE && c->wait > look(c))
		wait_for(c, look(c));
}

/*
 * Several pairs in a row far off on the same side are no chance: begin anew, with them. The first
 * one makes the next ones come fast.
 */
static bool note_change(struct choice *c, double value)
{
	double off = value - c->mean;
	int side = off > 0 ? 1 : -1;

	if (c->nr < NR_FIRST || side * off <= SURPRISE + 2 * c->dev) {
		c->nr_run = 0;
		return false;
	}
	if (side * c->nr_run <= 0) {
		c->nr_run = 0;
		c->run = 0;
	}
	c->run += value;
	c->nr_run += side;
	if (c->eager < NR_RUN)
		c->eager = NR_RUN;
	c->calm = false;
	if (side * c->nr_run < NR_RUN)
		return false;
	c->mean = c->run / NR_RUN;
	c->nr = NR_RUN;
	c->nr_run = 0;
	c->every = 0;
	c->tries = TRIES_FIRST;
	c->eager = NR_EAGER;
	c->calm = false;
	return true;
}

/* Two deviations of a mean; DOUBT, because a few pairs may lie close together by chance. */
bool choice_says(double mean, double dev, double nr)
{
	return nr >= NR_SURE && square(mean) * nr >= 4 * (square(1.25 * dev) + DOUBT / nr);
}

static void decide(struct choice *c)
{
	if (!choice_is_sure(c))
		return;
	c->settled = true;
	if (c->mean < -MARGIN)
		c->way = 1;
	else if (c->mean > MARGIN)
		c->way = 0;
}

void choice_lean(struct choice *c, int way)
{
	if (c->step == IDLE && !c->settled)
		c->way = (uint8_t)way;
}

/* The dearer the other way is for sure, the rarer it is tried. */
static void plan_next(struct choice *c)
{
	double toward = c->way ? -c->mean : c->mean;
	double off = toward < 0 ? -toward : toward;
	double dearer = 2 * off / (1 - off); /* cost of the other way / cost of this - 1 */
	double every = dearer * TRIES_MIN / PRICE, tries = 2 * c->thrift * PRICE / dearer;

	if (c->eager > 0)
		c->eager--;
	if (c->nr < NR_FIRST)
		return;
	if (!choice_is_sure(c) || toward < 0) /* who knows */
		every = 0;
	c->calm = c->nr == NR_MEMORY && off > CALM * c->dev && toward > 0;
	c->every = every < EVERY_MAX ? (uint32_t)every : EVERY_MAX;
	c->tries = tries < TRIES_MIN ? TRIES_MIN : tries < TRIES_MAX ? (uint8_t)tries : TRIES_MAX;
}

/* Where most pairs lie close together, the few that do not say little. */
static double tamed(const struct choice *c, double off)
{
	double most = OUTLYING * c->dev;

	if (c->nr < 2 * NR_SURE || (off <= most && off >= -most))
		return off;
	return off > 0 ? most : -most;
}

static bool note_pair(struct choice *c, double cost0, double cost1)
{
	double value = cost0 + cost1 > 0 ? (cost1 - cost0) / (cost0 + cost1) : 0;
	bool changed = note_change(c, value);

	if (c->nr < NR_MEMORY)
		c->nr += !changed;
	note_cost(c, 0, cost0, 1.0 / c->nr);
	note_cost(c, 1, cost1, 1.0 / c->nr);
	if (!changed) {
		double off = tamed(c, value - c->mean);

		c->mean += off / c->nr;
		fade_in(&c->dev, off > 0 ? off : -off, 1.0 / c->nr);
	}
	decide(c);
	plan_next(c);
	c->risen = 0;
	return changed;
}

static void note_watched(struct choice *c, double cost)
{
	c->risen = cost > RISE * c->cost[c->way] ? c->risen + 1 : 0;
	if (c->risen >= NR_RISEN) {
		c->risen = 0;
		c->calm = false;
		c->eager = NR_EAGER;
	}
	note_cost(c, c->way, cost, 1.0 / NR_MEMORY);
}

bool choice_cost(struct choice *c, int way, double cost)
{
	enum step step = c->step;
	bool changed = false;

	if (step == WATCH && way == c->way) {
		note_watched(c, cost);
	} else if (step == FIRST && way == c->way) {
		c->first = cost;
		c->step = TRYING;
		c->left = c->tries;
		wait_for(c, 1);
		return false;
	} else if (step == SECOND && way != c->way) {
		changed = way ? note_pair(c, c->first, cost) : note_pair(c, cost, c->first);
	} else {
		return false;
	}
	c->step = IDLE;
	wait_for(c, look(c));
	return changed;
}
