// SPDX-License-Identifier: MIT
/*
 * map.c - receiving by mapping: TCP_ZEROCOPY_RECEIVE
 *
 * One call does three things (tcp_zerocopy_receive, net/ipv4/tcp.c): what is queued is copied whole
 * when it fits the copy buffer; else pages are mapped from the start of the queue, up to the first
 * that cannot be; then the copy buffer takes what is in the way. recv_skip_hint says how much more
 * must be copied before mapping can go on. Whatever the call says is checked against what is
 * possible, and nothing but what it reports as filled is ever handed out.
 */
#include "rx.h"
#include "sys.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#define MAP_MAX	      (2u << 20)  /* bytes of a call: a segment of the window */
#define CROSSOVER_MAX (64u << 10) /* so much may be copied by a mapping call */

/* A peer on this host could change what we have mapped (guard 12). */
static bool trusted(struct zcs_conn *c)
{
	if (!GUARD(12) || c->trust == ZCS_TRUST_PEER)
		return true;
	return c->trust == ZCS_TRUST_ROUTE && conn_route(c) == PROBE_ROUTE_CARD;
}

/*
 * Kernel TLS can be put on a socket at any time. The kernel goes on to map what arrives, the
 * records as they are encrypted, and the stream is lost with them (guard 18).
 */
static bool got_ulp(struct zcs_conn *c)
{
	if (!GUARD(18) || !probe_has_ulp(c->fd))
		return false;
	c->no_map = ZCS_R_ULP;
	return true;
}

/* Whether this connection may map at all comes first: the policy learns only where it has a say. */
bool map_is_wanted(struct rx *rx)
{
	struct zcs_conn *c = rx->c;
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
	else if (c->recv_way == ZCS_WAY_ADAPT &&
		 !link_choose(conn_link(c), LINK_RECV, rx->size, c->ctx->now_ns, &rx->measure))
		why = ZCS_R_COSTS;
	else if (got_ulp(c))
		why = ZCS_R_ULP;
	if (why)
		c->rx_reason = why;
	return !why;
}

/* Bytes queued at or below which a mapping call copies instead. */
static uint32_t crossover(struct zcs_conn *c)
{
	uint64_t least;

	if (c->recv_way == ZCS_WAY_ZEROCOPY)
		return ZCSI_PAGE - 1;
	least = link_crossover(conn_link(c), LINK_RECV);
	return least < CROSSOVER_MAX ? policy_crossover(least) : policy_crossover(0);
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
 * recv_skip_hint reaches to the end of the packet when the next byte lies inside a page, although
 * to copy to the end of that page is enough. Where the position is not known: no limit.
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
	uint64_t room = min_u64(rx->max, rx->budget);
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
	/* With all of it there, the copy buffer would take what the next call can map. */
	if (c->rx_inq >= m->len)
		return true;
	/* Mapped and copied bytes together must stay within what may be read. */
	m->copybuf_len = min_u64(crossover(c), min_u64(room / 2, to_page_end(c)));
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
		rx->stamp_ns = rx_find_stamp(c->ctx->control,
					     sizeof(c->ctx->control) - m->z.msg_controllen);
	return r;
}

/* Makes spans of what the call reports. */
static void take_mapped(struct rx *rx, struct map_call *m)
{
	struct zcs_conn *c = rx->c;
	size_t mapped = min_u64(m->z.length, m->len) & ~(size_t)(ZCSI_PAGE - 1);
	/* So much would be mapped if it could be. */
	size_t least = c->recv_way == ZCS_WAY_ZEROCOPY ? ZCSI_PAGE : crossover(c);
	size_t copied = 0;

	if (m->copybuf_len && m->z.copybuf_len > 0)
		copied = min_u64(m->z.copybuf_len, m->copybuf_len);
	if (mapped) {
		window_commit(m->w, m->addr, mapped);
		/* Beyond what was filled there is SIGBUS (guard 14). */
		rx_add_span(rx, m->addr, GUARD(14) ? mapped : m->len, ZCS_SPAN_MAPPED);
	}
	if (copied) {
		chunk_take(&c->ctx->rx, copied);
		rx_add_span(rx, m->copybuf, copied, 0);
	}
	/* What it left behind will have to be copied as well. */
	policy_rx_result(&c->policy_rx, true, mapped, copied + (mapped ? 0 : m->z.inq));
	if (!mapped)
		c->rx_reason = copied + m->z.inq >= least ? ZCS_R_UNMAPPABLE : ZCS_R_SMALL;
}

/* How much to copy before mapping is tried again. */
static uint32_t to_skip(struct zcs_conn *c, const struct map_call *m)
{
	uint32_t copied = m->z.copybuf_len > 0 ? (uint32_t)m->z.copybuf_len : 0;

	if (c->rx_aligned && !m->z.length && m->z.recv_skip_hint) {
		/* At the start of a page and nothing to map: we were wrong, or it cannot be. */
		if ((c->rx_pos - copied) % ZCSI_PAGE == 0)
			c->rx_aligned = false;
		else if (c->rx_pos % ZCSI_PAGE == 0) /* copied to the end of a page just now: map */
			return 0;
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
	c->rx_inq = has_err ? m->z.inq : 0;
	c->rx_inq_known = has_err;
}

int map_receive(struct rx *rx)
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
			policy_rx_result(&c->policy_rx, true, 0, policy_crossover(0) + 1);
		}
		return 0;
	}
	take_mapped(rx, &m);
	note_state(rx, &m);
	return rx->got > before;
}
