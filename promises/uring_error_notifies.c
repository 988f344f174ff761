// SPDX-License-Identifier: MIT
/* Why only F_MORE tells when memory is free, and never the result. */
#include "ringkit.h"

#include <errno.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct io_uring_cqe result, note;
	struct promise_ring r;
	struct promise_pair p;

	if (promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_ring_open(&r) < 0)
		return promise_ring_lacks(why, len);
	promise_ring_send(&r, p.tx, (void *)16, 100000, 1);
	if (!promise_ring_wait(&r, &result))
		return promise_broken(why, len, "no result");
	if (result.res != -EFAULT)
		return promise_broken(why, len, "the result of a bad address is %d", result.res);
	if (!(result.flags & IORING_CQE_F_MORE))
		return promise_broken(why, len, "no F_MORE");
	if (!promise_ring_wait(&r, &note) || !(note.flags & IORING_CQE_F_NOTIF))
		return promise_broken(why, len, "F_MORE, but no notification");
	return PROMISE_HOLDS;
}

const struct promise promise_uring_error_notifies = {
	.id = "uring_error_notifies",
	.sentence = "An IORING_OP_SEND_ZC that fails (EFAULT) has a result with F_MORE, and then a "
		    "notification, like one that succeeded.",
	.source = "io_uring_enter(2); io_uring/net.c io_send_zc, io_sendrecv_fail",
	.otherwise = "F_MORE alone decides, not the result.",
	.run = run,
};
