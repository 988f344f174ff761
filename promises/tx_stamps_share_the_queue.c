// SPDX-License-Identifier: MIT
/* Why every entry is looked at for its origin, and why the control buffer has room for both. */
#include "kit.h"

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* The origin of the next entry of the error queue, within PROMISE_WAIT_MS; -1: none. */
static int next_origin(int fd)
{
	char control[256] __attribute__((aligned(8)));
	struct msghdr msg = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *cm;

	if (!promise_wait_event(fd, 0, PROMISE_WAIT_MS) || recvmsg(fd, &msg, MSG_ERRQUEUE) < 0)
		return -1;
	for (cm = CMSG_FIRSTHDR(&msg); cm; cm = CMSG_NXTHDR(&msg, cm)) {
		if (cm->cmsg_level == SOL_IP && cm->cmsg_type == IP_RECVERR)
			return ((struct sock_extended_err *)CMSG_DATA(cm))->ee_origin;
	}
	return -1;
}

static enum promise_verdict run(char *why, size_t len)
{
	unsigned int how = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
			   SOF_TIMESTAMPING_OPT_TSONLY | SOF_TIMESTAMPING_OPT_ID;
	unsigned int seen = 0;
	struct promise_pair p;
	char *buf = promise_pages(1);
	int origin;

	if (!buf || promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (setsockopt(p.tx, SOL_SOCKET, SO_TIMESTAMPING, &how, sizeof(how)) < 0)
		return promise_lacks(why, len, "SO_TIMESTAMPING");
	if (promise_zc_send(p.tx, buf, 100) != 100)
		return promise_failed(why, len, "flagged send");
	for (int i = 0; i < 2; i++) {
		origin = next_origin(p.tx);
		if (origin < 0)
			return promise_broken(why, len, "only %d entries came", i);
		seen |= 1u << origin;
	}
	if (seen != (1u << SO_EE_ORIGIN_ZEROCOPY | 1u << SO_EE_ORIGIN_TIMESTAMPING))
		return promise_broken(why, len, "origins %#x", seen);
	return PROMISE_HOLDS;
}

const struct promise promise_tx_stamps_share_the_queue = {
	.id = "tx_stamps_share_the_queue",
	.sentence =
		"Transmit time stamps come through the same error queue as notifications, each as an "
		"entry of its own, with an origin of its own.",
	.source =
		"Documentation/networking/timestamping.rst; net/core/skbuff.c __skb_complete_tx_timestamp",
	.otherwise =
		"Every entry is looked at for its origin, and what is not a notification is handed "
		"to you.",
	.run = run,
};
