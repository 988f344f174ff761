// SPDX-License-Identifier: MIT
/*
 * release.c - messages come back from the kernel, and their owners hear of it
 *
 * A message is free when all its bytes are sent and all its numbers settled: one whose last piece
 * was copied still waits for the pieces before it.
 */
#include "conn.h"

static inline bool is_done(const struct zcs_conn *c, const struct msg *m)
{
	if (m->sent != m->len && !(m->how & ZCS_ABANDONED))
		return false;
	/*
	 * A flagged call holds references to the pages: a mapped span is free once it was accepted.
	 */
	if (m->mapped && (!c->ring || m->sent == m->len))
		return true;
	return ledger_is_settled(&c->ledger, m->lo, m->hi);
}

void tx_release_done(struct zcs_conn *c, struct msg *m)
{
	if (is_done(c, m))
		tx_release(c, m, ZCS_EV_RELEASED);
}

/*
 * A message that zcs_conn_send is still reporting on: say it by the return value if that is enough.
 */
static bool say_at_once(struct zcs_conn *c, struct msg *m)
{
	struct zcs_ctx *ctx = c->ctx;

	ctx->sync_done = true;
	if (m->status && !m->sent) {
		ctx->sync_result = m->status;
		c->stats.tx_msgs--;
		return true;
	}
	ctx->sync_result = m->event && (m->how & ZCS_LENT || m->status) ? 0 : 1;
	return ctx->sync_result == 1;
}

static inline void report(struct zcs_conn *c, struct msg *m, enum zcs_event_type type)
{
	bool said = m->sync && say_at_once(c, m);

	if (!m->event || said) {
		evq_unreserve(&c->ctx->evq);
		return;
	}
	*evq_push(&c->ctx->evq) = (struct zcs_event){
		.type = type,
		.how = m->how,
		.status = m->status,
		.token = m->token,
		.bytes = m->sent,
		.conn = c,
		.user = c->user,
	};
	c->nr_events++;
	if (c->ctx->exported)
		ctx_wake(c->ctx);
}

static void uncharge(struct zcs_conn *c, uint64_t charge)
{
	struct zcs_ctx *ctx = c->ctx;

	c->lent -= charge;
	ctx->lent -= charge;
	if (!list_is_empty(&ctx->waiting))
		ctx_lent_back(ctx);
}

/* A forwarded span is the library's; one that was refused stays the caller's. */
static void drop_span(struct zcs_conn *c, const struct msg *m)
{
	struct zcs_span span = {
		.base = m->one.iov_base,
		.len = m->len,
		.flags = m->mapped ? ZCS_SPAN_MAPPED : 0,
		.priv = { m->span_priv[0], m->span_priv[1] },
	};

	if (!(m->sync && m->status && !m->sent))
		span_give_back(c->ctx, &span, 1);
}

/* Returns what it took of the budgets: many that come at once are given back at once. */
static inline uint64_t release(struct zcs_conn *c, struct msg *m, enum zcs_event_type type)
{
	uint64_t charge = msg_charge(m);

	if (type != ZCS_EV_CONDEMNED) {
		if (!(m->how & ZCS_KERNEL_HINT) && m->kind == M_DATA)
			c->stats.tx_bytes_uncopied += m->lent;
	} else {
		msg_condemn(c, m);
		c->stats.condemned += m->len;
		c->ctx->condemned += m->len;
	}
	if (m->kind == M_SPAN)
		drop_span(c, m);
	report(c, m, type);
	if (m->pooled || m->record)
		msg_drop(c, m);
	m->kind = M_FREE;
	return charge;
}

void tx_release(struct zcs_conn *c, struct msg *m, enum zcs_event_type type)
{
	uncharge(c, release(c, m, type));
}

void tx_pop(struct zcs_conn *c)
{
	struct txq *q = c->q;

	if (!q)
		return;
	while (q->head != q->cursor && txq_at(q, q->head)->kind == M_FREE)
		q->head++;
	txq_put(c);
}

void tx_settled(struct zcs_conn *c, uint64_t lo, uint64_t hi, bool copied)
{
	struct txq *q = c->q;
	uint64_t charge = 0;
	uint32_t end;

	if (!q)
		return;
	/* The message at the cursor may be partly sent; those behind it have no numbers. */
	end = q->cursor == q->tail ? q->tail : q->cursor + 1;
	for (uint32_t i = txq_find(q, lo); i != end; i++) {
		struct msg *m = txq_at(q, i);

		if (m->lo >= hi)
			break;
		if (m->kind == M_FREE || m->lo == m->hi)
			continue;
		if (copied)
			m->how |= ZCS_KERNEL_HINT;
		if (is_done(c, m))
			charge += release(c, m, ZCS_EV_RELEASED);
	}
	if (waits_for_it(&c->waits))
		waits_back(&c->waits, ctx_now_us());
	uncharge(c, charge);
	tx_pop(c);
}

/* ---- the end of the line -------------------------------------------------------------------- */

static void abandon(struct zcs_conn *c, struct msg *m, int status, bool was_sent)
{
	m->status = m->status ? m->status : status;
	if (m->sent != m->len) {
		m->how |= ZCS_ABANDONED;
		c->cut = true;
	}
	/* Behind the cursor a socket never set numbers; before it they are in order. */
	if (m->lo == m->hi && !was_sent)
		m->lo = m->hi = c->ledger.next;
	/* What is lent stays lent until the kernel says so, also now. */
	tx_release_done(c, m);
}

void tx_abandon(struct zcs_conn *c, int status)
{
	struct txq *q = c->q;
	uint64_t hi = 0;

	if (!q)
		return;
	c->held = false;
	for (uint32_t i = q->head; i != q->tail; i++) {
		struct msg *m = txq_at(q, i);

		if (m->kind != M_FREE)
			abandon(c, m, status, i - q->head < q->cursor - q->head);
		/*
		 * Behind the cursor requests of a ring that were cancelled left numbers; where the
		 * next chain was shorter they are lower than those before them.
		 */
		hi = m->hi > hi ? m->hi : hi;
		m->hi = hi;
	}
	q->cursor = q->tail;
	q->files = 0;
	tx_pop(c);
}

void tx_condemn(struct zcs_conn *c)
{
	struct txq *q = c->q;

	if (!q)
		return;
	for (uint32_t i = q->head; i != q->tail; i++) {
		struct msg *m = txq_at(q, i);

		if (m->kind != M_FREE)
			tx_release(c, m, ZCS_EV_CONDEMNED);
	}
	tx_pop(c);
}
