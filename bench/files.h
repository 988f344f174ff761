/* SPDX-License-Identifier: MIT */
/* files.h - zcsock bench --files: what a file costs on its way, of both processes, by way */
#ifndef ZCSOCK_BENCH_FILES_H
#define ZCSOCK_BENCH_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "stats.h"

/* How one is sent and received: --file-way of both. */
struct files_case {
	const char *send, *recv;
	bool lends; /* --zerocopy on both sides, --trust-peer */
};

/* Of one transfer. */
struct files_sample {
	double send_s, recv_s; /* processor time, user and system, the receiver's fsync included */
	double seconds;	       /* from the first process's start to the last one's end */
	double direct;	       /* share of the bytes past the page cache */
	char sent[16], received[16]; /* the ways that were taken */
};

struct files_row {
	const struct files_case *what;
	struct files_sample *samples;
	char failed[200]; /* why there are none; empty: there are */
};

struct files_results {
	char dir[200];
	uint64_t size; /* bytes */
	unsigned samples;
	size_t nr;
	struct files_row *rows; /* the first is what the others are compared with */
};

struct files_opts {
	uint64_t size;	  /* bytes */
	unsigned samples; /* of each case, 1 to STATS_MAX */
	bool (*stop)(void);
};

/*
 * In a directory of its own below TMPDIR (/var/tmp), which is removed. A negative errno, with `why`
 * in words; -EINTR: asked to stop. What fails of one case is in its row.
 */
int files_run(const struct files_opts *opts, struct files_results *out, char *why, size_t len);
void files_free(struct files_results *results);

void files_report(const struct files_results *results);
/* false: it could not be written. */
bool files_report_json(const struct files_results *results, FILE *out);

/* files_pair.c: one transfer of `file` into `dir` by two processes. 0, or -1 with `why`. */
int files_pair(const struct files_case *what, const char *file, const char *dir, uint64_t size,
	       struct files_sample *out, char *why, size_t len);

#endif
