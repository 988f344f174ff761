// SPDX-License-Identifier: MIT
/*
 * Why sockets are registered edge-triggered inside a context: a connection whose peer has sent a
 * FIN is readable for ever, and would keep the loop around it spinning.
 */
#include "kit.h"

#include <sys/epoll.h>
#include <sys/socket.h>

struct nest {
	int inner;
	int outer;
};

static int nest(struct nest *n, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = EPOLLIN };

	n->inner = epoll_create1(EPOLL_CLOEXEC);
	n->outer = epoll_create1(EPOLL_CLOEXEC);
	if (n->inner < 0 || n->outer < 0 || epoll_ctl(n->outer, EPOLL_CTL_ADD, n->inner, &ev) < 0)
		return -1;
	ev.events = events;
	return epoll_ctl(n->inner, EPOLL_CTL_ADD, fd, &ev);
}

/* Takes the event from inside, then says whether the outer one is still awake. */
static int still_awake(const struct nest *n)
{
	struct epoll_event ev;

	if (epoll_wait(n->outer, &ev, 1, PROMISE_WAIT_MS) != 1)
		return -1;
	if (epoll_wait(n->inner, &ev, 1, 0) != 1)
		return -1;
	return epoll_wait(n->outer, &ev, 1, 0);
}

static enum promise_verdict run(char *why, size_t len)
{
	struct nest level, edge;
	struct promise_pair p;

	if (promise_tcp_pair(&p, AF_INET) < 0 || nest(&level, p.rx, EPOLLIN) < 0 ||
	    nest(&edge, p.rx, EPOLLIN | EPOLLET) < 0)
		return promise_lacks(why, len, "TCP over loopback, and epoll");
	if (shutdown(p.tx, SHUT_WR) < 0)
		return promise_lacks(why, len, "a FIN");
	if (still_awake(&edge) != 0)
		return promise_broken(why, len, "edge-triggered, the outer one stays awake");
	if (still_awake(&level) != 1)
		return promise_broken(why, len,
				      "level-triggered, the outer one does not stay awake");
	return PROMISE_HOLDS;
}

const struct promise promise_epoll_nested_edge_is_quiet = {
	.id = "epoll_nested_edge_is_quiet",
	.sentence =
		"A socket registered edge-triggered in an inner epoll wakes the outer one once; "
		"level-triggered, it keeps it awake for as long as it is ready.",
	.source = "epoll(7); fs/eventpoll.c ep_send_events",
	.otherwise = "A busy loop would look once more than it needs to.",
	.run = run,
};
