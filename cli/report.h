/* SPDX-License-Identifier: MIT */
/* report.h - what happened, on standard output: lines for people, or one JSON object */
#ifndef ZCSOCK_REPORT_H
#define ZCSOCK_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <zcsock.h>

#include "file_way.h"
#include "proto.h"

/* Reasons are numbers of the library, which may be newer: what is beyond counts as "other". */
#define REPORT_REASONS 64

struct report_file {
	char *name; /* as the file system has it */
	uint64_t bytes;
	uint8_t hash[PROTO_HASH];
};

struct report {
	bool sender;
	bool json;
	bool local;		   /* both sides are on this host */
	struct report_file *files; /* complete ones */
	size_t nr_files;
	uint64_t bytes; /* of them */
	uint64_t start_ms;
	uint64_t sync_ms; /* of which the receiver waited for its disk */
	struct rusage start;
	uint64_t copied; /* by the library, at the last sample */
	uint64_t own;	 /* bytes to come that are the protocol's, not the body's */
	uint64_t by_reason[REPORT_REASONS]; /* bytes of bodies copied, by why */
	enum file_way way;		    /* between the largest file and the library */
	const char *way_why;		    /* that one; static, NULL: there was no file yet */
	uint64_t way_bytes;
	uint64_t bytes_direct; /* of all files, past the page cache */
	uint64_t body_at;      /* bytes on the connection when the body began */
};

void report_begin(struct report *report, bool sender, bool json);
/* A body of size bytes (UINT64_MAX: unknown) begins on conn. */
void report_body(struct report *report, const struct zcs_conn *conn, const char *name,
		 uint64_t size);
/*
 * Often enough during a body, and at its end before anything else is moved: charges newly copied
 * bytes to the reason that the library gives.
 */
void report_sample(struct report *report, const struct zcs_conn *conn);
/* So many bytes of the protocol's own join the body: no reason is given for their copies. */
void report_own(struct report *report, uint64_t bytes);
/* The protocol's own bytes were received: as report_own for what was copied since the last call. */
void report_skip(struct report *report, const struct zcs_conn *conn);
/* Percent of the bytes so far that were moved without a copy. */
double report_uncopied(const struct report *report, const struct zcs_stats *stats);
/* A file is complete on both sides. -ENOMEM. */
int report_file(struct report *report, const char *name, uint64_t bytes,
		const uint8_t hash[PROTO_HASH]);
/* A file of so many bytes: how it was read or written, and why so; bytes past the page cache. */
void report_way(struct report *report, uint64_t bytes, enum file_way way, const char *why,
		uint64_t direct);
/* stats: of the context, after everything is closed. Frees what the report holds. */
void report_end(struct report *report, const struct zcs_stats *stats, bool ok);

/* recv's first line. */
void report_url(const char *url, bool json);

#endif
