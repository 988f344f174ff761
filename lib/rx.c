// SPDX-License-Identifier: MIT
/*
 * rx.c - the receive side: in order, by mapping where that is wanted (map.c), else by copy
 */
#include "rx.h"
#include "sys.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define RX_COPY_MIN 4096u /* a chunk with less room than this is replaced */
#define LOWAT_MAX   (1u << 20)

/* ---- budgets, readiness --------------------------------------------------------------------- */

uint64_t rx_budget_room(const struct zcs_conn *c)
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

void rx_add_span(struct rx *rx, char *base, size_t len, uint32_t flags)
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

int64_t rx_find_stamp(const void *control, size_t len)
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
	rx->stamp_ns = r > 0 ? rx_find_stamp(c->ctx->control, mh.msg_controllen) : 0;
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
	uint64_t want = min_u64(rx->max, rx_budget_room(c));
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
	rx_add_span(rx, buf, r, 0);
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
	rx_add_span(rx, buf, 1, ZCS_SPAN_URGENT);
	return 1;
}

/* ---- zcs_conn_recv -------------------------------------------------------------------------- */

static int step(struct rx *rx)
{
	struct zcs_conn *c = rx->c;

	if (c->rx_oob && rx_urgent(rx) > 0)
		return 1;
	if (!c->rx_skip && map_is_wanted(c) && map_receive(rx))
		return 1;
	return rx_copy(rx);
}

static int can_read(struct zcs_conn *c)
{
	if (c->rx_eof)
		return 0;
	if (!c->rx_maybe)
		return c->error ? c->error : -EAGAIN;
	if (rx_budget_room(c))
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
