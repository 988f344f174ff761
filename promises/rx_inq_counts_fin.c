// SPDX-License-Identifier: MIT
/* "Read until inq is 0" has to know about the extra one. */
#include "rxkit.h"

#include <poll.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_zc z = { 0 };
	struct promise_pair p;

	if (promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (send(p.tx, "12345", 5, MSG_NOSIGNAL) != 5 || shutdown(p.tx, SHUT_WR) < 0 ||
	    !promise_wait_event(p.rx, POLLRDHUP, PROMISE_WAIT_MS))
		return promise_lacks(why, len, "5 bytes and a FIN");
	if (promise_zc_receive(p.rx, &z) < 0)
		return promise_failed(why, len, "the call");
	if (z.inq != 6 || z.length)
		return promise_broken(why, len, "inq is %u, length %u", z.inq, z.length);
	return PROMISE_HOLDS;
}

const struct promise promise_rx_inq_counts_fin = {
	.id = "rx_inq_counts_fin",
	.sentence = "inq counts a queued FIN as one byte: 5 bytes and a FIN read 6.",
	.source = "net/ipv4/tcp.c tcp_inq_hint",
	.otherwise = "One call of recv more or less at the end.",
	.run = run,
};
