// SPDX-License-Identifier: MIT
/* A packet that is lent has room for few pages, and says so as if the datagram were too long. */
#include "kit.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define MOST 17 /* MAX_SKB_FRAGS, unless the kernel was built with more */

/* A datagram of one byte from each of nr pages. */
static ssize_t send_from(int fd, char *pages, int nr, int flags)
{
	struct iovec iov[MOST + 1];
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = (size_t)nr };

	for (int i = 0; i < nr; i++)
		iov[i] = (struct iovec){ pages + 2 * (size_t)i * promise_page(), 1 };
	return sendmsg(fd, &mh, flags | MSG_DONTWAIT);
}

static enum promise_verdict run(char *why, size_t len)
{
	char *pages = promise_pages(2 * (MOST + 1));
	struct promise_pair p;

	if (!pages || promise_udp_zc(&p) < 0)
		return promise_lacks(why, len, "UDP over loopback");
	if (send_from(p.tx, pages, MOST + 1, 0) != MOST + 1)
		return promise_failed(why, len, "a copying send");
	if (send_from(p.tx, pages, MOST, MSG_ZEROCOPY) != MOST)
		return promise_failed(why, len, "a flagged send of 17 pages");
	if (send_from(p.tx, pages, MOST + 1, MSG_ZEROCOPY) == MOST + 1)
		return promise_unsure(why, len, "a packet has room for more than %d pages", MOST);
	if (errno != EMSGSIZE)
		return promise_failed(why, len, "a flagged send of 18 pages");
	return PROMISE_HOLDS;
}

const struct promise promise_tx_udp_pages_of_a_packet = {
	.id = "tx_udp_pages_of_a_packet",
	.sentence =
		"A flagged UDP datagram may lie in 17 pages; one more is EMSGSIZE, where copying "
		"takes any number.",
	.source = "net/core/datagram.c zerocopy_fill_skb_from_iter, include/linux/skbuff.h "
		  "MAX_SKB_FRAGS",
	.otherwise = "More room would not be used: a datagram of many pieces is copied.",
	.run = run,
};
