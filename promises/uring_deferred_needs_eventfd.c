// SPDX-License-Identifier: MIT
/* Why the library has an eventfd in its epoll set, and not the ring. */
#include "ringkit.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int watch(int ep, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static enum promise_verdict run(char *why, size_t len)
{
	int ep = epoll_create1(EPOLL_CLOEXEC), efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	char *buf = promise_pages(1);
	struct io_uring_cqe cqe;
	struct promise_ring r;
	struct promise_pair p;
	eventfd_t count;

	if (!buf || ep < 0 || efd < 0 || promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_ring_open(&r) < 0 ||
	    promise_ring_register(&r, IORING_REGISTER_EVENTFD, &efd, 1) < 0)
		return promise_ring_lacks(why, len);
	if (promise_silence(p.rx) < 0 || watch(ep, efd) < 0)
		return promise_lacks(why, len, "a silent peer");
	promise_ring_send(&r, p.tx, buf, promise_page(), 1);
	if (!promise_ring_wait(&r, &cqe) || cqe.res != (int)promise_page())
		return promise_broken(why, len, "no result");
	(void)!eventfd_read(efd, &count);
	if (promise_ring_enter(&r) < 0 || promise_ring_peek(&r, &cqe))
		return promise_broken(why, len, "notified before it was acknowledged");
	(void)!eventfd_read(efd, &count);
	promise_unsilence(p.rx);
	if (!promise_wait_event(ep, POLLIN, PROMISE_WAIT_MS))
		return promise_broken(why, len, "the eventfd is silent");
	if (promise_ring_peek(&r, &cqe))
		return promise_broken(why, len, "the notification is there without a call");
	if (!(*(volatile uint32_t *)r.sq_flags & IORING_SQ_TASKRUN))
		return promise_broken(why, len, "the ring's flags do not tell");
	if (!promise_ring_wait(&r, &cqe) || !(cqe.flags & IORING_CQE_F_NOTIF))
		return promise_broken(why, len, "no notification");
	return PROMISE_HOLDS;
}

const struct promise promise_uring_deferred_needs_eventfd = {
	.id = "uring_deferred_needs_eventfd",
	.sentence =
		"With IORING_SETUP_DEFER_TASKRUN a notification is there only after a call with "
		"IORING_ENTER_GETEVENTS; that there will be one show the ring's flags "
		"(IORING_SQ_TASKRUN) and a registered eventfd.",
	.source = "io_uring_setup(2); io_uring/tw.c io_req_local_work_add",
	.otherwise = "Relied upon: the context's descriptor would not become readable. "
		     "Tried by net-poll on each kernel.",
	.run = run,
};
