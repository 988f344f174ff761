// SPDX-License-Identifier: MIT
/* The last resort of a close, for the io_uring way as for the other. */
#include "ringkit.h"

#define LEN (1u << 20)

static enum promise_verdict run(char *why, size_t len)
{
	static const struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	char *buf = promise_pages(LEN / promise_page());
	int results = 0, notes = 0;
	struct io_uring_cqe cqe;
	struct promise_ring r;
	struct promise_pair p;

	if (!buf || promise_tcp_pair(&p, AF_INET) < 0 || promise_small_buffers(&p) < 0 ||
	    promise_silence(p.rx) < 0)
		return promise_lacks(why, len, "TCP over loopback with a silent peer");
	if (promise_ring_open(&r) < 0)
		return promise_ring_lacks(why, len);
	promise_ring_send(&r, p.tx, buf, 1000, 1)->flags = IOSQE_IO_LINK;
	promise_ring_send(&r, p.tx, buf, LEN, 2);
	if (promise_ring_enter(&r) != 2 || promise_ring_enter(&r) < 0)
		return promise_failed(why, len, "io_uring_enter");
	if (connect(p.tx, &unspec, sizeof(unspec)) < 0)
		return promise_failed(why, len, "connect(AF_UNSPEC)");
	while (results + notes < 4 && promise_ring_wait(&r, &cqe)) {
		if (cqe.flags & IORING_CQE_F_NOTIF)
			notes++;
		else
			results++;
	}
	if (results + notes != 4)
		return promise_broken(why, len, "%d results, %d notifications", results, notes);
	return PROMISE_HOLDS;
}

const struct promise promise_uring_disconnect_returns_all = {
	.id = "uring_disconnect_returns_all",
	.sentence =
		"connect(AF_UNSPEC) ends requests that wait for room on a TCP socket, and brings "
		"every notification, even if the peer is silent.",
	.source = "connect(2); net/ipv4/tcp.c tcp_disconnect; io_uring/poll.c",
	.otherwise = "Closing waits for its deadline, and what is then still out is "
		     "condemned.",
	.run = run,
};
