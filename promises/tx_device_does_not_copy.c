// SPDX-License-Identifier: MIT
/* What COPIED is compared with: on the way out of the machine nothing is copied, and it says so. */
#include "kit.h"

static enum promise_verdict run(char *why, size_t len)
{
	char *buf = promise_pages(1);
	struct promise_sink s;
	int code;

	if (!buf || !promise_net_is_private())
		return promise_unsure(why, len, "no network namespace of our own");
	/* before 6.17 a veth pair copies by itself: tx_veth_drop_is_no_copy */
	if (promise_sink("dummy", &s) < 0)
		return promise_sink_uncopied(&s, buf, why, len);
	code = promise_sink_send(&s, buf);
	if (code < 0)
		return promise_lacks(why, len, "a flagged datagram to nobody");
	if (code)
		return promise_broken(why, len, "ee_code %d through a dummy device", code);
	return PROMISE_HOLDS;
}

const struct promise promise_tx_device_does_not_copy = {
	.id = "tx_device_does_not_copy",
	.sentence =
		"A flagged datagram that leaves through a device is not copied, and its notification "
		"does not say COPIED.",
	.source =
		"Documentation/networking/msg_zerocopy.rst; net/ipv4/ip_output.c __ip_append_data",
	.otherwise = "The policy sees that lending gains nothing, and copies.",
	.run = run,
};
