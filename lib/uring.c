// SPDX-License-Identifier: MIT
/*
 * uring.c - the io_uring way to send: may it be used, and memory registered for it
 *
 * The way of a connection is fixed when it is opened, because the two do not mix on one socket.
 * There is one ring per context, made for its first connection. The context's pool is registered
 * slab by slab, when a slab is first lent from.
 */
#include "uring.h"

#include "conn.h"
#include "ctx.h"
#include "sys.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#define AREA_NONE 0xffff /* tag of a slab that could not be registered */

/* ---- may it be used ------------------------------------------------------------------------- */

static int watch(struct zcs_ctx *ctx, struct sys_ring *k)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = &ctx->ring };

	return zcsi_sys->epoll_ctl(ctx->ep, EPOLL_CTL_ADD, zcsi_sys->ring->fd(k), &ev);
}

/* The slab of this tag is unmapped: its addresses may come to be other memory. */
static void forget_area(void *arg, uint16_t tag)
{
	struct uring *r = arg;
	uint32_t area = tag - 1u;

	if (tag == AREA_NONE)
		return;
	(void)zcsi_sys->ring->map(r->k, area, NULL, 0);
	r->areas[area / 64] &= ~(1ull << (area % 64));
}

static int open_ring(struct zcs_ctx *ctx)
{
	struct uring *r = calloc(1, sizeof(*r));
	int err = r ? zcsi_sys->ring->open(&r->k) : -ENOMEM;

	if (!err) {
		err = watch(ctx, r->k);
		if (err < 0)
			zcsi_sys->ring->close(r->k);
	}
	if (err < 0) {
		free(r);
		return err;
	}
	r->ctx = ctx;
	list_init(&r->pending);
	list_init(&r->moving);
	ctx->pool.forget = forget_area;
	ctx->pool.forget_arg = r;
	ctx->ring = r;
	return 0;
}

/* Once for a context, but for want of memory. */
static bool has_ring(struct zcs_ctx *ctx)
{
	if (ctx->ring)
		return true;
	if (ctx->ring_error && ctx->ring_error != -ENOMEM)
		return false;
	ctx->ring_error = zcsi_sys->ring ? open_ring(ctx) : -ENODEV;
	if (ctx->ring_error)
		ctx->pool.huge = ctx->huge; /* huge pages are better for the socket */
	return !ctx->ring_error;
}

void uring_join(struct zcs_conn *c, bool has_past)
{
	struct zcs_ctx *ctx = c->ctx;
	struct uring_conn *u;

	c->no_ring = URING_NOT_ASKED;
	if (!ctx->ring_wanted)
		return;
	if (!c->tcp || c->no_lend == ZCS_R_ULP)
		c->no_ring = URING_NOT_TCP;
	else if (has_past)
		c->no_ring = URING_PAST;
	else if (ctx->ring && ctx->ring->lost)
		c->no_ring = URING_LOST;
	else if (!has_ring(ctx))
		c->no_ring = URING_NO_KERNEL;
	if (c->no_ring)
		return;
	u = calloc(1, sizeof(*u));
	if (!u) {
		ctx->ring_error = -ENOMEM;
		c->no_ring = URING_NO_KERNEL;
		return;
	}
	u->c = c;
	u->prior = c->ledger.next;
	ledger_rebase(&c->ledger, 0);
	c->no_lend = ZCS_R_NONE; /* it needs no SO_ZEROCOPY */
	c->ring = u;
}

void uring_put(struct uring_conn *u)
{
	if (--u->out == 0 && !u->c)
		free(u);
}

void uring_leave(struct zcs_conn *c)
{
	struct uring_conn *u = c->ring;

	if (!u)
		return;
	c->ring = NULL;
	list_del(&u->pending);
	list_del(&u->moving);
	u->c = NULL;
	if (!u->out)
		free(u);
}

/* Connections are gone. Requests may be out for memory that was condemned. */
void uring_free(struct zcs_ctx *ctx)
{
	struct uring *r = ctx->ring;

	if (!r)
		return;
	ctx->pool.forget = NULL;
	zcsi_sys->epoll_ctl(ctx->ep, EPOLL_CTL_DEL, zcsi_sys->ring->fd(r->k), NULL);
	zcsi_sys->ring->close(r->k);
	for (uint32_t i = 0; i < r->nr_reqs; i++) {
		if (r->reqs[i].u)
			uring_put(r->reqs[i].u);
	}
	free(r->reqs);
	free(r);
	ctx->ring = NULL;
}

/* ---- when it is lost ------------------------------------------------------------------------ */

static bool may_pass(int err)
{
	return err == -EAGAIN || err == -EBUSY || err == -EINTR || err == -ENOMEM;
}

void uring_refused(struct uring *r, int err)
{
	struct list *all = &r->ctx->conns, *e;

	if (may_pass(err) || r->lost)
		return;
	r->lost = true;
	for (e = all->next; e != all; e = e->next) {
		struct zcs_conn *c = container_of(e, struct zcs_conn, all);

		if (!c->ring || c->closed)
			continue;
		conn_fail(c, -ENOTRECOVERABLE);
		if (c->closing)
			conn_schedule(c);
	}
}

bool uring_is_lost(const struct zcs_conn *c)
{
	return c->ring && c->ctx->ring->lost;
}

/* ---- memory --------------------------------------------------------------------------------- */

static uint16_t new_area(struct uring *r, void *base, size_t len)
{
	for (uint32_t i = 0; i < RING_AREAS && len <= 1u << 30; i++) {
		if (r->areas[i / 64] & 1ull << (i % 64))
			continue;
		if (zcsi_sys->ring->map(r->k, i, base, len) < 0) {
			r->no_areas = true;
			break;
		}
		r->areas[i / 64] |= 1ull << (i % 64);
		return (uint16_t)(i + 1);
	}
	return AREA_NONE;
}

int uring_area(struct zcs_ctx *ctx, const void *base, size_t len)
{
	struct pool_mapping at = pool_mapping(&ctx->pool, base, len);

	if (!at.tag)
		return -1;
	if (!*at.tag)
		*at.tag = new_area(ctx->ring, at.base, at.len);
	return *at.tag == AREA_NONE ? -1 : *at.tag - 1;
}

/* ---- words ---------------------------------------------------------------------------------- */

static const char *why_no_ring(int error)
{
	switch (error) {
	case -ENOSYS:
		return "by the socket: io_uring is not in this kernel, or a filter hides it";
	case -EPERM:
		return "by the socket: io_uring is forbidden (kernel.io_uring_disabled, a filter)";
	case -EACCES:
		return "by the socket: io_uring is forbidden to this process by a policy";
	case -EOPNOTSUPP:
		return "by the socket: this kernel's io_uring is too old (Linux 6.1 is needed)";
	case -ENODEV:
		return "by the socket: built without liburing";
	case -ENOMEM:
		return "by the socket: no memory for a ring";
	}
	return "by the socket: a ring could not be made";
}

const char *uring_words(const struct zcs_conn *c)
{
	if (uring_is_lost(c))
		return "by io_uring, whose ring is lost: was it used from another thread?";
	if (c->ring)
		return c->ctx->ring->no_areas
			       ? "by io_uring; memory is not registered: RLIMIT_MEMLOCK"
			       : "by io_uring";
	switch (c->no_ring) {
	case URING_NOT_TCP:
		return "by the socket: io_uring is used for plain TCP only";
	case URING_PAST:
		return "by the socket: somebody else may have sent on it before";
	case URING_LOST:
		return "by the socket: the ring is lost, as when another thread uses it";
	case URING_NO_KERNEL:
		return why_no_ring(c->ctx->ring_error);
	}
	return NULL;
}
