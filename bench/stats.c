/* SPDX-License-Identifier: MIT */
#include "stats.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), ascending);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double deviation(double *values, size_t n, double middle)
{
	for (size_t i = 0; i < n; i++)
		values[i] = fabs(values[i] - middle);
	return median(values, n);
}

struct ratio ratio_of_pairs(const double *a, const double *b, size_t n)
{
	double quotients[STATS_MAX];
	struct ratio r;

	for (size_t i = 0; i < n; i++)
		quotients[i] = a[i] / b[i];
	r.middle = median(quotients, n);
	r.spread = deviation(quotients, n, r.middle) / r.middle;
	return r;
}
