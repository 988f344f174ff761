// SPDX-License-Identifier: MIT
/*
 * An empty message must be answered by the library itself: no notification will ever come for it.
 */
#include "kit.h"

#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	char *buf = promise_pages(1);

	if (!buf || promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_zc_send(p.tx, buf, 1) != 1)
		return promise_failed(why, len, "flagged send");
	if (promise_zc_send(p.tx, buf, 0) != 0)
		return promise_failed(why, len, "flagged send of 0 bytes");
	if (promise_zc_send(p.tx, buf, 1) != 1)
		return promise_failed(why, len, "flagged send");
	return promise_expect_numbers(&p, 2, why, len);
}

const struct promise promise_tx_zero_length_takes_none = {
	.id = "tx_zero_length_takes_none",
	.sentence =
		"On TCP a flagged send of 0 bytes succeeds, takes no number and is never notified.",
	.source = "Documentation/networking/msg_zerocopy.rst; net/ipv4/tcp.c tcp_sendmsg_locked",
	.otherwise = "Never asked: an empty message is answered without a call.",
	.run = run,
};
