/* SPDX-License-Identifier: MIT */
/* stats.h - medians and what they are worth; arithmetic only */
#ifndef ZCSOCK_BENCH_STATS_H
#define ZCSOCK_BENCH_STATS_H

#include <stddef.h>

/* The median of n > 0 values; their order is lost. */
double median(double *values, size_t n);
/* The median absolute deviation of n > 0 values from `middle`; the values are lost. */
double deviation(double *values, size_t n, double middle);

/* Quotients of what was measured side by side: a[i] / b[i]. */
struct ratio {
	double middle;
	double spread; /* median absolute deviation, as a share of the middle */
};

#define STATS_MAX 1000

/* n is 1 to STATS_MAX, and no b[i] is 0. */
struct ratio ratio_of_pairs(const double *a, const double *b, size_t n);

#endif
