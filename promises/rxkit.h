/* SPDX-License-Identifier: MIT */
/*
 * What the promises about receiving share: the call, a window, and a loopback over which pages can
 * be mapped. That needs segments of whole pages, so the MTU of a private loopback is set, and a
 * sender with MSG_ZEROCOPY, whose data the kernel copies into whole pages on delivery.
 */
#ifndef ZCS_PROMISES_RXKIT_H
#define ZCS_PROMISES_RXKIT_H

#include "kit.h"

#define PROMISE_ZC_RECEIVE 35  /* TCP_ZEROCOPY_RECEIVE */
#define PROMISE_CLEAN_HINT 0x1 /* TCP_RECEIVE_ZEROCOPY_FLAG_TLB_CLEAN_HINT */

/* struct tcp_zerocopy_receive in full, which libc headers have in parts only */
struct promise_zc {
	uint64_t address;
	uint32_t length;
	uint32_t recv_skip_hint;
	uint32_t inq;
	int32_t err;
	uint64_t copybuf_address;
	int32_t copybuf_len;
	uint32_t flags;
	uint64_t msg_control;
	uint64_t msg_controllen;
	uint32_t msg_flags;
	uint32_t reserved;
};

struct promise_rx {
	struct promise_pair p; /* tx has SO_ZEROCOPY */
	size_t page;
	char *src;  /* PROMISE_RX_PAGES to send from */
	char *win;  /* PROMISE_RX_PAGES to map into; its socket is closed */
	char *copy; /* PROMISE_RX_PAGES of plain memory */
};

#define PROMISE_RX_PAGES 16

/*
 * HOLDS when everything is there; else the verdict to return, "cannot tell".
 * An MTU is set, so this is the first thing a promise does.
 */
enum promise_verdict promise_rx_open(struct promise_rx *r, char *why, size_t len);

/* Maps nr pages for receiving from a TCP socket of its own, closed at once; NULL with errno. */
void *promise_rx_window(size_t nr);

/* Sends nr pages that match promise_fill(..., seed), so that they can be mapped; waits for them. */
int promise_rx_feed(struct promise_rx *r, size_t nr, unsigned int seed);

/* The call. Set the inputs in z before; -1 with errno. */
int promise_zc_receive(int fd, struct promise_zc *z);

/* Maps up to nr queued pages at page at of the window. Pages mapped, or -1 with errno. */
int promise_rx_map(struct promise_rx *r, size_t at, size_t nr, uint32_t flags);

/*
 * Feeds nr pages and maps them at page 0. HOLDS when that worked; else "cannot tell": for promises
 * about what comes after.
 */
enum promise_verdict promise_rx_filled(struct promise_rx *r, size_t nr, unsigned int seed,
				       char *why, size_t len);

#endif
