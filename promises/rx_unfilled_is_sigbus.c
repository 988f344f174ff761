// SPDX-License-Identifier: MIT
/* Why no byte of the window is shown that was not filled. */
#include "rxkit.h"

#include <signal.h>

static enum promise_verdict run(char *why, size_t len)
{
	char *win = promise_rx_window(1);
	int sig;

	if (!win)
		return promise_lacks(why, len, "mapping of a TCP socket");
	sig = promise_touch_in_child(win);
	if (sig < 0)
		return promise_lacks(why, len, "a child");
	if (sig != SIGBUS)
		return promise_broken(why, len, "signal %d", sig);
	return PROMISE_HOLDS;
}

const struct promise promise_rx_unfilled_is_sigbus = {
	.id = "rx_unfilled_is_sigbus",
	.sentence = "Reading a page of the window that is not filled raises SIGBUS.",
	.source = "net/ipv4/tcp.c tcp_vm_ops; mmap(2)",
	.otherwise = "No page that was not filled is ever handed out (guard 14).",
	.run = run,
};
