// SPDX-License-Identifier: MIT
/* Why mapping is tried, measured, and given up: nothing on this side tells what the peer does. */
#include "rxkit.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGES 8

static int feed_plain(struct promise_rx *r)
{
	size_t size = PAGES * r->page;

	if (send(r->p.tx, r->src, size, MSG_NOSIGNAL) != (ssize_t)size)
		return -1;
	return promise_wait_queued(r->p.rx, size);
}

/* Through a pipe, which has a page of its own for each page that is written to it. */
static int feed_spliced(struct promise_rx *r)
{
	size_t size = PAGES * r->page;
	int ends[2];

	if (pipe(ends) < 0 || write(ends[1], r->src, size) != (ssize_t)size)
		return -1;
	for (size_t left = size; left;) {
		ssize_t n = splice(ends[0], NULL, r->p.tx, NULL, left,
				   left > r->page ? SPLICE_F_MORE : 0);

		if (n <= 0)
			return -1;
		left -= (size_t)n;
	}
	return promise_wait_queued(r->p.rx, size);
}

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_rx r;
	enum promise_verdict v = promise_rx_open(&r, why, len);
	int got;

	if (v == PROMISE_HOLDS)
		v = promise_rx_filled(&r, PAGES, 1, why, len);
	if (v != PROMISE_HOLDS)
		return v;
	if (feed_plain(&r) < 0)
		return promise_lacks(why, len, "a plain send");
	got = promise_rx_map(&r, 0, PAGES, 0);
	if (got != 0)
		return promise_broken(why, len, "%d pages of a plain send were mapped", got);
	if (promise_drain(r.p.rx) != PAGES * r.page || feed_spliced(&r) < 0)
		return promise_lacks(why, len, "splice from a pipe");
	got = promise_rx_map(&r, 0, PAGES, 0);
	if (got <= 0 || !promise_filled(r.win, (size_t)got * r.page, 1))
		return promise_broken(why, len, "%d spliced pages were mapped", got);
	return PROMISE_HOLDS;
}

const struct promise promise_rx_sender_decides = {
	.id = "rx_sender_decides",
	.sentence =
		"Over loopback the sender decides whether pages can be mapped: those of MSG_ZEROCOPY "
		"and of splice from a pipe can, those of a plain send cannot.",
	.source = "net/ipv4/tcp.c can_map_frag, skb_page_frag_refill (net/core/sock.c)",
	.otherwise =
		"What cannot be mapped is read by copying; where that is always so the policy stops "
		"to ask.",
	.run = run,
};
