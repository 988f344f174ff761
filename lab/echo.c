/* SPDX-License-Identifier: MIT */
#include "echo.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ECHO_BUF 262144

/* What the peer does not take yet is kept, and no more is read meanwhile. */
struct echo {
	int fd;
	size_t from, to;
	char buf[ECHO_BUF];
};

static int watch(int epoll, int op, int fd, uint32_t events, void *data)
{
	struct epoll_event event = { .events = events, .data.ptr = data };

	return epoll_ctl(epoll, op, fd, &event);
}

static void let_in(int epoll, int listener)
{
	struct echo *e = malloc(sizeof(*e));

	if (!e)
		return;
	e->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	e->from = e->to = 0;
	if (e->fd >= 0 && watch(epoll, EPOLL_CTL_ADD, e->fd, EPOLLIN, e) == 0)
		return;
	if (e->fd >= 0)
		close(e->fd);
	free(e);
}

/* 0: waits for *events_out; -1: the end of it. */
static int turn(struct echo *e, uint32_t *events_out)
{
	for (;;) {
		ssize_t n;

		if (e->from == e->to) {
			*events_out = EPOLLIN;
			n = recv(e->fd, e->buf, sizeof(e->buf), 0);
			e->from = 0;
			e->to = n > 0 ? (size_t)n : 0;
		} else {
			*events_out = EPOLLOUT;
			n = send(e->fd, e->buf + e->from, e->to - e->from, MSG_NOSIGNAL);
			e->from += n > 0 ? (size_t)n : 0;
		}
		if (n <= 0)
			return n < 0 && errno == EAGAIN ? 0 : -1;
	}
}

void echo_run(int listener)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[16];
	int nr = watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);

	while (nr >= 0 || errno == EINTR) {
		nr = epoll_wait(epoll, events, 16, -1);
		for (int i = 0; i < nr; i++) {
			struct echo *e = events[i].data.ptr;
			uint32_t want;

			if (!e) {
				let_in(epoll, listener);
			} else if (turn(e, &want) < 0) {
				close(e->fd);
				free(e);
			} else if (want != (events[i].events & (EPOLLIN | EPOLLOUT))) {
				(void)watch(epoll, EPOLL_CTL_MOD, e->fd, want, e);
			}
		}
	}
}
