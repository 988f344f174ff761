// SPDX-License-Identifier: MIT
/*
 * ctx.c - a thread's context: one descriptor to poll, bounded work, timers, budgets
 *
 * Sockets are registered edge triggered and kept in a ready list of our own until their work is
 * done: level triggered, a connection that is drained after the peer's FIN would wake the outer
 * loop for ever. What the caller's own calls leave to do is made visible by an eventfd, but only
 * for callers that asked for the descriptor; zcs_ctx_wait looks at the lists first.
 */
#include "ctx.h"

#include "conn.h"
#include "sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define PROCESS_CONNS 64 /* connections per zcs_ctx_process, unless the caller says otherwise */
#define EPOLL_BATCH   64
#define ASLEEP_NS     20000 /* a wait that takes longer found nothing at first */

#define WINDOW_MIN (32u << 20)
#define WINDOW_MAX (1u << 30)

uint64_t ctx_now(void)
{
	return zcsi_sys->clock_ns(true);
}

uint32_t ctx_now_us(void)
{
	return (uint32_t)(zcsi_sys->clock_ns(false) / 1000);
}

void ctx_look_at_clock(struct zcs_ctx *ctx)
{
	ctx->now_ns = ctx_now();
}

int opts_copy(void *dst, size_t dst_size, const void *src)
{
	size_t size;

	memset(dst, 0, dst_size);
	if (!src)
		return 0;
	memcpy(&size, src, sizeof(size));
	if (size < sizeof(size))
		return -EINVAL;
	for (size_t i = dst_size; i < size; i++) {
		if (((const char *)src)[i])
			return -E2BIG;
	}
	memcpy(dst, src, min_u64(size, dst_size));
	return 0;
}

/* ---- timers and waking ---------------------------------------------------------------------- */

void ctx_wake(struct zcs_ctx *ctx)
{
	uint64_t one = 1;

	if (!ctx->exported || ctx->woken || ctx->working)
		return;
	if (zcsi_sys->write(ctx->wake, &one, sizeof(one)) == sizeof(one))
		ctx->woken = true;
}

static void unwake(struct zcs_ctx *ctx)
{
	uint64_t count;

	if (ctx->woken)
		zcsi_sys->read(ctx->wake, &count, sizeof(count));
	ctx->woken = false;
	post_drain(ctx);
}

static void set_timer(struct zcs_ctx *ctx, uint64_t at_ns)
{
	if (at_ns == ctx->timer_ns)
		return;
	zcsi_sys->timer_set(ctx->timer, at_ns);
	ctx->timer_ns = at_ns;
}

void ctx_set_timer(struct zcs_conn *c, uint64_t at_ns)
{
	struct zcs_ctx *ctx = c->ctx;

	c->wake_ns = at_ns;
	if (!at_ns) {
		list_del(&c->timed);
		return;
	}
	if (!list_is_linked(&c->timed))
		list_add_tail(&ctx->timed, &c->timed);
	if (!ctx->timer_ns || at_ns < ctx->timer_ns)
		set_timer(ctx, at_ns);
}

static void run_timers(struct zcs_ctx *ctx)
{
	uint64_t now = zcsi_sys->clock_ns(false);
	uint64_t next = 0;
	struct list due, *e;

	list_init(&due);
	for (e = ctx->timed.next; e != &ctx->timed;) {
		struct zcs_conn *c = container_of(e, struct zcs_conn, timed);

		e = e->next;
		if (c->wake_ns <= now) {
			list_del(&c->timed);
			list_add_tail(&due, &c->timed);
		} else if (!next || c->wake_ns < next) {
			next = c->wake_ns;
		}
	}
	ctx->timer_ns = 0;
	if (next)
		set_timer(ctx, next);
	while (!list_is_empty(&due)) {
		struct zcs_conn *c = container_of(due.next, struct zcs_conn, timed);

		list_del(&c->timed);
		conn_timer(c, now);
	}
}

/* ---- work ----------------------------------------------------------------------------------- */

static void take_wake(struct zcs_ctx *ctx)
{
	uint64_t count;

	zcsi_sys->read(ctx->wake, &count, sizeof(count));
	ctx->woken = false;
	post_drain(ctx);
}

static void take_timer(struct zcs_ctx *ctx)
{
	uint64_t count;

	zcsi_sys->read(ctx->timer, &count, sizeof(count));
	run_timers(ctx);
}

/* What epoll knows goes to the ready list. */
static int poll_kernel(struct zcs_ctx *ctx, int timeout_ms)
{
	struct epoll_event evs[EPOLL_BATCH];
	int n = zcsi_sys->epoll_wait(ctx->ep, evs, EPOLL_BATCH, timeout_ms);
	bool timer = false;

	ctx_look_at_clock(ctx);
	for (int i = 0; i < n; i++) {
		if (evs[i].data.ptr == &ctx->wake) {
			take_wake(ctx);
		} else if (evs[i].data.ptr == &ctx->timer) {
			timer = true;
		} else if (evs[i].data.ptr != &ctx->ring) { /* that is read in any case */
			struct zcs_conn *c = evs[i].data.ptr;

			c->revents |= evs[i].events;
			conn_schedule(c);
		}
	}
	/* Last: a timer may close connections that this batch names. */
	if (timer)
		take_timer(ctx);
	return n;
}

static void run_ready(struct zcs_ctx *ctx, unsigned max_conns)
{
	while (max_conns-- && !list_is_empty(&ctx->ready)) {
		struct zcs_conn *c = container_of(ctx->ready.next, struct zcs_conn, ready);
		uint32_t revents = c->revents;

		list_del(&c->ready);
		c->revents = 0;
		conn_work(c, revents);
	}
}

static int process(struct zcs_ctx *ctx, unsigned max_conns, int timeout_ms)
{
	int n;

	ctx->working = true;
	n = poll_kernel(ctx, timeout_ms);
	run_ready(ctx, max_conns ? max_conns : PROCESS_CONNS);
	if (ctx->ring)
		uring_turn(ctx, true);
	ctx->working = false;
	return n;
}

/* The caller's messages go out; whether there is something to do without waiting. */
static bool turn(struct zcs_ctx *ctx)
{
	ctx->working = true;
	if (ctx->ring)
		uring_turn(ctx, false);
	ctx->working = false;
	return uring_is_due(ctx) || event_is_waiting(ctx) || !list_is_empty(&ctx->ready);
}

ZCS_EXPORT int zcs_ctx_process(struct zcs_ctx *ctx, unsigned max_conns)
{
	bool ignored = event_is_waiting(ctx); /* the caller leaves events: keep reminding it */
	int n;

	unwake(ctx);
	(void)turn(ctx);
	n = process(ctx, max_conns, 0);
	if (!list_is_empty(&ctx->ready) || n == EPOLL_BATCH || uring_is_due(ctx)) {
		ctx_wake(ctx);
		return 1;
	}
	if (ignored)
		ctx_wake(ctx);
	return 0;
}

static int sleep_in_kernel(struct zcs_ctx *ctx, int timeout_ms)
{
	uint64_t from = zcsi_sys->clock_ns(false);
	int n = process(ctx, 0, timeout_ms);

	ctx->in_vain += zcsi_sys->clock_ns(false) - from > ASLEEP_NS;
	return n;
}

ZCS_EXPORT int zcs_ctx_wait(struct zcs_ctx *ctx, struct zcs_event *events, size_t max,
			    int timeout_ms)
{
	uint64_t end = timeout_ms > 0 ? zcsi_sys->clock_ns(false) + timeout_ms * 1000000ull : 0;
	int n, left = timeout_ms;

	if (!max)
		return -EINVAL;
	for (;;) {
		bool waits = turn(ctx);

		n = waits ? process(ctx, 0, 0) : sleep_in_kernel(ctx, left);
		if (n < 0 && (n != -EINTR || !waits))
			return n;
		n = event_take(ctx, events, max);
		if (n || !timeout_ms)
			return n;
		if (timeout_ms > 0) {
			uint64_t now = zcsi_sys->clock_ns(false);

			if (now >= end)
				return 0;
			left = (int)((end - now + 999999) / 1000000);
		}
	}
}

ZCS_EXPORT int zcs_ctx_fd(struct zcs_ctx *ctx)
{
	ctx->exported = true;
	if (event_is_waiting(ctx) || !list_is_empty(&ctx->ready) || uring_is_due(ctx))
		ctx_wake(ctx);
	return ctx->ep;
}

/* ---- budgets -------------------------------------------------------------------------------- */

void ctx_lent_back(struct zcs_ctx *ctx)
{
	struct list *e = ctx->waiting.next;

	while (e != &ctx->waiting) {
		struct zcs_conn *c = container_of(e, struct zcs_conn, waiting);

		e = e->next;
		if (c->lent > c->writable_at)
			continue;
		if (ctx->lent &&
		    (ctx->lent >= ctx->lent_max || c->wanted > ctx->lent_max - ctx->lent))
			continue;
		list_del(&c->waiting);
		event_raise(c, ZCS_EV_WRITABLE);
	}
}

void ctx_pool_back(struct zcs_ctx *ctx)
{
	if (!ctx->pool.starved || ctx->pool.used >= ctx->pool.max)
		return;
	ctx->pool.starved = false;
	ctx->pool_event = true;
	ctx_wake(ctx);
}

struct window *ctx_window(struct zcs_ctx *ctx, int data_fd)
{
	uint64_t len = ctx->borrowed_max < WINDOW_MAX / 2 ? ctx->borrowed_max * 2 : WINDOW_MAX;

	if (ctx->window.base)
		return &ctx->window;
	if (ctx->no_window)
		return NULL;
	if (len < WINDOW_MIN)
		len = WINDOW_MIN;
	len &= ~(uint64_t)(ZCSI_HUGE - 1);
	if (window_open(&ctx->window, len, data_fd) < 0) {
		ctx->no_window = true;
		return NULL;
	}
	return &ctx->window;
}

/* ---- making and freeing --------------------------------------------------------------------- */

static int check_opts(const struct zcs_ctx_opts *o)
{
	return o->ring > ZCS_RING_TRY || o->huge > ZCS_HUGE_NEVER ? -EINVAL : 0;
}

static void apply_limits(struct zcs_ctx *ctx, const struct zcs_ctx_opts *o)
{
	if (o->lent_max)
		ctx->lent_max = o->lent_max == ZCS_NONE ? 0 : o->lent_max;
	if (o->borrowed_max)
		ctx->borrowed_max = o->borrowed_max == ZCS_NONE ? 0 : o->borrowed_max;
	if (o->pool_max)
		ctx->pool.max = o->pool_max == ZCS_NONE ? 0 : o->pool_max;
	if (o->pool_retain)
		ctx->pool.retain = o->pool_retain == ZCS_NONE ? 0 : o->pool_retain;
	if (o->zerocopy_min)
		ctx->policy.zerocopy_min = o->zerocopy_min == ZCS_NONE ? 1 : o->zerocopy_min;
}

static int add_own(struct zcs_ctx *ctx, int fd, void *tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = tag };

	return zcsi_sys->epoll_ctl(ctx->ep, EPOLL_CTL_ADD, fd, &ev);
}

static int open_descriptors(struct zcs_ctx *ctx)
{
	int r;

	ctx->ep = zcsi_sys->epoll_create();
	ctx->wake = zcsi_sys->eventfd();
	ctx->timer = zcsi_sys->timerfd();
	if (ctx->ep < 0)
		return ctx->ep;
	if (ctx->wake < 0)
		return ctx->wake;
	if (ctx->timer < 0)
		return ctx->timer;
	r = add_own(ctx, ctx->wake, &ctx->wake);
	return r < 0 ? r : add_own(ctx, ctx->timer, &ctx->timer);
}

static void destroy(struct zcs_ctx *ctx)
{
	post_drain(ctx);
	while (!list_is_empty(&ctx->dead))
		conn_free(container_of(ctx->dead.next, struct zcs_conn, all));
	if (ctx->window.base)
		window_close(&ctx->window);
	txq_free_cache(ctx);
	uring_free(ctx);
	pool_fini(&ctx->pool);
	evq_fini(&ctx->evq);
	if (ctx->timer >= 0)
		zcsi_sys->close(ctx->timer);
	if (ctx->wake >= 0)
		zcsi_sys->close(ctx->wake);
	if (ctx->ep >= 0)
		zcsi_sys->close(ctx->ep);
	free(ctx);
}

ZCS_EXPORT int zcs_ctx_new(const struct zcs_ctx_opts *opts, struct zcs_ctx **ctx_out)
{
	struct zcs_ctx_opts o;
	struct zcs_ctx *ctx;
	int r = opts_copy(&o, sizeof(o), opts);

	if (!r)
		r = check_opts(&o);
	if (r < 0)
		return r;
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	list_init(&ctx->conns);
	list_init(&ctx->ready);
	list_init(&ctx->flagged);
	list_init(&ctx->timed);
	list_init(&ctx->waiting);
	list_init(&ctx->stalled);
	list_init(&ctx->dead);
	ctx->lent_max = 256u << 20;
	ctx->borrowed_max = 64u << 20;
	ctx->huge = o.huge ? o.huge : ZCS_HUGE_AUTO;
	ctx->ring_wanted = o.ring == ZCS_RING_TRY;
	/* Of a registered huge page the kernel charges all before the piece to the socket. */
	pool_init(&ctx->pool, 64u << 20, 4u << 20, ctx->ring_wanted ? ZCS_HUGE_NEVER : ctx->huge);
	policy_init(&ctx->policy);
	apply_limits(ctx, &o);
	ctx_look_at_clock(ctx);
	r = open_descriptors(ctx);
	if (r < 0) {
		destroy(ctx);
		return r;
	}
	*ctx_out = ctx;
	return 0;
}

ZCS_EXPORT int zcs_ctx_limits(struct zcs_ctx *ctx, const struct zcs_ctx_opts *opts)
{
	struct zcs_ctx_opts o;
	int r = opts_copy(&o, sizeof(o), opts);

	if (!r)
		r = check_opts(&o);
	if (r < 0)
		return r;
	apply_limits(ctx, &o);
	ctx_lent_back(ctx);
	ctx_pool_back(ctx);
	span_unstall(ctx);
	return 0;
}

ZCS_EXPORT int zcs_ctx_free(struct zcs_ctx *ctx)
{
	if (!ctx)
		return 0;
	post_drain(ctx);
	if (ctx->nr_open || event_is_waiting(ctx) || ctx->borrowed)
		return -EBUSY;
	destroy(ctx);
	return 0;
}

ZCS_EXPORT void zcs_ctx_abandon(struct zcs_ctx *ctx)
{
	struct list *e;

	post_drain(ctx);
	e = ctx->conns.next;
	while (e != &ctx->conns) {
		struct zcs_conn *c = container_of(e, struct zcs_conn, all);

		e = e->next;
		close_now(c);
	}
	for (e = ctx->conns.next; e != &ctx->conns; e = e->next)
		container_of(e, struct zcs_conn, all)->nr_spans = 0;
	for (e = ctx->dead.next; e != &ctx->dead; e = e->next)
		container_of(e, struct zcs_conn, all)->nr_spans = 0;
	ctx->borrowed = 0;
	ctx->forfeited = true;
}
