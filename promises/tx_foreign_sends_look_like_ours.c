// SPDX-License-Identifier: MIT
/*
 * Why a descriptor that already has SO_ZEROCOPY must be adopted with care: its counter cannot be
 * read, setting the option again does not reset it, and the first notification, of someone else's
 * send, is byte for byte the one that our own first send on a fresh socket would get.
 */
#include "kit.h"

#include <string.h>
#include <sys/socket.h>

static int first_note(struct promise_pair *p, const char *buf, struct promise_note *note_out)
{
	if (promise_zc_pair(p, AF_INET) < 0 || promise_zc_send(p->tx, buf, 100) != 100)
		return -1;
	/* where the descriptor changes hands */
	if (promise_set_zerocopy(p->tx) < 0)
		return -1;
	return promise_note_wait(p->tx, note_out) == 1 ? 0 : -1;
}

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair used, fresh;
	struct promise_note theirs, ours, next;
	char *buf = promise_pages(1);

	if (!buf || first_note(&used, buf, &theirs) < 0 || first_note(&fresh, buf, &ours) < 0)
		return promise_lacks(why, len, "two flagged sends over loopback");
	if (memcmp(&theirs, &ours, sizeof(ours)))
		return promise_broken(why, len, "they differ: a foreign send can be told apart");
	if (promise_zc_send(used.tx, buf, 100) != 100)
		return promise_failed(why, len, "flagged send");
	if (promise_note_wait(used.tx, &next) != 1)
		return promise_broken(why, len, "no second notification");
	if (next.low != 1)
		return promise_broken(why, len, "setting the option again reset the counter to %u",
				      next.low);
	return PROMISE_HOLDS;
}

const struct promise promise_tx_foreign_sends_look_like_ours = {
	.id = "tx_foreign_sends_look_like_ours",
	.sentence =
		"Notifications of sends made before a descriptor was taken over cannot be told from "
		"one's own, and setting SO_ZEROCOPY again does not reset the counter.",
	.source = "net/core/sock.c sk_setsockopt; net/core/skbuff.c msg_zerocopy_alloc",
	.otherwise = "Nothing would be lost: the library finds out where its numbers "
		     "begin before it lends.",
	.run = run,
};
