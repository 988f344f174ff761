// SPDX-License-Identifier: MIT
/* Why requests can be linked: each is all of its bytes, however full the socket was. */
#include "ringkit.h"

#include <poll.h>
#include <sys/socket.h>

#define LEN (1u << 20)

/* In order: the second begins when the first is done. */
static enum promise_verdict check(struct promise_ring *r, char *why, size_t len, int rx)
{
	struct io_uring_cqe cqe;
	uint64_t next = 1;

	for (int i = 0; next <= 2 && i < 3 * PROMISE_WAIT_MS; i++) {
		promise_drain(rx);
		if (promise_ring_enter(r) < 0)
			return promise_failed(why, len, "io_uring_enter");
		while (promise_ring_peek(r, &cqe)) {
			if (cqe.flags & IORING_CQE_F_NOTIF)
				continue;
			if (cqe.user_data != next++ || cqe.res != (int)LEN)
				return promise_broken(why, len, "request %d: %d",
						      (int)cqe.user_data, cqe.res);
		}
		promise_wait_event(rx, POLLIN, 1);
	}
	return next == 3 ? PROMISE_HOLDS : promise_broken(why, len, "it did not go on");
}

static enum promise_verdict run(char *why, size_t len)
{
	char *buf = promise_pages(LEN / promise_page());
	struct io_uring_cqe cqe;
	struct promise_ring r;
	struct promise_pair p;

	if (!buf || promise_tcp_pair(&p, AF_INET) < 0 || promise_small_buffers(&p) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_ring_open(&r) < 0)
		return promise_ring_lacks(why, len);
	promise_ring_send(&r, p.tx, buf, LEN, 1)->flags = IOSQE_IO_LINK;
	promise_ring_send(&r, p.tx, buf, LEN, 2);
	if (promise_ring_enter(&r) != 2)
		return promise_failed(why, len, "io_uring_enter");
	if (promise_ring_peek(&r, &cqe))
		return promise_unsure(why, len, "the socket took it all, or it failed: %d",
				      cqe.res);
	return check(&r, why, len, p.rx);
}

const struct promise promise_uring_waitall_goes_on = {
	.id = "uring_waitall_goes_on",
	.sentence = "An IORING_OP_SEND_ZC with MSG_WAITALL for more than the socket has room for "
		    "goes on when there is room, and has one result, of all bytes; one linked "
		    "behind it begins then.",
	.source = "io_uring_enter(2); io_uring/net.c io_send_zc",
	.otherwise = "What a request left over is sent by the next one (guard 16).",
	.run = run,
};
