/* SPDX-License-Identifier: MIT */
/*
 * files.c - a file from one process to another over loopback, by each way, in turns
 *
 * A sample is a whole transfer by two processes that are new. In each round every case has one, in
 * the order of the table and back again, and is held against the plain one of the same round.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files.h"

#define PIECE (1 << 20)

static const struct files_case cases[] = {
	{ "read", "write", false },	{ "read", "direct", false },
	{ "sendfile", "write", false }, { "sendfile", "direct", false },
	{ "map", "write", false },	{ "map", "direct", false },
	{ "read", "write", true },	{ "read", "direct", true },
	{ "auto", "auto", false },
};

#define NR_CASES (sizeof(cases) / sizeof(cases[0]))

/* Bytes that no file system finds a pattern in; on the disk, so that nobody writes them later. */
static int make_file(const char *path, uint64_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uint64_t *piece = malloc(PIECE), draw = 1;
	int r = fd < 0 ? -errno : piece ? 0 : -ENOMEM;

	for (uint64_t at = 0; r == 0 && at < size;) {
		size_t want = size - at < PIECE ? (size_t)(size - at) : PIECE;
		ssize_t n;

		for (size_t i = 0; i < PIECE / sizeof(*piece); i++)
			piece[i] = draw = draw * 6364136223846793005ull + 1442695040888963407ull;
		n = write(fd, piece, want);
		if (n < 0 && errno != EINTR)
			r = -errno;
		at += n > 0 ? (uint64_t)n : 0;
	}
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	free(piece);
	return r;
}

static void paths(const struct files_results *results, char file[256], char out[256])
{
	snprintf(file, 256, "%s/file", results->dir);
	snprintf(out, 256, "%s/out", results->dir);
}

static int make_dir(struct files_results *results)
{
	const char *tmp = getenv("TMPDIR");
	char file[256], out[256];
	int r;

	snprintf(results->dir, sizeof(results->dir), "%s/zcsock-bench-XXXXXX",
		 tmp && tmp[0] ? tmp : "/var/tmp");
	if (!mkdtemp(results->dir)) {
		results->dir[0] = '\0';
		return -errno;
	}
	paths(results, file, out);
	r = mkdir(out, 0700) < 0 ? -errno : 0;
	return r < 0 ? r : make_file(file, results->size);
}

static void remove_dir(const struct files_results *results)
{
	char file[256], out[256], received[300];

	if (!results->dir[0])
		return;
	paths(results, file, out);
	snprintf(received, sizeof(received), "%s/file", out);
	unlink(received);
	unlink(file);
	rmdir(out);
	rmdir(results->dir);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void take(struct files_results *results, size_t i, unsigned round)
{
	struct files_row *row = &results->rows[i];
	struct files_sample sample = { 0 };
	char file[256], out[256];
	double start = now_s();

	if (row->failed[0])
		return;
	paths(results, file, out);
	if (files_pair(row->what, file, out, results->size, &sample, row->failed,
		       sizeof(row->failed)) < 0)
		return;
	row->failed[0] = '\0';
	sample.seconds = now_s() - start;
	/* The first round is for caches, and for the file system to make room. */
	if (round > 0)
		row->samples[round - 1] = sample;
}

static int take_all(const struct files_opts *opts, struct files_results *results)
{
	for (unsigned round = 0; round <= opts->samples; round++) {
		for (size_t i = 0; i < results->nr; i++) {
			if (opts->stop && opts->stop())
				return -EINTR;
			take(results, round % 2 ? i : results->nr - 1 - i, round);
		}
	}
	return results->rows[0].failed[0] ? -ENODATA : 0;
}

int files_run(const struct files_opts *opts, struct files_results *out, char *why, size_t len)
{
	int r = 0;

	*out = (struct files_results){ .size = opts->size, .samples = opts->samples };
	out->rows = calloc(NR_CASES, sizeof(*out->rows));
	for (size_t i = 0; out->rows && i < NR_CASES && r == 0; i++) {
		out->rows[i].what = &cases[i];
		out->rows[i].samples = calloc(opts->samples, sizeof(struct files_sample));
		r = out->rows[i].samples ? 0 : -ENOMEM;
		out->nr++;
	}
	if (!out->rows)
		r = -ENOMEM;
	if (r == 0)
		r = make_dir(out);
	if (r < 0)
		snprintf(why, len, "%s: %s", out->dir[0] ? out->dir : "a directory for files",
			 strerror(-r));
	if (r == 0) {
		r = take_all(opts, out);
		if (r < 0)
			snprintf(why, len, "%s", r == -EINTR ? "stopped" : out->rows[0].failed);
	}
	remove_dir(out);
	return r;
}

void files_free(struct files_results *results)
{
	for (size_t i = 0; i < results->nr; i++)
		free(results->rows[i].samples);
	free(results->rows);
	*results = (struct files_results){ .nr = 0 };
}
