/* SPDX-License-Identifier: MIT */
/*
 * link.h - what copying and zero copy cost on a link, by size
 *
 * A link is what traffic with the same costs has in common: the address at our end, which stands
 * for the device behind it. Each size class has a choice of its own (choice.h); way 1 is zero copy.
 * As long as a class has no measurements of its own it goes with the nearest one that has: where
 * zero copy pays it pays for what is larger, and where copying pays it pays for what is smaller.
 */
#ifndef ZCSI_LINK_H
#define ZCSI_LINK_H

#include "choice.h"

#include <stddef.h>

/* Classes are powers of two: 2 to 4 KiB, ... , 1 MiB and more. What is shorter is always copied. */
#define LINK_LEAST   2048u
#define LINK_CLASSES 10u
/* Where zero copy is taken to begin to pay, until something was measured. */
#define LINK_GUESS (16u << 10)

/* Sending, and receiving: what the other direction costs says nothing. */
enum link_side { LINK_SEND, LINK_RECV, LINK_SIDES };

struct link {
	uint64_t key; /* 0: free */
	uint64_t used_ns;
	struct choice choices[LINK_SIDES][LINK_CLASSES];
	/* What comes later, in ns: notifications per flagged call; unmapping per mapped byte. */
	double later[LINK_SIDES];
	uint8_t later_in[LINK_SIDES]; /* times until that is measured again */
};

void link_init(struct link *l, uint64_t key, uint64_t now_ns);
/* The class of a length of at least LINK_LEAST. */
uint32_t link_class(uint64_t len);
/* Whether the next thing of that length is to go by zero copy; *measure: its cost is wanted. */
bool link_choose(struct link *l, enum link_side side, uint64_t len, uint64_t now_ns, bool *measure);
/* Whether that rests on measurements. */
bool link_is_sure(const struct link *l, enum link_side side, uint64_t len);
/* A thing of that length, of which a call that took cpu_ns moved so many bytes. */
void link_cost(struct link *l, enum link_side side, uint64_t len, bool zerocopy, uint64_t cpu_ns,
	       uint64_t bytes);
/* Whether what comes later is to be measured this time, and what it took for so many units. */
bool link_wants_later(struct link *l, enum link_side side);
void link_later(struct link *l, enum link_side side, uint64_t cpu_ns, uint64_t units);
/* Bytes from which on zero copy is taken; UINT64_MAX: nowhere. */
uint64_t link_crossover(const struct link *l, enum link_side side);

#endif
