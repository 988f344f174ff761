/* SPDX-License-Identifier: MIT */
/*
 * dest.h - a file that appears whole or not at all, and nowhere but in the chosen directory
 *
 * Bytes go to .zcsock-RANDOM.part beside the final name. Commit makes them durable (fsync), gives
 * the file its name, and makes that durable too. Without `force` the last step refuses an existing
 * name by itself (RENAME_NOREPLACE), so that nobody's file is lost in a race; with it, a regular
 * file is replaced and its permissions are kept. Links are never followed: a name that is one is
 * refused.
 */
#ifndef ZCSOCK_DEST_H
#define ZCSOCK_DEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <zcsock.h>

#include "file_way.h"

struct dest_dir {
	int fd;
	const char *only; /* the one name that all goes to; NULL: the sender names its files */
	bool force;
};

struct dest {
	const struct dest_dir *dir;
	char name[256];
	char part[40];
	int fd; /* -1: nothing is open */
	mode_t mode;
	uint64_t size;	/* written */
	bool direct;	/* the descriptor has O_DIRECT: gather, then dest_write_spans */
	bool may_leave; /* if it turns out not to be worth it */
	uint32_t align; /* direct: of memory, in step with offsets; bytes */
	uint64_t bytes_direct;
	const char *why; /* it has, or has not; static */
};

/* place: NULL, a directory, or a file in one. Negative after one line was said. */
int dest_dir_open(struct dest_dir *dir, const char *place, bool force);
void dest_dir_close(struct dest_dir *dir);

/*
 * size: UINT64_MAX when unknown. way: one of recv's, as asked for. 0 or a negative errno: -EINVAL
 * (the name), -EEXIST, -EISDIR (not a regular file), -ENOSPC, ... Nothing is left on failure.
 */
int dest_begin(struct dest *dest, const struct dest_dir *dir, const char *name, uint64_t size,
	       enum file_way way);
/* All of it, at the end of the file. */
int dest_write(struct dest *dest, const void *bytes, size_t len);
/* The same of spans, which stay the caller's; what an error left is narrowed. */
int dest_write_spans(struct dest *dest, struct zcs_ctx *ctx, struct zcs_span *spans, size_t nr);
enum file_way dest_way(const struct dest *dest);
/* Slow, may be called on another thread. */
int dest_sync(struct dest *dest);
/* After dest_sync. */
int dest_commit(struct dest *dest);
/* Removes what was begun; harmless after commit and when nothing was begun. */
void dest_discard(struct dest *dest);

#endif
