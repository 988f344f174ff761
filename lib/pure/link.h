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

/* Sending, and receiving: what the other direction costs says nothing. */
enum link_side { LINK_SEND, LINK_RECV, LINK_SIDES };

/*
 * What zero copy costs after the call: reading notifications, per flagged call; unmapping, per
 * mapped byte.
 */
struct later {
	double each_ns;
	uint8_t in; /* times until it is measured again */
};

/* Whether it is to be measured this time, and what it took for so many. */
bool later_is_due(struct later *l);
void later_note(struct later *l, uint64_t cpu_ns, uint64_t nr);

struct link {
	uint64_t key; /* 0: free */
	uint64_t used_ns;
	struct choice choices[LINK_SIDES][LINK_CLASSES];
	struct later notes; /* of flagged calls */
};

void link_init(struct link *l, uint64_t key, uint64_t now_ns);
/* The class of a length of at least LINK_LEAST, and the least length of a class. */
uint32_t link_class(uint64_t len);
uint64_t link_least(uint32_t class);
/* Whether the next thing of that length is to go by zero copy; *measure: its cost is wanted. */
bool link_choose(struct link *l, enum link_side side, uint64_t len, uint64_t now_ns, bool *measure);
/* Whether that rests on measurements. */
bool link_is_sure(const struct link *l, enum link_side side, uint64_t len);
/* A thing of that length, so many bytes of which were moved for that cost, all included. */
void link_cost(struct link *l, enum link_side side, uint64_t len, bool zerocopy, double cost_ns,
	       uint64_t bytes);
/* The same for a sending call; what its notification will cost is added. */
void link_sent(struct link *l, uint64_t len, bool flagged, uint64_t cpu_ns, uint64_t bytes);
/* What it takes to copy a message of that length, measured or roughly. */
uint64_t link_copy_ns(const struct link *l, uint64_t len);
/* Bytes from which on zero copy is taken; UINT64_MAX: nowhere. */
uint64_t link_crossover(const struct link *l, enum link_side side);

#endif
