// SPDX-License-Identifier: MIT
/*
 * send.c - messages are accepted: whole or not at all
 *
 * What a message will need is taken before it is accepted: its slot in the queue, its event, a
 * record for its iovecs and head, references to pool memory. After that nothing about it can fail
 * but the connection itself (and the copy of a ZCS_COPY message that the socket does not take at
 * once).
 */
#include "conn.h"
#include "sys.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_EVERY 16 /* messages between two looks at the clock, where no age limit hangs on it */
#define SEND_FLAGS  (ZCS_COPY | ZCS_ZEROCOPY | ZCS_GIVE | ZCS_MORE)

/* ---- may it be accepted --------------------------------------------------------------------- */

static inline int msg_check(const struct zcs_msg *m, size_t *len_out)
{
	size_t len = m->head_len;

	if (m->flags & ~SEND_FLAGS || len > ZCS_HEAD_MAX || m->nr_iov > UINT32_MAX / 32)
		return -EINVAL;
	if (m->flags & ZCS_COPY && m->flags & (ZCS_ZEROCOPY | ZCS_GIVE))
		return -EINVAL;
	for (size_t i = 0; i < m->nr_iov; i++) {
		if (m->iov[i].iov_len > SSIZE_MAX - len)
			return -EINVAL;
		len += m->iov[i].iov_len;
	}
	*len_out = len;
	return 0;
}

static int conn_refuses(const struct zcs_conn *c)
{
	if (c->error)
		return c->error;
	return c->closing || c->shut_wanted ? -EPIPE : 0;
}

static bool budget_fits(const struct zcs_conn *c, uint64_t len)
{
	const struct zcs_ctx *ctx = c->ctx;

	/* A message larger than a budget passes when nothing else is charged to it. */
	if (c->lent && (c->lent >= c->lent_max || len > c->lent_max - c->lent))
		return false;
	return !ctx->lent || (ctx->lent < ctx->lent_max && len <= ctx->lent_max - ctx->lent);
}

/* Reading what came back costs less than to refuse, to wait, and to read it then. */
static bool room_is_back(struct zcs_conn *c, uint64_t len)
{
	if (c->ring || !c->unreaped)
		return false;
	reap_some(c);
	return budget_fits(c, len);
}

/* -EAGAIN, and WRITABLE will follow. What is held back by MORE could fill the budget for ever. */
static int refuse_for_now(struct zcs_conn *c, uint64_t len)
{
	c->wanted = len;
	if (!list_is_linked(&c->waiting))
		list_add_tail(&c->ctx->waiting, &c->waiting);
	if (c->held)
		(void)tx_flush(c);
	return c->error ? c->error : -EAGAIN;
}

/* ---- copy or lend --------------------------------------------------------------------------- */

static enum zcs_reason ask_policy(struct zcs_conn *c, struct msg *m)
{
	switch (policy_send(&c->ctx->policy, conn_path(c), conn_link(c), m->len, c->ctx->now_ns,
			    &m->measure)) {
	case POLICY_FLAG:
		return ZCS_R_NONE;
	case POLICY_SMALL:
		return ZCS_R_SMALL;
	case POLICY_COSTS:
		return ZCS_R_COSTS;
	case POLICY_SCARCE:
		return ZCS_R_SCARCE;
	case POLICY_KERNEL_COPIES:
		break;
	}
	return conn_why_copied(c);
}

/* With nothing else out; when copying, to the accuracy of the cached clock. */
static bool waits_for_each(struct zcs_conn *c, const struct msg *m)
{
	struct waits *w = &c->waits;
	uint64_t copy_ns;

	if (c->ring || c->q->tail != c->q->head) {
		w->nr = 0;
		return false;
	}
	copy_ns = link_copy_ns(conn_link(c), m->len);
	return waits_copy(w, w->copying ? (uint32_t)(c->ctx->now_ns / 1000) : ctx_now_us(),
			  c->ctx->in_vain, (uint32_t)(copy_ns / 1000));
}

/*
 * Datagrams that leave in one call go one way: the first of them asks the policy, and what it costs
 * is measured of the whole call.
 */
static bool follows(struct zcs_conn *c, const struct msg *m)
{
	uint32_t unsent = c->q->tail - c->q->cursor;
	const struct msg *before = txq_at(c->q, c->q->tail - 1);

	return c->dgram && unsent % DGRAM_CALLS && before->chosen && before->len == m->len;
}

static inline enum zcs_reason why_copy(struct zcs_conn *c, struct msg *m, uint32_t flags)
{
	enum zcs_reason why;

	if (c->no_lend)
		return c->no_lend;
	if (flags & ZCS_COPY)
		return ZCS_R_PINNED;
	if (flags & ZCS_ZEROCOPY || c->send_way == ZCS_WAY_ZEROCOPY)
		return ZCS_R_NONE;
	if (c->send_way == ZCS_WAY_COPY)
		return ZCS_R_PINNED;
	m->chosen = true;
	if (follows(c, m))
		return txq_at(c->q, c->q->tail - 1)->lend ? ZCS_R_NONE : c->tx_reason;
	why = ask_policy(c, m);
	return why == ZCS_R_NONE && waits_for_each(c, m) ? ZCS_R_WAITS : why;
}

static inline void choose(struct zcs_conn *c, struct msg *m, uint32_t flags)
{
	enum zcs_reason why = why_copy(c, m, flags);

	m->lend = why == ZCS_R_NONE;
	if (!m->lend)
		c->tx_reason = why;
}

/* ---- memory that is given away -------------------------------------------------------------- */

/* ZCS_GIVE: the caller's own references go, once for each buffer; the message's keep it alive. */
static void give_away(struct zcs_conn *c, const struct zcs_msg *in)
{
	struct pool *p = &c->ctx->pool;

	for (size_t i = 0; i < in->nr_iov; i++) {
		const void *start = pool_start(p, in->iov[i].iov_base);
		size_t j = 0;

		while (j < i && pool_start(p, in->iov[j].iov_base) != start)
			j++;
		if (j == i)
			pool_unref(p, start);
	}
	ctx_pool_back(c->ctx);
}

static int check_give(struct zcs_conn *c, const struct zcs_msg *in)
{
	for (size_t i = 0; i < in->nr_iov; i++) {
		const struct iovec *v = &in->iov[i];

		if (!v->iov_len || !pool_owns(&c->ctx->pool, v->iov_base, v->iov_len) ||
		    !pool_is_callers(&c->ctx->pool, v->iov_base))
			return -EINVAL;
	}
	return 0;
}

/* ---- acceptance ----------------------------------------------------------------------------- */

/* A slot at the tail that is charged and committed; held back if it says so. */
static inline void enqueue(struct zcs_conn *c, struct msg *m, uint32_t flags)
{
	struct txq *q = c->q;

	/* With WRITABLE due nothing is held back: it could be what the event waits for. */
	bool hold = flags & ZCS_MORE && !list_is_linked(&c->waiting);

	if (hold && !c->held)
		q->hold = q->tail;
	c->held = hold;
	c->lent += msg_charge(m);
	c->ctx->lent += msg_charge(m);
	c->stats.tx_msgs++;
	txq_commit(q);
	if (c->loan_age_ms)
		conn_set_timer(c);
}

/* The message at the tail, of which nothing was sent, was not accepted after all. */
static int refuse_last(struct zcs_conn *c, struct msg *m, int status)
{
	m->status = status;
	m->sync = true;
	tx_release(c, m, ZCS_EV_RELEASED);
	c->q->tail--;
	c->held = c->held && c->q->hold != c->q->tail;
	tx_pop(c);
	return status;
}

/* A bad pointer in message i must not be blamed on those that would leave in the same call. */
static int push_new(struct zcs_conn *c, uint32_t i)
{
	int r = tx_push(c);

	if (!conn_is_fault(c, r) || c->q->cursor == i || txq_at(c->q, i)->sent)
		return r;
	c->held = true;
	c->q->hold = i;
	r = tx_push(c);
	c->held = false;
	return r < 0 ? r : tx_push(c);
}

/*
 * Tries the kernel, unless it gave an error already. What can be said at once about message i is
 * said by the return value, as zcs_conn_send documents; tx_release left it in ctx->sync_result.
 */
static int push_and_say(struct zcs_conn *c, uint32_t i, uint32_t flags, int error)
{
	struct zcs_ctx *ctx = c->ctx;
	bool sync = txq_at(c->q, i)->sync;
	struct msg *m;
	int r;

	ctx->sync_result = 0;
	ctx->sync_done = false;
	r = error ? error : push_new(c, i);
	if (conn_is_fault(c, r) && c->q->cursor == i && !txq_at(c->q, i)->sent)
		return refuse_last(c, txq_at(c->q, i), r);
	if (r < 0)
		conn_fail(c, r);
	if (ctx->sync_done)
		return ctx->sync_result;
	if (!sync) /* a part of it is lent: its event tells all */
		return 0;
	m = txq_at(c->q, i);
	m->sync = false;
	if (!(flags & ZCS_COPY))
		return 0;
	r = msg_keep_copy(c, m);
	if (r < 0 && !m->sent)
		return refuse_last(c, m, r);
	if (r < 0)
		conn_fail(c, r);
	return r < 0 ? r : 1;
}

/*
 * The ordinary message has nothing in front of it and needs one call, so that it can go to the
 * kernel before it has a place in the queue; when that copies it wholly it never needs one.
 */
static bool stands_alone(const struct zcs_conn *c, const struct zcs_msg *in, const struct msg *m)
{
	return !m->iov && !(in->flags & (ZCS_MORE | ZCS_GIVE)) && tx_is_clear(c) && !c->ring &&
	       !c->dgram && m->len <= (m->lend ? c->flag_cap : TX_COPY_CAP) && !c->adoption &&
	       !(c->vsock && m->lend);
}

/* The kernel took all of it at once. What was copied is done; what is lent waits in the queue. */
static int sent_whole(struct zcs_conn *c, struct msg *m)
{
	c->stats.tx_msgs++;
	if (!m->lent) {
		evq_unreserve(&c->ctx->evq);
		msg_drop(c, m);
		txq_put(c);
		return 1;
	}
	c->lent += m->len;
	c->ctx->lent += m->len;
	txq_commit(c->q);
	c->q->cursor++;
	if (c->send_way == ZCS_WAY_ADAPT && c->q->tail - c->q->head == 1)
		waits_sent(&c->waits, ctx_now_us(), c->ctx->in_vain);
	if (c->loan_age_ms)
		conn_set_timer(c);
	reap_due(c);
	return 0;
}

/* By io_uring nothing is said at once, so that what is to be copied is copied here. */
static int accept_for_ring(struct zcs_conn *c, struct msg *m, uint32_t flags)
{
	bool copy = flags & ZCS_COPY;
	uint64_t len = m->len;

	if (copy && msg_keep_copy(c, m) < 0) {
		evq_unreserve(&c->ctx->evq);
		msg_drop(c, m);
		txq_put(c);
		return -ENOMEM;
	}
	enqueue(c, m, flags);
	uring_queued(c, len);
	return copy;
}

static int accept_msg(struct zcs_conn *c, const struct zcs_msg *in, size_t len)
{
	struct txq *q = txq_get(c);
	struct msg *m = q ? txq_next(q) : NULL;
	ssize_t taken = 0;
	uint32_t i;

	if (!m || evq_reserve(&c->ctx->evq) < 0) {
		txq_put(c);
		return -ENOMEM;
	}
	m->kind = M_DATA;
	m->token = in->token;
	m->len = len;
	if (c->loan_age_ms || c->stats.tx_msgs % CLOCK_EVERY == 0)
		ctx_look_at_clock(c->ctx);
	m->at_ns = c->ctx->now_ns;
	m->event = !(in->flags & (ZCS_GIVE | ZCS_COPY));
	if (msg_build(c, m, in) < 0) {
		evq_unreserve(&c->ctx->evq);
		txq_put(c);
		return -ENOMEM;
	}
	choose(c, m, in->flags);
	m->lo = m->hi = c->ledger.next;
	if (c->ring)
		return accept_for_ring(c, m, in->flags);
	if (stands_alone(c, in, m))
		taken = tx_now(c, m);
	if (taken > 0 && taken == (ssize_t)len)
		return sent_whole(c, m);
	m->sync = !m->lent; /* what is lent in part has an event to tell all */
	i = q->tail;
	enqueue(c, m, in->flags);
	return push_and_say(c, i, in->flags, taken < 0 ? (int)taken : 0);
}

static int send_msg(struct zcs_conn *c, const struct zcs_msg *in)
{
	size_t len;
	int r = msg_check(in, &len);

	if (!r && in->flags & ZCS_GIVE)
		r = check_give(c, in);
	if (!r)
		r = conn_refuses(c);
	if (!r && c->dgram)
		r = dgram_check(c, in, len);
	else if (!r && (in->segment || in->dest || in->dest_len))
		r = -EINVAL;
	if (r)
		return r;
	if (!len && !c->dgram) {
		if (!(in->flags & ZCS_MORE))
			(void)tx_flush(c);
		return 1;
	}
	if (!budget_fits(c, len) && !room_is_back(c, len))
		return refuse_for_now(c, len);
	r = accept_msg(c, in, len);
	if (r >= 0 && in->flags & ZCS_GIVE) {
		give_away(c, in);
		r = 0;
	}
	return r;
}

ZCS_EXPORT int zcs_conn_send(struct zcs_conn *c, const struct zcs_msg *msg)
{
	struct zcs_msg in;

	if (msg->size != sizeof(in)) { /* of another age: to be translated */
		int r = opts_copy(&in, sizeof(in), msg);

		if (r)
			return r;
		msg = &in;
	}
	return send_msg(c, msg);
}

static int accept_file(struct zcs_conn *c, int fd, bool is_pipe, uint64_t off, uint64_t len,
		       uint64_t token)
{
	struct msg *m = txq_get(c) ? txq_next(c->q) : NULL;

	if (!m || evq_reserve(&c->ctx->evq) < 0) {
		txq_put(c);
		return -ENOMEM;
	}
	m->kind = M_FILE;
	m->token = token;
	m->len = len;
	m->at_ns = ctx_now();
	m->event = true;
	m->lo = m->hi = c->ledger.next;
	m->file.fd = fd;
	m->file.is_pipe = is_pipe;
	m->file.off = off;
	enqueue(c, m, 0);
	if (!c->blocked)
		conn_schedule(c);
	return 0;
}

ZCS_EXPORT int zcs_conn_send_file(struct zcs_conn *c, int file, uint64_t off, uint64_t len,
				  uint64_t token)
{
	int r = c->dgram ? -EOPNOTSUPP : conn_refuses(c);

	if (!r && (file < 0 || off > INT64_MAX || len > INT64_MAX - off || !len))
		r = file < 0 ? -EBADF : -EINVAL;
	return r ? r : accept_file(c, file, false, off, len, token);
}

ZCS_EXPORT int zcs_conn_send_pipe(struct zcs_conn *c, int pipe, size_t len, uint64_t token)
{
	int there, r = c->dgram ? -EOPNOTSUPP : conn_refuses(c);

	if (r)
		return r;
	there = len ? zcsi_sys->pipe_bytes(pipe) : -EINVAL;
	if (there < 0)
		return there;
	return (size_t)there < len ? -ENODATA : accept_file(c, pipe, true, 0, len, token);
}

ZCS_EXPORT int zcs_conn_send_span(struct zcs_conn *c, const struct zcs_span *span, uint32_t flags)
{
	struct msg *m;
	uint32_t i;
	int r = c->dgram ? -EOPNOTSUPP : conn_refuses(c);

	if (!r &&
	    (flags & ~(ZCS_MORE | ZCS_COPY | ZCS_ZEROCOPY) ||
	     (flags & ZCS_COPY && flags & ZCS_ZEROCOPY) || !span->len || !span_is_of(c->ctx, span)))
		r = -EINVAL;
	if (r)
		return r;
	m = txq_get(c) ? txq_next(c->q) : NULL;
	if (!m || evq_reserve(&c->ctx->evq) < 0) {
		txq_put(c);
		return -ENOMEM;
	}
	m->kind = M_SPAN;
	m->len = span->len;
	m->at_ns = ctx_now();
	m->one = (struct iovec){ (void *)span->base, span->len };
	m->nr_iov = 1;
	m->mapped = span->flags & ZCS_SPAN_MAPPED;
	memcpy(m->span_priv, span->priv, sizeof(m->span_priv));
	m->lo = m->hi = c->ledger.next;
	m->sync = !c->ring;
	choose(c, m, flags);
	i = c->q->tail;
	enqueue(c, m, flags);
	if (c->ring) {
		uring_queued(c, span->len);
		return 0;
	}
	r = push_and_say(c, i, 0, 0);
	return r < 0 ? r : 0;
}

ZCS_EXPORT int zcs_conn_flush(struct zcs_conn *c)
{
	int r = c->error ? c->error : tx_flush(c);

	if (c->ring && !r) {
		uring_turn(c->ctx, true);
		r = c->error;
	}
	return r;
}
