// SPDX-License-Identifier: MIT
/*
 * span.c - spans are handed out, and come back
 *
 * A span's private words: the connection that pays for it, and how much. Of a mapped one the charge
 * also says which pages, so that the caller may narrow base and len (strip a header, forward the
 * rest).
 */
#include "conn.h"
#include "sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct zcs_conn *span_conn(const struct zcs_span *s)
{
	return (struct zcs_conn *)(uintptr_t)s->priv[0];
}

/* What it costs: whole pages when mapped, its length when copied. */
static uint32_t span_charge(const struct zcs_span *s)
{
	return (uint32_t)s->priv[1];
}

/* Mapped: where in the window it was handed out. */
static const char *span_start(const struct zcs_ctx *ctx, const struct zcs_span *s)
{
	return ctx->window.base + (s->priv[1] >> 32) * ZCSI_PAGE;
}

/* Copied: the byte it was handed out at; narrowed to nothing its base may be a neighbour's. */
const char *span_copy_start(const struct zcs_span *s)
{
	const char *base = s->base;

	return base - (uint32_t)((uint32_t)(uintptr_t)base - (uint32_t)(s->priv[1] >> 32));
}

bool span_is_of(const struct zcs_ctx *ctx, const struct zcs_span *s)
{
	return s->priv[0] && span_conn(s)->ctx == ctx;
}

void span_fill(struct zcs_conn *c, struct zcs_span *s, char *base, size_t len, uint32_t flags)
{
	*s = (struct zcs_span){ .base = base, .len = len, .flags = flags };
	s->priv[0] = (uintptr_t)c;
	s->priv[1] = flags & ZCS_SPAN_MAPPED ? page_up(len) : len;
	c->borrowed += s->priv[1];
	c->ctx->borrowed += s->priv[1];
	c->nr_spans++;
	if (flags & ZCS_SPAN_MAPPED)
		s->priv[1] |= (uint64_t)(base - c->ctx->window.base) / ZCSI_PAGE << 32;
	else
		s->priv[1] |= (uint64_t)(uintptr_t)base << 32;
}

void span_charge_more(struct zcs_conn *c, struct zcs_span *s, size_t bytes)
{
	s->priv[1] += bytes;
	c->borrowed += bytes;
	c->ctx->borrowed += bytes;
}

static void uncharge(struct zcs_ctx *ctx, struct zcs_conn *c, uint64_t charge)
{
	c->borrowed -= min_u64(charge, c->borrowed);
	ctx->borrowed -= min_u64(charge, ctx->borrowed);
}

void span_unstall(struct zcs_ctx *ctx)
{
	struct list *e = ctx->stalled.next;

	while (e != &ctx->stalled) {
		struct zcs_conn *c = container_of(e, struct zcs_conn, stalled);

		e = e->next;
		if (!rx_budget_room(c))
			continue;
		list_del(&c->stalled);
		c->rx_told = true;
		event_raise(c, ZCS_EV_READABLE);
	}
}

/* Gives the memory back; false: it was not out (a mapped span that is released twice). */
static bool give_memory(struct zcs_ctx *ctx, const struct zcs_span *s)
{
	size_t len;

	if (s->flags & ZCS_SPAN_MAPPED)
		return window_owns(&ctx->window, span_start(ctx, s)) &&
		       window_release(&ctx->window, span_start(ctx, s), span_charge(s));
	/* A datagram's charge has what lies in front of it as well. */
	len = s->flags & ZCS_SPAN_DATAGRAM ? 1 : span_charge(s);
	if (!chunk_has(&ctx->rx, span_copy_start(s)) &&
	    !pool_owns(&ctx->pool, span_copy_start(s), len))
		return false;
	chunk_give(ctx, &ctx->rx, span_copy_start(s));
	return true;
}

static void release(struct zcs_ctx *ctx, const struct zcs_span *s)
{
	if (!s->priv[0] || !give_memory(ctx, s))
		return;
	uncharge(ctx, span_conn(s), span_charge(s));
	span_conn(s)->nr_spans--;
}

void span_give_back(struct zcs_ctx *ctx, const struct zcs_span *spans, size_t nr)
{
	if (ctx->forfeited)
		return;
	for (size_t i = 0; i < nr; i++)
		release(ctx, &spans[i]);
	if (!list_is_empty(&ctx->stalled))
		span_unstall(ctx);
	ctx_pool_back(ctx);
}

ZCS_EXPORT void zcs_span_release(struct zcs_ctx *ctx, const struct zcs_span *spans, size_t nr)
{
	span_give_back(ctx, spans, nr);
}

ZCS_EXPORT int zcs_span_stabilize(struct zcs_ctx *ctx, struct zcs_span *s)
{
	struct zcs_conn *c = span_conn(s);
	struct zcs_span copy = *s;
	char *buf;

	if (!(s->flags & ZCS_SPAN_MAPPED))
		return 0;
	buf = pool_alloc(&ctx->pool, s->len, NULL, POOL_INTERNAL);
	if (!buf)
		return -ENOMEM;
	memcpy(buf, s->base, s->len);
	give_memory(ctx, s);
	uncharge(ctx, c, span_charge(s));
	c->nr_spans--;
	span_fill(c, &copy, buf, s->len, s->flags & ~ZCS_SPAN_MAPPED);
	copy.rx_time_ns = s->rx_time_ns;
	*s = copy;
	span_unstall(ctx); /* what was cut off is budget again */
	return 0;
}

/* ---- from other threads --------------------------------------------------------------------- */

/*
 * A stack that any thread pushes to and the context's thread takes whole: the pusher's release
 * pairs with the taker's acquire.
 */
struct post {
	struct post *next;
	size_t nr;
	struct zcs_span spans[];
};

ZCS_EXPORT int zcs_ctx_post_release(struct zcs_ctx *ctx, const struct zcs_span *spans, size_t nr)
{
	struct post *p = malloc(sizeof(*p) + nr * sizeof(*spans));
	uint64_t one = 1;

	if (!p)
		return -ENOMEM;
	p->nr = nr;
	memcpy(p->spans, spans, nr * sizeof(*spans));
	p->next = atomic_load_explicit(&ctx->posted, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&ctx->posted, &p->next, p,
						      memory_order_release, memory_order_relaxed))
		;
	/* Not through ctx_wake: its flags are the other thread's. */
	zcsi_sys->write(ctx->wake, &one, sizeof(one));
	return 0;
}

void post_drain(struct zcs_ctx *ctx)
{
	struct post *p = atomic_exchange_explicit(&ctx->posted, NULL, memory_order_acquire);

	while (p) {
		struct post *next = p->next;

		span_give_back(ctx, p->spans, p->nr);
		free(p);
		p = next;
	}
}
