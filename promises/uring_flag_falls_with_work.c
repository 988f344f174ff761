// SPDX-License-Identifier: MIT
/* Where it does not, a program that enters as long as the flag is set never sleeps. */
#include "ringkit.h"

#include <unistd.h>

static bool flag_is_set(const struct promise_ring *r)
{
	return __atomic_load_n(r->sq_flags, __ATOMIC_ACQUIRE) & IORING_SQ_TASKRUN;
}

static enum promise_verdict run(char *why, size_t len)
{
	struct io_uring_cqe cqe;
	struct promise_ring r;
	struct promise_pair p;
	char *buf = promise_pages(1);

	if (!buf || promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_ring_open(&r) < 0)
		return promise_ring_lacks(why, len);
	if (promise_silence(p.rx) < 0)
		return promise_lacks(why, len, "a silent peer");
	promise_ring_send(&r, p.tx, buf, 100, 1);
	if (!promise_ring_wait(&r, &cqe) || cqe.res != 100)
		return promise_broken(why, len, "no result");
	promise_unsilence(p.rx);
	for (int i = 0; i < PROMISE_WAIT_MS && !flag_is_set(&r); i++)
		usleep(1000);
	if (!flag_is_set(&r))
		return promise_broken(why, len, "the flag does not tell of a notification");
	if (promise_ring_enter(&r) < 0 || !promise_ring_peek(&r, &cqe))
		return promise_broken(why, len, "no notification");
	/* one more call: what came in between is done as well */
	if (flag_is_set(&r) && (promise_ring_enter(&r) < 0 || flag_is_set(&r)))
		return promise_broken(why, len, "the flag stays set, and nothing is deferred");
	return PROMISE_HOLDS;
}

const struct promise promise_uring_flag_falls_with_work = {
	.id = "uring_flag_falls_with_work",
	.sentence =
		"IORING_SQ_TASKRUN falls when a call with IORING_ENTER_GETEVENTS has done what was "
		"deferred.",
	.source = "io_uring_setup(2); io_uring/tw.c __io_run_local_work",
	.until = PROMISE_KERNEL(6, 18),
	.otherwise = "The library takes the flag away itself before each such call.",
	.run = run,
};
