// SPDX-License-Identifier: MIT
/* What the policy learns from, and why no gain can be measured over loopback. */
#include "kit.h"

#include <linux/errqueue.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	struct promise_note note;
	char *buf = promise_pages(4);

	if (!buf || promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_zc_send(p.tx, buf, 4 * promise_page()) <= 0)
		return promise_failed(why, len, "flagged send");
	if (promise_note_wait(p.tx, &note) != 1)
		return promise_broken(why, len, "no notification");
	if (!(note.code & SO_EE_CODE_ZEROCOPY_COPIED))
		return promise_broken(why, len, "ee_code %d", note.code);
	return PROMISE_HOLDS;
}

const struct promise promise_tx_loopback_says_copied = {
	.id = "tx_loopback_says_copied",
	.sentence =
		"Data delivered over loopback are copied by the kernel, and the notification says "
		"COPIED.",
	.source = "Documentation/networking/msg_zerocopy.rst; net/core/skbuff.c skb_copy_ubufs",
	.otherwise = "The policy goes by the cost that it measures.",
	.run = run,
};
