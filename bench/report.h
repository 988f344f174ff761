/* SPDX-License-Identifier: MIT */
/* report.h - results for people and for machines */
#ifndef ZCSOCK_BENCH_REPORT_H
#define ZCSOCK_BENCH_REPORT_H

#include <stdio.h>

#include "bench.h"

/* The rows of one scenario, with a heading when it differs from the one before. */
void report_rows(const struct row *rows, size_t nr, const struct row *before);
/* After the last row: how to read them, and the sentence. */
void report_summary(const struct results *results);
/* Where the crossover of this machine lies, and where zero copy loses. */
void report_sentence(const struct results *results, FILE *out);
/* false: it could not be written. */
bool report_json(const struct results *results, FILE *out);

/* The lines of a text, below a line of a table. */
void report_indented(const char *text);

#define REPORT_TEXT 64
const char *size_text(uint64_t size, char text[REPORT_TEXT]);

#endif
