/* SPDX-License-Identifier: MIT */
/* pieces.h - what came of a stream beyond a gap: disjoint intervals in ascending order */
#ifndef ZCSOCK_LAB_PIECES_H
#define ZCSOCK_LAB_PIECES_H

#include <stdbool.h>
#include <stdint.h>

#define PIECES_MAX 256

struct piece {
	uint64_t from, to; /* [from, to) */
};

struct pieces {
	unsigned nr;
	struct piece at[PIECES_MAX];
};

/* Enters [from, to); false when there is no room for one more. */
bool pieces_add(struct pieces *p, uint64_t from, uint64_t to);
/* Takes out all that is connected with `next`, and returns where it ends; else `next`. */
uint64_t pieces_take(struct pieces *p, uint64_t next);

#endif
