// SPDX-License-Identifier: MIT
/* Reaping needs no MSG_DONTWAIT and no O_NONBLOCK, whoever made the descriptor. */
#include "kit.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct timeval limit = { .tv_sec = 2 }; /* so that a blocking read ends */
	struct timespec from, to;
	struct promise_pair p;
	struct promise_note note;
	int got;

	if (promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (setsockopt(p.tx, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return promise_lacks(why, len, "SO_RCVTIMEO");
	clock_gettime(CLOCK_MONOTONIC, &from);
	got = promise_note_read(p.tx, &note);
	clock_gettime(CLOCK_MONOTONIC, &to);
	if (got != 0)
		return promise_broken(why, len, "an empty error queue did not say EAGAIN");
	if (to.tv_sec - from.tv_sec >= 2)
		return promise_broken(why, len, "reading an empty error queue blocked");
	return PROMISE_HOLDS;
}

const struct promise promise_tx_errqueue_never_blocks = {
	.id = "tx_errqueue_never_blocks",
	.sentence =
		"recvmsg with MSG_ERRQUEUE never blocks, on a blocking socket too: EAGAIN when there is "
		"nothing.",
	.source = "recv(2); net/ipv4/ip_sockglue.c ip_recv_error",
	.otherwise = "Relied upon. Each call says MSG_DONTWAIT all the same.",
	.run = run,
};
