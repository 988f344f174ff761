// SPDX-License-Identifier: MIT
/*
 * uring_tx.c - messages go to the kernel as chains of requests
 *
 * Two requests on one socket could overtake one another, so those of a connection are linked into
 * one chain, and a second chain waits for the first (guard 17). Each is for all of its bytes
 * (MSG_WAITALL). Where one ends short or with an error the kernel cancels those behind it, and the
 * next chain begins where the stream then stands (guard 16).
 *
 * A request takes the next number of the ledger when it is submitted, copying ones too: until its
 * result is there the kernel may read the memory. What becomes of it is in uring_done.c.
 */
#include "uring.h"

#include "conn.h"
#include "ctx.h"

#include <errno.h>
#include <stdlib.h>

#define TURN_ROUNDS  4		  /* chains of a connection per turn: then others have theirs */
#define QUEUED_MSGS  32		  /* so many wait: submit */
#define COPY_BYTES   (256u << 10) /* per copying request */
#define SMALL	     (32u << 10)  /* a request of its own costs too much for what is shorter */
#define CANCEL_LOOKS 100

/* ---- requests ------------------------------------------------------------------------------- */

static bool more_reqs(struct uring *r)
{
	uint32_t nr = r->nr_reqs ? r->nr_reqs * 2 : 64;
	struct uring_req *reqs = realloc(r->reqs, nr * sizeof(*reqs));

	if (!reqs)
		return false;
	for (uint32_t i = r->nr_reqs; i < nr; i++)
		reqs[i] = (struct uring_req){ .next = i + 1 < nr ? i + 2 : 0 };
	r->reqs = reqs;
	r->free = r->nr_reqs + 1;
	r->nr_reqs = nr;
	return true;
}

/* The next byte to ask for. */
struct spot {
	uint32_t i; /* message */
	uint32_t iov_i;
	size_t off;
	uint64_t left; /* bytes of that message */
};

static void spot_at(struct spot *s, struct txq *q, uint32_t i)
{
	const struct msg *m = txq_at(q, i);

	s->i = i;
	s->iov_i = m->iov_i;
	s->off = m->iov_off;
	s->left = m->len - m->sent;
}

/* What lies behind the piece before it is of that. */
static void add_piece(struct iovec *vec, uint32_t *nr, char *base, size_t len)
{
	struct iovec *last = *nr ? &vec[*nr - 1] : NULL;

	if (last && (char *)last->iov_base + last->iov_len == base)
		last->iov_len += len;
	else
		vec[(*nr)++] = (struct iovec){ base, len };
}

/* Up to cap bytes of the spot's message into at most max iovecs; the spot moves on. */
static size_t gather(struct spot *s, const struct msg *m, struct iovec *vec, uint32_t max,
		     uint32_t *nr, size_t cap)
{
	size_t n = 0;

	while (n < cap && s->left && *nr < max) {
		const struct iovec *v = &M_IOV(m)[s->iov_i];
		size_t part = min_u64(v->iov_len - s->off, cap - n);

		if (part)
			add_piece(vec, nr, (char *)v->iov_base + s->off, part);
		n += part;
		s->left -= part;
		s->off += part;
		if (s->off == v->iov_len) {
			s->iov_i++;
			s->off = 0;
		}
	}
	return n;
}

/* What is sent of this message from here on lies in one piece. */
static bool in_one_piece(const struct spot *s, const struct msg *m)
{
	return M_IOV(m)[s->iov_i].iov_len - s->off >= s->left;
}

/* One request is being made; the number is the one that it takes. */
struct chain {
	struct zcs_conn *c;
	struct spot at;
	uint32_t end;
	bool lend; /* nothing stands against it now */
	uint32_t nr, vecs;
	uint64_t bytes;
};

/*
 * The message at the spot has bytes in the request of this number. One that the request then does
 * not come to, because it ends short or was cancelled, keeps the number beside that of the next
 * try: it may have to wait for more than it must, never for less.
 */
static void mark(struct msg *m, uint64_t number)
{
	if (m->lo == m->hi)
		m->lo = number;
	m->hi = number + 1;
}

static void move_on(struct chain *ch)
{
	struct txq *q = ch->c->q;

	if (!ch->at.left && ++ch->at.i != ch->end)
		spot_at(&ch->at, q, ch->at.i);
}

static void set_area(const struct chain *ch, struct ring_req *req, bool pooled)
{
	req->area = pooled ? uring_area(ch->c->ctx, req->base, req->len) : -1;
}

/* A message that is not small has requests of its own. */
static void put_large(struct chain *ch, struct ring_req *req, struct iovec *vec)
{
	struct zcs_conn *c = ch->c;
	struct msg *m = txq_at(c->q, ch->at.i);
	uint32_t nr = 0;

	mark(m, c->ledger.next);
	if (in_one_piece(&ch->at, m)) {
		req->base = (char *)M_IOV(m)[ch->at.iov_i].iov_base + ch->at.off;
		req->len = min_u64(ch->at.left, TX_FLAG_CAP);
		set_area(ch, req, m->pooled);
		if (req->area < 0)
			req->len = min_u64(req->len, c->flag_cap);
		ch->at.off += req->len;
		ch->at.left -= req->len;
	} else {
		req->len = gather(&ch->at, m, vec, URING_CHAIN_VECS - ch->vecs, &nr, c->flag_cap);
		req->vec = vec;
		req->nr_vec = nr;
		ch->vecs += nr;
	}
	move_on(ch);
}

static bool is_small(const struct msg *m)
{
	return m->kind != M_FILE && m->lend && m->len < SMALL;
}

/*
 * The message at the spot goes along with the small ones before it. Registered memory, of which
 * `last` is so far, is sent for less in one piece than in a vector: enough of it stays alone, and
 * all of it where memory that is not registered is scarce.
 */
static bool goes_along(const struct chain *ch, const struct iovec *last, bool pooled)
{
	const struct msg *m;
	const char *end = (char *)last->iov_base + last->iov_len;

	if (ch->at.i == ch->end)
		return false;
	m = txq_at(ch->c->q, ch->at.i);
	if (!is_small(m))
		return false;
	if (m->pooled && m->one.iov_base == end)
		return true;
	if (ch->c->ring->scarce && (pooled || m->pooled))
		return false;
	return !pooled || last->iov_len < SMALL;
}

/* Small ones leave together. */
static void put_small(struct chain *ch, struct ring_req *req, struct iovec *vec)
{
	struct zcs_conn *c = ch->c;
	uint32_t nr = 0, max = URING_CHAIN_VECS - ch->vecs;
	bool pooled = true;

	do {
		struct msg *m = txq_at(c->q, ch->at.i);

		pooled = pooled && m->pooled;
		mark(m, c->ledger.next);
		req->len += gather(&ch->at, m, vec, max, &nr, c->flag_cap - req->len);
		move_on(ch);
	} while (req->len < c->flag_cap && nr < max &&
		 goes_along(ch, &vec[nr - 1], pooled && nr == 1));
	if (nr == 1) {
		req->base = vec->iov_base;
		set_area(ch, req, pooled);
		return;
	}
	req->vec = vec;
	req->nr_vec = nr;
	ch->vecs += nr;
}

static void put_lent(struct chain *ch, struct ring_req *req, struct iovec *vec)
{
	struct zcs_conn *c = ch->c;

	req->flags |= RING_LEND | (c->ctx->ring->no_report ? 0 : RING_REPORT);
	if (is_small(txq_at(c->q, ch->at.i)))
		put_small(ch, req, vec);
	else
		put_large(ch, req, vec);
}

/* Messages that are copied leave together. */
static void put_copied(struct chain *ch, struct ring_req *req, struct iovec *vec)
{
	struct zcs_conn *c = ch->c;
	uint32_t nr = 0;

	req->vec = vec;
	while (ch->at.i != ch->end && req->len < COPY_BYTES && nr < URING_CHAIN_VECS - ch->vecs) {
		struct msg *m = txq_at(c->q, ch->at.i);

		if (m->kind == M_FILE || (m->lend && ch->lend))
			break;
		mark(m, c->ledger.next);
		req->len += gather(&ch->at, m, vec, URING_CHAIN_VECS - ch->vecs, &nr,
				   COPY_BYTES - req->len);
		move_on(ch);
	}
	ch->vecs += nr;
	req->nr_vec = nr;
	if (nr == 1) {
		req->base = vec->iov_base;
		req->nr_vec = 0;
	}
}

/* false: no memory. */
static bool put_req(struct chain *ch)
{
	struct zcs_conn *c = ch->c;
	struct uring *r = c->ctx->ring;
	struct ring_req *req = &r->batch[r->nr_batch];
	struct iovec *vec = &r->vec[r->nr_vec + ch->vecs];
	struct uring_req *q;

	if (ledger_reserve(&c->ledger) < 0 || (!r->free && !more_reqs(r)))
		return false;
	q = &r->reqs[r->free - 1];
	*req = (struct ring_req){ .fd = c->fd, .area = -1 };
	req->tag = (r->free - 1) | (uint64_t)(q->turn + 1) << 32;
	r->free = q->next;
	if (ch->lend && txq_at(c->q, ch->at.i)->lend)
		put_lent(ch, req, vec);
	else
		put_copied(ch, req, vec);
	req->flags |= RING_LINK;
	*q = (struct uring_req){
		.u = c->ring,
		.turn = (uint32_t)(req->tag >> 32),
		.number = ledger_take(&c->ledger),
		.len = (uint32_t)req->len,
		.lent = req->flags & RING_LEND,
		.report = req->flags & RING_REPORT,
	};
	r->nr_batch++;
	ch->nr++;
	ch->bytes += req->len;
	return true;
}

/*
 * The kernel takes up the next request of a chain in a round of its own, and must know how many
 * rounds to go. Asking whether there is room costs less than entering it again for each, or than to
 * let it find out that the socket is full.
 */
unsigned uring_fits(struct zcs_conn *c)
{
	struct uring_conn *u = c->ring;
	uint64_t need = u->left + u->left / 8, room;

	if (u->unsent < 2)
		return 0;
	room = probe_send_room(c->fd);
	return room >= need ? u->unsent : (unsigned)(u->unsent * room / need);
}

static bool may_lend(struct zcs_conn *c)
{
	return !(c->no_lend || c->pause_ns) || tx_may_lend_now(c);
}

static bool is_busy(const struct uring_conn *u)
{
	return GUARD(17) && u->unsent;
}

/* A chain of what waits on c; there is room for one in the batch. */
static void put_chain(struct zcs_conn *c)
{
	struct uring *r = c->ctx->ring;
	struct uring_conn *u = c->ring;
	struct chain ch = { .c = c };

	u->nr_waiting = 0;
	u->waiting = 0;
	u->refused = false;
	if (is_busy(u) || c->error || c->connecting || !c->q)
		return;
	ch.end = tx_end(c);
	ch.lend = may_lend(c);
	if (c->q->cursor == ch.end)
		return;
	if (tx_is_for_socket(c, txq_at(c->q, c->q->cursor))) {
		conn_schedule(c);
		return;
	}
	spot_at(&ch.at, c->q, c->q->cursor);
	while (ch.nr < URING_CHAIN_REQS && ch.bytes < URING_CHAIN_BYTES && ch.at.i != ch.end &&
	       ch.vecs < URING_CHAIN_VECS && txq_at(c->q, ch.at.i)->kind != M_FILE) {
		if (!put_req(&ch)) {
			u->refused = true;
			break;
		}
	}
	if (ch.nr)
		r->batch[r->nr_batch - 1].flags &= ~RING_LINK;
	else if (u->refused)
		conn_set_timer(c);
	r->nr_vec += ch.vecs;
	u->unsent += ch.nr;
	u->left += ch.bytes;
	u->out += ch.nr;
	r->expect += uring_fits(c);
}

/* ---- turns ---------------------------------------------------------------------------------- */

/* What the kernel did not take is as if it was cancelled, but not to be tried again at once. */
static void refused(struct uring *r, unsigned taken)
{
	for (unsigned i = taken; i < r->nr_batch; i++) {
		struct ring_res res = { .tag = r->batch[i].tag, .res = -ECANCELED };

		uring_req(r, res.tag)->u->refused = true;
		uring_result(r, &res);
	}
}

static bool submit(struct uring *r)
{
	struct zcs_conn *c;
	int n;

	if (!r->nr_batch)
		return false;
	c = uring_req(r, r->batch[0].tag)->u->c;
	c->stats.tx_calls++;
	n = zcsi_sys->ring->submit(r->k, r->batch, r->nr_batch, r->expect);
	if (n < (int)r->nr_batch)
		refused(r, n > 0 ? (unsigned)n : 0);
	if (n < 0)
		uring_refused(r, n);
	r->nr_batch = 0;
	r->nr_vec = 0;
	r->expect = 0;
	return true;
}

/* true: the kernel was entered. */
static bool submit_pending(struct uring *r)
{
	bool entered = false;
	struct list now;

	/* What becomes pending meanwhile has its turn later. */
	list_init(&now);
	while (!list_is_empty(&r->pending)) {
		struct list *e = r->pending.next;

		list_del(e);
		list_add_tail(&now, e);
	}
	while (!list_is_empty(&now)) {
		struct uring_conn *u = container_of(now.next, struct uring_conn, pending);

		list_del(&u->pending);
		put_chain(u->c);
		if (r->nr_batch > RING_BATCH - URING_CHAIN_REQS || r->nr_vec > URING_CHAIN_VECS)
			entered |= submit(r);
	}
	return submit(r) || entered;
}

static void go_round(struct zcs_ctx *ctx, bool enter)
{
	bool entered = submit_pending(ctx->ring);

	uring_take(ctx->ring, enter && !entered);
}

bool uring_is_due(const struct zcs_ctx *ctx)
{
	struct uring *r = ctx->ring;

	return r && !r->lost && (!list_is_empty(&r->pending) || zcsi_sys->ring->has_work(r->k));
}

/* What came while we were in the kernel makes no edge. */
static void tell(struct zcs_ctx *ctx)
{
	if (ctx->exported && uring_is_due(ctx))
		ctx_wake(ctx);
}

void uring_turn(struct zcs_ctx *ctx, bool enter)
{
	for (int i = 0; i < TURN_ROUNDS; i++) {
		go_round(ctx, enter && !i);
		if (list_is_empty(&ctx->ring->pending))
			break;
	}
	tell(ctx);
}

int uring_want(struct zcs_conn *c)
{
	struct uring_conn *u = c->ring;

	if (!is_busy(u) && !c->connecting && !c->error && !list_is_linked(&u->pending)) {
		list_add_tail(&c->ctx->ring->pending, &u->pending);
		ctx_wake(c->ctx);
	}
	return -EINPROGRESS;
}

void uring_queued(struct zcs_conn *c, uint64_t len)
{
	struct uring_conn *u = c->ring;

	u->waiting += len;
	u->nr_waiting++;
	if (!list_is_linked(&u->pending))
		uring_want(c);
	if (u->nr_waiting < QUEUED_MSGS && u->waiting < URING_CHAIN_BYTES)
		return;
	u->nr_waiting = 0;
	u->waiting = 0;
	go_round(c->ctx, true);
	tell(c->ctx);
}

void uring_cancel(struct zcs_conn *c)
{
	struct uring *r = c->ctx->ring;

	list_del(&c->ring->pending);
	for (int i = 0; i < CANCEL_LOOKS && c->ring->unsent && !r->lost; i++) {
		zcsi_sys->ring->cancel(r->k, c->fd);
		uring_take(r, true);
	}
	uring_take(r, true);
	tell(c->ctx);
}
