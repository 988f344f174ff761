/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TEXT 64

/* ---- figures ---------------------------------------------------------------------- */

static const char *size_text(uint64_t size, char text[TEXT])
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

static const char *ratio_text(const struct row *row, char text[TEXT])
{
	if (strcmp(row->mode, row->scenario.modes[0]) == 0)
		snprintf(text, TEXT, "1");
	else
		snprintf(text, TEXT, "%.2f +-%.0f%%%s", row->against_first.middle,
			 100 * row->against_first.spread, row->settled ? "" : " ?");
	return text;
}

/* ---- the table ---------------------------------------------------------------------- */

static const char *const titles[NR_DIRECTIONS] = {
	"Sending", "Receiving", "Ping-pong", "Relaying",
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

	return text[s->path];
}

static bool same_table(const struct row *a, const struct row *b)
{
	return a && a->scenario.direction == b->scenario.direction &&
	       a->scenario.path == b->scenario.path && a->scenario.family == b->scenario.family;
}

static void heading(const struct row *row)
{
	const struct scenario *s = &row->scenario;

	printf("\n%s %s (%s), against %s:\n", titles[s->direction], where_text(s),
	       family_names[s->family], s->modes[0]);
	if (s->direction == DIR_PINGPONG)
		printf("  %-8s %-13s %8s %8s %8s  %s\n", "size", "", "p50 us", "p99 us",
		       "p99.9 us", "p50 ratio");
	else
		printf("  %-8s %-13s %7s %11s %-11s %9s %13s %7s\n", "size", "", "GB/s",
		       "CPU us/MiB", "  CPU ratio", "uncopied%", "syscalls/MiB", "instr.");
}

static void stream_row(const struct row *row)
{
	double uncopied = row->scenario.direction == DIR_RX ? row->mapped_pct : row->zerocopied_pct;
	char size[TEXT], a[TEXT], b[TEXT], c[TEXT], d[TEXT], e[TEXT], f[TEXT];

	printf("  %-8s %-13s %7s %11s   %-11s %7s %13s %7s\n",
	       size_text(row->scenario.size, size), row->mode, figure(row->gbytes_per_s, a),
	       figure(row->cpu_us_per_mib, b), ratio_text(row, c), figure(uncopied, d),
	       figure(row->syscalls_per_mib, e), figure(row->instructions_per_call, f));
}

static void pingpong_row(const struct row *row)
{
	char size[TEXT], a[TEXT], b[TEXT], c[TEXT], d[TEXT];

	printf("  %-8s %-13s %8s %8s %8s  %s\n", size_text(row->scenario.size, size), row->mode,
	       figure(row->p50_us, a), figure(row->p99_us, b), figure(row->p999_us, c),
	       ratio_text(row, d));
}

void report_rows(const struct row *rows, size_t nr, const struct row *before)
{
	char size[TEXT];

	if (nr > 0 && !same_table(before, &rows[0]))
		heading(&rows[0]);
	for (size_t i = 0; i < nr; i++) {
		if (rows[i].failed[0]) {
			printf("  %-8s not measured: %s\n",
			       size_text(rows[i].scenario.size, size), rows[i].failed);
			break; /* what ended one of them ended them all */
		}
		if (rows[i].scenario.direction == DIR_PINGPONG)
			pingpong_row(&rows[i]);
		else
			stream_row(&rows[i]);
	}
	fflush(stdout);
}

/* ---- the sentence ----------------------------------------------------------------------- */

/* zerocopy against copy, sending, of that path; NULL: not measured. Sizes ascend. */
static const struct row *next_sent(const struct results *r, enum path path, const struct row *after)
{
	const struct row *row = after ? after + 1 : r->rows;

	for (; row < r->rows + r->nr; row++) {
		if (row->scenario.direction == DIR_TX && row->scenario.path == path &&
		    row->scenario.family == FAMILY_TCP4 && !row->failed[0] &&
		    strcmp(row->mode, "zerocopy") == 0 &&
		    strcmp(row->scenario.modes[0], "copy") == 0)
			return row;
	}
	return NULL;
}

static void say_crossover(const struct results *r, enum path path, const char *where)
{
	const struct row *row = NULL, *loses = NULL, *wins = NULL;
	char a[TEXT], b[TEXT];

	while ((row = next_sent(r, path, row))) {
		if (row->against_first.middle >= 1)
			loses = row;
		else if (!wins || wins < loses)
			wins = row;
	}
	if (wins && loses && wins > loses)
		printf("%s, sending without a copy pays between %s (%.2f of the CPU of copying) and "
		       "%s (%.2f)", where, size_text(loses->scenario.size, a),
		       loses->against_first.middle, size_text(wins->scenario.size, b),
		       wins->against_first.middle);
	else if (wins)
		printf("%s, sending without a copy pays from %s (%.2f of the CPU of copying) on",
		       where, size_text(wins->scenario.size, a), wins->against_first.middle);
	else if (loses)
		printf("%s, sending without a copy does not pay up to %s (%.2f of the CPU of "
		       "copying)", where, size_text(loses->scenario.size, a),
		       loses->against_first.middle);
}

void report_sentence(const struct results *results)
{
	bool sink = next_sent(results, PATH_SINK, NULL) || next_sent(results, PATH_PEER, NULL);
	enum path path = next_sent(results, PATH_SINK, NULL) ? PATH_SINK : PATH_PEER;
	const struct row *local = NULL, *worst = NULL;
	char size[TEXT];

	if (!sink && !next_sent(results, PATH_LOOPBACK, NULL))
		return;
	puts("");
	if (sink)
		say_crossover(results, path, "On this machine");
	while ((local = next_sent(results, PATH_LOOPBACK, local))) {
		if (!worst || local->against_first.middle > worst->against_first.middle)
			worst = local;
	}
	if (worst)
		printf("%s it costs %s%.2f times the CPU of copying (%s)",
		       sink ? "; over loopback" : "Over loopback",
		       worst->against_first.middle > 1 ? "up to " : "at most ",
		       worst->against_first.middle, size_text(worst->scenario.size, size));
	puts(".");
}
