// SPDX-License-Identifier: MIT
/*
 * uv_echo.c - the echo server of echo.c inside a libuv loop
 *
 * zcs_ctx_fd() never shows EPOLLERR, which libuv takes for the end of a handle: one uv_poll_t
 * stands for all connections.
 *
 * usage: uv_echo PORT (0: any free one)
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>
#include <zcsock.h>

static void echo(struct zcs_ctx *ctx, struct zcs_conn *conn)
{
	struct zcs_span spans[16];
	int i, n;

	while ((n = zcs_conn_recv(conn, spans, 16, 0)) > 0) {
		for (i = 0; i < n && zcs_conn_send_span(conn, &spans[i], 0) == 0; i++)
			;
		zcs_span_release(ctx, spans + i, n - i);
	}
	if (n != -EAGAIN)
		zcs_conn_close(conn);
}

static void on_ctx(uv_poll_t *poll, int status, int revents)
{
	struct zcs_ctx *ctx = poll->data;
	struct zcs_event events[64];
	int i, n;

	(void)revents;
	if (status < 0 || zcs_ctx_process(ctx, 0) < 0)
		errx(1, "%s", status < 0 ? uv_strerror(status) : "zcs_ctx_process");
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

static void on_listener(uv_poll_t *poll, int status, int revents)
{
	struct zcs_ctx *ctx = poll->data;
	struct zcs_conn *conn;
	int fd, listener;

	(void)status;
	(void)revents;
	uv_fileno((uv_handle_t *)poll, &listener);
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		if (zcs_conn_open(ctx, fd, NULL, &conn) < 0)
			close(fd);
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uv_poll_t on[2];
	struct zcs_ctx *ctx;

	addr.sin_port = htons(argc > 1 ? atoi(argv[1]) : 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) || listen(fd, 128))
		err(1, "listen");
	getsockname(fd, (struct sockaddr *)&addr, &len);
	printf("port %d\n", ntohs(addr.sin_port));
	fflush(stdout);
	if (zcs_ctx_new(NULL, &ctx) < 0)
		errx(1, "no context");

	on[0].data = on[1].data = ctx;
	uv_poll_init(uv_default_loop(), &on[0], fd); /* also makes it non-blocking */
	uv_poll_init(uv_default_loop(), &on[1], zcs_ctx_fd(ctx));
	uv_poll_start(&on[0], UV_READABLE, on_listener);
	uv_poll_start(&on[1], UV_READABLE, on_ctx);
	return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
