// SPDX-License-Identifier: MIT
/* A stamp that carries the packet needs a copy of it; one that does not (TSONLY) needs none. */
#include "kit.h"

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <sys/socket.h>

static int stamp(const struct promise_sink *s, unsigned int more)
{
	unsigned int how = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | more;

	return setsockopt(s->fd, SOL_SOCKET, SO_TIMESTAMPING, &how, sizeof(how));
}

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
	if (stamp(&s, SOF_TIMESTAMPING_OPT_TSONLY) < 0)
		return promise_lacks(why, len, "SO_TIMESTAMPING");
	code = promise_sink_send(&s, buf);
	if (code != 0)
		return promise_broken(why, len, "ee_code %d with OPT_TSONLY", code);
	if (stamp(&s, 0) < 0)
		return promise_lacks(why, len, "SO_TIMESTAMPING");
	code = promise_sink_send(&s, buf);
	if (code != SO_EE_CODE_ZEROCOPY_COPIED)
		return promise_broken(why, len, "ee_code %d without OPT_TSONLY", code);
	return PROMISE_HOLDS;
}

const struct promise promise_tx_stamp_says_copied = {
	.id = "tx_stamp_says_copied",
	.sentence = "With software transmit time stamps notifications say COPIED, unless "
		    "SOF_TIMESTAMPING_OPT_TSONLY is set.",
	.source = "Documentation/networking/timestamping.rst; net/core/skbuff.c __skb_tstamp_tx",
	.otherwise = "As with a capture: the measured cost decides.",
	.run = run,
};
