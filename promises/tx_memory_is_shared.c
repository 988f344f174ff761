// SPDX-License-Identifier: MIT
/* The whole reason for a ledger: until the notification the bytes belong to the peer. */
#include "kit.h"

#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	size_t size = promise_page();
	char *buf = promise_pages(1), *got = promise_pages(1);

	if (!buf || !got || promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_silence(p.rx) < 0)
		return promise_lacks(why, len, "a silent peer");
	promise_fill(buf, size, 1);
	if (promise_zc_send(p.tx, buf, size) != (ssize_t)size)
		return promise_failed(why, len, "flagged send");
	promise_fill(buf, size, 2);
	if (promise_unsilence(p.rx) < 0 || promise_read_all(p.rx, got, size) < 0)
		return promise_lacks(why, len, "retransmission");
	if (promise_filled(got, size, 1))
		return promise_broken(why, len, "the peer received what was there at the call");
	if (!promise_filled(got, size, 2))
		return promise_broken(why, len, "the peer received neither the old nor the new");
	return promise_expect_numbers(&p, 1, why, len);
}

const struct promise promise_tx_memory_is_shared = {
	.id = "tx_memory_is_shared",
	.sentence =
		"What is changed after a flagged send, and before its notification, reaches the peer "
		"changed when it is transmitted again.",
	.source = "Documentation/networking/msg_zerocopy.rst; net/core/datagram.c "
		  "zerocopy_fill_skb_from_iter",
	.otherwise = "Nothing is lost: memory is held longer than it had to be.",
	.run = run,
};
