// SPDX-License-Identifier: MIT
/* What COPIED is compared with: on the way out of the machine nothing is copied, and it says so. */
#include "kit.h"

static enum promise_verdict run(char *why, size_t len)
{
	char *buf = promise_pages(1);
	struct promise_sink s;

	if (!buf)
		return promise_lacks(why, len, "memory");
	return promise_sink_uncopied(&s, buf, why, len);
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
