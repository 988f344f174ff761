// SPDX-License-Identifier: MIT
/* How the policy learns, on the way by io_uring, that the kernel copies. */
#include "ringkit.h"

#ifndef IORING_SEND_ZC_REPORT_USAGE
#define IORING_SEND_ZC_REPORT_USAGE (1U << 3)
#endif
#define USAGE_COPIED (1U << 31) /* IORING_NOTIF_USAGE_ZC_COPIED */

static enum promise_verdict run(char *why, size_t len)
{
	struct io_uring_cqe result, note;
	struct promise_ring r;
	struct promise_pair p;
	char *buf = promise_pages(1);

	if (!buf || promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_ring_open(&r) < 0)
		return promise_ring_lacks(why, len);
	promise_ring_send(&r, p.tx, buf, 100, 1)->ioprio = IORING_SEND_ZC_REPORT_USAGE;
	if (!promise_ring_wait(&r, &result) || !promise_ring_wait(&r, &note))
		return promise_broken(why, len, "no result, or no notification");
	if (result.res != 100)
		return promise_broken(why, len, "the result is %d", result.res);
	if (!((uint32_t)note.res & USAGE_COPIED))
		return promise_broken(why, len, "the notification of a copy says %#x", note.res);
	return PROMISE_HOLDS;
}

const struct promise promise_uring_reports_usage = {
	.id = "uring_reports_usage",
	.sentence =
		"With IORING_SEND_ZC_REPORT_USAGE the notification of what was copied (loopback) says "
		"IORING_NOTIF_USAGE_ZC_COPIED.",
	.source = "io_uring_enter(2); io_uring/notif.c io_tx_ubuf_complete",
	.otherwise = "A connection whose requests are refused for it copies.",
	.run = run,
};
