// SPDX-License-Identifier: MIT
/* One window for all connections of a context, with no descriptor to keep. */
#include "rxkit.h"

#include <errno.h>
#include <string.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_rx r;
	enum promise_verdict v = promise_rx_open(&r, why, len);
	int got;

	if (v != PROMISE_HOLDS)
		return v;
	if (promise_rx_feed(&r, 8, 1) < 0)
		return promise_lacks(why, len, "data to map");
	got = promise_rx_map(&r, 0, 8, 0);
	if (got < 0)
		return promise_broken(why, len, "receiving into it: %s", strerror(errno));
	if (got == 0)
		return promise_unsure(why, len, "nothing could be mapped");
	if (!promise_filled(r.win, (size_t)got * r.page, 1))
		return promise_broken(why, len, "the pages hold other bytes");
	return PROMISE_HOLDS;
}

const struct promise promise_rx_any_window_serves = {
	.id = "rx_any_window_serves",
	.sentence =
		"A mapping of a TCP socket that was never connected, and whose descriptor is closed, can "
		"receive for every TCP socket.",
	.source = "net/ipv4/tcp.c tcp_mmap, find_tcp_vma",
	.otherwise = "The call fails, and the connection copies.",
	.run = run,
};
