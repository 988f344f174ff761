// SPDX-License-Identifier: MIT
/*
 * echo.c - an echo server in an epoll loop of its own; what comes in goes out without a copy
 *
 * The loop watches two descriptors: the listener, and the one of the context, which stands for
 * all connections and their timers. Spans are forwarded as they are: this program has no buffer.
 *
 * usage: echo PORT (0: any free one)
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <zcsock.h>

static int listen_on(const char *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) || listen(fd, 128))
		err(1, "port %s", port);
	getsockname(fd, (struct sockaddr *)&addr, &len);
	printf("port %d\n", ntohs(addr.sin_port));
	fflush(stdout);
	return fd;
}

static void greet(struct zcs_ctx *ctx, int listener)
{
	struct zcs_conn *conn;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		if (zcs_conn_open(ctx, fd, NULL, &conn) < 0) /* else fd is the library's */
			close(fd);
}

static void echo(struct zcs_ctx *ctx, struct zcs_conn *conn)
{
	struct zcs_span spans[16];
	int i, n;

	/* Until -EAGAIN, which is also what ends it when the peer does not take its bytes back. */
	while ((n = zcs_conn_recv(conn, spans, 16, 0)) > 0) {
		for (i = 0; i < n && zcs_conn_send_span(conn, &spans[i], 0) == 0; i++)
			;
		zcs_span_release(ctx, spans + i, n - i); /* those that could not be sent */
	}
	if (n != -EAGAIN)
		zcs_conn_close(conn); /* end of stream, or broken: what is queued still goes out */
}

static void serve(struct zcs_ctx *ctx)
{
	struct zcs_event events[64];
	int i, n;

	if (zcs_ctx_process(ctx, 0) < 0)
		errx(1, "zcs_ctx_process failed");
	do {
		n = zcs_ctx_events(ctx, events, 64);
		for (i = 0; i < n; i++) {
			if (events[i].type == ZCS_EV_READABLE)
				echo(ctx, events[i].conn);
			else if (events[i].type == ZCS_EV_ERROR)
				zcs_conn_close(events[i].conn);
		}
	} while (n == 64);
}

int main(int argc, char **argv)
{
	int listener = listen_on(argc > 1 ? argv[1] : "0");
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ready = { .events = EPOLLIN };
	struct zcs_ctx *ctx;

	if (zcs_ctx_new(NULL, &ctx) < 0)
		errx(1, "no context");
	ready.data.fd = listener;
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ready);
	ready.data.fd = zcs_ctx_fd(ctx);
	epoll_ctl(epoll, EPOLL_CTL_ADD, zcs_ctx_fd(ctx), &ready);

	while (epoll_wait(epoll, &ready, 1, -1) > 0) {
		if (ready.data.fd == listener)
			greet(ctx, listener);
		else
			serve(ctx);
	}
	err(1, "epoll_wait");
}
