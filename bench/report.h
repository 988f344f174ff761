/* SPDX-License-Identifier: MIT */
/* report.h - results for people and for machines */
#ifndef ZCSOCK_BENCH_REPORT_H
#define ZCSOCK_BENCH_REPORT_H

#include "bench.h"

/* The rows of one scenario, with a heading when it differs from the one before. */
void report_rows(const struct row *rows, size_t nr, const struct row *before);
/* Where the crossover of this machine lies, and where zero copy loses. */
void report_sentence(const struct results *results);
/* path NULL: standard output. Negative: it could not be written. */
int report_json(const struct results *results, const char *path);

#endif
