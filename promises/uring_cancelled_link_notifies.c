// SPDX-License-Identifier: MIT
/* Why a tag that a result has ended must not be taken for that of the request that has it next. */
#include "ringkit.h"

#include <errno.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct io_uring_cqe cqe;
	struct promise_ring r;
	struct promise_pair p;
	bool said = false, noted = false;
	char *buf = promise_pages(1);
	int left = 3;

	if (!buf || promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_ring_open(&r) < 0)
		return promise_ring_lacks(why, len);
	promise_ring_send(&r, p.tx, (void *)16, 100000, 1)->flags = IOSQE_IO_LINK;
	promise_ring_send(&r, p.tx, buf, 100, 2);
	/* Result and notification of the first, result of the second; then what should not be. */
	while (left-- && promise_ring_wait(&r, &cqe)) {
		if (cqe.user_data != 2 || cqe.flags & IORING_CQE_F_NOTIF)
			continue;
		if (cqe.res != -ECANCELED)
			return promise_broken(why, len, "behind one that failed: %d", cqe.res);
		said = cqe.flags & IORING_CQE_F_MORE;
	}
	while (!noted && promise_ring_wait(&r, &cqe))
		noted = cqe.user_data == 2 && cqe.flags & IORING_CQE_F_NOTIF;
	if (said)
		return noted ? promise_unsure(why, len, "here the result says so")
			     : promise_broken(why, len, "F_MORE, but no notification");
	return noted ? PROMISE_HOLDS : promise_unsure(why, len, "here it has none");
}

const struct promise promise_uring_cancelled_link_notifies = {
	.id = "uring_cancelled_link_notifies",
	.sentence = "Behind a linked IORING_OP_SEND_ZC that fails the next one is cancelled "
		    "(ECANCELED); its result has no F_MORE, and yet a notification comes.",
	.source = "io_uring_enter(2); io_uring/io_uring.c io_fail_links",
	.otherwise = "One that is not notified leaves its place in the list taken until "
		     "the ring closes (guard 15).",
	.run = run,
};
