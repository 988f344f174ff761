/* SPDX-License-Identifier: MIT */
/*
 * app.c - a program that uses the library by its contract, and distrusts it
 */
#include "app.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NR_EVENTS 32

void app_open(struct app *a, const struct zcs_ctx_opts *opts)
{
	struct zcs_ctx_opts o = { 0 };

	memset(a, 0, sizeof(*a));
	if (opts)
		o = *opts;
	o.size = sizeof(o);
	o.ring = o.ring ? o.ring : app_ring();
	sim_equal(zcs_ctx_new(&o, &a->ctx), 0);
}

uint32_t app_ring(void)
{
	return getenv("ZCS_SIM_RING") ? ZCS_RING_TRY : ZCS_RING_OFF;
}

bool app_by_ring(void)
{
	return app_ring() == ZCS_RING_TRY;
}

struct app_conn *app_conn_over(struct app *a, const struct zcs_conn_opts *opts, struct sim_tcp *tcp,
			       int fd)
{
	struct app_conn *c = &a->conns[a->nr_conns++];
	struct zcs_conn_opts o = { 0 };

	if (opts)
		o = *opts;
	o.size = sizeof(o);
	o.user = c;
	*c = (struct app_conn){ .app = a, .tcp = tcp, .fd = fd, .key = a->nr_conns };
	sim_equal(zcs_conn_open(a->ctx, fd, &o, &c->conn), 0);
	return c;
}

struct app_conn *app_conn(struct app *a, const struct zcs_conn_opts *opts)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE };
	struct sim_tcp *tcp;
	int fd;

	tcp = sim_tcp_new(&fd);
	return app_conn_over(a, opts ? opts : &o, tcp, fd);
}

struct zcs_stats app_stats(struct app_conn *c)
{
	struct zcs_stats st = { .size = sizeof(st) };

	sim_equal(zcs_conn_stats(c->conn, &st), 0);
	return st;
}

/* ---- sending --------------------------------------------------------------------------------- */

static struct app_msg *msg_new(struct app_conn *c)
{
	struct app *a = c->app;

	if (a->nr_msgs == a->max_msgs) {
		a->max_msgs = 2 * a->max_msgs + 64;
		a->msgs = realloc(a->msgs, a->max_msgs * sizeof(*a->msgs));
	}
	a->msgs[a->nr_msgs] = (struct app_msg){ .c = c };
	return &a->msgs[a->nr_msgs++];
}

struct app_msg *app_last(struct app *a)
{
	return &a->msgs[a->nr_msgs - 1];
}

/* The program's memory again: write over it, and free it. */
static void scribble(struct app_msg *m)
{
	if (!m->base)
		return;
	memset(m->mem, 0xe5, m->len);
	free(m->base);
	m->base = m->mem = NULL;
}

static unsigned slice(struct iovec *iov, char *mem, size_t len, unsigned pieces)
{
	unsigned n = 0;
	size_t at = 0;

	for (; n + 1 < pieces && at < len; n++) {
		size_t part = sim_rnd((uint32_t)(2 * len / pieces) + 1);

		if (part > len - at)
			part = len - at;
		iov[n] = (struct iovec){ mem + at, part };
		at += part;
	}
	iov[n++] = (struct iovec){ mem + at, len - at };
	return n;
}

static void accepted(struct app_msg *m, int ret)
{
	if (ret == 1) {
		m->state = APP_SILENT;
		if (!(m->flags & ZCS_GIVE))
			scribble(m);
	} else if (m->flags & ZCS_GIVE) {
		m->state = APP_SILENT;
	} else {
		m->state = APP_OUT;
		m->c->out++;
	}
	m->c->tx_pos += m->total;
}

/* Memory for the message; false: the pool is empty. */
static bool provide(struct app_msg *m, const struct app_send *what)
{
	struct zcs_ctx *ctx = m->c->app->ctx;
	size_t got = 0;

	m->len = what->len;
	m->total = what->len + what->head;
	m->flags = what->flags;
	if (what->flags & ZCS_GIVE || what->pool) {
		m->mem = zcs_buf_alloc(ctx, what->len ? what->len : 1, &got);
		if (!m->mem)
			return false;
		sim_assert(got >= what->len);
		/* whoever still reads this memory for an earlier owner shall see it */
		memset(m->mem, 0xd7, got);
		return true;
	}
	m->base = malloc(what->len + what->skew + 1);
	m->mem = m->base + what->skew;
	return true;
}

static int pass(struct app_msg *m, const struct app_send *what)
{
	struct app_conn *c = m->c;
	unsigned pieces = what->pieces ? what->pieces : 1;
	struct iovec *iov = calloc(pieces, sizeof(*iov));
	char head[ZCS_HEAD_MAX];
	struct zcs_msg msg = { .size = sizeof(msg), .flags = what->flags, .iov = iov };
	int ret;

	sim_fill(head, what->head, c->key, c->tx_pos);
	sim_fill(m->mem, m->len, c->key, c->tx_pos + what->head);
	m->pos = c->tx_pos + what->head;
	msg.nr_iov = slice(iov, m->mem, m->len, pieces);
	msg.token = (uint64_t)(m - c->app->msgs) + 1;
	msg.head = head;
	msg.head_len = what->head;
	msg.segment = what->segment;
	sim_expect(c->tcp, m->total, c->key, c->tx_pos);
	if (m->total)
		sim_expect_segments(c->tcp, what->segment);
	(void)sim_dropped_last(c->tcp);
	ret = zcs_conn_send(c->conn, &msg);
	sim_trace("app: %u sends %zu+%zu flags %x: %d", c->key, what->head, what->len, what->flags,
		  ret);
	/* both were copied */
	memset(head, 0xcc, sizeof(head));
	memset(iov, 0xcc, pieces * sizeof(*iov));
	free(iov);
	return ret;
}

int app_send(struct app_conn *c, const struct app_send *what)
{
	struct app_msg *m = msg_new(c);
	bool pool = what->pool || what->flags & ZCS_GIVE;
	void *mem;
	int ret;

	if (!provide(m, what)) {
		c->app->nr_msgs--;
		return -ENOBUFS;
	}
	mem = m->mem;
	ret = pass(m, what);
	m = app_last(c->app);
	if (ret >= 0) {
		accepted(m, ret);
		if (ret == 1 && pool && !(what->flags & ZCS_GIVE))
			zcs_buf_free(c->app->ctx, mem);
		else if (what->pool && sim_pct(50)) /* allowed while it is lent */
			zcs_buf_free(c->app->ctx, mem), m->mem = NULL;
		return ret;
	}
	if (!sim_dropped_last(c->tcp))
		sim_unexpect(c->tcp, m->total);
	if (pool)
		zcs_buf_free(c->app->ctx, mem);
	else
		scribble(m);
	c->app->nr_msgs--;
	return ret;
}

int app_send_plain(struct app_conn *c, size_t len, uint32_t flags)
{
	struct app_send what = { .len = len, .flags = flags };
	int ret = app_send(c, &what);

	if (ret >= 0 && app_by_ring() && !(flags & ZCS_MORE))
		(void)!zcs_conn_flush(c->conn);
	return ret;
}

/* The file's content is that of stream `key` at the same offsets. */
static int file_sent(struct app_conn *c, struct app_msg *m, int ret)
{
	sim_trace("app: %u sends a file, %llu: %d", c->key, (unsigned long long)m->total, ret);
	if (ret < 0) {
		sim_unexpect(c->tcp, m->total);
		c->app->nr_msgs--;
		return ret;
	}
	sim_equal(ret, 0);
	accepted(m, ret);
	return ret;
}

int app_send_file(struct app_conn *c, int file, uint64_t off, uint64_t len, uint32_t key)
{
	struct app_msg *m = msg_new(c);

	m->file = true;
	m->total = len;
	sim_expect(c->tcp, len, key, off);
	return file_sent(
		c, m,
		zcs_conn_send_file(c->conn, file, off, len, (uint64_t)(m - c->app->msgs) + 1));
}

int app_send_pipe(struct app_conn *c, int pipe, size_t len, uint32_t key, uint64_t pos)
{
	struct app_msg *m = msg_new(c);

	m->file = true;
	m->total = len;
	sim_expect(c->tcp, len, key, pos);
	return file_sent(c, m,
			 zcs_conn_send_pipe(c->conn, pipe, len, (uint64_t)(m - c->app->msgs) + 1));
}

/* ---- events ---------------------------------------------------------------------------------- */

static void check_token(struct app_conn *c, struct app_msg *m, const struct zcs_event *ev)
{
	if (m->state != APP_OUT)
		sim_fail("a second event (%u) for a message in state %d", ev->type, m->state);
	if (m->c != c)
		sim_fail("the event of a token names another connection");
	if (ev->bytes > m->total || (!ev->status && ev->bytes != m->total))
		sim_fail("status %d, %llu bytes of %llu", ev->status, (unsigned long long)ev->bytes,
			 (unsigned long long)m->total);
	if (ev->bytes < m->total && !m->file && !(ev->how & ZCS_ABANDONED))
		sim_fail("not all bytes were sent, but ZCS_ABANDONED is not said");
	if (ev->how & ~(ZCS_LENT | ZCS_COPIED | ZCS_KERNEL_HINT | ZCS_ABANDONED))
		sim_fail("how is %x", ev->how);
	m->ev = *ev;
	c->out--;
}

static void token_event(struct app *a, struct app_conn *c, const struct zcs_event *ev)
{
	struct app_msg *m;

	if (ev->token > a->nr_msgs || (ev->type != ZCS_EV_RELEASED && ev->type != ZCS_EV_CONDEMNED))
		sim_fail("event %u, token %llu, which was never given", ev->type,
			 (unsigned long long)ev->token);
	m = &a->msgs[ev->token - 1];
	check_token(c, m, ev);
	if (ev->type == ZCS_EV_CONDEMNED) {
		m->state = APP_CONDEMNED;
		a->bytes_condemned += m->len;
		return;
	}
	m->state = APP_RELEASED;
	if (m->base) {
		scribble(m);
	} else if (m->mem) {
		memset(m->mem, 0xe6, m->len);
		zcs_buf_free(a->ctx, m->mem);
	}
}

static void closed(struct app_conn *c)
{
	c->closed = true;
	if (!c->closing)
		sim_fail("CLOSED of a connection that nobody closed");
	if (c->out)
		sim_fail("CLOSED, but %u tokens have had no event", c->out);
	if (sim_is_open(c->fd) && sim_tcp_refs(c->tcp) > 1000)
		sim_fail("CLOSED, but the descriptor is open");
}

static void conn_event(struct app_conn *c, const struct zcs_event *ev)
{
	switch (ev->type) {
	case ZCS_EV_OPEN:
		c->open = true;
		break;
	case ZCS_EV_READABLE:
		c->readable = true;
		c->nr_readable++;
		break;
	case ZCS_EV_WRITABLE:
		c->writable = true;
		break;
	case ZCS_EV_ERROR:
		sim_assert(ev->status < 0);
		c->error = ev->status;
		if (c->nr_errors++)
			sim_fail("a second ERROR");
		break;
	case ZCS_EV_CLOSED:
		closed(c);
		break;
	default:
		sim_fail("event of type %u", ev->type);
	}
}

void app_event(struct app *a, const struct zcs_event *ev)
{
	struct app_conn *c = ev->user;

	sim_trace("app: %u event %u, token %llu, how %x, status %d, %llu bytes", c ? c->key : 0,
		  ev->type, (unsigned long long)ev->token, ev->how, ev->status,
		  (unsigned long long)ev->bytes);
	if (ev->type == ZCS_EV_POOL) {
		sim_assert(!ev->conn);
		a->pool_events++;
		return;
	}
	if (!c || c->conn != ev->conn)
		sim_fail("event %u names a connection that it should not", ev->type);
	if (c->closed)
		sim_fail("event %u after CLOSED", ev->type);
	if (ev->type <= ZCS_EV_CLOSED)
		a->nr_events[ev->type]++;
	a->nr_failed += ev->token && ev->status < 0;
	if (ev->token)
		token_event(a, c, ev);
	else
		conn_event(c, ev);
}

unsigned app_take(struct app *a, int timeout_ms)
{
	struct zcs_event evs[NR_EVENTS];
	unsigned total = 0;
	int n;

	for (;;) {
		n = zcs_ctx_wait(a->ctx, evs, NR_EVENTS, timeout_ms);
		if (n < 0 && n != -EINTR)
			sim_fail("zcs_ctx_wait: %d", n);
		for (int i = 0; i < n; i++)
			app_event(a, &evs[i]);
		if (n <= 0)
			return total;
		total += (unsigned)n;
	}
}

static unsigned nr_out(const struct app *a)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->nr_conns; i++)
		n += a->conns[i].out;
	return n;
}

void app_drain(struct app *a)
{
	struct zcs_event evs[NR_EVENTS];
	int n;

	while (nr_out(a)) {
		n = zcs_ctx_wait(a->ctx, evs, NR_EVENTS, -1);
		if (n < 0 && n != -EINTR)
			sim_fail("zcs_ctx_wait: %d", n);
		for (int i = 0; i < n; i++)
			app_event(a, &evs[i]);
	}
	app_take(a, 0);
}

/* ---- the end --------------------------------------------------------------------------------- */

void app_close(struct app_conn *c)
{
	if (c->closing || !c->conn)
		return;
	c->closing = true;
	zcs_conn_close(c->conn);
}

static bool all_closed(const struct app *a)
{
	for (unsigned i = 0; i < a->nr_conns; i++)
		if (a->conns[i].conn && !a->conns[i].closed)
			return false;
	return true;
}

static void check_zero(struct app *a)
{
	struct zcs_stats st = { .size = sizeof(st) };

	sim_equal(zcs_ctx_stats(a->ctx, &st), 0);
	sim_equal(st.lent, 0);
	sim_equal(st.borrowed, 0);
	sim_assert(st.tx_bytes >= st.tx_bytes_lent + st.tx_bytes_file);
	sim_assert(st.rx_bytes >= st.rx_bytes_mapped);
	sim_assert(st.condemned >= a->bytes_condemned ? true : !a->bytes_condemned);
}

static void check_condemned(struct app *a)
{
	for (size_t i = 0; i < a->nr_msgs; i++) {
		struct app_msg *m = &a->msgs[i];

		if (m->state != APP_CONDEMNED || !m->base)
			continue;
		if (sim_differs(m->mem, m->len, m->c->key, m->pos) < m->len)
			sim_fail("the library wrote to condemned memory");
	}
	for (unsigned i = 0; i < a->nr_conns; i++)
		sim_let_go(a->conns[i].tcp);
	for (size_t i = 0; i < a->nr_msgs; i++)
		free(a->msgs[i].base);
}

void app_end(struct app *a)
{
	struct zcs_event evs[NR_EVENTS];
	int n;

	for (unsigned i = 0; i < a->nr_conns; i++)
		app_close(&a->conns[i]);
	while (!all_closed(a)) {
		n = zcs_ctx_wait(a->ctx, evs, NR_EVENTS, -1);
		if (n < 0 && n != -EINTR)
			sim_fail("zcs_ctx_wait: %d", n);
		for (int i = 0; i < n; i++)
			app_event(a, &evs[i]);
	}
	app_release_all(a);
	app_take(a, 0);
	check_zero(a);
	sim_equal(zcs_ctx_free(a->ctx), 0);
	sim_run(60 * SIM_S);
	check_condemned(a);
	free(a->msgs);
	free(a->spans);
}
