/* SPDX-License-Identifier: MIT */
/*
 * choice.h - which of two ways of doing the same thing costs less, learned while it is done
 *
 * Costs are compared in pairs. One thing that is done the way that is taken is measured, then a few
 * are done the other way, and the last of these is measured as well: what makes the machine slow
 * for a while makes both slow. A pair counts as the difference of its costs in relation to their
 * sum, which lies between -1 and 1 however wild a single cost may be.
 *
 * The way is changed when the mean of the pairs says so by more than their own scatter explains,
 * and by more than MARGIN. Older pairs fade; when the last few tell something else than those
 * before, they begin anew. How often a pair is made depends on what it costs: trying the dearer way
 * takes about a hundredth of the whole. In between the way that is taken is watched, so that a rise
 * of its cost is seen at once. No more than one thing in `thrift` is measured, for that costs, too.
 * A choice is never final, whichever way it went.
 *
 * Ways are numbered 0 and 1, costs have any unit. Time is an argument; nothing here calls anybody.
 */
#ifndef ZCSI_CHOICE_H
#define ZCSI_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

struct choice {
	uint64_t pair_ns; /* when the last pair was begun */
	double mean;	  /* of the pairs: (cost of 1 - cost of 0) / (their sum); older ones fade */
	double dev;	  /* their mean deviation from it, outliers tamed */
	double run;	  /* the sum of the last ones that were all far off on the same side */
	double cost[2];	  /* means of the costs */
	double first;	  /* the first cost of the pair that is being made */
	uint32_t wait;	  /* things until something is to be decided */
	uint32_t waited;  /* what wait was when it was set */
	uint32_t since;	  /* things since the last pair was begun */
	uint32_t every;	  /* things from one pair to the next, at least */
	uint32_t spare;	  /* things that were not measured: what measuring is paid from */
	uint16_t nr;	  /* pairs that the mean rests on */
	uint8_t way;	  /* that is taken */
	uint8_t thrift;	  /* one thing in so many may be measured */
	uint8_t step;	  /* what is being measured */
	uint8_t eager;	  /* pairs to make as fast as allowed, for something has changed */
	int8_t nr_run;	  /* their number, negative on the lower side */
	uint8_t tries;	  /* things done the other way for a pair */
	uint8_t left;	  /* of them */
	bool calm;	  /* many pairs have long said the same: measure less */
	bool settled;	  /* it was sure once: others do not know better any more */
	uint8_t risen;	  /* times in a row that the watched cost was far above its mean */
};

/* thrift: 4 to 255. */
void choice_init(struct choice *c, int way, unsigned thrift);
/* What choice_take does when something is to be decided. */
int choice_step(struct choice *c, uint64_t now_ns, bool *measure);
/*
 * The cost of a thing that was to be measured, and the way that it was done. Returns whether the
 * costs are no longer what they were.
 */
bool choice_cost(struct choice *c, int way, double cost);
/* The costs may have changed: look soon. */
void choice_doubt(struct choice *c);
/* Whether pairs of that mean and mean deviation say more than chance. */
bool choice_says(double mean, double dev, double nr);
/* Whether its own pairs do: its way rests on them. */
static inline bool choice_is_sure(const struct choice *c)
{
	return choice_says(c->mean, c->dev, c->nr);
}
/* Others know better than one that is not sure. */
void choice_lean(struct choice *c, int way);

/* The way for the next thing; *measure is set if its cost is wanted. */
static inline int choice_take(struct choice *c, uint64_t now_ns, bool *measure)
{
	return --c->wait ? c->way : choice_step(c, now_ns, measure);
}

#endif
