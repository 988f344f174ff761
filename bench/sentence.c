/* SPDX-License-Identifier: MIT */
/*
 * sentence.c - the results in one sentence: where zero copy begins to pay, and where it does not
 *
 * It is about zerocopy against copy over TCP. What a ratio is, and whether it is above or below 1,
 * are two questions: 0.6 with a spread of 10 % answers the second one. A size whose ratio is not
 * clear of 1 by twice its spread is neither cheaper nor dearer here.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define CLEAR 0.01 /* as the figures show it */
#define MOST  (2 * PLAN_SIZES)

enum verdict { CHEAPER, DEARER, UNCLEAR, NR_VERDICTS };

static enum verdict judge(const struct row *row)
{
	double middle = row->against_first.middle, spread = row->against_first.spread * middle;

	if (middle + 2 * spread < 1 && middle < 1 - CLEAR)
		return CHEAPER;
	if (middle - 2 * spread > 1 && middle > 1 + CLEAR)
		return DEARER;
	return UNCLEAR;
}

/* ---- rows: zerocopy against copy, of one direction and path, by size ---------------------- */

struct set {
	unsigned nr;
	const struct row *rows[MOST];
};

static bool is_pair(const struct row *row)
{
	return !row->failed[0] && isfinite(row->against_first.middle) &&
	       strcmp(row->mode, "zerocopy") == 0 && strcmp(row->scenario.modes[0], "copy") == 0;
}

static int by_size(const void *a, const void *b)
{
	const struct row *x = *(const struct row *const *)a, *y = *(const struct row *const *)b;

	return (x->scenario.size > y->scenario.size) - (x->scenario.size < y->scenario.size);
}

/* Of IPv4, or where that was not measured of IPv6. */
static struct set collect(const struct results *r, enum direction direction, enum path path)
{
	struct set set = { 0 };

	for (int family = FAMILY_TCP4; family <= FAMILY_TCP6 && set.nr == 0; family++) {
		for (size_t i = 0; i < r->nr && set.nr < MOST; i++) {
			const struct row *row = &r->rows[i];

			if (row->scenario.direction == direction && row->scenario.path == path &&
			    row->scenario.family == (enum family)family && is_pair(row))
				set.rows[set.nr++] = row;
		}
	}
	qsort(set.rows, set.nr, sizeof(set.rows[0]), by_size);
	return set;
}

static unsigned count(const struct set *set, enum verdict verdict)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < set->nr; i++)
		nr += judge(set->rows[i]) == verdict;
	return nr;
}

/* ---- the crossover ------------------------------------------------------------------------ */

/* "64 KiB (ratio 0.55)" */
static void put_row(FILE *out, const struct row *row)
{
	char size[REPORT_TEXT];

	fprintf(out, "%s (ratio %.2f)", size_text(row->scenario.size, size),
		row->against_first.middle);
}

static void put_those(FILE *out, const struct set *set, enum verdict verdict, const char *before)
{
	for (unsigned i = 0; i < set->nr; i++) {
		if (judge(set->rows[i]) != verdict)
			continue;
		fputs(before, out);
		put_row(out, set->rows[i]);
		before = ", ";
	}
}

/* From rows[from] on all are cheaper, and before it none is. */
static void put_crossing(FILE *out, const struct set *set, unsigned from)
{
	unsigned dearer = from;

	while (dearer > 0 && judge(set->rows[dearer - 1]) != DEARER)
		dearer--;
	fputs("The crossover of this machine lies ", out);
	if (from == 0) {
		fputs("below ", out);
	} else if (dearer == 0) {
		fputs("at or below ", out);
	} else {
		fputs("between ", out);
		put_row(out, set->rows[dearer - 1]);
		fputs(" and ", out);
	}
	put_row(out, set->rows[from]);
	fputs(": ", out);
	if (from < set->nr - 1) {
		fputs("from there up to ", out);
		put_row(out, set->rows[set->nr - 1]);
	} else {
		fputs("there", out);
	}
	fputs(" sending without a copy takes less CPU than copying", out);
	if (dearer < from)
		put_those(out, set, UNCLEAR, ", while this run cannot tell for ");
}

static void put_crossover(FILE *out, const struct set *set)
{
	unsigned cheaper = count(set, CHEAPER), from = set->nr;

	while (from > 0 && judge(set->rows[from - 1]) == CHEAPER)
		from--;
	if (cheaper > 0 && cheaper == set->nr - from) {
		put_crossing(out, set, from);
	} else if (cheaper > 0) {
		fputs("This machine has no single crossover: sending without a copy takes less "
		      "CPU than copying",
		      out);
		put_those(out, set, CHEAPER, " at ");
		put_those(out, set, DEARER, ", more at ");
		put_those(out, set, UNCLEAR, ", and this run cannot tell for ");
	} else if (count(set, UNCLEAR) == 0) {
		fputs("The crossover of this machine, if it has one, lies above ", out);
		put_row(out, set->rows[set->nr - 1]);
		fputs(": up to there sending without a copy takes more CPU than copying", out);
	} else {
		fputs("The crossover of this machine was not found: this run cannot tell whether "
		      "sending without a copy takes less CPU than copying",
		      out);
		put_those(out, set, UNCLEAR, " at ");
		put_those(out, set, DEARER, ", and it takes more at ");
	}
}

/* ---- where it loses ----------------------------------------------------------------------- */

static const struct {
	enum direction direction;
	enum path path;
	const char *text;
} places[] = {
	{ DIR_TX, PATH_LOOPBACK, "sending over loopback" },
	{ DIR_TX, PATH_SINK, "sending to the lab's sink" },
	{ DIR_TX, PATH_PEER, "sending to the other machine" },
	{ DIR_RX, PATH_LOOPBACK, "receiving over loopback" },
	{ DIR_RX, PATH_SOURCE, "receiving from the lab's source" },
	{ DIR_RX, PATH_PEER, "receiving from the other machine" },
};

#define NR_PLACES (sizeof(places) / sizeof(places[0]))

static const struct row *worst(const struct set *set)
{
	const struct row *worst = NULL;

	for (unsigned i = 0; i < set->nr; i++) {
		if (judge(set->rows[i]) == DEARER &&
		    (!worst || set->rows[i]->against_first.middle > worst->against_first.middle))
			worst = set->rows[i];
	}
	return worst;
}

/* How many places were named; `but` was told of already. */
static unsigned put_losses(FILE *out, const struct results *results, const char *before, size_t but)
{
	unsigned nr = 0;
	char size[REPORT_TEXT];

	for (size_t i = 0; i < NR_PLACES; i++) {
		struct set set = collect(results, places[i].direction, places[i].path);
		const struct row *row = i == but ? NULL : worst(&set);

		if (!row)
			continue;
		fprintf(out, "%s%s (%.2f times the CPU of copying at %s)", nr++ ? " and " : before,
			places[i].text, row->against_first.middle,
			size_text(row->scenario.size, size));
	}
	return nr;
}

/* The place that the crossover is of. NR_PLACES: there is none, as loopback has none to show. */
static size_t main_place(const struct results *results, struct set *set)
{
	for (size_t i = 0; i < NR_PLACES; i++) {
		if (places[i].direction != DIR_TX || places[i].path == PATH_LOOPBACK)
			continue;
		*set = collect(results, places[i].direction, places[i].path);
		if (set->nr > 0)
			return i;
	}
	return NR_PLACES;
}

static bool any_pair(const struct results *results)
{
	bool any = false;

	for (size_t i = 0; i < NR_PLACES && !any; i++)
		any = collect(results, places[i].direction, places[i].path).nr > 0;
	return any;
}

void report_sentence(const struct results *results, FILE *out)
{
	struct set set;
	size_t place = main_place(results, &set);
	bool found = place < NR_PLACES;

	if (!any_pair(results))
		return;
	if (found)
		put_crossover(out, &set);
	else
		fputs("This run shows no crossover, which takes sending to the lab's sink or to "
		      "another machine",
		      out);
	if (!put_losses(out, results, "; zero copy loses ", place) && !(found && worst(&set)))
		fputs("; where it was measured, zero copy clearly loses nowhere", out);
	fputs(".\n", out);
}
