// SPDX-License-Identifier: MIT
/* The mark may be used only while somebody lowers it again: what is below it stays silent. */
#include "kit.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static int set_lowat(int fd, int bytes)
{
	return setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

static enum promise_verdict run(char *why, size_t len)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct promise_pair p;
	char buf[1000] = { 0 };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0 || promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback, and epoll");
	if (set_lowat(p.rx, 4000) < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, p.rx, &ev) < 0)
		return promise_lacks(why, len, "SO_RCVLOWAT");
	if (send(p.tx, buf, sizeof(buf), MSG_NOSIGNAL) < 0 ||
	    promise_wait_queued(p.rx, sizeof(buf)) < 0)
		return promise_lacks(why, len, "data");
	if (promise_wait_event(p.rx, POLLIN, 0) || epoll_wait(ep, &ev, 1, 0))
		return promise_broken(why, len, "poll says readable below the mark");
	if (set_lowat(p.rx, (int)sizeof(buf)) < 0)
		return promise_failed(why, len, "lowering SO_RCVLOWAT");
	if (epoll_wait(ep, &ev, 1, 0) != 1)
		return promise_broken(why, len, "lowering the mark woke nobody");
	if (!promise_wait_event(p.rx, POLLIN, 0))
		return promise_broken(why, len, "poll does not say readable at the mark");
	return PROMISE_HOLDS;
}

const struct promise promise_rx_lowat_gates_poll = {
	.id = "rx_lowat_gates_poll",
	.sentence =
		"While less than SO_RCVLOWAT is queued TCP does not poll readable; lowering the mark to "
		"what is queued wakes the poller.",
	.source = "socket(7); net/ipv4/tcp.c tcp_set_rcvlowat",
	.otherwise = "The mark is lowered when the rest is shorter (guard 11).",
	.run = run,
};
