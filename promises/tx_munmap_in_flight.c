// SPDX-License-Identifier: MIT
/* What CONDEMNED memory may still have done to it: unmapping takes the address, not the pages. */
#include "kit.h"

#include <sys/mman.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	size_t size = 8 * promise_page();
	char *buf = promise_pages(8);
	char *got = promise_pages(8);

	if (!buf || !got || promise_zc_pair(&p, AF_INET) < 0 || promise_silence(p.rx) < 0)
		return promise_lacks(why, len, "TCP over loopback with a silent peer");
	promise_fill(buf, size, 1);
	if (promise_zc_send(p.tx, buf, size) != (ssize_t)size)
		return promise_failed(why, len, "flagged send");
	if (munmap(buf, size) < 0)
		return promise_failed(why, len, "munmap");
	/* take and write other pages, which would be ours again had they been freed */
	buf = promise_pages(64);
	if (buf)
		promise_fill(buf, 64 * promise_page(), 2);
	if (promise_unsilence(p.rx) < 0 || promise_read_all(p.rx, got, size) < 0)
		return promise_lacks(why, len, "retransmission");
	if (!promise_filled(got, size, 1))
		return promise_broken(why, len, "the peer received other bytes");
	return promise_expect_numbers(&p, 1, why, len);
}

const struct promise promise_tx_munmap_in_flight = {
	.id = "tx_munmap_in_flight",
	.sentence =
		"Lent memory may be unmapped while it is in flight: the data arrive unharmed, and the "
		"number comes.",
	.source =
		"Documentation/networking/msg_zerocopy.rst; net/core/datagram.c zerocopy_fill_skb_from_iter",
	.otherwise = "Relied upon for the slabs of the pool that are given up; your "
		     "memory is yours until its release.",
	.run = run,
};
