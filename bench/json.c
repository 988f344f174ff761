/* SPDX-License-Identifier: MIT */
/* json.c - the results as one JSON object; zcsock-bench(1) documents it */
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <zcsock.h>

#include "host.h"
#include "report.h"

static void put_text(struct json_object *o, const char *name, const char *text)
{
	json_object_object_add(o, name, json_object_new_string(text));
}

/* What was not measured is null: a 0 would be a result. */
static void put_number(struct json_object *o, const char *name, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.6g", value);
	json_object_object_add(o, name,
			       isfinite(value) ? json_object_new_double_s(value, text) : NULL);
}

static void put_whole(struct json_object *o, const char *name, uint64_t value)
{
	json_object_object_add(o, name, json_object_new_int64((int64_t)value));
}

static void put_bool(struct json_object *o, const char *name, bool value)
{
	json_object_object_add(o, name, json_object_new_boolean(value));
}

static void put_figures(struct json_object *o, const struct row *row)
{
	put_number(o, "seconds", row->seconds);
	json_object_object_add(o, "bytes",
			       isfinite(row->bytes) ? json_object_new_int64((int64_t)row->bytes)
						    : NULL);
	put_number(o, "gbytes_per_s", row->gbytes_per_s);
	put_number(o, "cpu_us_per_mib", row->cpu_us_per_mib);
	put_number(o, "zerocopied_pct", row->zerocopied_pct);
	put_number(o, "mapped_pct", row->mapped_pct);
	put_number(o, "syscalls_per_mib", row->syscalls_per_mib);
	put_number(o, "instructions_per_call", row->instructions_per_call);
	put_number(o, "notifications_per_mib", row->notes_per_mib);
	put_number(o, "enobufs", row->enobufs);
	put_number(o, "p50_us", row->p50_us);
	put_number(o, "p99_us", row->p99_us);
	put_number(o, "p999_us", row->p999_us);
	put_number(o, "ratio", row->against_first.middle);
	put_number(o, "ratio_spread_pct", 100 * row->against_first.spread);
	json_object_object_add(
		o, "settled",
		isfinite(row->against_first.middle) ? json_object_new_boolean(row->settled) : NULL);
}

static struct json_object *row_object(const struct row *row)
{
	struct json_object *o = json_object_new_object();

	put_text(o, "path", path_names[row->scenario.path]);
	put_text(o, "direction", direction_names[row->scenario.direction]);
	put_text(o, "family", family_names[row->scenario.family]);
	put_whole(o, "size", row->scenario.size);
	put_text(o, "mode", row->mode);
	put_text(o, "compared_with", row->scenario.modes[0]);
	put_whole(o, "samples", row->samples);
	put_whole(o, "working_set", row->area);
	put_bool(o, "touch", row->touch);
	put_figures(o, row);
	if (row->failed[0])
		put_text(o, "failed", row->failed);
	if (row->explained)
		put_text(o, "explained", row->explained);
	return o;
}

static struct json_object *host_object(const struct results *results)
{
	struct json_object *o = json_object_new_object();
	struct host host;

	host_read(&host);
	put_text(o, "zcsock", zcs_version());
	put_text(o, "kernel", host.kernel);
	put_text(o, "machine", host.machine);
	put_text(o, "processor", host.processor);
	put_whole(o, "processors", host.cpus);
	put_whole(o, "last_level_cache", host.cache);
	put_whole(o, "memory", host.memory);
	put_bool(o, "lab", results->had_lab);
	return o;
}

bool report_json(const struct results *results, FILE *out)
{
	struct json_object *o = json_object_new_object(), *rows = json_object_new_array();
	const int flags = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE;
	bool ok;

	put_whole(o, "schema", 1);
	json_object_object_add(o, "host", host_object(results));
	for (size_t i = 0; i < results->nr; i++)
		json_object_array_add(rows, row_object(&results->rows[i]));
	json_object_object_add(o, "rows", rows);
	ok = fprintf(out, "%s\n", json_object_to_json_string_ext(o, flags)) > 0;
	json_object_put(o);
	return ok;
}
