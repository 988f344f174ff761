// SPDX-License-Identifier: MIT
/* The library finishes partial sends by further calls: each piece is one entry of the ledger. */
#include "kit.h"

#include <poll.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	size_t size = 64 * promise_page();
	char *buf = promise_pages(64);
	ssize_t n;

	if (!buf || promise_zc_pair(&p, AF_INET) < 0 || promise_small_buffers(&p) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	n = promise_zc_send(p.tx, buf, size);
	if (n <= 0)
		return promise_failed(why, len, "flagged send");
	if ((size_t)n == size)
		return promise_unsure(why, len, "the socket took all of %zu bytes", size);
	promise_drain(p.rx);
	if (!promise_wait_event(p.tx, POLLOUT, PROMISE_WAIT_MS))
		return promise_unsure(why, len, "the socket did not become writable again");
	if (promise_zc_send(p.tx, buf, 1) != 1)
		return promise_failed(why, len, "flagged send after a partial one");
	return promise_expect_numbers(&p, 2, why, len);
}

const struct promise promise_tx_partial_send_takes_one = {
	.id = "tx_partial_send_takes_one",
	.sentence =
		"On TCP a flagged send that does not block and is accepted in part takes exactly one "
		"number, for the accepted part.",
	.source = "net/ipv4/tcp.c tcp_sendmsg_locked",
	.otherwise = "Relied upon. The ledger enters each accepted call, whatever it "
		     "accepted.",
	.run = run,
};
