// SPDX-License-Identifier: MIT
/*
 * tx.c - the send side: what is accepted goes to the kernel
 *
 * Messages that stand behind one another and go the same way leave in one call. A flagged call
 * takes the next number of the ledger if, and only if, the kernel accepted something; every message
 * that has bytes in it keeps that number until it is settled: release.c.
 */
#include "conn.h"
#include "sys.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

#define PUSH_BYTES (4u << 20) /* per turn: then other connections have theirs */
#define CAP_GOOD   64	      /* flagged calls without trouble: ask for more locked memory again */
#define PAUSE_MIN  (10ull * 1000000)   /* ns without lending after ENOBUFS; doubles ... */
#define PAUSE_MAX  (1000ull * 1000000) /* ... up to this */

/* ---- into the kernel ------------------------------------------------------------------------ */

bool tx_is_empty(const struct zcs_conn *c)
{
	return !c->q || c->q->head == c->q->tail;
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

/* What a sending call is given. */
struct batch {
	const struct iovec *vec;
	size_t nr;
	bool more; /* other messages follow at once */
};

/* The unsent bytes of the messages from the cursor on that go the same way, at most cap. */
static struct batch gather(struct zcs_conn *c, bool lend, size_t cap)
{
	struct txq *q = c->q;
	uint32_t i = q->cursor, end = tx_end(c);
	struct batch b = { .vec = c->ctx->vec };
	const struct msg *m = txq_at(q, i);
	size_t n = 0;

	/* The ordinary case: a message that stands alone. */
	if (i + 1 == end && !c->vsock && !m->sent && m->len <= cap && m->nr_iov <= IOV_MAX)
		return (struct batch){ M_IOV(m), m->nr_iov, false };
	for (; i != end; i++) {
		size_t part;

		m = txq_at(q, i);
		if (m->kind == M_FILE || m->lend != lend)
			break;
		part = gather_msg(m, c->ctx->vec, &b.nr, cap - n);
		n += part;
		if (part != m->len - m->sent)
			break;
	}
	if (c->vsock && lend)
		b.nr = vsock_one_packet(c->ctx->vec, b.nr);
	/* Nothing promises that a file has a byte to send: what comes before it must not wait. */
	b.more = i != end && txq_at(q, i)->kind != M_FILE;
	return b;
}

void tx_step(struct msg *m, size_t n)
{
	m->iov_off += n;
	while (m->iov_i < m->nr_iov && m->iov_off >= M_IOV(m)[m->iov_i].iov_len) {
		m->iov_off -= M_IOV(m)[m->iov_i].iov_len;
		m->iov_i++;
	}
}

/* The kernel took n bytes of it, lent with the number that was taken last, or copied. */
static inline void enter(struct zcs_conn *c, struct msg *m, size_t n, bool lent)
{
	if (lent) {
		if (m->lo == m->hi)
			m->lo = c->ledger.next - 1;
		m->hi = c->ledger.next;
		m->lent += n;
		m->how |= ZCS_LENT;
		c->stats.tx_bytes_lent += n;
	} else {
		m->how |= ZCS_COPIED;
	}
	c->stats.tx_bytes += n;
	m->sent += n;
	if (m->sent != m->len)
		tx_step(m, n);
}

void tx_advance(struct zcs_conn *c, size_t n, bool lent)
{
	struct txq *q = c->q;

	if (lent)
		ledger_take(&c->ledger);
	while (n) {
		struct msg *m = txq_at(q, q->cursor);
		size_t part = min_u64(n, m->len - m->sent);

		enter(c, m, part, lent);
		n -= part;
		if (m->sent != m->len)
			break;
		/*
		 * Numbers must not decrease along the queue: one without takes the place of the
		 * next.
		 */
		if (m->lo == m->hi)
			m->lo = m->hi = c->ledger.next;
		q->cursor++;
		/* The number of this call is out: only a mapped span can be done with it. */
		if (!lent || m->mapped)
			tx_release_done(c, m);
	}
}

bool tx_may_lend_now(struct zcs_conn *c)
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
	return true;
}

static inline bool may_lend(struct zcs_conn *c)
{
	if ((c->no_lend || c->pause_ns) && !tx_may_lend_now(c))
		return false;
	return ledger_reserve(&c->ledger) == 0;
}

static inline ssize_t send_batch(int fd, const struct batch *b, int flags)
{
	struct msghdr mh = { .msg_iov = (struct iovec *)b->vec, .msg_iovlen = b->nr };

	return b->nr == 1 ? zcsi_sys->send(fd, b->vec, flags) : zcsi_sys->sendmsg(fd, &mh, flags);
}

/* The same call with its cost for the policy: the first message of the batch stands for all. */
static ssize_t measured(struct zcs_conn *c, struct msg *m, const struct batch *b, int flags)
{
	uint64_t from = zcsi_sys->cpu_ns();
	ssize_t r = send_batch(c->fd, b, flags);

	if (r > 0)
		link_sent(conn_link(c), m->len, flags & MSG_ZEROCOPY, zcsi_sys->cpu_ns() - from,
			  (uint64_t)r);
	m->measure = false;
	return r;
}

static inline ssize_t call(struct zcs_conn *c, struct msg *m, const struct batch *b, int flags)
{
	ssize_t r;

	flags |= MSG_DONTWAIT | (b->more ? MSG_MORE : 0);
	r = m->measure ? measured(c, m, b, flags) : send_batch(c->fd, b, flags);
	c->stats.tx_calls++;
	/* A call that failed takes no number (guard 1). */
	if (!GUARD(1) && r < 0 && flags & MSG_ZEROCOPY)
		ledger_take(&c->ledger);
	/* VSOCK may have taken a number, whatever the error (guard 19); ENOMEM is its ENOBUFS. */
	if (r < 0 && r != -EAGAIN && c->vsock && flags & MSG_ZEROCOPY) {
		if (GUARD(19))
			reap_doubt(c);
		return r == -ENOMEM ? -ENOBUFS : r;
	}
	return r;
}

/* Lend nothing for a while; where locked memory is scarce, also ask for less of it at a time. */
void tx_back_off(struct zcs_conn *c, bool optmem, bool any_out)
{
	uint64_t pause = PAUSE_MIN << c->pauses;

	c->tx_reason = optmem ? ZCS_R_OPTMEM : ZCS_R_MEMLOCK;
	if (!optmem && !any_out && c->flag_cap > TX_FLAG_MIN) {
		c->flag_cap /= 2;
		c->cap_good = 0;
		return;
	}
	if (c->pauses < 8)
		c->pauses++;
	c->pause_ns = ctx_now() + min_u64(pause, PAUSE_MAX);
}

bool tx_count_enobufs(struct zcs_conn *c)
{
	bool optmem = probe_optmem_is_full(c->fd);

	if (optmem)
		c->stats.tx_enobufs_optmem++;
	else
		c->stats.tx_enobufs_memlock++;
	policy_refused(conn_path(c), c->ctx->now_ns);
	return optmem;
}

/*
 * The kernel has no memory to track one more flagged call. With something out, its notifications
 * may give some back: read them and try once more. Otherwise, and in any case the second time,
 * copy: with nothing out no notification would ever come, so waiting for one would be for ever.
 */
static ssize_t no_bufs(struct zcs_conn *c, struct msg *m, const struct batch *b)
{
	bool optmem = tx_count_enobufs(c);

	if (ledger_out(&c->ledger) && reap(c, UINT32_MAX) && !c->no_lend &&
	    ledger_reserve(&c->ledger) == 0) {
		ssize_t r = call(c, m, b, MSG_ZEROCOPY);

		if (r != -ENOBUFS)
			return r;
	}
	tx_back_off(c, optmem, ledger_out(&c->ledger));
	return -ENOBUFS;
}

/* A flagged call that went well: ask for more at a time again. */
void tx_lent_well(struct zcs_conn *c)
{
	c->pauses = 0;
	c->unreaped++;
	if (c->flag_cap < (c->vsock ? VSOCK_FLAG_CAP : TX_FLAG_CAP) && ++c->cap_good >= CAP_GOOD) {
		c->flag_cap *= 2;
		c->cap_good = 0;
	}
}

ssize_t tx_now(struct zcs_conn *c, struct msg *m)
{
	bool lend = m->lend && may_lend(c);
	struct batch b = { .vec = &m->one, .nr = 1 };
	ssize_t r = call(c, m, &b, lend ? MSG_ZEROCOPY : 0);

	if (r == -EAGAIN)
		conn_block(c);
	if (r == -EAGAIN || r == -ENOBUFS || r == -EOPNOTSUPP || conn_is_fault(c, (int)r))
		return 0;
	if (r <= 0)
		return r;
	if (lend) {
		ledger_take(&c->ledger);
		tx_lent_well(c);
	}
	enter(c, m, (size_t)r, lend);
	return r;
}

/* One flagged call; -ENOBUFS or -EOPNOTSUPP: copy instead. */
static ssize_t push_lent(struct zcs_conn *c)
{
	struct msg *m = txq_at(c->q, c->q->cursor);
	struct batch b = gather(c, true, c->flag_cap);
	ssize_t r = call(c, m, &b, MSG_ZEROCOPY);

	if (r == -ENOBUFS)
		r = no_bufs(c, m, &b);
	if (r == -EOPNOTSUPP) /* kernel TLS came since; or what carries VSOCK only copies */
		c->no_lend = c->vsock ? ZCS_R_NO_SO_ZEROCOPY : ZCS_R_ULP;
	if (r <= 0)
		return r;
	tx_lent_well(c);
	tx_advance(c, r, true);
	reap_due(c);
	return r;
}

static ssize_t push_copied(struct zcs_conn *c, bool lend)
{
	struct batch b = gather(c, lend, TX_COPY_CAP);
	ssize_t r = call(c, txq_at(c->q, c->q->cursor), &b, 0);

	if (r > 0)
		tx_advance(c, r, false);
	return r;
}

static ssize_t push_one(struct zcs_conn *c)
{
	struct msg *m = txq_at(c->q, c->q->cursor);
	ssize_t r;

	if (c->ring && (!tx_is_for_socket(c, m) || c->ring->unsent))
		return uring_want(c);
	if (c->ring)
		c->ring->refused = false;
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
	if (c->dgram)
		return dgram_push(c);
	while (c->q && c->q->cursor != tx_end(c)) {
		ssize_t r;

		if (done >= PUSH_BYTES) {
			conn_schedule(c);
			break;
		}
		r = push_one(c);
		if (r == -EAGAIN)
			conn_block(c);
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
