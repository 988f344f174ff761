// SPDX-License-Identifier: MIT
/* The level follows the socket, not the packets: the parser takes both on every socket. */
#include "kit.h"

#include <netinet/in.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	struct promise_note note;
	char *buf = promise_pages(1);

	if (!buf || promise_mapped_pair(&p) < 0)
		return promise_lacks(why, len, "IPv6 socket to a v4-mapped address");
	if (promise_zc_send(p.tx, buf, 100) != 100)
		return promise_failed(why, len, "flagged send");
	if (promise_note_wait(p.tx, &note) != 1)
		return promise_broken(why, len, "no notification");
	if (note.level != SOL_IPV6 || note.type != IPV6_RECVERR)
		return promise_broken(why, len, "level %d type %d", note.level, note.type);
	return PROMISE_HOLDS;
}

const struct promise promise_tx_v4mapped_says_ipv6 = {
	.id = "tx_v4mapped_says_ipv6",
	.sentence = "An AF_INET6 socket connected to a v4-mapped address gets its notifications as "
		    "SOL_IPV6/IPV6_RECVERR.",
	.source = "net/ipv4/af_inet.c inet_recv_error; net/ipv6/datagram.c ipv6_recv_error",
	.otherwise = "Both levels are understood on every socket (guard 8).",
	.run = run,
};
