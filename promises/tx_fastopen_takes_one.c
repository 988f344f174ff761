// SPDX-License-Identifier: MIT
/* A socket that is adopted may have connected like this: its first number is then taken. */
#include "kit.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif

#define CLIENT	  "1"	/* asks for a cookie first */
#define NO_COOKIE "519" /* client and server, neither of which needs one (0x207) */

/* What the call returned, or -errno; p is connected afterwards, both ends. */
static ssize_t open_with(struct promise_pair *p, const char *buf, size_t size)
{
	struct sockaddr_in to;
	socklen_t len = sizeof(to);
	int listener = promise_listen(AF_INET, false), queue = 5;
	ssize_t n;

	p->tx = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0 || p->tx < 0 || promise_set_zerocopy(p->tx) < 0)
		return -errno;
	if (setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue)) < 0 ||
	    getsockname(listener, (struct sockaddr *)&to, &len) < 0)
		return -errno;
	n = sendto(p->tx, buf, size, MSG_FASTOPEN | MSG_ZEROCOPY | MSG_NOSIGNAL,
		   (struct sockaddr *)&to, len);
	if (n < 0)
		n = -errno;
	p->rx = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return p->rx < 0 ? -errno : n;
}

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	enum promise_verdict v;
	char *buf = promise_pages(1);
	ssize_t n;

	if (!buf || !promise_net_is_private())
		return promise_unsure(why, len, "no network namespace of our own");
	if (promise_sysctl("ipv4/tcp_fastopen", CLIENT) < 0)
		return promise_lacks(why, len, "net.ipv4.tcp_fastopen");
	n = open_with(&p, buf, 500);
	if (n != -EINPROGRESS)
		return promise_broken(why, len, "without a cookie the call returned %zd", n);
	if (!promise_wait_event(p.tx, POLLOUT, PROMISE_WAIT_MS) ||
	    promise_zc_send(p.tx, buf, 100) != 100)
		return promise_failed(why, len, "flagged send on the connection");
	v = promise_expect_numbers(&p, 1, why, len);
	if (v != PROMISE_HOLDS)
		return v;
	if (promise_sysctl("ipv4/tcp_fastopen", NO_COOKIE) < 0)
		return promise_lacks(why, len, "net.ipv4.tcp_fastopen");
	n = open_with(&p, buf, 500);
	if (n != 500)
		return promise_broken(why, len, "the call that opens returned %zd", n);
	if (promise_zc_send(p.tx, buf, 100) != 100)
		return promise_failed(why, len, "flagged send on the connection");
	return promise_expect_numbers(&p, 2, why, len);
}

const struct promise promise_tx_fastopen_takes_one = {
	.id = "tx_fastopen_takes_one",
	.sentence =
		"A flagged send with MSG_FASTOPEN takes a number when its data leave with the SYN, and "
		"none when it fails with EINPROGRESS for want of a cookie.",
	.source = "send(2); net/ipv4/tcp.c tcp_sendmsg_fastopen",
	.otherwise =
		"Nothing depends on it: on a socket with a past the library finds out where its "
		"numbers begin.",
	.run = run,
};
