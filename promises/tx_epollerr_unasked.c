// SPDX-License-Identifier: MIT
/*
 * A registration for nothing at all still wakes for notifications, and edges come per completion.
 */
#include "kit.h"

#include <sys/epoll.h>
#include <sys/socket.h>

static int epoll_of(int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -1;
	return ep;
}

static uint32_t wait_for(int ep, int timeout_ms)
{
	struct epoll_event ev;

	return epoll_wait(ep, &ev, 1, timeout_ms) == 1 ? ev.events : 0;
}

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	char *buf = promise_pages(1);
	int level, edge, i;

	if (!buf || promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	level = epoll_of(p.tx, 0);
	edge = epoll_of(p.tx, EPOLLET);
	if (level < 0 || edge < 0)
		return promise_lacks(why, len, "epoll");
	for (i = 0; i < 3; i++) { /* never drained: each completion is an edge of its own */
		if (promise_zc_send(p.tx, buf, 100) != 100)
			return promise_failed(why, len, "flagged send");
		if (wait_for(edge, PROMISE_WAIT_MS) != EPOLLERR)
			return promise_broken(why, len, "no edge for completion %d", i);
		if (promise_wait_acked(p.tx) < 0)
			return promise_lacks(why, len, "acknowledgement");
		if (wait_for(edge, 0))
			return promise_broken(why, len, "two edges for completion %d", i);
		if (wait_for(level, 0) != EPOLLERR || wait_for(level, 0) != EPOLLERR)
			return promise_broken(why, len, "level-triggered EPOLLERR did not stay");
	}
	return PROMISE_HOLDS;
}

const struct promise promise_tx_epollerr_unasked = {
	.id = "tx_epollerr_unasked",
	.sentence =
		"Notifications show as EPOLLERR without being asked for: level-triggered until the "
		"queue is empty, edge-triggered once per completion even if it was merged.",
	.source = "epoll_ctl(2); net/core/skbuff.c __msg_zerocopy_callback, msg_zerocopy_complete",
	.otherwise = "Notifications are read with every call that sends, and by timer "
		     "when the connection closes.",
	.run = run,
};
