// SPDX-License-Identifier: MIT
/* Where the option is refused the library copies, and says why. */
#include "kit.h"

#include <errno.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return promise_lacks(why, len, "a pair of UNIX sockets");
	if (promise_set_zerocopy(sv[0]) == 0)
		return promise_broken(why, len, "accepted");
	/* 524 is the kernel's own ENOTSUPP, which leaked out before 5.18 */
	if (errno != EOPNOTSUPP && errno != 524)
		return promise_broken(why, len, "errno %d", errno);
	return PROMISE_HOLDS;
}

const struct promise promise_tx_unix_refuses = {
	.id = "tx_unix_refuses",
	.sentence = "UNIX sockets refuse SO_ZEROCOPY with EOPNOTSUPP (524 before 5.18).",
	.source = "net/core/sock.c sk_setsockopt",
	.otherwise = "UNIX sockets are never lent to, whatever the option says: only "
		     "plain TCP is.",
	.run = run,
};
