// SPDX-License-Identifier: MIT
/*
 * close.c - the end of a connection
 *
 * close(2) throws every outstanding notification away: nobody would ever learn when lent memory is
 * free. So the descriptor stays open until all have come (guard 5). At the deadline
 * connect(AF_UNSPEC) aborts the connection with the descriptor still open: the kernel drops its
 * queue at once and notifies what it dropped. What even that does not bring back is in a queueing
 * discipline or a card, and is condemned.
 */
#include "conn.h"
#include "sys.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#define DISCARD_CALLS 64
#define DISCARD_BYTES (1u << 20)

/*
 * Unread input would turn the kernel's close into a reset, which could destroy what we sent last.
 */
static void discard_input(struct zcs_conn *c)
{
	struct iovec v = { NULL, DISCARD_BYTES };
	bool plain;

	if (!c->inet || c->error)
		return;
	/* Only plain TCP is known to drop input without somewhere to put it. */
	plain = c->tcp && !probe_has_ulp(c->fd);
	if (!plain)
		v = (struct iovec){ c->ctx->payload, sizeof(c->ctx->payload) };
	for (int i = 0; i < DISCARD_CALLS; i++) {
		struct msghdr mh = { .msg_iov = &v, .msg_iovlen = 1 };
		ssize_t r;

		r = zcsi_sys->recvmsg(c->fd, &mh, (plain ? MSG_TRUNC : 0) | MSG_DONTWAIT);
		if (r < 0 && r != -EAGAIN &&
		    (plain || r != -EIO))     /* kernel TLS: a record of its own */
			conn_fail(c, (int)r); /* told once: nobody else would learn of it */
		if (r <= 0)
			return;
	}
	if (!c->closed)
		conn_schedule(c);
}

static void add_stats(struct zcs_stats *sum, const struct conn_stats *s)
{
	sum->tx_msgs += s->tx_msgs;
	sum->tx_bytes += s->tx_bytes;
	sum->tx_bytes_lent += s->tx_bytes_lent;
	sum->tx_bytes_uncopied += s->tx_bytes_uncopied;
	sum->tx_bytes_file += s->tx_bytes_file;
	sum->tx_calls += s->tx_calls;
	sum->tx_notifications += s->tx_notifications;
	sum->tx_enobufs_memlock += s->tx_enobufs_memlock;
	sum->tx_enobufs_optmem += s->tx_enobufs_optmem;
	sum->rx_bytes += s->rx_bytes;
	sum->rx_bytes_mapped += s->rx_bytes_mapped;
	sum->rx_calls += s->rx_calls;
	sum->rx_map_refused += s->rx_map_refused;
	sum->foreign_dropped += s->foreign_dropped;
	sum->tx_refused += s->tx_refused;
}

void conn_add_stats(const struct zcs_conn *c, struct zcs_stats *sum)
{
	add_stats(sum, &c->stats);
	sum->unknown_notifications += c->ledger.unknown;
	sum->tx_reason = c->tx_reason ? c->tx_reason : sum->tx_reason;
	sum->rx_reason = c->rx_reason ? c->rx_reason : sum->rx_reason;
}

void conn_unlink(struct zcs_conn *c)
{
	conn_add_stats(c, &c->ctx->closed);
	list_del(&c->ready);
	list_del(&c->timed);
	list_del(&c->waiting);
	list_del(&c->stalled);
	c->ctx->nr_open--;
}

static void disconnect(struct zcs_conn *c)
{
	static const struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	zcsi_sys->connect(c->fd, &unspec, sizeof(unspec));
	if (c->ring)
		uring_cancel(c);
}

static void finish(struct zcs_conn *c)
{
	adopt_end(c);
	if (c->cut && c->tcp) /* a reset, not a FIN behind half a message */
		disconnect(c);
	discard_input(c);
	if (c->polled)
		zcsi_sys->epoll_ctl(c->ctx->ep, EPOLL_CTL_DEL, c->fd, NULL);
	zcsi_sys->close(c->fd);
	c->fd = -1;
	c->closed = true;
	conn_unlink(c);
	event_raise(c, ZCS_EV_CLOSED);
}

/* What close(2) does to loans when nobody waits for them. */
static void finish_carelessly(struct zcs_conn *c)
{
	c->ledger.base = c->ledger.next;
	tx_abandon(c, 0);
	finish(c);
}

/*
 * Everything sent is acknowledged, our FIN too: its arrival at 0 wakes epoll (tcp_fin, FIN_WAIT2).
 */
static bool is_acked(struct zcs_conn *c)
{
	int unacked = 0;

	if (!c->inet || c->error || !c->drain_ms)
		return true;
	return zcsi_sys->ioctl(c->fd, SIOCOUTQ, &unacked) < 0 || !unacked;
}

void close_step(struct zcs_conn *c)
{
	if (c->closed)
		return;
	discard_input(c); /* an error that it meets may take the queue away */
	if (c->q && c->q->cursor != c->q->tail)
		return; /* still sending */
	if (!GUARD(5)) {
		finish_carelessly(c);
		return;
	}
	if (!c->shut_done && !c->error) {
		/* The peer may see the end already. */
		c->shut_wanted = c->shut_done = true;
		if (!c->dgram)
			zcsi_sys->shutdown(c->fd, SHUT_WR);
	}
	if (is_acked(c) && tx_is_empty(c))
		finish(c);
	else if (uring_is_lost(c)) /* nobody will ever learn what came back */
		close_abort(c, c->error);
}

void close_abort(struct zcs_conn *c, int status)
{
	if (c->closed)
		return;
	c->closing = true;
	conn_fail(c, status);
	if (c->tcp)
		disconnect(c);
	reap(c, UINT32_MAX);
	tx_condemn(c);
	finish(c);
}

/* The drain took too long. With nothing lent the kernel may go on by itself after close(2). */
void close_deadline(struct zcs_conn *c)
{
	if (!tx_is_empty(c) || c->error) {
		close_abort(c, -ETIMEDOUT);
		return;
	}
	discard_input(c);
	c->error = c->error ? c->error : -ETIMEDOUT;
	finish(c);
}

/* Nothing but the end is of interest from now on. */
static void start_close(struct zcs_conn *c)
{
	c->closing = true;
	c->held = false;
	for (int type = ZCS_EV_OPEN; type < ZCS_EV_ERROR; type++)
		event_drop(c, type);
	list_del(&c->waiting);
	list_del(&c->stalled);
	/* The context takes the draining over. */
	if (c->poll_self && conn_poll_on(c) < 0)
		c->drain_ms = 0;
}

ZCS_EXPORT void zcs_conn_close(struct zcs_conn *c)
{
	int r;

	if (c->closing)
		return;
	start_close(c);
	if (c->connecting && !c->q) {
		close_abort(c, -ECONNABORTED);
		return;
	}
	r = tx_push(c);
	if (r < 0)
		conn_fail(c, r);
	if (c->ring)
		uring_turn(c->ctx, true);
	if (c->error && c->tcp && !tx_is_empty(c)) {
		/* Nothing to wait for but loans: the kernel gives them back at once. */
		disconnect(c);
		reap(c, UINT32_MAX);
	}
	file_acked(c);
	close_step(c);
	if (c->closed)
		return;
	if (!c->drain_ms) {
		close_deadline(c);
		return;
	}
	if (c->drain_ms != UINT32_MAX)
		c->close_ns = ctx_now() + c->drain_ms * 1000000ull;
	conn_set_timer(c);
}

void close_now(struct zcs_conn *c)
{
	if (c->closed)
		return;
	if (!c->closing)
		start_close(c);
	close_abort(c, -ECONNABORTED);
}

ZCS_EXPORT void zcs_conn_abort(struct zcs_conn *c)
{
	close_now(c);
}

ZCS_EXPORT int zcs_conn_shutdown(struct zcs_conn *c)
{
	if (c->error)
		return c->error;
	if (c->dgram)
		return -EOPNOTSUPP;
	if (c->closing)
		return -EPIPE;
	c->shut_wanted = true;
	return tx_flush(c);
}
