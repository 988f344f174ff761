// SPDX-License-Identifier: MIT
/* Where the call does not exist the same API copies. */
#include "rxkit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static enum promise_verdict refused(int family, int type, char *why, size_t len)
{
	struct promise_zc z = { 0 };
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return promise_lacks(why, len, "a socket");
	if (promise_zc_receive(fd, &z) == 0)
		return promise_broken(why, len, "family %d type %d accepted it", family, type);
	if (errno != EOPNOTSUPP)
		return promise_broken(why, len, "family %d: %s", family, strerror(errno));
	return PROMISE_HOLDS;
}

static enum promise_verdict run(char *why, size_t len)
{
	enum promise_verdict v = refused(AF_UNIX, SOCK_STREAM, why, len);

	return v == PROMISE_HOLDS ? refused(AF_INET, SOCK_DGRAM, why, len) : v;
}

const struct promise promise_rx_refused_elsewhere = {
	.id = "rx_refused_elsewhere",
	.sentence = "UNIX and UDP sockets refuse TCP_ZEROCOPY_RECEIVE with EOPNOTSUPP.",
	.source = "net/socket.c do_sock_getsockopt; net/ipv4/udp.c udp_getsockopt",
	.otherwise = "Only TCP sockets are asked.",
	.run = run,
};
