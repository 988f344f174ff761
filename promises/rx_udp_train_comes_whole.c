// SPDX-License-Identifier: MIT
/* What leaves as a train can arrive as one, and the bounds of its datagrams are told. */
#include "kit.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define SEGMENT 1000
#define LEN	4500

static int told_segment(struct msghdr *mh)
{
	int segment = -1;

	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level == SOL_UDP && cm->cmsg_type == UDP_GRO)
			memcpy(&segment, CMSG_DATA(cm), sizeof(segment));
	}
	return segment;
}

static enum promise_verdict run(char *why, size_t len)
{
	char control[256], *buf = promise_pages(4);
	struct iovec v = { buf, 4 * promise_page() };
	struct msghdr mh = {
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int segment = SEGMENT, on = 1;
	struct promise_pair p;
	ssize_t n;

	if (!buf || promise_udp_zc(&p) < 0)
		return promise_lacks(why, len, "UDP over loopback");
	if (setsockopt(p.rx, SOL_UDP, UDP_GRO, &on, sizeof(on)) < 0 ||
	    setsockopt(p.tx, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)) < 0)
		return promise_failed(why, len, "UDP_GRO, UDP_SEGMENT");
	if (send(p.tx, buf, LEN, 0) != LEN)
		return promise_failed(why, len, "send");
	n = recvmsg(p.rx, &mh, 0);
	if (n < 0)
		return promise_failed(why, len, "recvmsg");
	if (n > SEGMENT && told_segment(&mh) != SEGMENT)
		return promise_broken(why, len, "%zd bytes came, and the segment is said to be %d",
				      n, told_segment(&mh));
	if (n != LEN)
		return promise_broken(why, len, "of %d bytes %zd came in one", LEN, n);
	return PROMISE_HOLDS;
}

const struct promise promise_rx_udp_train_comes_whole = {
	.id = "rx_udp_train_comes_whole",
	.sentence = "A train that was sent with UDP_SEGMENT is received as one where UDP_GRO is "
		    "set, and a control message tells how long its datagrams are.",
	.source = "udp(7) UDP_GRO; net/ipv4/udp.c udp_recvmsg, include/linux/udp.h udp_cmsg_recv",
	.otherwise = "A train that is cut apart comes as single datagrams.",
	.run = run,
};
