// SPDX-License-Identifier: MIT
/*
 * learned.c - what the policy has learned, in numbers and in words
 */
#include "conn.h"
#include "explain.h"

#include <errno.h>
#include <string.h>

_Static_assert(LINK_CLASSES < ZCS_NR_LEARNED, "room for the end of the list");

static uint32_t per_kib(double ns_per_byte)
{
	return (uint32_t)(ns_per_byte * 1024 + 0.5);
}

static void give_learned(const struct link *link, enum link_side side, struct zcs_learned *out)
{
	for (uint32_t i = 0; i < LINK_CLASSES; i++) {
		const struct choice *c = &link->choices[side][i];

		out[i] = (struct zcs_learned){
			.bytes = link_least(i),
			.copy_ns = per_kib(c->cost[0]),
			.zerocopy_ns = per_kib(c->cost[1]),
			.pairs = c->nr,
			.way = c->way ? ZCS_WAY_ZEROCOPY : ZCS_WAY_COPY,
		};
	}
}

ZCS_EXPORT int zcs_conn_policy(const struct zcs_conn *c, struct zcs_policy *out)
{
	struct policy_path *path = conn_path((struct zcs_conn *)c);
	struct zcs_policy p = {
		.kernel_copies = path->mode != POLICY_LENDING,
		.scarce_below = policy_scarce(path, ctx_now()),
	};
	const struct link *link = conn_link((struct zcs_conn *)c);

	give_learned(link, LINK_SEND, p.send);
	give_learned(link, LINK_RECV, p.recv);
	return give_struct(out, &p, sizeof(p));
}

/* ---- words ---------------------------------------------------------------------------------- */

static const char *size_text(char text[16], uint64_t bytes)
{
	struct text t = { .buf = text, .len = 16 };

	if (bytes >= 1 << 20)
		say(&t, "%llu MiB", (unsigned long long)(bytes >> 20));
	else
		say(&t, "%llu KiB", (unsigned long long)(bytes >> 10));
	return text;
}

void explain_learned(struct text *t, const struct zcs_learned *l, const char *indent,
		     const char *lent)
{
	for (; l->bytes; l++) {
		bool zerocopy = l->way == ZCS_WAY_ZEROCOPY;
		char size[16];

		if (!l->pairs)
			continue;
		say(t, "%sfrom %s on: %s; copied %.2f, %s %.2f us of CPU per 16 KiB (%u pairs)\n",
		    indent, size_text(size, l->bytes), zerocopy ? lent : "copied",
		    l->copy_ns * 0.016, lent, l->zerocopy_ns * 0.016, l->pairs);
	}
}
