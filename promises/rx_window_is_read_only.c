// SPDX-License-Identifier: MIT
/* Nobody can write through a span, so a span may be shown to any reader. */
#include "rxkit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	size_t page = promise_page();
	char *win = promise_rx_window(1);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!win || fd < 0)
		return promise_lacks(why, len, "mapping of a TCP socket");
	if (mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
		return promise_broken(why, len, "a writable mapping was accepted");
	if (errno != EPERM)
		return promise_broken(why, len, "%s instead of EPERM", strerror(errno));
	if (mprotect(win, page, PROT_READ | PROT_WRITE) == 0)
		return promise_broken(why, len, "mprotect made it writable");
	if (errno != EACCES)
		return promise_broken(why, len, "%s instead of EACCES", strerror(errno));
	return PROMISE_HOLDS;
}

const struct promise promise_rx_window_is_read_only = {
	.id = "rx_window_is_read_only",
	.sentence =
		"A TCP socket cannot be mapped with PROT_WRITE (EPERM), and the mapping cannot be made "
		"writable later (EACCES).",
	.source = "net/ipv4/tcp.c tcp_mmap; mprotect(2)",
	.otherwise = "A span is yours to read only, even where nothing enforces it.",
	.run = run,
};
