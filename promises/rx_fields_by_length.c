// SPDX-License-Identifier: MIT
/* Why the library always passes the whole struct: in between two fields the answer is cut. */
#include "rxkit.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* inq as the call of that length gives it; -1 when it fails. */
static long inq_at(int fd, socklen_t size)
{
	struct promise_zc z = { .inq = 0 };

	if (getsockopt(fd, IPPROTO_TCP, PROMISE_ZC_RECEIVE, &z, &size) < 0)
		return -1;
	return z.inq;
}

static enum promise_verdict run(char *why, size_t len)
{
	struct linger now = { .l_onoff = 1 };
	struct promise_zc z = { 0 };
	struct promise_pair p;
	socklen_t size = 24;

	if (promise_tcp_pair(&p, AF_INET) < 0 || send(p.tx, "12345", 5, MSG_NOSIGNAL) != 5 ||
	    promise_wait_queued(p.rx, 5) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (inq_at(p.rx, 20) != 5 || inq_at(p.rx, 24) != 5 || inq_at(p.rx, 64) != 5)
		return promise_broken(why, len, "inq is %ld, %ld and %ld at 20, 24 and 64 bytes",
				      inq_at(p.rx, 20), inq_at(p.rx, 24), inq_at(p.rx, 64));
	if (inq_at(p.rx, 28) != 0)
		return promise_broken(why, len, "inq is given at 28 bytes, too");
	promise_drain(p.rx);
	if (setsockopt(p.tx, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) < 0 || close(p.tx) < 0 ||
	    !promise_wait_event(p.rx, 0, PROMISE_WAIT_MS))
		return promise_lacks(why, len, "a reset");
	if (inq_at(p.rx, 20) < 0)
		return promise_broken(why, len, "at 20 bytes a reset fails the call");
	if (getsockopt(p.rx, IPPROTO_TCP, PROMISE_ZC_RECEIVE, &z, &size) < 0 || !z.err)
		return promise_broken(why, len,
				      "a call of 20 bytes took the error, or 24 show none");
	return PROMISE_HOLDS;
}

const struct promise promise_rx_fields_by_length = {
	.id = "rx_fields_by_length",
	.sentence =
		"inq is given for a struct of 20, 24 or 64 bytes and err from 24 on, but neither for "
		"a length that cuts a field (28).",
	.source = "net/ipv4/tcp.c do_tcp_getsockopt",
	.otherwise =
		"The library passes 64 bytes, and where a kernel takes only 16 it copies: without "
		"err a reset would look like an end.",
	.run = run,
};
