// SPDX-License-Identifier: MIT
/* How adoption learns that no foreign send is in flight any more. */
#include "kit.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	int left = 0;

	if (promise_tcp_pair(&p, AF_INET) < 0 || promise_silence(p.rx) < 0)
		return promise_lacks(why, len, "TCP over loopback with a silent peer");
	if (send(p.tx, "0123456789", 10, MSG_NOSIGNAL) != 10)
		return promise_failed(why, len, "send");
	if (ioctl(p.tx, SIOCOUTQ, &left) < 0)
		return promise_failed(why, len, "SIOCOUTQ");
	if (left != 10)
		return promise_broken(why, len, "%d instead of 10 bytes unacknowledged", left);
	if (promise_unsilence(p.rx) < 0)
		return promise_lacks(why, len, "taking the filter off");
	/* the peer never reads */
	if (promise_wait_acked(p.tx) < 0)
		return promise_broken(why, len, "it did not fall to 0");
	return PROMISE_HOLDS;
}

const struct promise promise_tx_outq_counts_unacked = {
	.id = "tx_outq_counts_unacked",
	.sentence =
		"SIOCOUTQ counts the bytes that the peer's TCP has not acknowledged, and falls to 0 "
		"when it has, read or not.",
	.source = "tcp(7); net/ipv4/tcp.c tcp_ioctl",
	.otherwise = "Adoption waits in vain, and the connection copies (explain: "
		     "\"sends made before\").",
	.run = run,
};
