// SPDX-License-Identifier: MIT
/*
 * adopt.c - a descriptor on which somebody may have made flagged sends before
 *
 * The kernel's counter cannot be read, and a notification of a foreign send looks exactly like one
 * of ours. So nothing of the caller's is lent until everything sent is acknowledged (SIOCOUTQ is 0)
 * and the error queue is empty; then one flagged send, of memory that is the library's, goes out
 * alone: the number of its notification is where our numbers begin. A line that is never quiet by
 * itself is made so now and then: sending pauses for a moment, at most HOLD_NS.
 */
#include "conn.h"
#include "sys.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

#define HOLD_NS	      (100ull * 1000000)
#define HOLD_AGAIN_NS (5000ull * 1000000)
#define SETTLE_NS     (250ull * 1000000)

static uint64_t unacked(struct zcs_conn *c)
{
	int bytes = 0;

	return zcsi_sys->ioctl(c->fd, SIOCOUTQ, &bytes) < 0 ? UINT64_MAX : (uint64_t)bytes;
}

/*
 * SIOCOUTQ reads without the socket's lock and may run ahead of the acknowledgement's processing: a
 * call that takes the lock waits until its notifications are queued.
 */
static void wait_for_lock(struct zcs_conn *c)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	zcsi_sys->getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len);
}

static bool is_quiet(struct zcs_conn *c)
{
	if (unacked(c))
		return false;
	wait_for_lock(c);
	reap(c, UINT32_MAX); /* foreign ones go to the callback */
	return !c->no_lend;
}

/*
 * The next bytes of the stream, in memory of the library's own: of one page of the caller's, which
 * is known to be there.
 */
static size_t copy_next(const struct msg *m, char *buf)
{
	const struct iovec *v = &M_IOV(m)[m->iov_i];
	const char *at = (char *)v->iov_base + m->iov_off;
	size_t n = min_u64(v->iov_len - m->iov_off, ZCSI_PAGE - (uintptr_t)at % ZCSI_PAGE);

	memcpy(buf, at, n);
	return n;
}

/*
 * What the caller names may not be there. The kernel can tell without a signal: it is given the
 * first byte by itself. false: it does not take it (the copying call that follows meets the error),
 * or there is no second byte in that page.
 */
static bool is_readable(struct zcs_conn *c, struct msg *m)
{
	const struct iovec *v;
	struct iovec one;

	while (m->iov_off >= M_IOV(m)[m->iov_i].iov_len) { /* one of length 0 at the start */
		m->iov_off = 0;
		m->iov_i++;
	}
	v = &M_IOV(m)[m->iov_i];
	one = (struct iovec){ (char *)v->iov_base + m->iov_off, 1 };
	if (v->iov_len - m->iov_off < 2 || ((uintptr_t)one.iov_base + 1) % ZCSI_PAGE == 0)
		return false;
	c->stats.tx_calls++;
	if (zcsi_sys->send(c->fd, &one, MSG_DONTWAIT | MSG_MORE) != 1)
		return false;
	tx_advance(c, 1, false);
	return true;
}

int adopt_begin(struct zcs_conn *c)
{
	c->adoption = calloc(1, sizeof(*c->adoption));
	return c->adoption ? 0 : -ENOMEM;
}

static bool may_hold(struct zcs_conn *c)
{
	struct adoption *a = c->adoption;
	uint64_t now = ctx_now();

	if (!a->held_ns || now - a->held_ns >= HOLD_AGAIN_NS)
		a->held_ns = now;
	return !c->no_lend && !c->closing && now - a->held_ns < HOLD_NS;
}

/*
 * Bytes sent by the probe; 0: not now, copy; -EINPROGRESS: send nothing, the line may become quiet.
 */
ssize_t adopt_try(struct zcs_conn *c, struct msg *m)
{
	struct adoption *a = c->adoption;
	struct iovec v;
	ssize_t r;
	char *buf;

	a->held = false;
	if (a->probe) {
		adopt_settle(c);
		return 0;
	}
	if (!is_quiet(c)) {
		a->held = may_hold(c);
		conn_set_timer(c);
		return a->held ? -EINPROGRESS : 0;
	}
	if (!is_readable(c, m))
		return 0;
	buf = pool_alloc(&c->ctx->pool, ZCSI_PAGE, NULL, POOL_INTERNAL);
	if (!buf)
		return 0;
	v = (struct iovec){ buf, copy_next(m, buf) };
	r = zcsi_sys->send(c->fd, &v, MSG_DONTWAIT | MSG_ZEROCOPY);
	c->stats.tx_calls++;
	if (r <= 0) {
		pool_unref(&c->ctx->pool, buf);
		return 0; /* the copying call that follows meets the error, if there is one */
	}
	a->probe = buf;
	tx_advance(c, r, false);
	a->end = c->stats.tx_bytes;
	return r;
}

/*
 * A foreign number can still turn up here, of pages that a card or a queueing discipline held on
 * to. So the probe's is the highest one that came, once the probe is acknowledged and for a while
 * no other followed.
 */
void adopt_note(struct zcs_conn *c, const struct errq_note *note)
{
	struct adoption *a = c->adoption;

	if (!a->seen || (int32_t)(note->hi - a->hi) > 0)
		a->hi = note->hi;
	a->seen = true;
	a->seen_ns = ctx_now();
}

void adopt_settle(struct zcs_conn *c)
{
	struct adoption *a = c->adoption;

	if (!a->seen || ctx_now() - a->seen_ns < SETTLE_NS ||
	    unacked(c) > c->stats.tx_bytes - a->end)
		return;
	if (!a->sure) {
		a->sure = true;
		wait_for_lock(c);
		reap(c, UINT32_MAX); /* comes here again */
		return;
	}
	ledger_rebase(&c->ledger, (uint64_t)a->hi + 1);
	pool_unref(&c->ctx->pool, a->probe);
	free(a);
	c->adoption = NULL;
}

/* The connection ends. If the probe is still out its page is never used again. */
void adopt_end(struct zcs_conn *c)
{
	struct adoption *a = c->adoption;

	if (a && a->probe) {
		pool_condemn(&c->ctx->pool, a->probe);
		pool_unref(&c->ctx->pool, a->probe);
	}
	free(a);
	c->adoption = NULL;
}
