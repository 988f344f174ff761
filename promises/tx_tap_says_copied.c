// SPDX-License-Identifier: MIT
/* Why one COPIED, or a hundred, must not switch zero copy off for good: somebody ran tcpdump. */
#include "kit.h"

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <linux/if_ether.h>
#include <sys/socket.h>
#include <unistd.h>

static enum promise_verdict run(char *why, size_t len)
{
	char *buf = promise_pages(1);
	struct promise_sink s;
	enum promise_verdict v;
	int tap, code;

	if (!buf)
		return promise_lacks(why, len, "memory");
	v = promise_sink_uncopied(&s, buf, why, len);
	if (v != PROMISE_HOLDS)
		return v;
	tap = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (tap < 0)
		return promise_lacks(why, len, "a packet socket");
	code = promise_sink_send(&s, buf);
	if (code != SO_EE_CODE_ZEROCOPY_COPIED)
		return promise_broken(why, len, "ee_code %d while the device is captured", code);
	close(tap);
	code = promise_sink_send(&s, buf);
	if (code != 0)
		return promise_broken(why, len, "ee_code %d after the capture", code);
	return PROMISE_HOLDS;
}

const struct promise promise_tx_tap_says_copied = {
	.id = "tx_tap_says_copied",
	.sentence =
		"While a packet socket captures from the device notifications say COPIED, and no "
		"longer once it is closed.",
	.source =
		"net/core/dev.c dev_queue_xmit_nit, deliver_skb; net/core/skbuff.c skb_orphan_frags_rx",
	.otherwise =
		"COPIED is only one of the signals; what decides is the measured cost, and it is "
		"looked at again every few seconds (guard 2).",
	.run = run,
};
