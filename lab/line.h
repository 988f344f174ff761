/* SPDX-License-Identifier: MIT */
/* line.h - the way from the sender to the partner: segments that arrive later, some later still */
#ifndef ZCSOCK_LAB_LINE_H
#define ZCSOCK_LAB_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

struct line_entry {
	uint64_t due; /* ns */
	struct lab_segment segment;
};

struct line_queue {
	struct line_entry *at;
	size_t size, head, nr; /* size is a power of two */
};

/* Two queues, each in the order of what is due, as each has one delay. Zeroes: an empty line. */
struct line {
	struct line_queue usual, late;
};

/* false: no memory, the segment is lost. */
bool line_put(struct line *l, const struct lab_segment *segment, uint64_t due, bool late);
/* Takes the next one that is due by now; false: none. */
bool line_take(struct line *l, uint64_t now, struct lab_segment *out);
/* When the next one is due; UINT64_MAX: there is none. */
uint64_t line_next(const struct line *l);
void line_free(struct line *l);

#endif
