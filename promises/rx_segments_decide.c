// SPDX-License-Identifier: MIT
/* The MTU is the other half: a page that the end of a packet cuts in two cannot be mapped. */
#include "rxkit.h"

#define PAGES 8

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_rx r;
	struct promise_pair small;
	enum promise_verdict v = promise_rx_open(&r, why, len);
	int got;

	if (v == PROMISE_HOLDS)
		v = promise_rx_filled(&r, PAGES, 1, why, len);
	if (v != PROMISE_HOLDS)
		return v;
	if (promise_lo_mtu(1500) < 0 || promise_zc_pair(&small, AF_INET) < 0)
		return promise_lacks(why, len, "an MTU of 1500");
	/* without segmentation offload, as the packets arrive from a wire */
	r.p = small;
	if (promise_rx_feed(&r, PAGES, 2) < 0)
		return promise_lacks(why, len, "data to map");
	got = promise_rx_map(&r, 0, PAGES, 0);
	if (got < 0)
		return promise_failed(why, len, "the call");
	if ((size_t)got == PAGES)
		return promise_broken(why, len, "all pages were mapped at an MTU of 1500");
	return PROMISE_HOLDS;
}

const struct promise promise_rx_segments_decide = {
	.id = "rx_segments_decide",
	.sentence =
		"Segments that are not whole pages (an MTU of 1500) cannot be mapped as a whole.",
	.source = "net/ipv4/tcp.c tcp_zerocopy_receive, can_map_frag",
	.otherwise = "More is mapped, which is what is wanted.",
	.run = run,
};
