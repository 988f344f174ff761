// SPDX-License-Identifier: MIT
/*
 * Why failed UDP sends are asked about: what fails after the packet was built has taken a number,
 * and sendmmsg does not even report it when a datagram before it went out.
 */
#include "kit.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define MTU  1500
#define GOOD 1000
#define BAD  8000

static int segment_size(int fd, int bytes)
{
	return setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &bytes, sizeof(bytes));
}

static int send_three(int fd, char *buf)
{
	struct iovec iov[3] = { { buf, GOOD }, { buf, BAD }, { buf, GOOD } };
	struct mmsghdr msgs[3] = { 0 };
	int i;

	for (i = 0; i < 3; i++) {
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	return sendmmsg(fd, msgs, 3, MSG_ZEROCOPY | MSG_DONTWAIT);
}

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	char *buf = promise_pages(4);
	int nr;

	if (promise_lo_mtu(MTU) < 0)
		return promise_lacks(why, len, "MTU of a loopback device of our own");
	if (!buf || promise_udp_zc(&p) < 0)
		return promise_lacks(why, len, "UDP over loopback");
	if (segment_size(p.tx, MTU + 500) < 0)
		return promise_lacks(why, len, "UDP_SEGMENT");
	if (promise_zc_send(p.tx, buf, BAD) >= 0 || errno != EMSGSIZE)
		return promise_unsure(why, len, "a segment larger than the MTU was sent");
	nr = send_three(p.tx, buf);
	if (nr != 1)
		return promise_unsure(why, len, "sendmmsg of good, bad, good returned %d", nr);
	/* 0 the failed one; 1 and 2 the good and the bad of three; 3 this one */
	if (promise_zc_send(p.tx, buf, GOOD) != GOOD)
		return promise_failed(why, len, "flagged send");
	return promise_expect_numbers(&p, 4, why, len);
}

const struct promise promise_tx_udp_failed_call_takes_one = {
	.id = "tx_udp_failed_call_takes_one",
	.sentence =
		"On UDP a flagged send that fails after the packet was built (EMSGSIZE of a segment) takes "
		"a number, which is notified; sendmmsg of good, bad, good returns 1 and takes two.",
	.source = "net/ipv4/udp.c udp_send_skb; net/ipv4/ip_output.c __ip_append_data",
	.otherwise =
		"One that takes none is understood as well: after a failure the error queue tells "
		"(guard 20).",
	.run = run,
};
