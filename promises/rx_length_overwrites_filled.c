// SPDX-License-Identifier: MIT
/*
 * Why length never reaches a borrowed span: the hint does not protect what is there. A wrong one is
 * only slower, and the page of another connection is replaced without a word.
 */
#include "rxkit.h"

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_rx r;
	enum promise_verdict v = promise_rx_open(&r, why, len);
	int got;

	if (v != PROMISE_HOLDS)
		return v;
	/* a span that is still borrowed, at page 4 of the window */
	if (promise_rx_feed(&r, 1, 1) < 0)
		return promise_lacks(why, len, "data to map");
	if (promise_rx_map(&r, 4, 1, 0) != 1 || !promise_filled(r.win + 4 * r.page, r.page, 1))
		return promise_unsure(why, len, "one page could not be mapped");
	/* together less than half a window of 64 KiB: above it old kernels split a page in two */
	if (promise_rx_feed(&r, 6, 2) < 0)
		return promise_lacks(why, len, "data to map");
	got = promise_rx_map(&r, 0, 6, PROMISE_CLEAN_HINT);
	if (promise_filled(r.win + 4 * r.page, r.page, 1))
		return promise_broken(why, len, "the filled page was kept (mapped: %d)", got);
	if (got != 6 || !promise_filled(r.win, 6 * r.page, 2))
		return promise_broken(why, len, "%d of 6 pages were mapped", got);
	return PROMISE_HOLDS;
}

const struct promise promise_rx_length_overwrites_filled = {
	.id = "rx_length_overwrites_filled",
	.sentence =
		"With the TLB-clean hint, a length that reaches over a filled page replaces that page and "
		"reports no error.",
	.source = "net/ipv4/tcp.c tcp_zerocopy_vm_insert_batch_error",
	.otherwise = "The library never asks for a length that reaches a borrowed span.",
	.run = run,
};
