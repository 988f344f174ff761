// SPDX-License-Identifier: MIT
/*
 * The public header as C++ sees it: included first, compiled with -Wall -Wextra -pedantic, linked
 * with the shared library, and one message sent to oneself.
 */
#include <zcsock.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <unistd.h>

static_assert(sizeof(zcs_event) == 64, "struct zcs_event");

/* 0, or the number of the step that failed */
static int talk(zcs_ctx *ctx, const int *fds)
{
	static const char text[] = "seven bytes and more";
	iovec iov = {const_cast<char *>(text), sizeof(text)};
	zcs_conn_opts opts = {};
	zcs_conn *conn = nullptr;
	zcs_event event = {};
	zcs_msg msg = {};
	char got[sizeof(text)];

	opts.size = sizeof(opts);
	opts.prior_sends = ZCS_NONE;
	if (zcs_conn_open(ctx, fds[0], &opts, &conn) < 0)
		return 2;
	msg.size = sizeof(msg);
	msg.iov = &iov;
	msg.nr_iov = 1;
	msg.flags = ZCS_COPY;
	if (zcs_conn_send(conn, &msg) < 0)
		return 3;
	if (recv(fds[1], got, sizeof(got), MSG_WAITALL) != (ssize_t)sizeof(got))
		return 4;
	if (std::memcmp(got, text, sizeof(text)) != 0)
		return 5;
	close(fds[1]);
	zcs_conn_close(conn);
	while (event.type != ZCS_EV_CLOSED)
		if (zcs_ctx_wait(ctx, &event, 1, 5000) != 1)
			return 6;
	return zcs_ctx_free(ctx) < 0 ? 7 : 0;
}

int main()
{
	zcs_ctx *ctx = nullptr;
	int fds[2];
	int step = 1;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0 && zcs_ctx_new(nullptr, &ctx) == 0)
		step = talk(ctx, fds);
	if (step)
		std::printf("step %d failed\n", step);
	return step != 0 || !*zcs_reason_text(ZCS_R_NONE);
}
