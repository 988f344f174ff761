// SPDX-License-Identifier: MIT
/* Nothing returns the number of a call: the ledger counts along, so the rule has to be exact. */
#include "kit.h"

#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	char *buf = promise_pages(1);
	int i;

	if (!buf || promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	for (i = 0; i < 5; i++) {
		if (promise_zc_send(p.tx, buf, 100) != 100)
			return promise_failed(why, len, "flagged send");
		if (send(p.tx, buf, 100, MSG_NOSIGNAL) != 100)
			return promise_failed(why, len, "plain send");
	}
	return promise_expect_numbers(&p, 5, why, len);
}

const struct promise promise_tx_number_per_call = {
	.id = "tx_number_per_call",
	.sentence =
		"On TCP each successful send with MSG_ZEROCOPY takes one notification number, counted "
		"per socket from 0; sends without the flag take none.",
	.source =
		"Documentation/networking/msg_zerocopy.rst; net/core/skbuff.c msg_zerocopy_realloc",
	.otherwise = "Relied upon. A number that no call took releases nothing; "
		     "`explain` tells how many there were, and after some the connection "
		     "lends no more.",
	.run = run,
};
