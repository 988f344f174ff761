/* SPDX-License-Identifier: MIT */
/*
 * epoll.c - raw-epoll: sends a message and waits until it has come back
 *
 * Edge-triggered, for both directions at once: of a long message the echo comes before it is all
 * sent. How much is still to come is known, so nothing is read just to find that there is no more.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include "raw.h"

static int watch(int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		err(1, "epoll");
	return epoll;
}

static size_t done(struct bench *b, ssize_t n)
{
	if (n == 0)
		bench_ended();
	if (n < 0 && errno != EAGAIN)
		err(1, "echo");
	b->count.calls++;
	return n > 0 ? (size_t)n : 0;
}

void raw_epoll(struct bench *b)
{
	char *buf = bench_memory(b->size, b->huge);
	int fd = bench_connect(b, &b->to), on = 1, epoll;
	struct epoll_event event;

	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		err(1, "socket");
	epoll = watch(fd);
	bench_source(b);
	while (bench_more(b)) {
		const char *piece = bench_piece(b);
		size_t sent = 0, got = 0;

		while (got < b->size) {
			if (sent < b->size)
				sent += done(b, send(fd, piece + sent, b->size - sent, 0));
			if (epoll_wait(epoll, &event, 1, -1) < 0)
				err(1, "epoll");
			if (event.events & EPOLLIN)
				got += done(b, recv(fd, buf + got, b->size - got, 0));
		}
		bench_touch(b, buf, b->size);
		b->count.bytes += b->size;
		bench_round(b);
	}
}
