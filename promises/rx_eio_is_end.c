// SPDX-License-Identifier: MIT
/* EIO here is no input/output error: it is what recv says with 0. */
#include "rxkit.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_zc z = { 0 };
	struct promise_pair p;
	char c;
	int i;

	if (promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (shutdown(p.tx, SHUT_WR) < 0 || !promise_wait_event(p.rx, POLLRDHUP, PROMISE_WAIT_MS))
		return promise_lacks(why, len, "a FIN");
	for (i = 0; i < 2; i++) { /* before and after recv has told */
		if (promise_zc_receive(p.rx, &z) == 0)
			return promise_broken(why, len,
					      "the call succeeded at the end of the stream");
		if (errno != EIO)
			return promise_broken(why, len, "%s instead of EIO", strerror(errno));
		if (recv(p.rx, &c, 1, MSG_DONTWAIT) != 0)
			return promise_broken(why, len, "recv did not return 0");
	}
	return PROMISE_HOLDS;
}

const struct promise promise_rx_eio_is_end = {
	.id = "rx_eio_is_end",
	.sentence =
		"At the end of the stream, with nothing left to read, the call fails with EIO each time.",
	.source = "net/ipv4/tcp.c tcp_zerocopy_receive",
	.otherwise = "recv has the last word on an end.",
	.run = run,
};
