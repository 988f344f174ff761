// SPDX-License-Identifier: MIT
/* How to tell what this kernel knows, and that a struct longer than that needs a zero tail. */
#include "rxkit.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static int call(int fd, void *arg, socklen_t *len)
{
	return getsockopt(fd, IPPROTO_TCP, PROMISE_ZC_RECEIVE, arg, len);
}

static enum promise_verdict run(char *why, size_t len)
{
	char arg[128] = { 0 };
	socklen_t size = sizeof(struct promise_zc);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return promise_lacks(why, len, "a TCP socket");
	if (call(fd, arg, &size) < 0 || size != 64)
		return promise_broken(why, len, "64 bytes: %s, %u", strerror(errno), size);
	size = 16;
	if (call(fd, arg, &size) < 0 || size != 16)
		return promise_broken(why, len, "16 bytes: %s, %u", strerror(errno), size);
	size = sizeof(arg);
	if (call(fd, arg, &size) < 0 || size >= sizeof(arg))
		return promise_broken(why, len, "a zero tail: %s, %u", strerror(errno), size);
	memset(arg, 0, sizeof(arg));
	arg[sizeof(arg) - 1] = 1;
	size = sizeof(arg);
	if (call(fd, arg, &size) == 0)
		return promise_broken(why, len, "a tail that is not zero was accepted");
	if (errno != EINVAL)
		return promise_broken(why, len, "%s instead of EINVAL", strerror(errno));
	return PROMISE_HOLDS;
}

const struct promise promise_rx_struct_lengths = {
	.id = "rx_struct_lengths",
	.sentence =
		"The call takes its struct with 64 bytes or 16; a longer one is shortened to what the "
		"kernel knows if the rest is zero, and refused with EINVAL if not.",
	.source = "net/ipv4/tcp.c do_tcp_getsockopt",
	.otherwise = "The call fails, and the connection copies.",
	.run = run,
};
