/* SPDX-License-Identifier: MIT */
/*
 * partner.h - the virtual partner: a process at the far end of the pair
 *
 * Packets for its services are read off a ring that partner.bpf.c fills; what they lead to is
 * written as frames. It spins while there is traffic and sleeps when there is none.
 */
#ifndef ZCSOCK_LAB_PARTNER_H
#define ZCSOCK_LAB_PARTNER_H

#include "flow.h"
#include "line.h"

#define PARTNER_FLOWS 1024 /* at a time; a SYN beyond is not answered */

struct partner {
	struct world world;
	struct partner_bpf *bpf;
	struct ring_buffer *ring, *payloads;
	struct line line;
	struct flow *by_port[2][2][65536]; /* [source][IPv6][the near side's port] */
	struct flow *live[PARTNER_FLOWS];
	unsigned nr_live;
	uint64_t datagram_at; /* where in the pattern the next one is looked for first */
	uint64_t now;
};

/* In the far namespace; a negative errno, with what failed in `why`. */
int partner_open(struct partner *p, const struct behave *behave, char *why, size_t len);
/* Until `parent` ends. Serves the control port as well. */
int partner_run(struct partner *p, int parent, int control);

/* What the control port can ask for. */
void partner_reset_all(struct partner *p);
void partner_behave(struct partner *p, const struct behave *behave);
void partner_stats(const struct partner *p, char *out, size_t len);

#endif
