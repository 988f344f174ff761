// SPDX-License-Identifier: MIT
/* How the library probes for the call: on a fresh socket, with nothing that it could harm. */
#include "rxkit.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_zc z = { 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return promise_lacks(why, len, "a TCP socket");
	if (promise_zc_receive(fd, &z) < 0)
		return promise_broken(why, len, "getsockopt on an unconnected socket: errno %d",
				      errno);
	if (z.length || z.recv_skip_hint || z.inq || z.err)
		return promise_broken(why, len, "an unconnected socket gave something");
	if (setsockopt(fd, IPPROTO_TCP, PROMISE_ZC_RECEIVE, &z, sizeof(z)) == 0)
		return promise_broken(why, len, "setsockopt was accepted");
	if (errno != ENOPROTOOPT)
		return promise_broken(why, len, "setsockopt: errno %d", errno);
	return PROMISE_HOLDS;
}

const struct promise promise_rx_option_is_getsockopt = {
	.id = "rx_option_is_getsockopt",
	.sentence =
		"TCP_ZEROCOPY_RECEIVE is a getsockopt, which returns all zero on an unconnected socket; "
		"setsockopt says ENOPROTOOPT.",
	.source = "net/ipv4/tcp.c do_tcp_getsockopt",
	.otherwise = "The call fails, and the connection copies (explain: \"cannot map "
		     "received pages\").",
	.run = run,
};
