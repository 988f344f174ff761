// SPDX-License-Identifier: MIT
/*
 * conn.c - one descriptor: open, readiness, failure, detach
 */
#include "conn.h"

#include "sys.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif

/*
 * How often acknowledgement is looked up: of a file, a line to be quiet; of a close, which wakes
 * us.
 */
#define LOOK_NS	      (5ull * 1000000)
#define LOOK_CLOSE_NS (50ull * 1000000)
#define ROUTE_AGE_MS  1000u /* routes change: look again */
#define MS	      1000000ull

/* ---- options -------------------------------------------------------------------------------- */

static uint64_t limit(uint64_t v, uint64_t old)
{
	return !v ? old : v == ZCS_NONE ? 0 : v;
}

/* 49 days and more is for ever. */
static uint32_t limit_ms(uint64_t v, uint32_t old)
{
	return (uint32_t)min_u64(limit(v, old), UINT32_MAX);
}

static void apply(struct zcs_conn *c, const struct zcs_conn_opts *o)
{
	c->user = o->user ? o->user : c->user;
	c->foreign = o->foreign ? o->foreign : c->foreign;
	if (o->lent_max) {
		c->lent_max = limit(o->lent_max, 0);
		c->writable_at = c->lent_max / 2;
	}
	c->writable_at = limit(o->writable_at, c->writable_at);
	c->borrowed_max = limit(o->borrowed_max, c->borrowed_max);
	c->drain_ms = limit_ms(o->drain_ms, c->drain_ms);
	c->loan_age_ms = limit_ms(o->loan_age_ms, c->loan_age_ms);
	if (c->loan_age_ms == UINT32_MAX)
		c->loan_age_ms = 0;
	c->send_way = o->send_way ? o->send_way : c->send_way;
	c->recv_way = o->recv_way ? o->recv_way : c->recv_way;
	c->trust = o->trust ? o->trust : c->trust;
}

static int check_opts(const struct zcs_conn_opts *o)
{
	if (o->send_way > ZCS_WAY_ZEROCOPY || o->recv_way > ZCS_WAY_ZEROCOPY)
		return -EINVAL;
	return o->trust > ZCS_TRUST_NONE || o->poll_self > 1 ? -EINVAL : 0;
}

static void set_defaults(struct zcs_conn *c)
{
	c->lent_max = 16u << 20;
	c->writable_at = 8u << 20;
	c->borrowed_max = 8u << 20;
	c->drain_ms = 30000;
	c->send_way = ZCS_WAY_ADAPT;
	c->recv_way = ZCS_WAY_ADAPT;
	c->trust = ZCS_TRUST_ROUTE;
	c->flag_cap = TX_FLAG_CAP;
	c->lowat = 1;
	c->rx_maybe = true;
	c->rx_fresh = true;
}

/* ---- open ----------------------------------------------------------------------------------- */

/*
 * Where the numbers of flagged sends stand: prior_sends of zcs_conn_opts. Unknown, on a socket that
 * has SO_ZEROCOPY or has sent anything (the option may be off again), is to be found out.
 */
static int start_numbers(struct zcs_conn *c, const struct zcs_conn_opts *o,
			 const struct probe_socket *s)
{
	ledger_init(&c->ledger, limit(o->prior_sends, 0));
	if (!s->tcp || o->prior_sends || !(s->zerocopy_on || s->has_sent))
		return 0;
	return adopt_begin(c);
}

static void learn_socket(struct zcs_conn *c, const struct probe_socket *s)
{
	int on = 1;

	c->tcp = s->tcp;
	c->dgram = s->dgram;
	c->ipv6 = s->family == AF_INET6;
	c->inet = !s->dgram && (s->family == AF_INET || c->ipv6);
	c->peer = s->peer;
	c->local = s->local;
	c->stamped = s->stamped;
	c->connecting = s->state == TCP_SYN_SENT;
	if (s->ulp)
		c->no_lend = c->no_map = ZCS_R_ULP;
	else if (!s->tcp && !s->dgram && s->family != AF_VSOCK)
		c->no_lend = ZCS_R_NO_SO_ZEROCOPY;
	else if (!s->zerocopy_on &&
		 zcsi_sys->setsockopt(c->fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) < 0)
		c->no_lend = ZCS_R_NO_SO_ZEROCOPY;
	if (!s->tcp && !s->ulp)
		c->no_map = ZCS_R_NO_MAP;
}

/* No line of these is known to be quiet, so that numbers cannot be found out there. */
static void learn_other(struct zcs_conn *c, const struct zcs_conn_opts *o,
			const struct probe_socket *s)
{
	c->vsock = s->family == AF_VSOCK;
	if (!c->vsock && !c->dgram)
		return;
	if (c->vsock)
		c->flag_cap = VSOCK_FLAG_CAP;
	if (!c->no_lend && s->zerocopy_on && !o->prior_sends)
		c->no_lend = ZCS_R_ADOPTING;
}

static struct zcs_conn *conn_new(struct zcs_ctx *ctx, int fd, const struct zcs_conn_opts *o,
				 const struct probe_socket *s)
{
	struct zcs_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->ctx = ctx;
	c->fd = fd;
	set_defaults(c);
	apply(c, o);
	c->poll_self = o->poll_self;
	if (start_numbers(c, o, s) < 0) {
		free(c);
		return NULL;
	}
	learn_socket(c, s);
	learn_other(c, o, s);
	uring_join(c, c->adoption);
	return c;
}

ZCS_EXPORT int zcs_conn_open(struct zcs_ctx *ctx, int fd, const struct zcs_conn_opts *opts,
			     struct zcs_conn **conn_out)
{
	struct zcs_conn_opts o;
	struct probe_socket s;
	struct zcs_conn *c;
	int r = opts_copy(&o, sizeof(o), opts);

	if (!r)
		r = check_opts(&o);
	if (!r)
		r = ctx->forfeited ? -EINVAL : probe_socket(fd, &s);
	if (r)
		return r;
	c = conn_new(ctx, fd, &o, &s);
	if (!c)
		return -ENOMEM;
	r = c->poll_self ? 0 : conn_poll_on(c);
	if (r < 0) {
		adopt_end(c);
		uring_leave(c);
		ledger_fini(&c->ledger);
		free(c);
		return r;
	}
	list_add_tail(&ctx->conns, &c->all);
	ctx->nr_open++;
	*conn_out = c;
	return 0;
}

ZCS_EXPORT int zcs_conn_limits(struct zcs_conn *c, const struct zcs_conn_opts *opts)
{
	struct zcs_conn_opts o;
	int r = opts_copy(&o, sizeof(o), opts);

	if (!r)
		r = check_opts(&o);
	if (r)
		return r;
	apply(c, &o);
	c->stamped = probe_stamps(c->fd);
	conn_set_timer(c);
	ctx_lent_back(c->ctx);
	span_unstall(c->ctx);
	return 0;
}

ZCS_EXPORT int zcs_conn_fd(const struct zcs_conn *c)
{
	return c->fd;
}

/* ---- readiness ------------------------------------------------------------------------------ */

void conn_schedule(struct zcs_conn *c)
{
	if (!list_is_linked(&c->ready))
		list_add_tail(&c->ctx->ready, &c->ready);
	ctx_wake(c->ctx);
}

struct policy_path *conn_path(struct zcs_conn *c)
{
	struct policy *policy = &c->ctx->policy;
	struct policy_path *path = &policy->paths[c->path];

	if (path->key != c->peer) {
		path = policy_path(policy, c->peer, c->ctx->now_ns);
		c->path = (uint8_t)(path - policy->paths);
	}
	return path;
}

struct link *conn_link(struct zcs_conn *c)
{
	struct policy *policy = &c->ctx->policy;
	struct link *link = &policy->links[c->link];

	if (link->key != c->local) {
		link = policy_link(policy, c->local, c->ctx->now_ns);
		c->link = (uint8_t)(link - policy->links);
	}
	return link;
}

enum probe_route conn_route(struct zcs_conn *c)
{
	uint32_t now_ms = (uint32_t)(ctx_now() / MS);

	if (!c->route_ms || now_ms - c->route_ms >= ROUTE_AGE_MS) {
		c->route = probe_route(c->fd);
		c->route_ms = now_ms ? now_ms : 1;
	}
	return c->route;
}

/* The route is looked up once: the words are for people, and the kernel's answer costs. */
enum zcs_reason conn_why_copied(struct zcs_conn *c)
{
	if (!c->route_ms)
		conn_route(c);
	return c->route == PROBE_ROUTE_LOCAL ? ZCS_R_LOCAL_DELIVERY : ZCS_R_KERNEL_COPIES;
}

static int socket_error(struct zcs_conn *c)
{
	int err = 0;
	socklen_t len = sizeof(err);
	int r = zcsi_sys->getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);

	return r < 0 ? r : -err;
}

static void connected(struct zcs_conn *c, uint32_t revents)
{
	int err;

	if (!(revents & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		return;
	err = socket_error(c);
	if (err) {
		conn_fail(c, err);
		return;
	}
	if (!(revents & EPOLLOUT))
		return;
	c->connecting = false;
	probe_ends(c->fd, &c->peer, &c->local);
	c->route_ms = 0;
	if (!c->closing)
		event_raise(c, ZCS_EV_OPEN);
}

/* What ICMP says of a datagram does not break the socket. The kernel will not tell it again. */
void conn_tell_icmp(struct zcs_conn *c, int error)
{
	c->icmp = error;
	rx_ready(c, EPOLLIN);
}

static void note_error(struct zcs_conn *c)
{
	int err = socket_error(c);

	if (err && c->dgram)
		conn_tell_icmp(c, err);
	else if (err)
		conn_fail(c, err);
}

/*
 * EPOLLERR mostly means notifications. The socket's error is asked for only when there were none,
 * or the connection hung up: reading SO_ERROR takes the error away from recv, so it is kept in
 * c->error, and recv reports it after the data that came before it.
 */
static void work_errors(struct zcs_conn *c, uint32_t revents)
{
	/* Before the notifications that a reset brings: RELEASED carries the error. */
	if (revents & EPOLLHUP)
		note_error(c);
	if (!reap(c, UINT32_MAX) && !(revents & EPOLLHUP))
		note_error(c);
}

static void conn_push(struct zcs_conn *c)
{
	int r = tx_push(c);

	if (r < 0)
		conn_fail(c, r);
}

void conn_work(struct zcs_conn *c, uint32_t revents)
{
	if (c->closed)
		return;
	if (c->connecting)
		connected(c, revents);
	else if (revents & (EPOLLERR | EPOLLHUP))
		work_errors(c, revents);
	if (c->closed)
		return;
	if (revents & EPOLLOUT)
		conn_unblock(c);
	rx_ready(c, revents);
	conn_push(c);
	file_acked(c);
	if (c->closing)
		close_step(c);
}

ZCS_EXPORT int zcs_conn_ready(struct zcs_conn *c, uint32_t revents)
{
	uint32_t want = EPOLLRDHUP;

	if (c->closing)
		return 0;
	if (revents) {
		/* The caller takes the events next: no need to wake it. */
		c->ctx->working = true;
		ctx_look_at_clock(c->ctx);
		conn_work(c, revents);
		c->ctx->working = false;
		if (!list_is_empty(&c->ctx->ready) || uring_is_due(c->ctx))
			ctx_wake(c->ctx);
	}
	if (!c->rx_told && !c->rx_eof && !list_is_linked(&c->stalled))
		want |= EPOLLIN | EPOLLPRI;
	if (c->rx_hup)
		want &= ~EPOLLRDHUP;
	if (c->blocked || c->connecting)
		want |= EPOLLOUT;
	return (int)want;
}

/* ---- failure and timers --------------------------------------------------------------------- */

void conn_fail(struct zcs_conn *c, int error)
{
	if (c->error)
		return;
	c->error = error;
	c->connecting = false;
	if (!c->closing)
		event_raise(c, ZCS_EV_ERROR);
	event_drop(c, ZCS_EV_WRITABLE);
	list_del(&c->waiting);
	tx_abandon(c, error);
	/* Data that came before the error can still be read, and then the error itself. */
	c->rx_maybe = true;
	rx_ready(c, EPOLLIN);
}

/* Sending waits for a quiet line (adopt.c), or for memory of the kernel's (uring_tx.c). */
static bool is_held(const struct zcs_conn *c)
{
	return ((c->adoption && c->adoption->held) || (c->ring && c->ring->refused)) && !c->error;
}

static uint64_t oldest_loan(const struct zcs_conn *c)
{
	return c->q && c->q->head != c->q->tail ? txq_at(c->q, c->q->head)->at_ns : 0;
}

void conn_set_timer(struct zcs_conn *c)
{
	uint64_t at = c->close_ns;

	if (c->closed)
		return;
	if (c->loan_age_ms && !c->error && oldest_loan(c)) {
		uint64_t age = oldest_loan(c) + c->loan_age_ms * MS;

		at = at ? min_u64(at, age) : age;
	}
	if (c->closing || is_held(c) || (c->q && c->q->files)) {
		uint64_t look = zcsi_sys->clock_ns(false) + (c->closing ? LOOK_CLOSE_NS : LOOK_NS);

		if (c->wake_ns && c->wake_ns < look)
			look = c->wake_ns; /* not to be put off by whatever happens meanwhile */
		at = at ? min_u64(at, look) : look;
	}
	ctx_set_timer(c, at);
}

void conn_timer(struct zcs_conn *c, uint64_t now_ns)
{
	uint64_t oldest = oldest_loan(c);

	c->wake_ns = 0;
	if (c->closed)
		return;
	if (c->close_ns && now_ns >= c->close_ns) {
		close_deadline(c);
		return;
	}
	if (c->loan_age_ms && oldest && now_ns >= oldest + c->loan_age_ms * MS)
		conn_fail(c, -ETIMEDOUT);
	if (is_held(c))
		conn_push(c);
	file_acked(c);
	conn_set_timer(c);
	if (c->closing)
		close_step(c);
}

/* ---- leaving -------------------------------------------------------------------------------- */

void conn_free(struct zcs_conn *c)
{
	list_del(&c->all);
	adopt_end(c);
	uring_leave(c);
	ledger_fini(&c->ledger);
	free(c);
}

/* What to open it with elsewhere: zcs_conn_opts. */
static uint64_t prior_sends(const struct zcs_conn *c)
{
	uint64_t nr = c->ring ? c->ring->prior : c->ledger.next;

	if (c->adoption || conn_has_past(c) || c->ledger.distrust)
		return 0;
	return nr ? nr : ZCS_NONE;
}

ZCS_EXPORT int zcs_conn_detach(struct zcs_conn *c, uint64_t *prior_out)
{
	int fd = c->fd;

	/* An idle connection: nothing else would look whether the probe was answered. */
	if (!c->closing && c->adoption && c->adoption->probe)
		reap(c, UINT32_MAX);
	if (c->closing || c->q || c->nr_spans || (c->adoption && c->adoption->probe) || c->events ||
	    c->nr_events || ledger_out(&c->ledger))
		return -EBUSY;
	if (prior_out)
		*prior_out = prior_sends(c);
	if (c->polled)
		zcsi_sys->epoll_ctl(c->ctx->ep, EPOLL_CTL_DEL, fd, NULL);
	if (c->was_blocking)
		zcsi_sys->set_nonblock(fd, false);
	if (c->lowat > 1) {
		int one = 1;

		zcsi_sys->setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
	}
	conn_unlink(c);
	conn_free(c);
	return fd;
}
