// SPDX-License-Identifier: MIT
/*
 * rx.c - the receive side: map what can be mapped, copy the rest, in order
 *
 * One mapping call does three things (tcp_zerocopy_receive, net/ipv4/tcp.c): what is queued is
 * copied whole when it fits the copy buffer; else pages are mapped from the start of the queue, up
 * to the first that cannot be; then the copy buffer takes what is in the way. recv_skip_hint says
 * how much more must be copied before mapping can go on. Whatever the call says is checked against
 * what is possible, and nothing but what it reports as filled is ever handed out.
 */
#include "conn.h"
#include "sys.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define RX_CHUNK    (256u << 10) /* bytes of a copying read; small enough to stay in the cache */
#define RX_COPY_MIN 4096u	 /* a chunk with less room than this is replaced */
#define MAP_MAX	    (1u << 20)	 /* bytes of a mapping call */
#define LOWAT_MAX   (1u << 20)

/* A receive in progress. */
struct rx {
	struct zcs_conn *c;
	struct zcs_span *spans;
	size_t nr;	  /* spans that are left */
	uint64_t max;	  /* bytes that are left */
	size_t got;	  /* spans filled */
	size_t copied;	  /* bytes of them, by copying reads */
	int64_t stamp_ns; /* of the last call */
};

/* ---- budgets, readiness --------------------------------------------------------------------- */

static uint64_t budget_room(const struct zcs_conn *c)
{
	const struct zcs_ctx *ctx = c->ctx;
	uint64_t own = c->borrowed < c->borrowed_max ? c->borrowed_max - c->borrowed : 0;
	uint64_t all = ctx->borrowed < ctx->borrowed_max ? ctx->borrowed_max - ctx->borrowed : 0;

	/* With nothing borrowed something can always be read, however small the budget. */
	if (!own && !c->borrowed)
		own = ZCSI_PAGE;
	if (!all && !ctx->borrowed)
		all = ZCSI_PAGE;
	return min_u64(own, all);
}

bool rx_budget_left(const struct zcs_conn *c)
{
	return budget_room(c) > 0;
}

void rx_ready(struct zcs_conn *c, uint32_t revents)
{
	if (c->connecting || c->closing)
		return;
	if (revents & EPOLLPRI)
		c->rx_oob = c->rx_urgent = true;
	if (revents & (EPOLLRDHUP | EPOLLHUP))
		c->rx_hup = true;
	if (!(revents & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP)))
		return;
	c->rx_maybe = true;
	if (c->rx_told || c->rx_eof || list_is_linked(&c->stalled))
		return;
	c->rx_told = true;
	event_raise(c, ZCS_EV_READABLE);
}

/* ---- SO_RCVLOWAT ---------------------------------------------------------------------------- */

/*
 * The caller is about to wait. The low-water mark must never be above what is still to come, or
 * poll would never tell (guard 11); setting it makes the kernel look again at once.
 */
static void set_lowat(struct zcs_conn *c, uint64_t want)
{
	int val;

	want = min_u64(want, LOWAT_MAX);
	want = min_u64(want, c->borrowed_max / 2);
	if (want < 1)
		want = 1;
	if (want == c->lowat || !c->tcp)
		return;
	val = (int)want;
	if (zcsi_sys->setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &val, sizeof(val)) == 0)
		c->lowat = (uint32_t)want;
}

static void rest(struct zcs_conn *c)
{
	c->rx_told = false;
	if (GUARD(11))
		set_lowat(c, c->expect);
}

ZCS_EXPORT int zcs_conn_expect(struct zcs_conn *c, size_t bytes)
{
	if (c->error || c->closing)
		return c->error ? c->error : -EPIPE;
	c->expect = bytes;
	/* While something may be queued the mark stays: the caller reads first. */
	if (!c->rx_told && !c->rx_maybe)
		set_lowat(c, bytes);
	if (!GUARD(11))
		set_lowat(c, bytes);
	return 0;
}

/* ---- what a call brought -------------------------------------------------------------------- */

static void add_span(struct rx *rx, char *base, size_t len, uint32_t flags)
{
	struct zcs_conn *c = rx->c;
	struct zcs_span *s = &rx->spans[rx->got++];

	span_fill(c, s, base, len, flags);
	s->rx_time_ns = rx->stamp_ns;
	rx->nr--;
	rx->max -= min_u64(len, rx->max);
	c->expect -= min_u64(len, c->expect);
	c->stats.rx_bytes += len;
	c->rx_pos += len;
	if (flags & ZCS_SPAN_MAPPED) {
		c->stats.rx_bytes_mapped += len;
		c->rx_pos = 0;
		c->rx_aligned = true;
	}
}

/* The time stamp among control messages, software or hardware, whichever the socket asked for. */
static int64_t find_stamp(const void *control, size_t len)
{
	struct msghdr mh = { .msg_control = (void *)control, .msg_controllen = len };

	if (len < sizeof(struct cmsghdr))
		return 0;
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(&mh); cm; cm = CMSG_NXTHDR(&mh, cm)) {
		struct timespec ts[3] = { { 0 } };
		size_t data = cm->cmsg_len - CMSG_LEN(0);

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_len < CMSG_LEN(sizeof(ts[0])))
			continue;
		memcpy(ts, CMSG_DATA(cm), min_u64(data, sizeof(ts)));
		if (cm->cmsg_type == SCM_TIMESTAMP) /* struct timeval */
			ts[0].tv_nsec *= 1000;
		else if (cm->cmsg_type != SCM_TIMESTAMPNS && cm->cmsg_type != SCM_TIMESTAMPING)
			continue;
		for (int i = 0; i < 3; i++) {
			if (ts[i].tv_sec || ts[i].tv_nsec)
				return ts[i].tv_sec * 1000000000ll + ts[i].tv_nsec;
		}
	}
	return 0;
}

/* ---- by copy -------------------------------------------------------------------------------- */

static ssize_t receive(struct rx *rx, void *buf, size_t len, int flags)
{
	struct zcs_conn *c = rx->c;
	struct iovec v = { buf, len };
	struct msghdr mh = {
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = c->tcp ? c->ctx->control : NULL,
		.msg_controllen = c->tcp ? sizeof(c->ctx->control) : 0,
	};
	ssize_t r = zcsi_sys->recvmsg(c->fd, &mh, MSG_DONTWAIT | flags);

	c->stats.rx_calls++;
	rx->stamp_ns = r > 0 ? find_stamp(c->ctx->control, mh.msg_controllen) : 0;
	return r;
}

/* End of stream or an error; both are told after all data, and then again whenever asked. */
static int at_end(struct zcs_conn *c, ssize_t r)
{
	if (r == -EAGAIN) {
		c->rx_maybe = false;
		return c->error ? c->error : -EAGAIN;
	}
	if (r < 0 && r != -EFAULT)
		conn_fail(c, (int)r);
	if (r == 0 && !c->error)
		c->rx_eof = true;
	return c->error ? c->error : (int)r;
}

/* A short read means that the queue is empty: the next arrival is a new edge. */
static void note_short_read(struct zcs_conn *c, size_t asked, size_t got)
{
	if (c->tcp && got < asked && !c->rx_hup && !c->rx_urgent && !c->error)
		c->rx_maybe = false;
}

static int rx_copy(struct rx *rx)
{
	struct zcs_conn *c = rx->c;
	struct zcs_ctx *ctx = c->ctx;
	uint64_t want = min_u64(rx->max, budget_room(c));
	size_t room;
	char *buf = chunk_room(ctx, &ctx->rx, RX_CHUNK, min_u64(want, RX_COPY_MIN), &room);
	ssize_t r;

	if (!buf)
		return -ENOMEM;
	want = min_u64(want, room);
	if (c->rx_skip && c->rx_skip < want)
		want = c->rx_skip;
	r = receive(rx, buf, want, 0);
	if (r <= 0)
		return at_end(c, r);
	if (want != c->rx_skip)
		note_short_read(c, want, r);
	c->rx_skip -= min_u64(c->rx_skip, r);
	chunk_take(ctx, &ctx->rx, r);
	add_span(rx, buf, r, 0);
	rx->copied += r;
	policy_rx_result(&c->policy_rx, false, 0, r);
	return 1;
}

/* The urgent byte, where it is not in line (SO_OOBINLINE): as recv with MSG_OOB gives it. */
static int rx_urgent(struct rx *rx)
{
	struct zcs_conn *c = rx->c;
	size_t room;
	char *buf = chunk_room(c->ctx, &c->ctx->rx, RX_CHUNK, 1, &room);
	ssize_t r;

	if (!buf)
		return -ENOMEM;
	r = receive(rx, buf, 1, MSG_OOB);
	if (r == -EAGAIN) /* announced, not here yet: EPOLLPRI comes again */
		return 0;
	c->rx_oob = false;
	if (r != 1)
		return 0;
	chunk_take(c->ctx, &c->ctx->rx, 1);
	add_span(rx, buf, 1, ZCS_SPAN_URGENT);
	return 1;
}

/* ---- by mapping ----------------------------------------------------------------------------- */

/* A peer on this host could change what we have mapped (guard 12). */
static bool trusted(struct zcs_conn *c)
{
	if (!GUARD(12) || c->trust == ZCS_TRUST_PEER)
		return true;
	return c->trust == ZCS_TRUST_ROUTE && conn_route(c) == PROBE_ROUTE_CARD;
}

static bool may_map(struct zcs_conn *c)
{
	enum zcs_reason why = ZCS_R_NONE;

	if (c->no_map)
		why = c->no_map;
	else if (c->recv_way == ZCS_WAY_COPY)
		why = ZCS_R_PINNED;
	else if (c->rx_urgent)
		why = ZCS_R_URGENT;
	else if (c->recv_way == ZCS_WAY_ADAPT && !policy_rx_map(&c->policy_rx))
		why = c->policy_rx.skip ? ZCS_R_UNMAPPABLE : ZCS_R_SMALL;
	else if (!trusted(c))
		why = ZCS_R_UNTRUSTED;
	if (why)
		c->rx_reason = why;
	return !why;
}

/* What one mapping call is given: where to map, where to copy. */
struct map_call {
	struct window *w;
	char *addr;
	size_t len;
	char *copybuf;
	size_t copybuf_len;
	struct tcp_zerocopy_receive z;
};

/*
 * recv_skip_hint reaches to the end of the packet when the next byte lies inside a page, although to
 * copy to the end of that page is enough. Where the position is not known: no limit.
 */
static uint32_t to_page_end(const struct zcs_conn *c)
{
	uint32_t inside = c->rx_pos % ZCSI_PAGE;

	return c->rx_aligned && inside ? ZCSI_PAGE - inside : UINT32_MAX;
}

/* false: not now, copy. */
static bool prepare(struct rx *rx, struct map_call *m)
{
	struct zcs_conn *c = rx->c;
	uint64_t room = min_u64(rx->max, budget_room(c));
	size_t copy_room;

	m->copybuf_len = 0;
	m->w = room >= 2 * ZCSI_PAGE ? ctx_window(c->ctx, c->fd) : NULL;
	if (!m->w) {
		c->rx_reason = c->ctx->no_window ? ZCS_R_NO_MAP : ZCS_R_BUDGET;
		return false;
	}
	m->len = window_room(m->w, min_u64(room, MAP_MAX), &m->addr);
	if (!m->len) {
		c->rx_reason = ZCS_R_WINDOW_FULL;
		return false;
	}
	if (rx->nr < 2 || m->w->optlen < WINDOW_OPT_COPYBUF)
		return true;
	/* Mapped and copied bytes together must stay within what may be read. */
	m->copybuf_len = c->recv_way == ZCS_WAY_ZEROCOPY ? ZCSI_PAGE - 1 : policy_crossover();
	m->copybuf_len = min_u64(m->copybuf_len, min_u64(room / 2, to_page_end(c)));
	if (m->len + m->copybuf_len > room)
		m->len = (room - m->copybuf_len) & ~(uint64_t)(ZCSI_PAGE - 1);
	m->copybuf = chunk_room(c->ctx, &c->ctx->rx, RX_CHUNK, m->copybuf_len, &copy_room);
	if (!m->copybuf)
		m->copybuf_len = 0;
	return m->len > 0;
}

static int call(struct rx *rx, struct map_call *m)
{
	struct zcs_conn *c = rx->c;
	socklen_t optlen = m->w->optlen;
	int r;

	m->z = (struct tcp_zerocopy_receive){
		.address = (uintptr_t)m->addr,
		.length = m->len,
		.copybuf_address = (uintptr_t)m->copybuf,
		.copybuf_len = m->copybuf_len,
		/* The window never offers a page that was not unmapped before. */
		.flags = TCP_RECEIVE_ZEROCOPY_FLAG_TLB_CLEAN_HINT,
		.msg_control = (uintptr_t)c->ctx->control,
		.msg_controllen = sizeof(c->ctx->control),
	};
	r = zcsi_sys->getsockopt(c->fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &m->z, &optlen);
	c->stats.rx_calls++;
	rx->stamp_ns = 0;
	/* Unlike recvmsg it gives the room that is left. */
	if (r == 0 && optlen >= WINDOW_OPT_ALL && m->z.msg_controllen < sizeof(c->ctx->control))
		rx->stamp_ns =
			find_stamp(c->ctx->control, sizeof(c->ctx->control) - m->z.msg_controllen);
	return r;
}

/* Makes spans of what the call reports. */
static void take_mapped(struct rx *rx, struct map_call *m)
{
	struct zcs_conn *c = rx->c;
	size_t mapped = min_u64(m->z.length, m->len) & ~(size_t)(ZCSI_PAGE - 1);
	size_t copied = 0;

	if (m->copybuf_len && m->z.copybuf_len > 0)
		copied = min_u64(m->z.copybuf_len, m->copybuf_len);
	if (mapped) {
		window_commit(m->w, m->addr, mapped);
		/* Beyond what was filled there is SIGBUS (guard 14). */
		add_span(rx, m->addr, GUARD(14) ? mapped : m->len, ZCS_SPAN_MAPPED);
	}
	if (copied) {
		chunk_take(c->ctx, &c->ctx->rx, copied);
		add_span(rx, m->copybuf, copied, 0);
	}
	/* What it left behind will have to be copied as well. */
	policy_rx_result(&c->policy_rx, true, mapped, copied + (mapped ? 0 : m->z.inq));
	if (!mapped)
		c->rx_reason = copied >= policy_crossover() ? ZCS_R_UNMAPPABLE : ZCS_R_SMALL;
}

/* How much to copy before mapping is tried again. */
static uint32_t to_skip(struct zcs_conn *c, const struct map_call *m)
{
	if (c->rx_aligned && c->rx_pos % ZCSI_PAGE == 0 && !m->z.length) {
		/* Copied to the end of a page just now: map. Nothing at all: we were wrong. */
		if (m->z.copybuf_len > 0)
			return 0;
		c->rx_aligned = false;
	}
	return min_u64(m->z.recv_skip_hint, to_page_end(c));
}

/*
 * What comes after the call. The error is told once, and taken from the socket (guard 13): recv
 * would report a clean end of stream from then on.
 */
static void note_state(struct rx *rx, struct map_call *m)
{
	struct zcs_conn *c = rx->c;
	bool has_err = m->w->optlen >= WINDOW_OPT_ERR;

	if (has_err && m->z.err && GUARD(13))
		conn_fail(c, m->z.err < 0 ? m->z.err : -m->z.err);
	c->rx_skip = to_skip(c, m);
	/* inq counts a FIN as one: only 0 says that nothing is there. */
	if (has_err && !m->z.inq && rx->got && !c->rx_hup && !c->error)
		c->rx_maybe = false;
}

/* 1: spans were added. 0: copy instead, now. */
static int rx_map(struct rx *rx)
{
	struct zcs_conn *c = rx->c;
	struct map_call m = { 0 };
	size_t before = rx->got;
	int r;

	if (!prepare(rx, &m))
		return 0;
	r = call(rx, &m);
	if (r == -EOPNOTSUPP || r == -ENOPROTOOPT)
		c->no_map = ZCS_R_NO_MAP;
	if (r < 0) {
		/*
		 * -EIO is the end of stream, which the copying read will meet. Anything else
		 * (EINVAL from a window that worked: 7.1-rc; EBUSY, ENOMEM) means "copy this
		 * round".
		 */
		if (r != -EIO) {
			c->stats.rx_map_refused++;
			policy_rx_result(&c->policy_rx, true, 0, policy_crossover() + 1);
		}
		return 0;
	}
	take_mapped(rx, &m);
	note_state(rx, &m);
	return rx->got > before;
}

/* ---- zcs_conn_recv -------------------------------------------------------------------------- */

static int step(struct rx *rx)
{
	struct zcs_conn *c = rx->c;

	if (c->rx_oob && rx_urgent(rx) > 0)
		return 1;
	if (!c->rx_skip && may_map(c) && rx_map(rx))
		return 1;
	return rx_copy(rx);
}

static int can_read(struct zcs_conn *c)
{
	if (c->rx_eof)
		return 0;
	if (!c->rx_maybe)
		return c->error ? c->error : -EAGAIN;
	if (rx_budget_left(c))
		return 1;
	if (!list_is_linked(&c->stalled))
		list_add_tail(&c->ctx->stalled, &c->stalled);
	return -EAGAIN;
}

ZCS_EXPORT int zcs_conn_recv(struct zcs_conn *c, struct zcs_span *spans, size_t nr,
			     size_t max_bytes)
{
	struct rx rx = {
		.c = c,
		.spans = spans,
		.nr = nr,
		.max = max_bytes ? max_bytes : UINT64_MAX,
	};
	int r = 1;

	if (!nr)
		return -EINVAL;
	if (c->closing)
		return -EPIPE;
	if (c->connecting)
		return -EAGAIN;
	/* No more than one chunk by copy: the caller should see it while it is in the cache. */
	while (rx.nr && rx.max && rx.copied < RX_CHUNK) {
		r = can_read(c);
		if (r == 1)
			r = step(&rx);
		if (r <= 0)
			break;
	}
	if (rx.got)
		return (int)rx.got;
	if (r == -EAGAIN)
		rest(c);
	return r;
}
