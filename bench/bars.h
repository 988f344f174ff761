/* SPDX-License-Identifier: MIT */
/*
 * bars.h - zcsock bench --bars: measures that the library has to reach, and whether it does
 *
 *	bars.c		the bars, and which scenarios they come to
 *	bars_judge.c	met, missed, or cannot tell; arithmetic only
 *	bars_run.c	measures them
 *	bars_report.c	tells of them
 *	idle.c		the one that is about memory
 *
 * Bars with the same direction, path, family and size are one scenario, measured once.
 */
#ifndef ZCSOCK_BENCH_BARS_H
#define ZCSOCK_BENCH_BARS_H

#include <stdio.h>

#include "bench.h"

enum bar_measure {
	BAR_CPU, /* per byte: a ratio, as the next three */
	BAR_THROUGHPUT,
	BAR_SYSCALLS,	  /* per byte */
	BAR_P50,	  /* of a round trip; p99 is told beside it */
	BAR_INSTRUCTIONS, /* per message, outside the kernel */
	BAR_MEMORY,	  /* bytes of the library for an idle connection */
};

#define BAR_AGAINST 2

struct bar {
	enum bar_measure measure;
	enum direction direction;
	enum path path;
	uint64_t size;
	const char *mode;
	const char *against[BAR_AGAINST]; /* of a ratio; of two, the one that costs less */
	double goal;
	bool at_least; /* else at most */
	bool touch;    /* receivers read every cache line */
	enum family family;
};

extern const struct bar bars[];
extern const size_t nr_bars;

enum verdict { BAR_CANNOT_TELL, BAR_MET, BAR_MISSED };

struct bar_result {
	const struct bar *bar;
	bool known;	     /* it was its turn */
	struct ratio figure; /* NAN: none; the spread of a count is NAN */
	enum verdict verdict;
	char note[64]; /* what else there is to know; empty: nothing */
	char why[320]; /* it cannot be told; else empty */
};

struct bars_results {
	struct bar_result *bars; /* nr_bars, as in the table */
	size_t nr_explained;
	struct explained {
		struct scenario scenario;
		char *text; /* of the mode adaptive */
	} * explained;
};

/* ---- bars.c ------------------------------------------------------------------------------- */

/* false: no memory. */
bool bars_plan(struct plan *plan);
bool bar_is_of(const struct bar *bar, const struct scenario *s);
bool bar_is_ratio(const struct bar *bar);

/* ---- bars_judge.c ------------------------------------------------------------------------- */

/*
 * The ratio of the pairs against the only mode, or that with the lower median, and which that is.
 * `against` has nr arrays of n values as `mode` has; nr is 1 to BAR_AGAINST, n 1 to STATS_MAX.
 */
struct ratio bar_ratio(const double *mode, const double *const *against, unsigned nr, size_t n,
		       unsigned *best_out);
/* A spread above BENCH_SPREAD says that the figure is not to be believed. */
enum verdict bar_verdict(const struct bar *bar, struct ratio figure);
unsigned bars_count(const struct bar_result *results, size_t nr, enum verdict verdict);

/* ---- bars_run.c --------------------------------------------------------------------------- */

/* Called for each bar in the order of the table, when it is known and those before it are. */
typedef void bars_tell(const struct bar_result *result);

/*
 * A negative errno, with `why` in words; then, too, `out` has what there is. -EINTR: asked to
 * stop. opts->plan is not looked at, opts->bars has to be set. `tell` may be NULL.
 */
int bars_run(const struct bench_opts *opts, bars_tell *tell, struct bars_results *out, char *why,
	     size_t len);
void bars_free(struct bars_results *results);

/* ---- idle.c ------------------------------------------------------------------------------- */

/*
 * Bytes of the library for each of some thousand connections over loopback: new, or after each
 * sent and received something, whichever is more. A negative errno, with `why` in words.
 */
int idle_measure(double *bytes_out, char *why, size_t len);

/* ---- bars_report.c ------------------------------------------------------------------------ */

#define BAR_TEXT 96
const char *bar_text(const struct bar *bar, char text[BAR_TEXT]);
const char *verdict_text(enum verdict verdict);

void bars_report_heading(void);
bars_tell bars_report_one;
/* How many of each, and what the library explained if it was asked. */
void bars_report_summary(const struct bars_results *results);
/* false: it could not be written. */
bool bars_report_json(const struct bars_results *results, FILE *out);

#endif
