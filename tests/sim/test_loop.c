/* SPDX-License-Identifier: MIT */
/*
 * test_loop.c - loops of the program's own: zcs_ctx_fd, zcs_conn_ready
 */
#include "app.h"

#include <errno.h>
#include <sys/epoll.h>

static struct app app;

static struct app_conn *open_with(struct zcs_conn_opts o)
{
	struct zcs_ctx_opts co = { .size = sizeof(co), .zerocopy_min = ZCS_NONE };

	o.prior_sends = ZCS_NONE;
	o.send_way = ZCS_WAY_ZEROCOPY;
	app_open(&app, &co);
	return app_conn(&app, &o);
}

static unsigned take(unsigned max)
{
	struct zcs_event evs[4];
	unsigned total = 0;
	int n;

	do {
		n = zcs_ctx_events(app.ctx, evs, max);
		sim_assert(n >= 0);
		for (int i = 0; i < n; i++)
			app_event(&app, &evs[i]);
		total += (unsigned)n;
	} while (n == (int)max);
	return total;
}

/* One turn of a foreign loop: the descriptor says there is work, then do it. false: nothing. */
static bool turn(uint64_t ns)
{
	int fd = zcs_ctx_fd(app.ctx);

	if (!sim_run_until_readable(fd, ns))
		return false;
	sim_equal(sim_poll(fd) & EPOLLERR, 0);
	sim_assert(zcs_ctx_process(app.ctx, 1 + sim_rnd(3)) >= 0);
	take(1 + sim_rnd(4));
	return true;
}

/* Whatever happens, it is readable; and when nothing is left, it is silent. */
static void fd_tells(void)
{
	struct app_conn *c, *d;

	sim_default.sndbuf = 50000;
	c = open_with((struct zcs_conn_opts){ .lent_max = 100000 });
	d = app_conn(&app, NULL);
	for (int i = 0; i < 5; i++) {
		c->writable = false;
		sim_equal(app_send_plain(c, 60000, 0), 0);
		sim_equal(app_send_plain(c, 60000, 0), -EAGAIN);
		while (c->out || !c->writable)
			sim_assert(turn(SIM_S));
	}
	sim_peer_send(d->tcp, 10000, SIM_PAGES, 0);
	while (!d->readable)
		sim_assert(turn(SIM_S));
	app_recv_all(d);
	while (turn(10 * SIM_S))
		;
	sim_peer_fin(d->tcp);
	while (!d->readable)
		sim_assert(turn(SIM_S));
	app_recv_all(d);
	sim_assert(d->eof);
	/* after the peer's FIN, and with everything done: silence */
	for (int i = 0; turn(10 * SIM_S); i++)
		sim_assert(i < 20);
	app_close(c);
	app_close(d);
	while (!c->closed || !d->closed)
		sim_assert(turn(SIM_S));
	app_end(&app);
}

/* Work of the caller's own making, with nothing of the kernel's. */
static void fd_tells_own_work(void)
{
	struct app_conn *c = open_with((struct zcs_conn_opts){ 0 });
	struct zcs_span span;

	while (turn(SIM_MS))
		;
	/* a budget that came back by a release */
	sim_peer_send(c->tcp, 9 << 20, SIM_UNMAPPED, 0);
	while (!c->readable)
		sim_assert(turn(SIM_S));
	while (app_recv(c, 16, 0) > 0)
		;
	while (turn(SIM_MS))
		;
	sim_assert(!c->readable);
	app_release_all(&app);
	while (!c->readable)
		sim_assert(turn(SIM_S));
	/* a release from another thread */
	sim_assert(app_recv(c, 1, 0) == 1);
	span = app.spans[0].span;
	sim_equal(zcs_ctx_post_release(app.ctx, &span, 1), 0);
	app.nr_spans = 0;
	sim_assert(app_stats(c).borrowed > 0);
	sim_assert(turn(SIM_MS));
	sim_equal(app_stats(c).borrowed, 0);
	/* an abort */
	c->closing = true;
	zcs_conn_abort(c->conn);
	while (!c->closed)
		sim_assert(turn(SIM_S));
	app_end(&app);
}

static void fd_tells_pool(void)
{
	struct zcs_ctx_opts co = { .size = sizeof(co), .pool_max = 1 << 20 };
	void *a, *b;

	app_open(&app, &co);
	a = zcs_buf_alloc(app.ctx, 900000, NULL);
	sim_assert(a);
	b = zcs_buf_alloc(app.ctx, 900000, NULL);
	sim_assert(!b);
	while (turn(SIM_MS))
		;
	sim_equal(app.pool_events, 0);
	zcs_buf_free(app.ctx, a);
	while (!app.pool_events)
		sim_assert(turn(SIM_S));
	b = zcs_buf_alloc(app.ctx, 900000, NULL);
	sim_assert(b);
	zcs_buf_free(app.ctx, b);
	app_end(&app);
}

/* The deadline of a close, and of nothing else. */
static void fd_tells_deadline(void)
{
	struct app_conn *c;
	uint64_t from = sim.now;

	sim_default.silent = true;
	c = open_with((struct zcs_conn_opts){ .drain_ms = 3000 });
	sim_equal(app_send_plain(c, 50000, 0), 0);
	app_close(c);
	while (!c->closed)
		sim_assert(turn(SIM_S));
	sim_assert(sim.now - from < 3100 * SIM_MS);
	app_end(&app);
}

/* Events are taken one at a time; those that are left keep the descriptor readable. */
static void few_at_a_time(void)
{
	struct app_conn *c = open_with((struct zcs_conn_opts){ .lent_max = 10 << 20 });
	struct zcs_event ev;
	int fd = zcs_ctx_fd(app.ctx);

	for (int i = 0; i < 10; i++)
		sim_equal(app_send_plain(c, 20000, 0), 0);
	while (c->out) {
		sim_assert(sim_run_until_readable(fd, SIM_S));
		sim_assert(zcs_ctx_process(app.ctx, 0) >= 0);
		if (zcs_ctx_events(app.ctx, &ev, 1) == 1)
			app_event(&app, &ev);
	}
	app_end(&app);
}

/* ---- poll_self ------------------------------------------------------------------------------- */

/* An epoll server's loop around one connection: level-triggered, asks for what it is told to. */
static void poll_once(struct app_conn *c, int *want)
{
	uint32_t up = sim_poll(c->fd) & ((uint32_t)*want | EPOLLERR | EPOLLHUP);

	if (up)
		*want = zcs_conn_ready(c->conn, up);
	else
		sim_run(50 * SIM_US);
	sim_assert(*want >= 0);
	take(4);
}

static void poll_self_works(void)
{
	struct app_conn *c;
	int want;

	sim_default.sndbuf = 30000;
	c = open_with((struct zcs_conn_opts){ .poll_self = 1, .trust = ZCS_TRUST_PEER });
	for (int i = 0; i < 5; i++)
		sim_equal(app_send_plain(c, 50000, 0), 0);
	sim_peer_send(c->tcp, 100000, SIM_PAGES, 0);
	want = zcs_conn_ready(c->conn, 0);
	sim_assert(want > 0);
	while (c->out || c->rx_pos < 100000) {
		poll_once(c, &want);
		if (c->readable) {
			app_recv_all(c);
			want = zcs_conn_ready(c->conn, 0);
		}
	}
	sim_peer_fin(c->tcp);
	while (!c->eof) {
		poll_once(c, &want);
		if (c->readable) {
			app_recv_all(c);
			want = zcs_conn_ready(c->conn, 0);
		}
	}
	/* a drained connection must not keep its poller busy */
	sim_equal(sim_poll(c->fd) & (uint32_t)want, 0);
	app_end(&app);
}

/* At close the context takes over. */
static void poll_self_close(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 30000;
	c = open_with((struct zcs_conn_opts){ .poll_self = 1 });
	for (int i = 0; i < 5; i++)
		sim_equal(app_send_plain(c, 50000, 0), 0);
	app_end(&app);
	sim_equal(sim_peer_got(c->tcp), 250000);
	sim_assert(sim_peer_saw_fin(c->tcp));
}

static void poll_self_reset(void)
{
	struct app_conn *c;
	int want;

	sim_default.silent = true;
	c = open_with((struct zcs_conn_opts){ .poll_self = 1 });
	sim_equal(app_send_plain(c, 50000, 0), 0);
	want = zcs_conn_ready(c->conn, 0);
	sim_peer_reset(c->tcp);
	for (int i = 0; i < 5; i++)
		poll_once(c, &want);
	sim_equal(c->error, -ECONNRESET);
	sim_equal(c->out, 0);
	app_end(&app);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "fd_tells", fd_tells },
		{ "fd_tells_own_work", fd_tells_own_work },
		{ "fd_tells_pool", fd_tells_pool },
		{ "fd_tells_deadline", fd_tells_deadline },
		{ "few_at_a_time", few_at_a_time },
		{ "poll_self_works", poll_self_works },
		{ "poll_self_close", poll_self_close },
		{ "poll_self_reset", poll_self_reset },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 10);
}
