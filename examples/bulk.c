// SPDX-License-Identifier: MIT
/*
 * bulk.c - moves a file from one process to another, without a loop of its own
 * The sender shows the rule of lending: a piece is filled, sent, and not touched until the event
 * that carries its token. The receiver borrows what arrived, writes it and gives it back.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zcsock.h>

#define PIECE  (1 << 20)
#define PIECES 8 /* less than a connection may lend, so that a send is never refused */

static int wait_for(struct zcs_ctx *ctx, struct zcs_event *event)
{
	if (zcs_ctx_wait(ctx, event, 1, -1) < 0 || event->status < 0)
		errx(1, "connection: %s", strerror(-event->status));
	return event->type;
}

static void bulk_send(struct zcs_ctx *ctx, struct zcs_conn *conn)
{
	void *idle[PIECES];
	struct iovec iov;
	struct zcs_msg msg = { .size = sizeof(msg), .iov = &iov, .nr_iov = 1 };
	struct zcs_event event = { 0 };
	int nr_idle = 0, ret;
	ssize_t n = 1;

	while (nr_idle < PIECES && (idle[nr_idle] = zcs_buf_alloc(ctx, PIECE, NULL)))
		nr_idle++;
	do {
		while (n > 0 && nr_idle > 0 && (n = read(0, idle[nr_idle - 1], PIECE)) > 0) {
			iov = (struct iovec){ idle[nr_idle - 1], n };
			msg.token = (uintptr_t)iov.iov_base;
			if ((ret = zcs_conn_send(conn, &msg)) < 0)
				errx(1, "zcs_conn_send: %s", strerror(-ret));
			nr_idle -= ret == 0; /* lent until RELEASED; 1: copied, idle again */
		}
		if (n <= 0)
			zcs_conn_close(conn); /* again and again: no effect */
		if (wait_for(ctx, &event) == ZCS_EV_RELEASED)
			idle[nr_idle++] = (void *)(uintptr_t)event.token;
	} while (event.type != ZCS_EV_CLOSED);
}

static void bulk_recv(struct zcs_ctx *ctx, struct zcs_conn *conn)
{
	struct zcs_event event = { 0 };
	struct zcs_span span;
	int n;

	while (wait_for(ctx, &event) == ZCS_EV_READABLE) {
		while ((n = zcs_conn_recv(conn, &span, 1, 0)) > 0) {
			if (fwrite(span.base, span.len, 1, stdout) != 1)
				err(1, "standard output");
			zcs_span_release(ctx, &span, 1);
		}
		if (n != -EAGAIN)
			zcs_conn_close(conn); /* end of stream */
	}
}

static int connect_or_accept(char **argv, int sending)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons(atoi(argv[2 + sending])),
				    .sin_addr.s_addr = sending ? inet_addr(argv[2]) : 0 };
	struct sockaddr *sa = (struct sockaddr *)&addr;
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sending ? connect(fd, sa, len) : bind(fd, sa, len) || listen(fd, 1))
		err(1, "port %s", argv[2 + sending]);
	if (sending || getsockname(fd, sa, &len))
		return fd;
	fprintf(stderr, "port %d\n", ntohs(addr.sin_port));
	return accept4(fd, NULL, NULL, SOCK_CLOEXEC);
}

int main(int argc, char **argv)
{
	int sending = argc == 4 && !strcmp(argv[1], "send");
	struct zcs_conn *conn;
	struct zcs_ctx *ctx;

	if (!sending && (argc != 3 || strcmp(argv[1], "recv")))
		errx(2, "usage: bulk recv PORT >FILE | bulk send ADDRESS PORT <FILE");
	if (zcs_ctx_new(NULL, &ctx) < 0 ||
	    zcs_conn_open(ctx, connect_or_accept(argv, sending), NULL, &conn) < 0)
		errx(1, "no context, or no connection");
	(sending ? bulk_send : bulk_recv)(ctx, conn);
	return zcs_ctx_free(ctx) < 0 || fflush(stdout);
}
