/* SPDX-License-Identifier: MIT */
/*
 * explain.h - text that grows as long as there is room, and structs of any age
 */
#ifndef ZCSI_EXPLAIN_H
#define ZCSI_EXPLAIN_H

#include "zcsock.h"

struct text {
	char *buf;
	size_t len;
	size_t n; /* that there would be with room enough */
};

void say(struct text *t, const char *fmt, ...) __attribute__((__format__(__printf__, 2, 3)));
/* The sizes that were measured, a line each: learned.c */
void explain_learned(struct text *t, const struct zcs_learned *l, const char *indent,
		     const char *lent);
/* Fills a struct whose first member is its size with as much of ours as it has room for. */
int give_struct(void *out, const void *ours, size_t ours_len);

#endif
