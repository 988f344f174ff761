// SPDX-License-Identifier: MIT
/*
 * Why the library takes the flag away before it enters the ring: some kernels leave it set, and a
 * program that enters as long as it is set would never sleep.
 */
#include "ringkit.h"

#include <unistd.h>

#define CALLS 100 /* and not one of them may still find the flag */

static bool flag_is_set(const struct promise_ring *r)
{
	return __atomic_load_n(r->sq_flags, __ATOMIC_ACQUIRE) & IORING_SQ_TASKRUN;
}

static int clear_and_enter(struct promise_ring *r)
{
	__atomic_fetch_and(r->sq_flags, ~IORING_SQ_TASKRUN, __ATOMIC_SEQ_CST);
	return promise_ring_enter(r);
}

/* The flag is set by itself, once a notification is due, within PROMISE_WAIT_MS. */
static bool flag_comes(const struct promise_ring *r)
{
	for (int i = 0; i < PROMISE_WAIT_MS && !flag_is_set(r); i++)
		usleep(1000);
	return flag_is_set(r);
}

static enum promise_verdict one_round(struct promise_ring *r, struct promise_pair *p, char *buf,
				      char *why, size_t len)
{
	struct io_uring_cqe cqe;

	if (promise_silence(p->rx) < 0)
		return promise_lacks(why, len, "a silent peer");
	promise_ring_send(r, p->tx, buf, promise_page(), 1);
	if (!promise_ring_wait(r, &cqe) || cqe.res != (int)promise_page())
		return promise_broken(why, len, "no result");
	for (int i = 0; i < CALLS; i++) {
		if (clear_and_enter(r) < 0 || flag_is_set(r) || promise_ring_peek(r, &cqe))
			return promise_broken(why, len, "nothing is deferred, and the flag is set");
	}
	promise_unsilence(p->rx);
	if (!flag_comes(r))
		return promise_broken(why, len, "the flag does not tell of a notification");
	if (clear_and_enter(r) < 0 || !promise_ring_peek(r, &cqe) ||
	    !(cqe.flags & IORING_CQE_F_NOTIF))
		return promise_broken(why, len, "cleared, and the notification did not come");
	return PROMISE_HOLDS;
}

static enum promise_verdict run(char *why, size_t len)
{
	enum promise_verdict v = PROMISE_HOLDS;
	char *buf = promise_pages(1);
	struct promise_ring r;
	struct promise_pair p;

	if (!buf || promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_ring_open(&r) < 0)
		return promise_ring_lacks(why, len);
	for (int i = 0; i < 3 && v == PROMISE_HOLDS; i++)
		v = one_round(&r, &p, buf, why, len);
	return v;
}

const struct promise promise_uring_flag_may_be_cleared = {
	.id = "uring_flag_may_be_cleared",
	.sentence =
		"The program may clear IORING_SQ_TASKRUN before a call with IORING_ENTER_GETEVENTS: what "
		"is deferred is done by it all the same, what comes later sets the flag again, and with "
		"nothing deferred it stays clear. (Left alone it may stay set: 7.3.)",
	.source = "io_uring/tw.c io_req_local_work_add, __io_run_local_work",
	.otherwise = "Relied upon. Tried by net-uring on each kernel.",
	.run = run,
};
