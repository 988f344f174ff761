// SPDX-License-Identifier: MIT
/* Without it a child keeps pages alive, and readable, that the parent gave back long ago. */
#include "rxkit.h"

#include <signal.h>
#include <sys/mman.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_rx r;
	enum promise_verdict v = promise_rx_open(&r, why, len);
	int sig;

	if (v == PROMISE_HOLDS)
		v = promise_rx_filled(&r, 4, 1, why, len);
	if (v != PROMISE_HOLDS)
		return v;
	if (promise_touch_in_child(r.win) != 0)
		return promise_broken(why, len, "a child cannot read the pages in any case");
	if (madvise(r.win, PROMISE_RX_PAGES * r.page, MADV_DONTFORK) < 0)
		return promise_failed(why, len, "MADV_DONTFORK");
	sig = promise_touch_in_child(r.win);
	if (sig != SIGSEGV)
		return promise_broken(why, len, "signal %d in the child instead of SIGSEGV", sig);
	if (!promise_filled(r.win, 4 * r.page, 1))
		return promise_broken(why, len, "the parent lost the pages");
	return PROMISE_HOLDS;
}

const struct promise promise_rx_dontfork_hides_window = {
	.id = "rx_dontfork_hides_window",
	.sentence =
		"A forked child inherits filled window pages; with MADV_DONTFORK it does not have the "
		"window at all.",
	.source = "madvise(2); mm/memory.c copy_page_range",
	.otherwise = "A child keeps pages of the window; it must not use the connection, "
		     "as zcsock(7) says.",
	.run = run,
};
