// SPDX-License-Identifier: MIT
/* A device that cannot gather a packet from pages: the call itself copies. */
#include "kit.h"

#include <linux/errqueue.h>
#include <linux/ethtool.h>

static enum promise_verdict run(char *why, size_t len)
{
	char *buf = promise_pages(1);
	struct promise_sink s;
	enum promise_verdict v;
	int code;

	if (!buf)
		return promise_lacks(why, len, "memory");
	v = promise_sink_uncopied(&s, buf, why, len);
	if (v != PROMISE_HOLDS)
		return v;
	if (promise_sink_offload(&s, ETHTOOL_SSG, 0) < 0)
		return promise_lacks(why, len, "scatter-gather off");
	code = promise_sink_send(&s, buf);
	if (code != SO_EE_CODE_ZEROCOPY_COPIED)
		return promise_broken(why, len, "ee_code %d without scatter-gather", code);
	return PROMISE_HOLDS;
}

const struct promise promise_tx_without_sg_copies = {
	.id = "tx_without_sg_copies",
	.sentence = "Through a device without scatter-gather flagged data are copied, and the "
		    "notification says COPIED.",
	.source =
		"Documentation/networking/msg_zerocopy.rst; net/ipv4/ip_output.c __ip_append_data",
	.otherwise = "The policy goes by the cost that it measures.",
	.run = run,
};
