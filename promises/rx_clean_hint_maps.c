// SPDX-License-Identifier: MIT
/* Many spans are unmapped by one madvise, and then no mapping call has to. */
#include "rxkit.h"

#include <sys/mman.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_rx r;
	enum promise_verdict v = promise_rx_open(&r, why, len);

	if (v == PROMISE_HOLDS)
		v = promise_rx_filled(&r, 8, 1, why, len);
	if (v != PROMISE_HOLDS)
		return v;
	if (madvise(r.win, 8 * r.page, MADV_DONTNEED) < 0)
		return promise_failed(why, len, "MADV_DONTNEED");
	if (promise_rx_feed(&r, 8, 2) < 0)
		return promise_lacks(why, len, "data to map");
	if (promise_rx_map(&r, 0, 8, PROMISE_CLEAN_HINT) != 8)
		return promise_broken(why, len, "the call with the hint did not map 8 pages");
	if (!promise_filled(r.win, 8 * r.page, 2))
		return promise_broken(why, len, "the pages hold other bytes");
	return PROMISE_HOLDS;
}

const struct promise promise_rx_clean_hint_maps = {
	.id = "rx_clean_hint_maps",
	.sentence =
		"Window pages given back with MADV_DONTNEED can be filled again with the TLB-clean hint.",
	.source = "net/ipv4/tcp.c tcp_zerocopy_receive; madvise(2)",
	.otherwise = "The call fails or maps less, and the rest is copied.",
	.run = run,
};
