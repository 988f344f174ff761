// SPDX-License-Identifier: MIT
/* There is no looking first: whoever reads a notification owns it, in any part of a program. */
#include "kit.h"

#include <errno.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	char control[256] __attribute__((aligned(8)));
	struct msghdr msg = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct promise_pair p;
	struct promise_note note;
	char *buf = promise_pages(1);

	if (!buf || promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_zc_send(p.tx, buf, 100) != 100)
		return promise_failed(why, len, "flagged send");
	if (!promise_wait_event(p.tx, 0, PROMISE_WAIT_MS))
		return promise_unsure(why, len, "no notification");
	if (recvmsg(p.tx, &msg, MSG_ERRQUEUE | MSG_PEEK) < 0)
		return promise_failed(why, len, "MSG_ERRQUEUE with MSG_PEEK");
	if (promise_note_read(p.tx, &note) != 0)
		return promise_broken(why, len, "the notification was still there");
	return PROMISE_HOLDS;
}

const struct promise promise_tx_peek_consumes = {
	.id = "tx_peek_consumes",
	.sentence = "MSG_PEEK is ignored on the error queue: a peek takes the notification.",
	.source = "net/ipv4/ip_sockglue.c ip_recv_error",
	.otherwise = "The library never peeks (guard 7).",
	.run = run,
};
