// SPDX-License-Identifier: MIT
#include "event.h"

#include "conn.h"
#include "ctx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVQ_MIN 64

int evq_grow(struct evq *q)
{
	uint32_t cap = q->cap ? q->cap * 2 : EVQ_MIN;
	struct zcs_event *ring = malloc(cap * sizeof(*ring));

	if (!ring)
		return -ENOMEM;
	for (uint32_t i = 0; i < q->nr; i++)
		ring[i] = q->ring[(q->head + i) & (q->cap - 1)];
	free(q->ring);
	q->ring = ring;
	q->cap = cap;
	q->head = 0;
	return 0;
}

void evq_fini(struct evq *q)
{
	free(q->ring);
	*q = (struct evq){ 0 };
}

void event_raise(struct zcs_conn *c, enum zcs_event_type type)
{
	if (!c->events)
		list_add_tail(&c->ctx->flagged, &c->flagged);
	c->events |= 1u << type;
	ctx_wake(c->ctx);
}

void event_drop(struct zcs_conn *c, enum zcs_event_type type)
{
	c->events &= ~(1u << type);
	if (!c->events)
		list_del(&c->flagged);
}

bool event_is_waiting(const struct zcs_ctx *ctx)
{
	return ctx->evq.nr || ctx->pool_event || !list_is_empty(&ctx->flagged);
}

static void conn_event(struct zcs_conn *c, enum zcs_event_type type, struct zcs_event *ev)
{
	*ev = (struct zcs_event){ .type = type, .conn = c, .user = c->user };
	if (type == ZCS_EV_ERROR || type == ZCS_EV_CLOSED)
		ev->status = c->error;
	event_drop(c, type);
	if (type != ZCS_EV_CLOSED)
		return;
	list_del(&c->all);
	list_add_tail(&c->ctx->dead, &c->all);
}

/* The bits of one connection, in the order in which they make sense; CLOSED is the highest. */
static size_t take_flagged(struct zcs_conn *c, struct zcs_event *events, size_t max)
{
	size_t n = 0;

	for (int type = ZCS_EV_OPEN; type <= ZCS_EV_CLOSED && n < max; type++) {
		if (c->events & 1u << type)
			conn_event(c, type, &events[n++]);
	}
	return n;
}

/* Connections whose CLOSED was taken by an earlier call; spans that are out keep one in memory. */
static void bury(struct zcs_ctx *ctx)
{
	struct list *e = ctx->dead.next;

	while (e != &ctx->dead) {
		struct zcs_conn *c = container_of(e, struct zcs_conn, all);

		e = e->next;
		if (!c->nr_spans)
			conn_free(c);
	}
}

int event_take(struct zcs_ctx *ctx, struct zcs_event *events, size_t max)
{
	struct evq *q = &ctx->evq;
	size_t n = 0;

	bury(ctx);
	n = min_u64(max, q->nr);
	for (size_t i = 0; i < n; i++) {
		const struct zcs_event *ev = &q->ring[(q->head + i) & (q->cap - 1)];

		ev->conn->nr_events--;
		events[i] = *ev;
	}
	q->head = (q->head + (uint32_t)n) & (q->cap - 1);
	q->nr -= (uint32_t)n;
	while (n < max && !q->nr && !list_is_empty(&ctx->flagged))
		n += take_flagged(container_of(ctx->flagged.next, struct zcs_conn, flagged),
				  events + n, max - n);
	if (n < max && ctx->pool_event) {
		events[n++] = (struct zcs_event){ .type = ZCS_EV_POOL };
		ctx->pool_event = false;
	}
	if (event_is_waiting(ctx))
		ctx_wake(ctx);
	return (int)n;
}

ZCS_EXPORT int zcs_ctx_events(struct zcs_ctx *ctx, struct zcs_event *events, size_t max)
{
	int n;

	if (ctx->ring)
		uring_turn(ctx, true);
	n = event_take(ctx, events, max);
	ctx->in_vain += n == 0;
	return n;
}
