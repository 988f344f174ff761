// SPDX-License-Identifier: MIT
/* What is not plain TCP says so at once. */
#include "kit.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static enum promise_verdict run(char *why, size_t len)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);

	if (fd < 0)
		return promise_lacks(why, len, "MPTCP");
	if (promise_set_zerocopy(fd) == 0)
		return promise_broken(why, len, "SO_ZEROCOPY was accepted");
	if (errno != EOPNOTSUPP)
		return promise_broken(why, len, "errno %d", errno);
	return PROMISE_HOLDS;
}

const struct promise promise_tx_mptcp_refuses = {
	.id = "tx_mptcp_refuses",
	.sentence = "MPTCP sockets refuse SO_ZEROCOPY with EOPNOTSUPP.",
	.source = "net/mptcp/sockopt.c mptcp_setsockopt_sol_socket; net/core/sock.c sk_setsockopt",
	.otherwise = "MPTCP is never lent to, whatever the option says: only plain TCP is.",
	.run = run,
};
