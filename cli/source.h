/* SPDX-License-Identifier: MIT */
/*
 * source.h - a file to send, read piece by piece, and watched for changes while it is read
 */
#ifndef ZCSOCK_SOURCE_H
#define ZCSOCK_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "proto.h"

struct source {
	const char *path; /* "-": standard input */
	const char *name; /* its last part, or what --name says */
	int fd;		  /* -1: not open */
	bool stream;	  /* standard input: of unknown length, cannot be read twice */
	struct stat before;
	uint64_t at; /* bytes read */
	char *map;   /* the whole file; NULL: not mapped */
};

/*
 * The name that the receiver will see: the chosen one, else the path's last part. NULL after one
 * line was said about a name that is none.
 */
const char *source_name(const char *path, const char *chosen);
/* 0, or a negative value after one line was said. Regular files and standard input only. */
int source_open(struct source *source, const char *path, const char *chosen);
/* PROTO_UNKNOWN for standard input. */
uint64_t source_size(const struct source *source);
/*
 * Up to len bytes; 0: the end; -EAGAIN: standard input has nothing yet, wait for fd. A regular file
 * never gives more than its size was at the start.
 */
int64_t source_read(struct source *source, void *buf, size_t len);
/*
 * A regular file that is not empty: maps it whole, and watches it (hole.h) until source_close. 0 or
 * a negative errno.
 */
int source_map(struct source *source);
/*
 * The next bytes of the mapping, at most len; where they are. They may be zeros behind the file's
 * new end, of which hole_found tells once they were touched. NULL: the end.
 */
const char *source_piece(struct source *source, size_t *len);
/* At the end: what the file did meanwhile; PROTO_OK: nothing. */
enum proto_code source_check(const struct source *source);
void source_close(struct source *source);

#endif
