// SPDX-License-Identifier: MIT
/*
 * Forwarding without a copy. The send takes page references of its own, so the span is free as
 * soon as its last byte was accepted: it is zapped, its place is filled anew, and only then does
 * the peer begin to receive.
 */
#include "rxkit.h"

#include <sys/mman.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_rx r;
	struct promise_pair out;
	enum promise_verdict v = promise_rx_open(&r, why, len);
	ssize_t size;

	if (v == PROMISE_HOLDS)
		v = promise_rx_filled(&r, 8, 1, why, len);
	if (v != PROMISE_HOLDS)
		return v;
	size = (ssize_t)(8 * r.page);
	if (promise_zc_pair(&out, AF_INET) < 0 || promise_silence(out.rx) < 0)
		return promise_lacks(why, len, "a second connection with a silent peer");
	if (promise_zc_send(out.tx, r.win, (size_t)size) != size)
		return promise_failed(why, len, "flagged send of mapped pages");
	if (madvise(r.win, (size_t)size, MADV_DONTNEED) < 0)
		return promise_failed(why, len, "MADV_DONTNEED after the send");
	v = promise_rx_filled(&r, 8, 2, why, len);
	if (v != PROMISE_HOLDS)
		return v;
	if (promise_unsilence(out.rx) < 0 || promise_read_all(out.rx, r.copy, (size_t)size) < 0)
		return promise_lacks(why, len, "retransmission");
	if (!promise_filled(r.copy, (size_t)size, 1))
		return promise_broken(why, len, "the peer received other bytes");
	return promise_expect_numbers(&out, 1, why, len);
}

const struct promise promise_rx_mapped_pages_forward = {
	.id = "rx_mapped_pages_forward",
	.sentence =
		"Mapped pages may be sent with MSG_ZEROCOPY and given up as soon as the send returns: the "
		"data still arrive.",
	.source = "net/core/datagram.c zerocopy_fill_skb_from_iter; mm/gup.c",
	.otherwise = "Relied upon. Tried by net-relay on each kernel.",
	.run = run,
};
