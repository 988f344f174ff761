// SPDX-License-Identifier: MIT
/* Reading in batches is cheap because of this, and every note has to be taken as a range. */
#include "kit.h"

#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	struct promise_note note;
	char *buf = promise_pages(1);
	int i;

	if (!buf || promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	for (i = 0; i < 5; i++) {
		/* acknowledged one by one: five completions, not one shared by five sends */
		if (promise_zc_send(p.tx, buf, 100) != 100)
			return promise_failed(why, len, "flagged send");
		if (promise_wait_acked(p.tx) < 0)
			return promise_lacks(why, len, "acknowledgement");
	}
	if (promise_note_wait(p.tx, &note) != 1)
		return promise_broken(why, len, "no notification");
	if (note.low != 0 || note.high != 4)
		return promise_broken(why, len, "the first message covers %u..%u, not 0..4",
				      note.low, note.high);
	if (promise_note_read(p.tx, &note) != 0)
		return promise_broken(why, len, "a second message");
	return PROMISE_HOLDS;
}

const struct promise promise_tx_notes_merge = {
	.id = "tx_notes_merge",
	.sentence =
		"Unread notifications with consecutive numbers are merged: one message covers an "
		"inclusive range.",
	.source =
		"Documentation/networking/msg_zerocopy.rst; net/core/skbuff.c skb_zerocopy_notify_extend",
	.otherwise = "Single notifications are understood as well; there are only more "
		     "to read.",
	.run = run,
};
