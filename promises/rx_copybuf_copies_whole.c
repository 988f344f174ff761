// SPDX-License-Identifier: MIT
/* copybuf_len is the crossover between copying and mapping, in one and the same call. */
#include "rxkit.h"

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_rx r;
	struct promise_zc z = { 0 };
	enum promise_verdict v = promise_rx_open(&r, why, len);
	size_t size;

	if (v != PROMISE_HOLDS)
		return v;
	size = 4 * r.page;
	if (promise_rx_feed(&r, 4, 1) < 0)
		return promise_lacks(why, len, "data to map");
	z.address = (uintptr_t)r.win;
	z.length = (uint32_t)size;
	z.copybuf_address = (uintptr_t)r.copy;
	z.copybuf_len = (int32_t)size;
	if (promise_zc_receive(r.p.rx, &z) < 0)
		return promise_failed(why, len, "the call");
	if (z.length || z.copybuf_len != (int32_t)size || z.inq)
		return promise_broken(why, len, "length %u, copied %d, inq %u", z.length,
				      z.copybuf_len, z.inq);
	if (!promise_filled(r.copy, size, 1))
		return promise_broken(why, len, "the copy holds other bytes");
	/* one byte less room, and the same data are mapped */
	if (promise_rx_feed(&r, 4, 2) < 0)
		return promise_lacks(why, len, "data to map");
	z = (struct promise_zc){ .address = (uintptr_t)r.win,
				 .length = (uint32_t)size,
				 .copybuf_address = (uintptr_t)r.copy,
				 .copybuf_len = (int32_t)size - 1 };
	if (promise_zc_receive(r.p.rx, &z) < 0)
		return promise_failed(why, len, "the call");
	if (z.length != size)
		return promise_broken(why, len, "with less room %u bytes were mapped", z.length);
	return PROMISE_HOLDS;
}

const struct promise promise_rx_copybuf_copies_whole = {
	.id = "rx_copybuf_copies_whole",
	.sentence =
		"When everything queued fits in copybuf_len it is copied and nothing is mapped; with a "
		"byte less, whole pages are mapped.",
	.source = "net/ipv4/tcp.c tcp_zerocopy_receive, receive_fallback_to_copy",
	.otherwise = "The library takes what the call says it copied and mapped.",
	.run = run,
};
