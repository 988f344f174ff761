// SPDX-License-Identifier: MIT
/*
 * rx.c - the receive side: in order, by mapping where that is wanted (map.c), else by copy
 */
#include "rx.h"
#include "sys.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>

#define RX_COPY_MIN 4096u /* a chunk with less room than this is replaced */
#define LOWAT_MAX   (1u << 20)
#define WORTH_PART  4 /* to wait costs more than to read this part of what is expected */

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
	if (c->rx_inq < c->lowat)
		c->rx_inq = c->lowat;
	c->rx_inq_known = false;
	c->rx_fresh = true;
	if (c->rx_told || c->rx_eof || list_is_linked(&c->stalled))
		return;
	c->rx_told = true;
	event_raise(c, ZCS_EV_READABLE);
}

/* ---- SO_RCVLOWAT ---------------------------------------------------------------------------- */

static uint64_t lowat_for(const struct zcs_conn *c)
{
	uint64_t want = min_u64(c->expect, min_u64(LOWAT_MAX, c->borrowed_max / 2));

	return want && c->tcp ? want : 1;
}

/*
 * The caller is about to wait. The low-water mark must never be above what is still to come, or
 * poll would never tell (guard 11); setting it makes the kernel look again at once.
 */
static void set_lowat(struct zcs_conn *c)
{
	uint64_t want = lowat_for(c);
	int val = (int)want;

	if (want == c->lowat)
		return;
	if (zcsi_sys->setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &val, sizeof(val)) == 0)
		c->lowat = (uint32_t)want;
}

void rx_rest(struct zcs_conn *c)
{
	c->rx_told = false;
	if (GUARD(11))
		set_lowat(c);
}

ZCS_EXPORT int zcs_conn_expect(struct zcs_conn *c, size_t bytes)
{
	if (c->error || c->closing)
		return c->error ? c->error : -EPIPE;
	c->expect = bytes;
	/*
	 * After a wake-up the mark stays until the caller has read; after -EAGAIN it is the only
	 * thing that will tell of what is left in the queue.
	 */
	if ((!c->rx_told && !c->rx_fresh) || !GUARD(11))
		set_lowat(c);
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
	c->waits.received = true;
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

static ssize_t receive_stamped(struct rx *rx, void *buf, size_t len, int flags)
{
	struct zcs_ctx *ctx = rx->c->ctx;
	struct iovec v = { buf, len };
	struct msghdr mh = {
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = ctx->control,
		.msg_controllen = sizeof(ctx->control),
	};
	ssize_t r = zcsi_sys->recvmsg(rx->c->fd, &mh, flags);

	rx->stamp_ns = r > 0 ? rx_find_stamp(ctx->control, mh.msg_controllen) : 0;
	return r;
}

static ssize_t receive(struct rx *rx, void *buf, size_t len, int flags)
{
	struct zcs_conn *c = rx->c;

	flags |= MSG_DONTWAIT;
	c->stats.rx_calls++;
	return c->stamped ? receive_stamped(rx, buf, len, flags)
			  : zcsi_sys->recv(c->fd, buf, len, flags);
}

/* End of stream or an error; both are told after all data, and then again whenever asked. */
int rx_at_end(struct zcs_conn *c, ssize_t r)
{
	if (r == -EAGAIN) {
		c->rx_maybe = false;
		c->rx_inq = 0;
		return c->error ? c->error : -EAGAIN;
	}
	if (r < 0 && r != -EFAULT)
		conn_fail(c, (int)r);
	if (r == 0 && !c->error)
		c->rx_eof = true;
	return c->error ? c->error : (int)r;
}

/*
 * A short read means that the queue is empty: the next arrival is a new edge. But kernel TLS ends
 * one at a record of another kind.
 */
static void note_short_read(struct zcs_conn *c, size_t asked, size_t got)
{
	c->rx_inq -= min_u64(c->rx_inq, got);
	if (c->tcp && got < asked && !c->rx_hup && !c->rx_urgent && !c->error &&
	    c->no_map != ZCS_R_ULP && c->no_lend != ZCS_R_ULP)
		c->rx_maybe = false;
}

static int rx_copy(struct rx *rx)
{
	struct zcs_conn *c = rx->c;
	struct zcs_ctx *ctx = c->ctx;
	uint64_t want = min_u64(rx->max, rx->budget);
	size_t room;
	char *buf = chunk_room(ctx, &ctx->rx, RX_CHUNK, min_u64(want, RX_COPY_MIN), &room);
	ssize_t r;

	if (!buf)
		return -ENOMEM;
	want = min_u64(want, min_u64(room, RX_CHUNK)); /* the chunk may be one of UDP's */
	if (c->rx_skip && c->rx_skip < want)
		want = c->rx_skip;
	r = receive(rx, buf, want, 0);
	if (r <= 0)
		return rx_at_end(c, r);
	if (want != c->rx_skip)
		note_short_read(c, want, r);
	c->rx_skip -= min_u64(c->rx_skip, r);
	chunk_take(&ctx->rx, r);
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
	chunk_take(&c->ctx->rx, 1);
	rx_add_span(rx, buf, 1, ZCS_SPAN_URGENT);
	return 1;
}

/* ---- zcs_conn_recv -------------------------------------------------------------------------- */

/* One way for the whole of a call, so that what it cost can be told of that way. */
static bool decide(struct rx *rx)
{
	struct zcs_conn *c = rx->c;

	if (rx->way != RX_UNDECIDED)
		return rx->way == RX_MAP && !c->rx_urgent;
	/* A copying call brings no more than a chunk: larger ones are of one class with it. */
	rx->size = min_u64(c->policy_rx.size_kib * 1024ull, RX_CHUNK);
	rx->way = map_is_wanted(rx) ? RX_MAP : RX_COPY;
	if (rx->measure) {
		rx->from_cpu_ns = zcsi_sys->cpu_ns();
		rx->from_bytes = c->stats.rx_bytes;
		rx->from_mapped = c->stats.rx_bytes_mapped;
	}
	return rx->way == RX_MAP;
}

static void tell_cost(const struct rx *rx)
{
	const struct zcs_conn *c = rx->c;
	uint64_t bytes = c->stats.rx_bytes - rx->from_bytes;
	uint64_t mapped = c->stats.rx_bytes_mapped - rx->from_mapped;
	double cost = (double)(zcsi_sys->cpu_ns() - rx->from_cpu_ns);

	/* Pages will have to be unmapped. */
	cost += c->ctx->window.unmap.each_ns * (double)mapped;
	if (bytes)
		link_cost(conn_link(rx->c), LINK_RECV, rx->size, rx->way == RX_MAP, cost, bytes);
}

static int step(struct rx *rx)
{
	struct zcs_conn *c = rx->c;

	c->rx_fresh = false;
	if (c->rx_oob && rx_urgent(rx) > 0)
		return 1;
	if (!c->rx_skip && decide(rx) && map_receive(rx))
		return 1;
	return rx_copy(rx);
}

/*
 * The caller said what is coming, and less of it is there: wait for more. Only if that is certain,
 * for what is there already wakes nobody again; and not against the kernel, which wakes us below
 * the mark when it has no room for more.
 */
static bool is_worth_it(struct zcs_conn *c)
{
	uint64_t want = min_u64(lowat_for(c) / WORTH_PART, RX_CHUNK);
	int queued;

	if (want <= 1 || c->rx_fresh || c->rx_inq >= want || c->rx_hup || c->rx_urgent || c->error)
		return true;
	if (!c->rx_inq_known) {
		if (zcsi_sys->ioctl(c->fd, SIOCINQ, &queued) < 0)
			return true;
		c->rx_inq = (uint32_t)queued;
		c->rx_inq_known = true;
	}
	return c->rx_inq >= want;
}

static int can_read(struct rx *rx)
{
	struct zcs_conn *c = rx->c;

	if (c->rx_eof)
		return 0;
	if (!c->rx_maybe)
		return c->error ? c->error : -EAGAIN;
	rx->budget = rx_budget_room(c);
	if (!rx->budget) {
		if (!list_is_linked(&c->stalled))
			list_add_tail(&c->ctx->stalled, &c->stalled);
		return -EAGAIN;
	}
	return 1;
}

static int read_stream(struct rx *rx)
{
	int r = 1;

	/* No more than one chunk by copy: the caller should see it while it is in the cache. */
	while (rx->nr && rx->max && rx->copied < RX_CHUNK) {
		r = can_read(rx);
		if (r == 1 && !rx->got && !is_worth_it(rx->c))
			r = -EAGAIN;
		if (r == 1)
			r = step(rx);
		if (r <= 0)
			break;
	}
	return r;
}

/* One call: an error behind the datagrams that it brought is told by the next one. */
static int read_datagrams(struct rx *rx)
{
	int r = rx->c->icmp;

	rx->c->icmp = 0;
	r = r ? r : can_read(rx);
	return r == 1 ? dgram_receive(rx) : r;
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
	int r;

	if (!nr || (c->dgram && max_bytes))
		return -EINVAL;
	if (c->closing)
		return -EPIPE;
	if (c->connecting)
		return -EAGAIN;
	r = c->dgram ? read_datagrams(&rx) : read_stream(&rx);
	if (rx.measure)
		tell_cost(&rx);
	if (rx.got)
		return (int)rx.got;
	if (r == -EAGAIN)
		rx_rest(c);
	return r;
}
