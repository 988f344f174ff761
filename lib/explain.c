// SPDX-License-Identifier: MIT
/*
 * explain.c - what happened, in numbers and in words
 */
#include "conn.h"
#include "explain.h"
#include "sys.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

ZCS_EXPORT const char *zcs_version(void)
{
	return ZCS_VERSION;
}

ZCS_EXPORT const char *zcs_reason_text(uint32_t reason)
{
	static const char *const text[] = {
		[ZCS_R_NONE] = "nothing was copied",
		[ZCS_R_SMALL] = "small: copying costs less",
		[ZCS_R_COSTS] = "measured: copying costs less at this size",
		[ZCS_R_SCARCE] = "memory for lending is scarce, and kept for larger messages",
		[ZCS_R_WAITS] = "one message at a time: you would wait for each to come back",
		[ZCS_R_PINNED] = "copying was asked for",
		[ZCS_R_KERNEL_COPIES] = "the kernel copies on this path anyway",
		[ZCS_R_LOCAL_DELIVERY] = "loopback: the kernel copies on local delivery",
		[ZCS_R_UNTRUSTED] =
			"the peer may share this host's memory, and trust was not declared",
		[ZCS_R_NO_SO_ZEROCOPY] =
			"only TCP, UDP and VSOCK sockets that take SO_ZEROCOPY are lent to",
		[ZCS_R_NO_MAP] = "this socket or kernel cannot map received pages",
		[ZCS_R_MEMLOCK] = "locked memory is used up (RLIMIT_MEMLOCK)",
		[ZCS_R_OPTMEM] = "option memory is used up (net.core.optmem_max)",
		[ZCS_R_ULP] = "a protocol such as kernel TLS sits on the socket",
		[ZCS_R_UNMAPPABLE] = "the data did not arrive in whole pages of its own",
		[ZCS_R_ADOPTING] = "sends made before this library had the socket may still be out",
		[ZCS_R_DISTRUST] = "notifications named sends that were never made",
		[ZCS_R_BUDGET] = "too little of the receive budget is left to map",
		[ZCS_R_WINDOW_FULL] = "every part of the receive window holds a span",
		[ZCS_R_URGENT] = "urgent data came",
		[ZCS_R_OTHER] = "another reason",
	};

	if (reason >= sizeof(text) / sizeof(text[0]) || !text[reason])
		return "a reason that this version has no words for";
	return text[reason];
}

/* ---- numbers -------------------------------------------------------------------------------- */

static uint64_t oldest_loan_ms(const struct zcs_conn *c)
{
	uint64_t at;

	if (!c->lent || !c->q || c->q->head == c->q->tail)
		return 0;
	at = txq_at(c->q, c->q->head)->at_ns;
	return (ctx_now() - at) / 1000000 + 1;
}

static void add_now(const struct zcs_conn *c, struct zcs_stats *s)
{
	uint64_t age = oldest_loan_ms(c);

	s->lent += c->lent;
	s->borrowed += c->borrowed;
	if (age > s->oldest_loan_ms)
		s->oldest_loan_ms = age;
}

int give_struct(void *out, const void *ours, size_t ours_len)
{
	size_t size;

	memcpy(&size, out, sizeof(size));
	if (size < sizeof(size))
		return -EINVAL;
	memcpy(out, ours, min_u64(size, ours_len));
	if (size > ours_len)
		memset((char *)out + ours_len, 0, size - ours_len);
	memcpy(out, &size, sizeof(size));
	return 0;
}

ZCS_EXPORT int zcs_conn_stats(const struct zcs_conn *c, struct zcs_stats *out)
{
	struct zcs_stats s = { 0 };

	conn_add_stats(c, &s);
	add_now(c, &s);
	s.condemned = c->stats.condemned;
	s.pool_page = c->ctx->pool.page;
	return give_struct(out, &s, sizeof(s));
}

ZCS_EXPORT int zcs_ctx_stats(const struct zcs_ctx *ctx, struct zcs_stats *out)
{
	struct zcs_stats s = ctx->closed;

	for (const struct list *e = ctx->conns.next; e != &ctx->conns; e = e->next) {
		const struct zcs_conn *c = container_of(e, struct zcs_conn, all);

		if (!c->closed)
			conn_add_stats(c, &s);
		add_now(c, &s);
	}
	s.borrowed = ctx->borrowed;
	s.condemned = ctx->condemned;
	s.pool_bytes = ctx->pool.mapped;
	s.pool_page = ctx->pool.page;
	return give_struct(out, &s, sizeof(s));
}

/* ---- words ---------------------------------------------------------------------------------- */

void say(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->n < t->len ? t->buf + t->n : NULL, t->n < t->len ? t->len - t->n : 0, fmt,
		      ap);
	va_end(ap);
	if (n > 0)
		t->n += n;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * part / whole : 0;
}

static void explain_refusals(struct text *t, const struct zcs_stats *s)
{
	if (s->tx_enobufs_memlock)
		say(t,
		    "      %llu times out of locked memory: raise RLIMIT_MEMLOCK (%llu bytes here, "
		    "shared by all processes of the user)\n",
		    (unsigned long long)s->tx_enobufs_memlock,
		    (unsigned long long)zcsi_sys->memlock_limit());
	if (s->tx_enobufs_optmem)
		say(t, "      %llu times out of option memory: raise net.core.optmem_max\n",
		    (unsigned long long)s->tx_enobufs_optmem);
	if (s->tx_refused)
		say(t, "      %llu messages refused by the kernel, whole or in part\n",
		    (unsigned long long)s->tx_refused);
}

static void explain_send(struct text *t, const struct zcs_conn *c, const struct zcs_stats *s,
			 const struct zcs_policy *p)
{
	say(t,
	    "send: %llu bytes in %llu calls, %.1f%% lent, %.1f%% never copied as far as the kernel said\n",
	    (unsigned long long)s->tx_bytes, (unsigned long long)s->tx_calls,
	    percent(s->tx_bytes_lent, s->tx_bytes), percent(s->tx_bytes_uncopied, s->tx_bytes));
	if (s->tx_bytes_file)
		say(t, "      %llu bytes straight from files and pipes\n",
		    (unsigned long long)s->tx_bytes_file);
	if (s->tx_reason)
		say(t, "      last copy: %s\n", zcs_reason_text(s->tx_reason));
	explain_refusals(t, s);
	if (s->lent)
		say(t, "      %llu bytes lent now, the oldest for %llu ms\n",
		    (unsigned long long)s->lent, (unsigned long long)s->oldest_loan_ms);
	if (s->condemned)
		say(t, "      %llu bytes condemned\n", (unsigned long long)s->condemned);
	if (uring_words(c))
		say(t, "      sent %s\n", uring_words(c));
	say(t, "      pool: %s\n", c->ctx->pool.backing);
	if (p->kernel_copies)
		say(t, "      learned: the kernel copies what is lent to this peer; "
		       "looked at again in seconds\n");
	if (p->scarce_below)
		say(t,
		    "      learned: memory for lending is kept for messages of %llu bytes and more\n",
		    (unsigned long long)p->scarce_below);
	explain_learned(t, p->send, "      ", "lent");
}

static void explain_receive(struct text *t, struct zcs_conn *c, const struct zcs_stats *s,
			    const struct zcs_policy *p)
{
	say(t, "receive: %llu bytes in %llu calls, %.1f%% mapped\n",
	    (unsigned long long)s->rx_bytes, (unsigned long long)s->rx_calls,
	    percent(s->rx_bytes_mapped, s->rx_bytes));
	if (s->rx_reason)
		say(t, "         last copy: %s\n", zcs_reason_text(s->rx_reason));
	if (c->tcp && !c->closed)
		say(t, "         route: %s\n", probe_route_text(probe_route(c->fd)));
	if (s->rx_map_refused)
		say(t, "         %llu mapping calls refused by the kernel, answered by copying\n",
		    (unsigned long long)s->rx_map_refused);
	if (s->borrowed)
		say(t, "         %llu bytes borrowed now\n", (unsigned long long)s->borrowed);
	explain_learned(t, p->recv, "         ", "mapped");
}

ZCS_EXPORT int zcs_conn_explain(struct zcs_conn *c, char *buf, size_t len)
{
	struct zcs_stats s = { .size = sizeof(s) };
	struct zcs_policy p = { .size = sizeof(p) };
	struct text t = { .buf = buf, .len = len };
	int r = zcs_conn_stats(c, &s);

	if (r == 0)
		r = zcs_conn_policy(c, &p);

	if (r < 0)
		return r;
	if (c->error)
		say(&t, "broken: %s\n", strerror(-c->error));
	explain_send(&t, c, &s, &p);
	explain_receive(&t, c, &s, &p);
	return (int)t.n;
}
