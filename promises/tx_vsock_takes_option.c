// SPDX-License-Identifier: MIT
/* The capability of the transport is looked at when it connects; this is the kernel's. */
#include "kit.h"

#include <errno.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return promise_lacks(why, len, "VSOCK");
	if (promise_set_zerocopy(fd) < 0)
		return promise_broken(why, len, "SO_ZEROCOPY: errno %d", errno);
	return PROMISE_HOLDS;
}

const struct promise promise_tx_vsock_takes_option = {
	.id = "tx_vsock_takes_option",
	.sentence = "VSOCK stream sockets take SO_ZEROCOPY.",
	.source = "Documentation/networking/msg_zerocopy.rst; net/vmw_vsock/af_vsock.c "
		  "vsock_connectible_setsockopt",
	.since = PROMISE_KERNEL(6, 7),
	.otherwise =
		"A socket that refuses the option is not lent to: its data are copied (net-vsock).",
	.run = run,
};
