// SPDX-License-Identifier: MIT
/* What a veth pair hands on or drops is only since 6.17 not copied: a container pays before. */
#include "kit.h"

#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	char *buf = promise_pages(1);
	struct promise_sink s;
	int code;

	if (!buf || !promise_net_is_private())
		return promise_unsure(why, len, "no network namespace of our own");
	if (promise_sink("veth", &s) < 0)
		return promise_lacks(why, len, "a veth pair");
	code = promise_sink_send(&s, buf);
	if (code < 0)
		return promise_lacks(why, len, "a flagged datagram to nobody");
	if (code)
		return promise_broken(why, len, "COPIED, although nobody received it");
	return PROMISE_HOLDS;
}

const struct promise promise_tx_veth_drop_is_no_copy = {
	.id = "tx_veth_drop_is_no_copy",
	.sentence = "What crosses a veth pair and is not delivered to a socket behind it (dropped, "
		    "forwarded) is not copied.",
	.source = "net/core/dev.c __netif_receive_skb_core; net/ipv4/ip_input.c ip_local_deliver",
	.since = PROMISE_KERNEL(6, 17),
	.otherwise =
		"The policy learns that the kernel copies on this path, and copies (explain: \"the "
		"kernel copies what is lent to this peer\").",
	.run = run,
};
