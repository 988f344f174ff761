// SPDX-License-Identifier: MIT
/*
 * By arithmetic, from the kernel's source: the counter is a u32 that is only ever added to, and two
 * ranges merge when the first ends at the number before the second's, in 32 bits, unless together
 * they were to hold 2^32 numbers. So a range may begin below 2^32 and end above 0.
 */
#include "kit.h"

static enum promise_verdict run(char *why, size_t len)
{
	return promise_unsure(why, len, "by arithmetic only: 2^32 calls take hours");
}

const struct promise promise_tx_numbers_wrap = {
	.id = "tx_numbers_wrap",
	.sentence =
		"After number 2^32 - 1 comes 0, and a merged range may reach over that: high - low + 1 "
		"in 32 bits is how many it holds.",
	.source = "net/core/skbuff.c msg_zerocopy_realloc, skb_zerocopy_notify_extend",
	.otherwise =
		"Not tried on a kernel: unit-ledger walks the ledger over the wrap, in ranges of "
		"every kind.",
	.run = run,
};
