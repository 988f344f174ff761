/* SPDX-License-Identifier: MIT */
/* files_report.c - what bench --files measured, for people and for machines */
#include <json-c/json.h>
#include <math.h>
#include <string.h>

#include "files.h"

enum value { SEND, RECV, BOTH, SECONDS, DIRECT };

static double value_of(const struct files_sample *s, enum value value)
{
	switch (value) {
	case SEND:
		return s->send_s;
	case RECV:
		return s->recv_s;
	case BOTH:
		return s->send_s + s->recv_s;
	case SECONDS:
		return s->seconds;
	default:
		return s->direct;
	}
}

static void values(const struct files_results *r, const struct files_row *row, enum value value,
		   double out[STATS_MAX])
{
	for (unsigned i = 0; i < r->samples; i++)
		out[i] = value_of(&row->samples[i], value);
}

static double middle(const struct files_results *r, const struct files_row *row, enum value value)
{
	double all[STATS_MAX];

	values(r, row, value, all);
	return median(all, r->samples);
}

static double per_gib(const struct files_results *r, const struct files_row *row, enum value value)
{
	return middle(r, row, value) * (double)(1 << 30) / (double)r->size;
}

/* Against the plain way, in the same rounds. */
static struct ratio against_plain(const struct files_results *r, const struct files_row *row,
				  enum value value)
{
	double a[STATS_MAX], b[STATS_MAX];

	values(r, row, value, a);
	values(r, &r->rows[0], value, b);
	return ratio_of_pairs(a, b, r->samples);
}

static const char *ways(const struct files_row *row, char text[64])
{
	const struct files_sample *s = &row->samples[0];
	bool chosen = strcmp(row->what->send, "auto") == 0 && s->sent[0];

	snprintf(text, 64, "%s%s%s -> %s%s", row->what->send, chosen ? "=" : "",
		 chosen		    ? s->sent
		 : row->what->lends ? ", lent"
				    : "",
		 row->what->recv, row->what->lends ? ", mapped" : "");
	if (chosen)
		snprintf(text + strlen(text), 64 - strlen(text), "=%s", s->received);
	return text;
}

void files_report(const struct files_results *r)
{
	char text[64];

	printf("A file of %llu MiB over loopback: CPU s/GiB, fsync included; in %s\n\n",
	       (unsigned long long)r->size >> 20, r->dir);
	printf("%-31s %7s %7s %7s  %-13s %7s\n", "sent -> received", "send", "recv", "both",
	       "ratio", "direct%");
	for (size_t i = 0; i < r->nr; i++) {
		const struct files_row *row = &r->rows[i];
		struct ratio ratio;

		if (row->failed[0]) {
			printf("%-31s %s\n", ways(row, text), row->failed);
			continue;
		}
		ratio = against_plain(r, row, BOTH);
		printf("%-31s %7.3f %7.3f %7.3f  %.2f +- %2.0f %%   %7.0f\n", ways(row, text),
		       per_gib(r, row, SEND), per_gib(r, row, RECV), per_gib(r, row, BOTH),
		       ratio.middle, 100 * ratio.spread, 100 * middle(r, row, DIRECT));
	}
	printf("\nMedians of %u transfers; ratio: to the first line's in the same round.\n",
	       r->samples);
}

static void put(struct json_object *o, const char *name, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.6g", value);
	json_object_object_add(o, name,
			       isfinite(value) ? json_object_new_double_s(value, text) : NULL);
}

static void put_figures(struct json_object *o, const struct files_results *r,
			const struct files_row *row)
{
	struct ratio ratio = against_plain(r, row, BOTH);

	json_object_object_add(o, "sent", json_object_new_string(row->samples[0].sent));
	json_object_object_add(o, "received", json_object_new_string(row->samples[0].received));
	put(o, "send_cpu_s_per_gib", per_gib(r, row, SEND));
	put(o, "recv_cpu_s_per_gib", per_gib(r, row, RECV));
	put(o, "cpu_s_per_gib", per_gib(r, row, BOTH));
	put(o, "send_ratio", against_plain(r, row, SEND).middle);
	put(o, "recv_ratio", against_plain(r, row, RECV).middle);
	put(o, "ratio", ratio.middle);
	put(o, "ratio_spread_pct", 100 * ratio.spread);
	put(o, "seconds", middle(r, row, SECONDS));
	put(o, "direct_pct", 100 * middle(r, row, DIRECT));
}

bool files_report_json(const struct files_results *r, FILE *out)
{
	struct json_object *all = json_object_new_object(), *rows = json_object_new_array();
	bool ok;

	json_object_object_add(all, "schema", json_object_new_int(1));
	json_object_object_add(all, "bytes", json_object_new_int64((int64_t)r->size));
	json_object_object_add(all, "samples", json_object_new_int((int)r->samples));
	json_object_object_add(all, "rows", rows);
	for (size_t i = 0; i < r->nr; i++) {
		const struct files_row *row = &r->rows[i];
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "send", json_object_new_string(row->what->send));
		json_object_object_add(o, "recv", json_object_new_string(row->what->recv));
		json_object_object_add(o, "zerocopy", json_object_new_boolean(row->what->lends));
		if (row->failed[0])
			json_object_object_add(o, "failed", json_object_new_string(row->failed));
		else
			put_figures(o, r, row);
		json_object_array_add(rows, o);
	}
	ok = fprintf(out, "%s\n",
		     json_object_to_json_string_ext(
			     all, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE)) > 0;
	json_object_put(all);
	return ok;
}
