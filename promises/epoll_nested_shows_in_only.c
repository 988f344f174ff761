// SPDX-License-Identifier: MIT
/* Loops that treat EPOLLERR on a foreign descriptor as fatal may hold zcs_ctx_fd. */
#include "kit.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT };
	struct promise_pair p;
	int inner = epoll_create1(EPOLL_CLOEXEC);
	int outer = epoll_create1(EPOLL_CLOEXEC);
	char *buf = promise_pages(1);
	int events;

	if (inner < 0 || outer < 0 || !buf || promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback, and epoll");
	if (epoll_ctl(outer, EPOLL_CTL_ADD, inner, &ev) < 0)
		return promise_failed(why, len, "epoll in epoll");
	ev.events = 0;
	if (epoll_ctl(inner, EPOLL_CTL_ADD, p.tx, &ev) < 0)
		return promise_failed(why, len, "epoll_ctl");
	if (promise_zc_send(p.tx, buf, 100) != 100)
		return promise_failed(why, len, "flagged send");
	if (epoll_wait(outer, &ev, 1, PROMISE_WAIT_MS) != 1)
		return promise_broken(why, len, "the outer one does not wake");
	if (ev.events != EPOLLIN)
		return promise_broken(why, len, "the outer one shows 0x%x", ev.events);
	events = promise_wait_event(inner, POLLIN | POLLOUT, 0);
	if (events != POLLIN)
		return promise_broken(why, len, "poll on the inner one shows 0x%x",
				      (unsigned int)events);
	if (epoll_wait(inner, &ev, 1, 0) != 1 || ev.events != EPOLLERR)
		return promise_broken(why, len, "the inner one shows no EPOLLERR");
	return PROMISE_HOLDS;
}

const struct promise promise_epoll_nested_shows_in_only = {
	.id = "epoll_nested_shows_in_only",
	.sentence =
		"An epoll descriptor that is itself polled shows EPOLLIN only, never EPOLLERR, when a "
		"socket in it has an error.",
	.source = "epoll(7); fs/eventpoll.c __ep_eventpoll_poll",
	.otherwise = "Any event of the inner descriptor is a reason to look.",
	.run = run,
};
