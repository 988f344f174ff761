// SPDX-License-Identifier: MIT
#include "txq.h"

#include "conn.h"
#include "ctx.h"

#include <stdlib.h>
#include <string.h>

#define TXQ_MIN	   16
#define TXQ_CACHED 1024 /* slots: a larger ring is not kept when it becomes empty */

static struct txq *txq_new(void)
{
	struct txq *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->cap = TXQ_MIN;
	q->ring = aligned_alloc(_Alignof(struct msg), q->cap * sizeof(*q->ring));
	if (!q->ring) {
		free(q);
		return NULL;
	}
	return q;
}

struct txq *txq_make(struct zcs_conn *c)
{
	struct zcs_ctx *ctx = c->ctx;

	c->q = ctx->txq_cache;
	if (c->q)
		ctx->txq_cache = c->q->next_free;
	else
		c->q = txq_new();
	return c->q;
}

static void txq_free(struct txq *q)
{
	free(q->ring);
	free(q);
}

void txq_put(struct zcs_conn *c)
{
	struct txq *q = c->q;

	if (!q || q->head != q->tail)
		return;
	c->q = NULL;
	c->held = false;
	ledger_trim(&c->ledger);
	if (q->cap > TXQ_CACHED) {
		txq_free(q);
		return;
	}
	q->head = q->cursor = q->tail = q->hold = 0;
	q->next_free = c->ctx->txq_cache;
	c->ctx->txq_cache = q;
}

void txq_free_cache(struct zcs_ctx *ctx)
{
	while (ctx->txq_cache) {
		struct txq *q = ctx->txq_cache;

		ctx->txq_cache = q->next_free;
		txq_free(q);
	}
}

bool txq_grow(struct txq *q)
{
	uint32_t cap = q->cap * 2;
	struct msg *ring = aligned_alloc(_Alignof(struct msg), cap * sizeof(*ring));

	if (!ring)
		return false;
	for (uint32_t i = q->head; i != q->tail; i++)
		ring[i & (cap - 1)] = *txq_at(q, i);
	free(q->ring);
	q->ring = ring;
	q->cap = cap;
	return true;
}

uint32_t txq_find(struct txq *q, uint64_t number)
{
	uint32_t lo = q->head, hi = q->cursor;

	while (lo != hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (txq_at(q, mid)->hi > number)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}
