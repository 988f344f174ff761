/* SPDX-License-Identifier: MIT */
#include "bars.h"

#include <math.h>
#include <string.h>

static double median_of(const double *values, size_t n)
{
	double copy[STATS_MAX];

	memcpy(copy, values, n * sizeof(*values));
	return median(copy, n);
}

struct ratio bar_ratio(const double *mode, const double *const *against, unsigned nr, size_t n,
		       unsigned *best_out)
{
	unsigned best = 0;

	for (unsigned i = 1; i < nr; i++) {
		if (median_of(against[i], n) < median_of(against[best], n))
			best = i;
	}
	*best_out = best;
	return ratio_of_pairs(mode, against[best], n);
}

enum verdict bar_verdict(const struct bar *bar, struct ratio figure)
{
	bool met = bar->at_least ? figure.middle >= bar->goal : figure.middle <= bar->goal;

	if (!isfinite(figure.middle) || figure.spread > BENCH_SPREAD)
		return BAR_CANNOT_TELL;
	return met ? BAR_MET : BAR_MISSED;
}

unsigned bars_count(const struct bar_result *results, size_t nr, enum verdict verdict)
{
	unsigned count = 0;

	for (size_t i = 0; i < nr; i++)
		count += results[i].verdict == verdict;
	return count;
}
