/* SPDX-License-Identifier: MIT */
#include "pieces.h"

#include <string.h>

/* The pieces [first, last) overlap or touch [from, to). */
static void touched(const struct pieces *p, uint64_t from, uint64_t to, unsigned *first,
		    unsigned *last)
{
	unsigned i = 0;

	while (i < p->nr && p->at[i].to < from)
		i++;
	*first = i;
	while (i < p->nr && p->at[i].from <= to)
		i++;
	*last = i;
}

static void cut(struct pieces *p, unsigned first, unsigned last)
{
	memmove(&p->at[first], &p->at[last], (p->nr - last) * sizeof(p->at[0]));
	p->nr -= last - first;
}

bool pieces_add(struct pieces *p, uint64_t from, uint64_t to)
{
	unsigned first, last;

	if (from >= to)
		return true;
	touched(p, from, to, &first, &last);
	if (first == last) {
		if (p->nr == PIECES_MAX)
			return false;
		memmove(&p->at[first + 1], &p->at[first], (p->nr - first) * sizeof(p->at[0]));
		p->nr++;
	} else {
		if (p->at[first].from < from)
			from = p->at[first].from;
		if (p->at[last - 1].to > to)
			to = p->at[last - 1].to;
		cut(p, first + 1, last);
	}
	p->at[first] = (struct piece){ from, to };
	return true;
}

uint64_t pieces_take(struct pieces *p, uint64_t next)
{
	unsigned nr = 0;

	while (nr < p->nr && p->at[nr].from <= next) {
		if (p->at[nr].to > next)
			next = p->at[nr].to;
		nr++;
	}
	cut(p, 0, nr);
	return next;
}
