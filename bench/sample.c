/* SPDX-License-Identifier: MIT */
/*
 * sample.c - commands come in, a line with the figures of each sample goes out
 *
 * Between two samples the mover stands still in here. What it left in the buffers of the socket is
 * moved meanwhile, unseen by any clock; --warm makes that good before the next one starts.
 */
#include "mover.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPLAIN_MOST 4096

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- round trips ---------------------------------------------------------------------------- */

void bench_round(struct bench *b)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), took = now - b->round_ns;

	if (b->nr_rounds < b->max_rounds)
		b->rounds[b->nr_rounds++] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
	b->round_ns = now;
}

/* Room for all round trips of a sample, touched now rather than while the clock runs. */
static void make_room(struct bench *b)
{
	size_t nr = b->sample_bytes / b->size + 1;

	b->nr_rounds = 0;
	if (strcmp(b->mover->direction, "pingpong") != 0 || nr <= b->max_rounds)
		return;
	free(b->rounds);
	b->rounds = malloc(nr * sizeof(*b->rounds));
	if (!b->rounds)
		err(1, "round trips");
	memset(b->rounds, 0xff, nr * sizeof(*b->rounds));
	b->max_rounds = nr;
}

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void tell_rounds(const struct bench *b)
{
	static const struct {
		const char *name;
		unsigned permille;
	} quantiles[] = { { "p50_ns", 500 }, { "p99_ns", 990 }, { "p999_ns", 999 } };

	if (!b->nr_rounds)
		return;
	qsort(b->rounds, b->nr_rounds, sizeof(*b->rounds), ascending);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
		size_t rank = (b->nr_rounds * quantiles[i].permille + 999) / 1000;

		printf(" %s=%" PRIu32, quantiles[i].name, b->rounds[rank - 1]);
	}
}

/* ---- a sample ------------------------------------------------------------------------------- */

static void refresh(struct bench *b)
{
	if (b->refresh)
		b->refresh(b);
}

/* CPU time is that of the process: io_uring may have threads of its own. */
static void begin(struct bench *b)
{
	b->phase = BENCH_SAMPLE;
	make_room(b);
	refresh(b);
	b->syscalls_fd = b->counting ? bench_syscalls_open() : -1;
	b->from = b->count;
	b->until = b->count.bytes + b->sample_bytes;
	b->from_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	b->from_ns = b->round_ns = clock_ns(CLOCK_MONOTONIC);
	if (b->syscalls_fd >= 0)
		b->from_syscalls = bench_syscalls_read(b->syscalls_fd);
}

static void tell(const char *name, uint64_t value)
{
	printf(" %s=%" PRIu64, name, value);
}

static void tell_counts(const struct bench *b)
{
	tell("bytes", b->count.bytes - b->from.bytes);
	tell("calls", b->count.calls - b->from.calls);
	if (b->lends) {
		tell("flagged", b->count.flagged - b->from.flagged);
		tell("zerocopied", b->count.zerocopied - b->from.zerocopied);
		tell("notes", b->count.notes - b->from.notes);
		tell("enobufs", b->count.enobufs - b->from.enobufs);
	}
	if (b->maps)
		tell("mapped", b->count.mapped - b->from.mapped);
}

/* A line goes out at once, or its reader is gone. */
static void end_line(void)
{
	putchar('\n');
	if (fflush(stdout) != 0)
		err(1, "standard output");
}

static void end(struct bench *b)
{
	uint64_t syscalls = b->syscalls_fd >= 0 ? bench_syscalls_read(b->syscalls_fd) : 0;
	uint64_t ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	refresh(b);
	printf("ns=%" PRIu64, ns - b->from_ns);
	tell("cpu_ns", cpu_ns - b->from_cpu_ns);
	tell_counts(b);
	if (b->syscalls_fd >= 0) {
		/* Each reading counts itself; the first one is on both sides. */
		tell("syscalls", syscalls - b->from_syscalls - 1);
		close(b->syscalls_fd);
	}
	tell_rounds(b);
	end_line();
}

/* ---- commands ------------------------------------------------------------------------------- */

/* All in one line: an end of line within it becomes \n, a backslash two. */
static void explain(const struct bench *b)
{
	char text[EXPLAIN_MOST] = "";

	if (b->explain)
		b->explain(b, text, sizeof(text));
	printf("explain=");
	for (const char *c = text; *c; c++) {
		if (*c == '\n' || *c == '\\')
			putchar('\\');
		putchar(*c == '\n' ? 'n' : *c);
	}
	end_line();
}

/* false: none is left. */
static bool command(struct bench *b)
{
	char line[64], word[8];

	if (b->by_hand)
		return b->samples-- > 0;
	for (;;) {
		if (!fgets(line, sizeof(line), stdin))
			return false;
		if (strcmp(line, "explain\n") != 0)
			break;
		explain(b);
	}
	if (sscanf(line, "%7s %" SCNu64, word, &b->sample_bytes) != 2 || !b->sample_bytes ||
	    (strcmp(word, "run") != 0 && strcmp(word, "count") != 0))
		errx(1, "not a command: run BYTES, count BYTES, explain");
	b->counting = word[0] == 'c';
	return true;
}

bool bench_next_sample(struct bench *b)
{
	switch (b->phase) {
	case BENCH_SET_UP:
		printf("ready");
		end_line();
		break;
	case BENCH_WARM_UP:
		begin(b);
		return true;
	case BENCH_SAMPLE:
		end(b);
		break;
	}
	if (!command(b))
		return false;
	/* Without commands nobody stood still, but for the first time. */
	b->until = b->count.bytes;
	if (!b->by_hand || b->phase == BENCH_SET_UP)
		b->until += b->warm;
	b->phase = BENCH_WARM_UP;
	return bench_more(b);
}
