/* SPDX-License-Identifier: MIT */
/*
 * rx.h - what the two ways of receiving share: rx.c copies, map.c maps
 */
#ifndef ZCSI_RX_H
#define ZCSI_RX_H

#include "conn.h"

#define RX_CHUNK (256u << 10) /* bytes of a copying read; small enough to stay in the cache */

/* A zcs_conn_recv in progress. */
struct rx {
	struct zcs_conn *c;
	struct zcs_span *spans;
	size_t nr;	  /* spans that are left */
	uint64_t max;	  /* bytes that are left */
	uint64_t budget;  /* bytes that may be borrowed now */
	size_t got;	  /* spans filled */
	size_t copied;	  /* bytes of them, by copying reads */
	int64_t stamp_ns; /* of the last call */
	enum rx_way { RX_UNDECIDED, RX_COPY, RX_MAP } way;
	uint64_t size; /* that the decision was about */
	bool measure;  /* the policy wants to know what it costs, from here on: */
	uint64_t from_cpu_ns, from_bytes, from_mapped;
};

void rx_add_span(struct rx *rx, char *base, size_t len, uint32_t flags);
/* The time stamp among control messages, software or hardware, whichever the socket asked for. */
int64_t rx_find_stamp(const void *control, size_t len);

/* dgram_rx.c: datagrams, by one system call; their number, or a negative errno. */
int dgram_receive(struct rx *rx);

int rx_at_end(struct zcs_conn *c, ssize_t r); /* a call brought r, 0 or a negative errno */
void rx_rest(struct zcs_conn *c);	      /* the caller is about to wait for READABLE */

/* If not, c->rx_reason says why. */
bool map_is_wanted(struct rx *rx);
int map_receive(struct rx *rx); /* 1: spans were added. 0: copy instead, now */

#endif
