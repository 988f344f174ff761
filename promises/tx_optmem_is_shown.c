// SPDX-License-Identifier: MIT
/* How explain can name the limit that was met. */
#include "kit.h"

#include <unistd.h>

static enum promise_verdict run(char *why, size_t len)
{
	if (!promise_net_is_private())
		return promise_unsure(why, len, "no network namespace of our own");
	if (access("/proc/sys/net/core/optmem_max", R_OK) < 0)
		return promise_broken(why, len, "a new network namespace has no such file");
	return PROMISE_HOLDS;
}

const struct promise promise_tx_optmem_is_shown = {
	.id = "tx_optmem_is_shown",
	.sentence = "net.core.optmem_max can be read in every network namespace.",
	.source = "net/core/sysctl_net_core.c",
	.since = PROMISE_KERNEL(6, 8),
	.otherwise =
		"The limit is taken to be what it was there unless somebody changed it: 20 KiB.",
	.run = run,
};
