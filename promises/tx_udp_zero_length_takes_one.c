// SPDX-License-Identifier: MIT
/* The opposite of TCP: an empty datagram is a loan of nothing, and has a number. */
#include "kit.h"

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	char *buf = promise_pages(1);

	if (!buf || promise_udp_zc(&p) < 0)
		return promise_lacks(why, len, "UDP over loopback");
	if (promise_zc_send(p.tx, buf, 100) != 100 || promise_zc_send(p.tx, buf, 0) != 0 ||
	    promise_zc_send(p.tx, buf, 100) != 100)
		return promise_failed(why, len, "flagged send");
	return promise_expect_numbers(&p, 3, why, len);
}

const struct promise promise_tx_udp_zero_length_takes_one = {
	.id = "tx_udp_zero_length_takes_one",
	.sentence = "On UDP a flagged send of 0 bytes takes a number and is notified.",
	.source = "net/ipv4/ip_output.c __ip_append_data",
	.otherwise = "Nothing would be lost: an empty datagram is never flagged.",
	.run = run,
};
