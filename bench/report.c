/* SPDX-License-Identifier: MIT */
/* report.c - the tables, for people; the sentence below them is made in sentence.c */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define TEXT  REPORT_TEXT
#define WIDTH 80

/* ---- figures ---------------------------------------------------------------------- */

const char *size_text(uint64_t size, char text[TEXT])
{
	if (size >= 1 << 20 && size % (1 << 20) == 0)
		snprintf(text, TEXT, "%llu MiB", (unsigned long long)(size >> 20));
	else if (size >= 1024 && size % 1024 == 0)
		snprintf(text, TEXT, "%llu KiB", (unsigned long long)(size >> 10));
	else
		snprintf(text, TEXT, "%llu B", (unsigned long long)size);
	return text;
}

/* Three digits that mean something; "-" for what does not apply. */
static const char *figure(double value, char text[TEXT])
{
	if (!isfinite(value))
		snprintf(text, TEXT, "-");
	else
		snprintf(text, TEXT, "%.*f", value >= 99.5 ? 0 : value >= 9.95 ? 1 : 2, value);
	return text;
}

static const char *ratio_text(const struct row *row, bool first, char text[TEXT])
{
	if (first || !isfinite(row->against_first.middle))
		snprintf(text, TEXT, "%s", first ? "1" : "-");
	else
		snprintf(text, TEXT, "%.2f +-%.0f%%%s", row->against_first.middle,
			 100 * row->against_first.spread, row->settled ? "" : " ?");
	return text;
}

/* ---- the tables --------------------------------------------------------------------- */

static const char *const titles[NR_DIRECTIONS] = {
	"Sending",
	"Receiving",
	"Ping-pong",
	"Relaying",
};

static const char *where_text(const struct scenario *s)
{
	static const char *const text[NR_PATHS] = {
		[PATH_LOOPBACK] = "over loopback, where the kernel copies anyway",
		[PATH_SINK] = "to the lab's sink, as to a network card",
		[PATH_SOURCE] = "from the lab's source, as from a card that splits headers",
		[PATH_BOTH] = "from the lab's source to its sink",
		[PATH_PEER] = "with another machine",
	};

	if (s->path == PATH_PEER && s->direction == DIR_TX)
		return "to another machine";
	if (s->path == PATH_PEER && s->direction == DIR_RX)
		return "from another machine";
	return text[s->path];
}

static bool same_table(const struct row *a, const struct row *b)
{
	return a && a->scenario.direction == b->scenario.direction &&
	       a->scenario.path == b->scenario.path && a->scenario.family == b->scenario.family;
}

static void machine(const struct row *row)
{
	char cache[TEXT], area[TEXT];
	struct host host;

	host_read(&host);
	printf("%s%s%u processor%s, last-level cache %s, Linux %s\n", host.processor,
	       host.processor[0] ? ", " : "", host.cpus, host.cpus == 1 ? "" : "s",
	       size_text(host.cache, cache), host.kernel);
	printf("working set %s; the modes of a size take turns\n", size_text(row->area, area));
}

/* The share that was not copied: on the way out, or in. */
static bool shows_mapped(const struct row *row)
{
	return row->scenario.direction == DIR_RX || row->scenario.direction == DIR_RELAY;
}

static void heading(const struct row *row)
{
	const struct scenario *s = &row->scenario;

	printf("\n%s %s (%s)\n", titles[s->direction], where_text(s), family_names[s->family]);
	if (s->direction == DIR_PINGPONG)
		printf("  %-7s  %-13s %8s %8s %8s  %s\n", "size", "mode", "p50 us", "p99 us",
		       "p99.9 us", "ratio");
	else
		printf("  %-7s  %-13s %5s %10s  %-12s %9s %12s%s\n", "size", "mode", "GB/s",
		       "CPU us/MiB", "ratio", shows_mapped(row) ? "mapped%" : "uncopied%",
		       "syscalls/MiB", isfinite(row->instructions_per_call) ? " instr./call" : "");
}

static void stream_row(const struct row *row, const char *size, bool first)
{
	char a[TEXT], b[TEXT], c[TEXT], d[TEXT], e[TEXT], f[TEXT];

	printf("  %-7s  %-13s %5s %10s  %-12s %9s %12s", size, row->mode,
	       figure(row->gbytes_per_s, a), figure(row->cpu_us_per_mib, b),
	       ratio_text(row, first, c),
	       figure(shows_mapped(row) ? row->mapped_pct : row->zerocopied_pct, d),
	       figure(row->syscalls_per_mib, e));
	if (isfinite(row->instructions_per_call))
		printf(" %11s", figure(row->instructions_per_call, f));
	putchar('\n');
}

static void pingpong_row(const struct row *row, const char *size, bool first)
{
	char a[TEXT], b[TEXT], c[TEXT], d[TEXT];

	printf("  %-7s  %-13s %8s %8s %8s  %s\n", size, row->mode, figure(row->p50_us, a),
	       figure(row->p99_us, b), figure(row->p999_us, c), ratio_text(row, first, d));
}

void report_indented(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		printf("    %.*s\n", (int)len, text);
		text += len + (text[len] != '\0');
	}
}

static bool all_failed_alike(const struct row *rows, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (strcmp(rows[i].failed, rows[0].failed) != 0)
			return false;
	}
	return nr > 1 && rows[0].failed[0];
}

static void one_row(const struct row *row, bool first)
{
	char text[TEXT];
	const char *size = first ? size_text(row->scenario.size, text) : "";

	if (row->failed[0])
		printf("  %-7s  %-13s not measured: %s\n", size, row->mode, row->failed);
	else if (row->scenario.direction == DIR_PINGPONG)
		pingpong_row(row, size, first);
	else
		stream_row(row, size, first);
	if (row->explained)
		report_indented(row->explained);
}

void report_rows(const struct row *rows, size_t nr, const struct row *before)
{
	char text[TEXT];

	if (!before)
		machine(&rows[0]);
	if (!same_table(before, &rows[0]))
		heading(&rows[0]);
	if (all_failed_alike(rows, nr)) {
		printf("  %-7s  not measured: %s\n", size_text(rows[0].scenario.size, text),
		       rows[0].failed);
		nr = 0;
	}
	for (size_t i = 0; i < nr; i++)
		one_row(&rows[i], i == 0);
	fflush(stdout);
}

/* ---- below the tables ----------------------------------------------------------------- */

static bool any_unsettled(const struct results *results)
{
	for (size_t i = 0; i < results->nr; i++) {
		if (isfinite(results->rows[i].against_first.middle) && !results->rows[i].settled)
			return true;
	}
	return false;
}

/* Lines end between words. */
static void print_wrapped(char *text)
{
	int column = 0;

	for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
		int len = (int)strlen(word);

		if (column + len >= WIDTH) {
			putchar('\n');
			column = 0;
		}
		column += printf("%s%s", column > 0 ? " " : "", word);
	}
}

void report_summary(const struct results *results)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	puts("\nCPU    of the process that sends or receives, in the kernel and outside it\n"
	     "ratio  of this CPU (ping-pong: of p50) to that of the first mode: the median\n"
	     "       of pairs that ran in turns, +- their spread; below 1 is better");
	if (any_unsettled(results))
		printf("?      cannot tell how much: the spread stayed above %.0f %%\n",
		       100 * BENCH_SPREAD);
	if (!out)
		return;
	fputc('\n', out);
	report_sentence(results, out);
	if (fclose(out) == 0)
		print_wrapped(text);
	free(text);
}
