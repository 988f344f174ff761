// SPDX-License-Identifier: MIT
/*
 * Nothing may wait for SIOCOUTQ to fall to 0 on a socket that was disconnected: the sequence number
 * has jumped ahead so that old segments cannot be mistaken for new ones.
 */
#include "kit.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct promise_pair p;
	int left = 0;

	if (promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (send(p.tx, "x", 1, MSG_NOSIGNAL) != 1 || promise_wait_acked(p.tx) < 0)
		return promise_lacks(why, len, "a byte that is acknowledged");
	if (connect(p.tx, &none, sizeof(none)) < 0 || ioctl(p.tx, SIOCOUTQ, &left) < 0)
		return promise_failed(why, len, "SIOCOUTQ after connect(AF_UNSPEC)");
	/* permission, not duty: 0 would be welcome */
	return left ? PROMISE_HOLDS : promise_unsure(why, len, "it reads 0 here");
}

const struct promise promise_tx_outq_lies_after_disconnect = {
	.id = "tx_outq_lies_after_disconnect",
	.sentence =
		"After connect(AF_UNSPEC) SIOCOUTQ may read more than 0 for ever, although nothing is "
		"outstanding.",
	.source = "net/ipv4/tcp.c tcp_ioctl, tcp_disconnect",
	.otherwise = "Nothing depends on it: it is not asked for after a disconnect.",
	.run = run,
};
