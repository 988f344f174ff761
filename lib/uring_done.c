// SPDX-License-Identifier: MIT
/*
 * uring_done.c - results and notifications of requests come back
 *
 * A request's number is settled by its result, or by its notification if the result says that there
 * will be one, whatever else it says: errors have one, too. Of requests that were cancelled as part
 * of a chain the result says that there will be none, and there is one: it must not be taken for
 * that of another request (guard 15). Notifications come in any order.
 */
#include "uring.h"

#include "conn.h"
#include "ctx.h"

#include <errno.h>
#include <stdlib.h>

#define RESULTS 64 /* at a time */

/* The kernel took n more bytes of the stream. */
static void advance(struct zcs_conn *c, size_t n, bool lent)
{
	struct txq *q = c->q;

	c->stats.tx_bytes += n;
	if (lent)
		c->stats.tx_bytes_lent += n;
	while (n) {
		struct msg *m = txq_at(q, q->cursor);
		size_t part = min_u64(n, m->len - m->sent);

		m->how |= lent ? ZCS_LENT : ZCS_COPIED;
		if (lent)
			m->lent += part;
		m->sent += part;
		n -= part;
		if (m->sent != m->len) {
			tx_step(m, part);
			break;
		}
		q->cursor++;
		/* The request holds references to what is mapped, and is through with reading. */
		if (m->mapped)
			tx_release_done(c, m);
	}
}

static void failed(struct zcs_conn *c, const struct uring_req *q, int err)
{
	struct uring_conn *u = c->ring;

	if (err == -ENOMEM || err == -ENOBUFS) {
		if (q->lent)
			c->stats.tx_enobufs_memlock++;
		u->no_bufs = q->lent;
		u->scarce = u->scarce || q->lent;
		u->refused = !q->lent;
	} else if (err == -EAGAIN || err == -EINTR) {
		u->refused = true;
	} else if (err == -EINVAL && q->report) {
		c->ctx->ring->no_report = true;
	} else if (err == -EOPNOTSUPP) { /* kernel TLS or a sockmap was put on the socket since */
		c->no_lend = ZCS_R_ULP;
	} else if (q->lent && err == -EINVAL) {
		c->no_lend = ZCS_R_OTHER;
	} else {
		/* The kernel tells an error once, and not beside bytes that it took. */
		conn_fail(c, err == -EPIPE && u->cut_short ? -ECONNRESET : err);
	}
}

static void answered(struct zcs_conn *c, const struct uring_req *q, int res)
{
	if (c->error)
		return;
	if (!GUARD(16) && res == -ECANCELED)
		res = (int)q->len;
	if (res > 0) {
		advance(c, min_u64(res, q->len), q->lent);
		c->ring->cut_short = (uint32_t)res < q->len;
		if (q->lent)
			tx_lent_well(c);
	} else if (res < 0 && res != -ECANCELED) {
		failed(c, q, res);
	}
}

/* Every request of the chain has its result. */
static void chain_over(struct zcs_conn *c)
{
	struct uring_conn *u = c->ring;
	struct txq *q = c->q;

	if (u->no_bufs) {
		u->no_bufs = false;
		tx_back_off(c, false, u->loans);
	}
	if (c->error || c->closing || c->shut_wanted)
		conn_schedule(c);
	if (c->error || !q || q->cursor == tx_end(c))
		return;
	if (u->refused)
		conn_set_timer(c);
	else if (tx_is_for_socket(c, txq_at(q, q->cursor)))
		conn_schedule(c);
	else
		uring_want(c);
}

static void settled(struct zcs_conn *c, const struct uring_req *q, bool told)
{
	struct ledger_settled s =
		ledger_settle(&c->ledger, (uint32_t)q->number, (uint32_t)q->number);

	if (!s.fresh)
		return;
	if (told)
		policy_notified(conn_path(c), 1, q->copied, c->ctx->now_ns);
	if (q->copied)
		c->tx_reason = conn_why_copied(c);
	tx_settled(c, s.lo, s.hi, q->copied);
}

/* The kernel is through with it. */
static void done(struct uring *r, uint32_t i)
{
	struct uring_req q = r->reqs[i];
	struct zcs_conn *c = q.u->c;

	r->reqs[i].u = NULL;
	r->reqs[i].next = r->free;
	r->free = i + 1;
	if (c && !c->closed)
		settled(c, &q, q.lent && q.report && q.taken);
	uring_put(q.u);
}

void uring_result(struct uring *r, const struct ring_res *res)
{
	struct uring_req *q = uring_req(r, res->tag);
	struct uring_conn *u = q->u;
	struct zcs_conn *c;
	bool over = false;

	if (!u || (GUARD(15) && q->turn != res->tag >> 32))
		return;
	c = u->c && !u->c->closed ? u->c : NULL;
	if (res->flags & RING_NOTE) {
		q->noted = true;
		q->copied = q->taken && res->flags & RING_COPIED;
		u->loans -= q->taken;
		if (c)
			c->stats.tx_notifications++;
	} else {
		q->answered = true;
		q->noted = q->noted || !(res->flags & RING_TO_COME);
		q->taken = q->lent && res->res > 0 && !q->noted;
		u->loans += q->taken;
		if (c)
			answered(c, q, res->res);
		u->left -= q->len;
		over = --u->unsent == 0 && c;
		if (c && u->unsent && res->res > 0 && !list_is_linked(&u->moving))
			list_add_tail(&r->moving, &u->moving);
	}
	u->out++; /* not to be freed before it was looked at */
	if (q->answered && q->noted)
		done(r, (uint32_t)res->tag);
	if (over)
		chain_over(c);
	uring_put(u);
}

static bool take_some(struct uring *r)
{
	struct ring_res results[RESULTS];
	unsigned n = zcsi_sys->ring->take(r->k, results, RESULTS);

	for (unsigned i = 0; i < n; i++)
		uring_result(r, &results[i]);
	return n;
}

/* How far the chains that moved can go on. */
static unsigned expect(struct uring *r)
{
	unsigned nr = 0;

	while (!list_is_empty(&r->moving)) {
		struct uring_conn *u = container_of(r->moving.next, struct uring_conn, moving);

		list_del(&u->moving);
		if (u->c && u->unsent)
			nr += uring_fits(u->c);
	}
	return nr;
}

/*
 * Entered again only where a chain can go on: notifications that come while we look would keep us
 * here, one by one.
 */
void uring_take(struct uring *r, bool enter)
{
	unsigned nr = 0;
	int err;

	do {
		err = 0;
		if (enter && !r->lost && zcsi_sys->ring->has_work(r->k))
			err = zcsi_sys->ring->enter(r->k, nr);
		if (err)
			uring_refused(r, err);
		while (take_some(r))
			;
		nr = expect(r);
		enter = true;
	} while (nr);
}
