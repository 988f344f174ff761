// SPDX-License-Identifier: MIT
/*
 * tx.c - the send side: what is accepted goes to the kernel, and comes back
 *
 * Messages that stand behind one another and go the same way leave in one call. A flagged call
 * takes the next number of the ledger if, and only if, the kernel accepted something; every message
 * that has bytes in it keeps that number, and is free when all its bytes are sent and all its
 * numbers settled: a message whose last piece was copied still waits for the pieces before it.
 */
#include "conn.h"
#include "sys.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

#define COPY_CAP   (1u << 20) /* bytes per copying call: more would only find the socket full */
#define PUSH_BYTES (4u << 20) /* per turn: then other connections have theirs */
#define CAP_GOOD   64	      /* flagged calls without trouble: ask for more locked memory again */
#define REAP_EVERY 32	      /* flagged calls: unread notifications hold option memory */
#define PAUSE_MIN  (10ull * 1000000)   /* ns without lending after ENOBUFS; doubles ... */
#define PAUSE_MAX  (1000ull * 1000000) /* ... up to this */

/* ---- back from the kernel ------------------------------------------------------------------- */

static bool is_done(const struct zcs_conn *c, const struct msg *m)
{
	if (m->sent != m->len && !(m->how & ZCS_ABANDONED))
		return false;
	/*
	 * A flagged call holds references to the pages: a mapped span is free once it was accepted.
	 */
	if (m->kind == M_SPAN && m->span.flags & ZCS_SPAN_MAPPED)
		return true;
	return ledger_is_settled(&c->ledger, m->lo, m->hi);
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

static void report(struct zcs_conn *c, struct msg *m, enum zcs_event_type type)
{
	struct zcs_event ev = {
		.type = type,
		.how = m->how,
		.status = m->status,
		.token = m->token,
		.bytes = m->sent,
		.conn = c,
		.user = c->user,
	};
	bool said = m->sync && say_at_once(c, m);

	if (!m->event || said) {
		evq_unreserve(&c->ctx->evq);
		return;
	}
	evq_push(&c->ctx->evq, &ev);
	c->nr_events++;
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

void tx_release(struct zcs_conn *c, struct msg *m, enum zcs_event_type type)
{
	uint64_t charge = m->charge;

	if (m->lent && !(m->how & ZCS_KERNEL_HINT) && type == ZCS_EV_RELEASED && m->kind == M_DATA)
		c->stats.tx_bytes_uncopied += m->lent;
	if (type == ZCS_EV_CONDEMNED) {
		msg_condemn(c, m);
		c->stats.condemned += m->len;
		c->ctx->condemned += m->len;
	}
	/* A refused span stays the caller's. */
	if (m->kind == M_SPAN && !(m->sync && m->status && !m->sent))
		zcs_span_release(c->ctx, &m->span, 1);
	report(c, m, type);
	msg_drop(c, m);
	m->kind = M_FREE;
	m->charge = 0;
	uncharge(c, charge);
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
			tx_release(c, m, ZCS_EV_RELEASED);
	}
	tx_pop(c);
}

/* ---- into the kernel ------------------------------------------------------------------------ */

bool tx_is_empty(const struct zcs_conn *c)
{
	return !c->q || c->q->head == c->q->tail;
}

/* How far sending may go: up to what MORE holds back. */
static uint32_t push_end(const struct zcs_conn *c)
{
	return c->held ? c->q->hold : c->q->tail;
}

/* Appends what is unsent of m to vec; the bytes added, at most cap. */
static size_t gather_msg(const struct msg *m, struct iovec *vec, size_t *nr, size_t cap)
{
	size_t n = 0, off = m->iov_off;

	for (uint32_t i = m->iov_i; i < m->nr_iov && *nr < IOV_MAX && n < cap; i++, off = 0) {
		const struct iovec *v = &M_IOV(m)[i];
		size_t len = min_u64(v->iov_len - off, cap - n);

		if (!len)
			continue;
		vec[(*nr)++] = (struct iovec){ (char *)v->iov_base + off, len };
		n += len;
	}
	return n;
}

/* The unsent bytes of the messages from the cursor on that go the same way, at most cap. */
static void gather(struct zcs_conn *c, bool lend, size_t cap, size_t *nr, bool *more)
{
	struct txq *q = c->q;
	uint32_t i = q->cursor, end = push_end(c);
	size_t n = 0;

	*nr = 0;
	for (; i != end; i++) {
		const struct msg *m = txq_at(q, i);
		size_t part;

		if (m->kind == M_FILE || m->lend != lend)
			break;
		part = gather_msg(m, c->ctx->vec, nr, cap - n);
		n += part;
		if (part != m->len - m->sent)
			break;
	}
	/* Nothing promises that a file has a byte to send: what comes before it must not wait. */
	*more = i != end && txq_at(q, i)->kind != M_FILE;
}

static void step_iov(struct msg *m, size_t n)
{
	m->iov_off += n;
	while (m->iov_i < m->nr_iov && m->iov_off >= M_IOV(m)[m->iov_i].iov_len) {
		m->iov_off -= M_IOV(m)[m->iov_i].iov_len;
		m->iov_i++;
	}
}

static void take_number(struct zcs_conn *c, struct msg *m, uint64_t number, size_t n)
{
	if (m->lo == m->hi)
		m->lo = number;
	m->hi = number + 1;
	m->lent += n;
	m->how |= ZCS_LENT;
	c->stats.tx_bytes_lent += n;
}

void tx_advance(struct zcs_conn *c, size_t n, bool lent)
{
	struct txq *q = c->q;
	uint64_t number = lent ? ledger_take(&c->ledger) : 0;

	c->stats.tx_bytes += n;
	while (n) {
		struct msg *m = txq_at(q, q->cursor);
		size_t part = min_u64(n, m->len - m->sent);

		if (lent)
			take_number(c, m, number, part);
		else
			m->how |= ZCS_COPIED;
		m->sent += part;
		n -= part;
		step_iov(m, part);
		if (m->sent != m->len)
			break;
		/*
		 * Numbers must not decrease along the queue: one without takes the place of the
		 * next.
		 */
		if (m->lo == m->hi)
			m->lo = m->hi = c->ledger.next;
		q->cursor++;
		if (is_done(c, m))
			tx_release(c, m, ZCS_EV_RELEASED);
	}
}

static bool may_lend(struct zcs_conn *c)
{
	if (c->no_lend) {
		c->tx_reason = c->no_lend;
		return false;
	}
	if (c->pause_ns) {
		if (ctx_now() < c->pause_ns)
			return false; /* tx_reason says which memory ran out */
		c->pause_ns = 0;
	}
	return ledger_reserve(&c->ledger) == 0;
}

static ssize_t call(struct zcs_conn *c, size_t nr, int flags)
{
	struct msghdr mh = { .msg_iov = c->ctx->vec, .msg_iovlen = nr };
	ssize_t r = zcsi_sys->sendmsg(c->fd, &mh, MSG_DONTWAIT | flags);

	c->stats.tx_calls++;
	/* A call that failed takes no number (guard 1). */
	if (!GUARD(1) && r < 0 && flags & MSG_ZEROCOPY)
		ledger_take(&c->ledger);
	return r;
}

/* Lend nothing for a while; where locked memory is scarce, also ask for less of it at a time. */
static void back_off(struct zcs_conn *c, bool optmem)
{
	uint64_t pause = PAUSE_MIN << (c->pauses < 8 ? c->pauses : 8);

	c->tx_reason = optmem ? ZCS_R_OPTMEM : ZCS_R_MEMLOCK;
	if (!optmem && !ledger_out(&c->ledger) && c->flag_cap > TX_FLAG_MIN) {
		c->flag_cap /= 2;
		c->cap_good = 0;
		return;
	}
	c->pauses++;
	c->pause_ns = ctx_now() + min_u64(pause, PAUSE_MAX);
}

/*
 * The kernel has no memory to track one more flagged call. With something out, its notifications
 * may give some back: read them and try once more. Otherwise, and in any case the second time,
 * copy: with nothing out no notification would ever come, so waiting for one would be for ever.
 */
static ssize_t no_bufs(struct zcs_conn *c, size_t nr, int flags)
{
	bool optmem = probe_optmem_is_full(c->fd);

	if (optmem)
		c->stats.tx_enobufs_optmem++;
	else
		c->stats.tx_enobufs_memlock++;
	if (ledger_out(&c->ledger) && reap(c, UINT32_MAX) && !c->no_lend) {
		ssize_t r = call(c, nr, flags);

		if (r != -ENOBUFS)
			return r;
	}
	back_off(c, optmem);
	return -ENOBUFS;
}

/* One flagged call; -ENOBUFS or -EOPNOTSUPP: copy instead. */
static ssize_t push_lent(struct zcs_conn *c)
{
	bool more;
	size_t nr;
	int flags;
	ssize_t r;

	gather(c, true, c->flag_cap, &nr, &more);
	flags = MSG_ZEROCOPY | (more ? MSG_MORE : 0);
	r = call(c, nr, flags);
	if (r == -ENOBUFS)
		r = no_bufs(c, nr, flags);
	if (r == -EOPNOTSUPP) /* kernel TLS was put on the socket since */
		c->no_lend = ZCS_R_ULP;
	if (r <= 0)
		return r;
	c->pauses = 0;
	if (c->flag_cap < TX_FLAG_CAP && ++c->cap_good >= CAP_GOOD) {
		c->flag_cap *= 2;
		c->cap_good = 0;
	}
	tx_advance(c, r, true);
	if (GUARD(9) && ++c->unreaped >= REAP_EVERY)
		reap_some(c);
	return r;
}

static ssize_t push_copied(struct zcs_conn *c, bool lend)
{
	bool more;
	size_t nr;
	ssize_t r;

	gather(c, lend, COPY_CAP, &nr, &more);
	r = call(c, nr, more ? MSG_MORE : 0);
	if (r > 0)
		tx_advance(c, r, false);
	return r;
}

static ssize_t push_one(struct zcs_conn *c)
{
	struct msg *m = txq_at(c->q, c->q->cursor);
	ssize_t r;

	if (m->kind == M_FILE)
		return file_push(c, m);
	if (m->lend && c->adoption) {
		c->tx_reason = ZCS_R_ADOPTING;
		r = adopt_try(c, m);
		return r ? r : push_copied(c, true);
	}
	if (m->lend && may_lend(c)) {
		r = push_lent(c);
		if (r != -ENOBUFS && r != -EOPNOTSUPP)
			return r;
		/* Reading notifications may have ended the queue's head, never its unsent part. */
	}
	return push_copied(c, m->lend);
}

static void shut_if_due(struct zcs_conn *c)
{
	if (!c->shut_wanted || c->shut_done || (c->q && c->q->cursor != c->q->tail))
		return;
	c->shut_done = true;
	zcsi_sys->shutdown(c->fd, SHUT_WR);
}

int tx_push(struct zcs_conn *c)
{
	size_t done = 0;

	if (c->blocked || c->connecting || c->error)
		return 0;
	while (c->q && c->q->cursor != push_end(c)) {
		ssize_t r;

		if (done >= PUSH_BYTES) {
			conn_schedule(c);
			break;
		}
		r = push_one(c);
		if (r == -EAGAIN)
			c->blocked = true;
		if (r == -EAGAIN || r == -EINPROGRESS)
			break;
		if (r < 0)
			return (int)r;
		done += r;
	}
	tx_pop(c);
	shut_if_due(c);
	return 0;
}

int tx_flush(struct zcs_conn *c)
{
	int r;

	c->held = false;
	r = tx_push(c);
	if (r < 0)
		conn_fail(c, r);
	return r;
}

/* ---- the end of the line -------------------------------------------------------------------- */

void tx_abandon(struct zcs_conn *c, int status)
{
	struct txq *q = c->q;

	if (!q)
		return;
	c->held = false;
	for (uint32_t i = q->head; i != q->tail; i++) {
		struct msg *m = txq_at(q, i);

		if (m->kind == M_FREE)
			continue;
		m->status = m->status ? m->status : status;
		if (m->sent != m->len) {
			m->how |= ZCS_ABANDONED;
			c->cut = true;
		}
		/* Behind the cursor numbers were never set; before it they are in order. */
		if (m->lo == m->hi && i - q->head >= q->cursor - q->head)
			m->lo = m->hi = c->ledger.next;
		/* What is lent stays lent until the kernel says so, also now. */
		if (is_done(c, m))
			tx_release(c, m, ZCS_EV_RELEASED);
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
