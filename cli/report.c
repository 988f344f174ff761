/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"
#include "report.h"
#include "stop.h"
#include "text.h"

#define HASH_TEXT (2 * PROTO_HASH + 1)

void report_begin(struct report *report, bool sender, bool json)
{
	*report = (struct report){ .sender = sender, .json = json, .start_ms = now_ms() };
	getrusage(RUSAGE_SELF, &report->start);
}

void report_body(struct report *report, const struct zcs_conn *conn, const char *name,
		 uint64_t size)
{
	struct zcs_stats stats = { .size = sizeof(stats) };
	char safe[SAFE_NAME];

	report_skip(report, conn);
	if (zcs_conn_stats(conn, &stats) == 0)
		report->body_at = report->sender ? stats.tx_bytes : stats.rx_bytes;
	progress_begin(text_safe(name, safe, sizeof(safe)), size);
}

/* By the library, since the connection was opened. */
static uint64_t copies(const struct report *report, const struct zcs_stats *stats)
{
	return report->sender ? stats->tx_bytes - stats->tx_bytes_lent - stats->tx_bytes_file
			      : stats->rx_bytes - stats->rx_bytes_mapped;
}

void report_own(struct report *report, uint64_t bytes)
{
	report->own += bytes;
}

void report_skip(struct report *report, const struct zcs_conn *conn)
{
	struct zcs_stats stats = { .size = sizeof(stats) };

	if (conn && zcs_conn_stats(conn, &stats) == 0)
		report->copied = copies(report, &stats);
}

void report_sample(struct report *report, const struct zcs_conn *conn)
{
	struct zcs_stats stats = { .size = sizeof(stats) };
	uint64_t more, own;
	uint32_t reason;

	if (!conn || zcs_conn_stats(conn, &stats) < 0)
		return;
	more = copies(report, &stats) - report->copied;
	report->copied += more;
	own = more < report->own ? more : report->own;
	report->own -= own;
	reason = report->sender ? stats.tx_reason : stats.rx_reason;
	if (reason >= REPORT_REASONS)
		reason = ZCS_R_OTHER;
	report->by_reason[reason] += more - own;
	if (progress_due())
		progress_at((report->sender ? stats.tx_bytes : stats.rx_bytes) - report->body_at,
			    report_uncopied(report, &stats));
}

double report_uncopied(const struct report *report, const struct zcs_stats *stats)
{
	uint64_t all = report->sender ? stats->tx_bytes : stats->rx_bytes;
	uint64_t without = report->sender ? stats->tx_bytes_uncopied + stats->tx_bytes_file
					  : stats->rx_bytes_mapped;

	return all ? 100 * (double)without / (double)all : 0;
}

int report_file(struct report *report, const char *name, uint64_t bytes,
		const uint8_t hash[PROTO_HASH])
{
	struct report_file *files;

	files = reallocarray(report->files, report->nr_files + 1, sizeof(*files));
	if (!files)
		return -ENOMEM;
	report->files = files;
	files += report->nr_files;
	files->name = strdup(name);
	if (!files->name)
		return -ENOMEM;
	files->bytes = bytes;
	memcpy(files->hash, hash, PROTO_HASH);
	report->nr_files++;
	report->bytes += bytes;
	return 0;
}

void report_way(struct report *report, uint64_t bytes, enum file_way way, const char *why,
		uint64_t direct)
{
	report->bytes_direct += direct;
	if (report->way_why && bytes < report->way_bytes)
		return;
	report->way_bytes = bytes;
	report->way = way;
	report->way_why = why;
}

static double cpu_ms(const struct report *report)
{
	struct rusage now;

	getrusage(RUSAGE_SELF, &now);
	return (double)(now.ru_utime.tv_sec - report->start.ru_utime.tv_sec + now.ru_stime.tv_sec -
			report->start.ru_stime.tv_sec) *
		       1000 +
	       (double)(now.ru_utime.tv_usec - report->start.ru_utime.tv_usec +
			now.ru_stime.tv_usec - report->start.ru_stime.tv_usec) /
		       1000;
}

/*
 * What the kernel copied although it was lent is known only when the notifications are in. The
 * library gives reasons for its own copies, so the words for the kernel's are chosen here. What is
 * left of the protocol's own bytes was lent together with the body.
 */
static void add_kernel_copies(struct report *report, const struct zcs_stats *stats)
{
	unsigned reason = report->local ? ZCS_R_LOCAL_DELIVERY : ZCS_R_KERNEL_COPIES;

	if (report->sender && stats->tx_bytes_lent > stats->tx_bytes_uncopied + report->own)
		report->by_reason[reason] +=
			stats->tx_bytes_lent - stats->tx_bytes_uncopied - report->own;
}

static void add(struct json_object *object, const char *name, struct json_object *value)
{
	json_object_object_add(object, name, value);
}

/* Three decimals are what the figures are worth. */
static struct json_object *number(double value)
{
	char text[64];

	snprintf(text, sizeof(text), "%.3f", value);
	return json_object_new_double_s(value, text);
}

static struct json_object *percent(bool known, uint64_t part, uint64_t whole)
{
	if (!known)
		return NULL; /* null */
	return number(whole ? 100 * (double)part / (double)whole : 0);
}

static struct json_object *json_way(const struct report *report)
{
	struct json_object *object;

	if (!report->way_why)
		return NULL; /* null */
	object = json_object_new_object();
	add(object, "way", json_object_new_string(file_way_text(report->way)));
	add(object, "why", json_object_new_string(report->way_why));
	if (!report->sender)
		add(object, "bytes_direct", json_object_new_int64((int64_t)report->bytes_direct));
	return object;
}

static struct json_object *json_files(const struct report *report)
{
	struct json_object *list = json_object_new_array();
	char safe[SAFE_NAME], hash[HASH_TEXT];

	for (size_t i = 0; i < report->nr_files; i++) {
		const struct report_file *file = &report->files[i];
		struct json_object *object = json_object_new_object();

		add(object, "name",
		    json_object_new_string(text_safe(file->name, safe, sizeof(safe))));
		add(object, "bytes", json_object_new_int64((int64_t)file->bytes));
		sodium_bin2hex(hash, sizeof(hash), file->hash, PROTO_HASH);
		add(object, "xxh3", json_object_new_string(hash));
		json_object_array_add(list, object);
	}
	return list;
}

static struct json_object *json_reasons(const struct report *report)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = 0; i < REPORT_REASONS; i++) {
		struct json_object *object;

		if (report->by_reason[i] == 0)
			continue;
		object = json_object_new_object();
		add(object, "reason", json_object_new_string(zcs_reason_text(i)));
		add(object, "bytes", json_object_new_int64((int64_t)report->by_reason[i]));
		json_object_array_add(list, object);
	}
	return list;
}

static void print_json(const struct report *report, const struct zcs_stats *stats, double seconds,
		       bool ok)
{
	struct json_object *all = json_object_new_object();
	const char *error = ok ? NULL : say_last();

	add(all, "command", json_object_new_string(report->sender ? "send" : "recv"));
	add(all, "ok", json_object_new_boolean(ok));
	if (error)
		add(all, "error", json_object_new_string(error));
	add(all, "files", json_files(report));
	add(all, "bytes", json_object_new_int64((int64_t)report->bytes));
	add(all, "file", json_way(report));
	add(all, "seconds", number(seconds));
	if (!report->sender)
		add(all, "sync_seconds", number((double)report->sync_ms / 1000));
	add(all, "gbytes_per_s", number(seconds > 0 ? (double)report->bytes / seconds / 1e9 : 0));
	add(all, "cpu_ms", number(cpu_ms(report)));
	add(all, "lent_pct", percent(report->sender, stats->tx_bytes_lent, stats->tx_bytes));
	add(all, "uncopied_pct",
	    percent(report->sender, stats->tx_bytes_uncopied + stats->tx_bytes_file,
		    stats->tx_bytes));
	add(all, "mapped_pct", percent(!report->sender, stats->rx_bytes_mapped, stats->rx_bytes));
	add(all, "reasons", json_reasons(report));
	add(all, "checksum", ok ? json_object_new_string("ok") : NULL);
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN |
							 JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(all);
}

static void print_lines(const struct report *report, const struct zcs_stats *stats, double seconds)
{
	char bytes[16], rate[16];

	printf("%s %zu %s, %s in %.2f s (%s/s), %.0f %% without a copy, checksum ok\n",
	       report->sender ? "sent" : "received", report->nr_files,
	       report->nr_files == 1 ? "file" : "files", progress_bytes(report->bytes, bytes),
	       seconds,
	       progress_bytes(seconds > 0 ? (uint64_t)((double)report->bytes / seconds) : 0, rate),
	       report_uncopied(report, stats));
	for (unsigned i = 0; i < REPORT_REASONS; i++) {
		/* A head and an odd tail are always copied: not worth a line. */
		if (report->by_reason[i] > report->bytes / 100 && report->by_reason[i] > 65536)
			printf("  %s copied: %s\n", progress_bytes(report->by_reason[i], bytes),
			       zcs_reason_text(i));
	}
}

void report_end(struct report *report, const struct zcs_stats *stats, bool ok)
{
	double seconds = (double)(now_ms() - report->start_ms) / 1000;

	progress_clear();
	add_kernel_copies(report, stats);
	if (report->json)
		print_json(report, stats, seconds, ok);
	else if (ok)
		print_lines(report, stats, seconds);
	for (size_t i = 0; i < report->nr_files; i++)
		free(report->files[i].name);
	free(report->files);
	report->files = NULL;
}

void report_url(const char *url, bool json)
{
	if (json) {
		struct json_object *object = json_object_new_object();

		add(object, "url", json_object_new_string(url));
		puts(json_object_to_json_string_ext(
			object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(object);
	} else {
		printf("zcsock send FILE '%s'\n", url);
	}
	fflush(stdout);
}
