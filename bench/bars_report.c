/* SPDX-License-Identifier: MIT */
#include "bars.h"

#include <json-c/json.h>
#include <math.h>
#include <string.h>

#include "report.h"

/* ---- words ---------------------------------------------------------------------------- */

static const char *const measures[] = {
	[BAR_CPU] = "CPU",
	[BAR_THROUGHPUT] = "throughput",
	[BAR_SYSCALLS] = "system calls",
	[BAR_P50] = "p50",
	[BAR_INSTRUCTIONS] = "instructions per message",
	[BAR_MEMORY] = "bytes of memory",
};

const char *verdict_text(enum verdict verdict)
{
	static const char *const text[] = {
		[BAR_CANNOT_TELL] = "cannot tell",
		[BAR_MET] = "met",
		[BAR_MISSED] = "missed",
	};

	return text[verdict];
}

/* "tx sink 64 KiB: CPU of adaptive to copy or zerocopy" */
const char *bar_text(const struct bar *bar, char text[BAR_TEXT])
{
	char size[REPORT_TEXT], rest[BAR_TEXT] = "";

	if (bar->measure == BAR_MEMORY) {
		snprintf(text, BAR_TEXT, "idle connection, %s: %s", path_names[bar->path],
			 measures[bar->measure]);
		return text;
	}
	if (bar->against[0])
		snprintf(rest, sizeof(rest), " to %s%s%s", bar->against[0],
			 bar->against[1] ? " or " : "", bar->against[1] ? bar->against[1] : "");
	snprintf(text, BAR_TEXT, "%s %s %s%s: %s of %s%s%s", direction_names[bar->direction],
		 path_names[bar->path], bar->family == FAMILY_UDP4 ? "udp " : "",
		 size_text(bar->size, size), measures[bar->measure], bar->mode, rest,
		 bar->touch ? ", touched" : "");
	return text;
}

/* A ratio with the digits that its spread leaves, a count as a whole number. */
static const char *number(const struct bar *bar, double value, char text[REPORT_TEXT])
{
	if (!isfinite(value))
		snprintf(text, REPORT_TEXT, "-");
	else
		snprintf(text, REPORT_TEXT, "%.*f", bar_is_ratio(bar) ? 3 : 0, value);
	return text;
}

/* ---- for people ------------------------------------------------------------------------ */

void bars_report_heading(void)
{
	printf("%-56s %8s %8s %7s  %s\n", "measure", "goal", "figure", "spread", "verdict");
	fflush(stdout);
}

/* "met (against copy)", "cannot tell: the spread stayed above 3 % (against copy)" */
static void put_verdict(const struct bar_result *result)
{
	fputs(verdict_text(result->verdict), stdout);
	if (result->why[0])
		printf(": %s", result->why);
	if (result->note[0])
		printf(" (%s)", result->note);
	putchar('\n');
}

void bars_report_one(const struct bar_result *result)
{
	const struct bar *bar = result->bar;
	char text[BAR_TEXT], goal[REPORT_TEXT], figure[REPORT_TEXT], spread[REPORT_TEXT] = "-";

	snprintf(goal, sizeof(goal), "%s %.*f",
		 bar->at_least ? ">=" : "<=", bar_is_ratio(bar) ? 2 : 0, bar->goal);
	if (isfinite(result->figure.spread))
		snprintf(spread, sizeof(spread), "%.1f%%", 100 * result->figure.spread);
	printf("%-56s %8s %8s %7s  ", bar_text(bar, text), goal,
	       number(bar, result->figure.middle, figure), spread);
	put_verdict(result);
	fflush(stdout);
}

/* "adaptive, tx, 64 KiB, sink:", and the lines of the text below it */
static void explained(const struct explained *e)
{
	const struct scenario *s = &e->scenario;
	char size[REPORT_TEXT];

	printf("\nadaptive, %s, %s, %s:\n", direction_names[s->direction], size_text(s->size, size),
	       path_names[s->path]);
	report_indented(e->text);
}

void bars_report_summary(const struct bars_results *results)
{
	printf("%zu bars: %u met, %u missed, %u cannot tell\n", nr_bars,
	       bars_count(results->bars, nr_bars, BAR_MET),
	       bars_count(results->bars, nr_bars, BAR_MISSED),
	       bars_count(results->bars, nr_bars, BAR_CANNOT_TELL));
	for (size_t i = 0; i < results->nr_explained; i++)
		explained(&results->explained[i]);
}

/* ---- for machines ---------------------------------------------------------------------- */

static void put_text(struct json_object *o, const char *name, const char *text)
{
	json_object_object_add(o, name, text[0] ? json_object_new_string(text) : NULL);
}

static void put_number(struct json_object *o, const char *name, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.6g", value);
	json_object_object_add(o, name,
			       isfinite(value) ? json_object_new_double_s(value, text) : NULL);
}

static const char *explained_of(const struct bars_results *results, const struct bar *bar)
{
	for (size_t i = 0; i < results->nr_explained; i++) {
		if (bar_is_of(bar, &results->explained[i].scenario) &&
		    strcmp(bar->mode, "adaptive") == 0)
			return results->explained[i].text;
	}
	return "";
}

static struct json_object *bar_object(const struct bars_results *results, size_t i)
{
	const struct bar_result *result = &results->bars[i];
	struct json_object *o = json_object_new_object();
	const char *text = explained_of(results, result->bar);
	char measure[BAR_TEXT];

	put_text(o, "measure", bar_text(result->bar, measure));
	put_number(o, "goal", result->bar->goal);
	json_object_object_add(o, "at_least", json_object_new_boolean(result->bar->at_least));
	put_number(o, "figure", result->figure.middle);
	put_number(o, "spread", result->figure.spread);
	put_text(o, "verdict", verdict_text(result->verdict));
	put_text(o, "note", result->note);
	put_text(o, "why", result->why);
	if (text[0])
		put_text(o, "explained", text);
	return o;
}

bool bars_report_json(const struct bars_results *results, FILE *out)
{
	const int flags = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE;
	struct json_object *array = json_object_new_array();
	bool ok;

	for (size_t i = 0; results->bars && i < nr_bars; i++)
		json_object_array_add(array, bar_object(results, i));
	ok = fprintf(out, "%s\n", json_object_to_json_string_ext(array, flags)) > 0;
	json_object_put(array);
	return ok;
}
