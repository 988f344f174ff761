// SPDX-License-Identifier: MIT
/* Where it does not, a program that enters as long as the flag is set never sleeps. */
#include "ringkit.h"

#include <unistd.h>

#define PAGES  64 /* of each request: more than the socket has room for */
#define ROUNDS 20

static bool flag_is_set(const struct promise_ring *r)
{
	return __atomic_load_n(r->sq_flags, __ATOMIC_ACQUIRE) & IORING_SQ_TASKRUN;
}

#define CALLS 100 /* and one of them finds the flag down */

/* Four results and notifications of a chain, of which one request is begun while another ends. */
static bool chain_is_through(struct promise_ring *r, const struct promise_pair *p)
{
	struct io_uring_cqe cqe;
	int left = 4;

	for (int i = 0; i < PROMISE_WAIT_MS && left; i++) {
		promise_drain(p->rx);
		if (promise_ring_enter(r) < 0)
			return false;
		while (left && promise_ring_peek(r, &cqe))
			left--;
		usleep(1000);
	}
	return !left;
}

static enum promise_verdict run(char *why, size_t len)
{
	size_t size = PAGES * promise_page();
	struct promise_ring r;
	struct promise_pair p;
	char *buf = promise_pages(PAGES);

	if (!buf || promise_tcp_pair(&p, AF_INET) < 0 || promise_small_buffers(&p) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_ring_open(&r) < 0)
		return promise_ring_lacks(why, len);
	for (int i = 0; i < ROUNDS; i++) {
		promise_ring_send(&r, p.tx, buf, size, 1)->flags = IOSQE_IO_LINK;
		promise_ring_send(&r, p.tx, buf, size, 2);
		if (!chain_is_through(&r, &p))
			return promise_broken(why, len, "the chain did not end");
		for (int call = 0; flag_is_set(&r); call++) {
			if (call == CALLS)
				return promise_broken(why, len, "it stays, with nothing to do");
			if (promise_ring_enter(&r) < 0)
				return promise_lacks(why, len, "entering the ring");
		}
	}
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
