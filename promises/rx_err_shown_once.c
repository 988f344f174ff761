// SPDX-License-Identifier: MIT
/* A reset that is not noted the first time looks like a clean end of the stream afterwards. */
#include "rxkit.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct linger now = { .l_onoff = 1 };
	struct promise_zc z = { 0 };
	struct promise_pair p;
	char c;

	if (promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (setsockopt(p.tx, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) < 0 || close(p.tx) < 0)
		return promise_lacks(why, len, "SO_LINGER");
	if (!(promise_wait_event(p.rx, 0, PROMISE_WAIT_MS) & POLLHUP))
		return promise_unsure(why, len, "no reset arrived");
	if (promise_zc_receive(p.rx, &z) < 0)
		return promise_broken(why, len, "the call failed with errno %d", errno);
	if (z.err != -ECONNRESET)
		return promise_broken(why, len, "err is %d", z.err);
	z = (struct promise_zc){ 0 };
	if (promise_zc_receive(p.rx, &z) < 0 || z.err || z.length || z.recv_skip_hint)
		return promise_broken(why, len, "the second call gave something");
	if (recv(p.rx, &c, 1, MSG_DONTWAIT) != 0)
		return promise_broken(why, len, "recv did not return 0 afterwards");
	return PROMISE_HOLDS;
}

const struct promise promise_rx_err_shown_once = {
	.id = "rx_err_shown_once",
	.sentence =
		"A reset is shown once, as a negative errno in err of a call that succeeds; after that "
		"recv returns 0 as at a clean end.",
	.source = "net/ipv4/tcp.c do_tcp_getsockopt, sock_error",
	.otherwise = "An error that comes later is met by recv (guard 13).",
	.run = run,
};
