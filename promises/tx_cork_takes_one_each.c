// SPDX-License-Identifier: MIT
/* What shares a packet still has numbers of its own; the library counts calls, never packets. */
#include "kit.h"

#include <sys/socket.h>

#define CALLS 4

static enum promise_verdict run(char *why, size_t len)
{
	const int flags = MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL;
	struct promise_pair p;
	struct promise_note note;
	char *buf = promise_pages(1);

	if (!buf || promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	for (int i = 0; i < CALLS - 1; i++) {
		if (send(p.tx, buf, 100, flags | MSG_MORE) != 100)
			return promise_failed(why, len, "flagged send with MSG_MORE");
	}
	if (promise_note_read(p.tx, &note) != 0)
		return promise_broken(why, len, "number %u came of what is held back", note.low);
	if (send(p.tx, buf, 100, flags) != 100)
		return promise_failed(why, len, "flagged send");
	return promise_expect_numbers(&p, CALLS, why, len);
}

const struct promise promise_tx_cork_takes_one_each = {
	.id = "tx_cork_takes_one_each",
	.sentence =
		"Flagged sends that MSG_MORE gathers into one packet take a number each, and are "
		"notified when that packet was acknowledged.",
	.source = "send(2); tcp(7) TCP_CORK; net/ipv4/tcp.c tcp_sendmsg_locked",
	.otherwise = "Relied upon, as for calls without MSG_MORE.",
	.run = run,
};
