/* SPDX-License-Identifier: MIT */
/*
 * test_close.c - the ends: close that drains, its deadline, abort, half-close, abandon, ages of
 * loans
 */
#include "app.h"

#include <errno.h>
#include <string.h>

static struct app app;

static struct app_conn *open_with(struct zcs_conn_opts o)
{
	struct zcs_ctx_opts co = { .size = sizeof(co), .zerocopy_min = ZCS_NONE };

	o.prior_sends = ZCS_NONE;
	o.send_way = ZCS_WAY_ZEROCOPY;
	app_open(&app, &co);
	return app_conn(&app, &o);
}

static struct app_conn *open_one(void)
{
	return open_with((struct zcs_conn_opts){ 0 });
}

static void wait_closed(struct app_conn *c)
{
	while (!c->closed)
		app_take(&app, 1);
}

/* Guard 5: everything that was accepted arrives, and no token is told before it is free. */
static void close_drains(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 50000;
	c = open_one();
	for (int i = 0; i < 10; i++)
		sim_equal(app_send_plain(c, 30000, 0), 0);
	app_close(c);
	app_close(c);
	sim_equal(zcs_conn_send(c->conn, &(struct zcs_msg){ .size = sizeof(struct zcs_msg) }),
		  -EPIPE);
	wait_closed(c);
	sim_equal(sim_peer_got(c->tcp), 300000);
	sim_assert(sim_peer_saw_fin(c->tcp));
	for (int i = 0; i < 10; i++) {
		sim_equal(app.msgs[i].state, APP_RELEASED);
		sim_equal(app.msgs[i].ev.status, 0);
	}
	app_end(&app);
}

/* Guard 5: a peer that is slow to acknowledge; the memory is lent until it has. */
static void close_waits(void)
{
	struct app_conn *c;

	sim_default.silent = true;
	c = open_one();
	sim_equal(app_send_plain(c, 30000, 0), 0);
	app_close(c);
	app_take(&app, 5000);
	sim_assert(!c->closed);
	sim_equal(app.msgs[0].state, APP_OUT);
	sim_peer_silence(c->tcp, false);
	wait_closed(c);
	sim_equal(app.msgs[0].state, APP_RELEASED);
	app_end(&app);
}

/* A peer that is gone: at the deadline the connection is aborted, and the memory comes back. */
static void close_deadline(void)
{
	struct app_conn *c;
	uint64_t from;

	sim_default.silent = true;
	sim_default.cwnd = 15000;
	sim_default.share_bytes = 0;
	c = open_with((struct zcs_conn_opts){ .drain_ms = 2000 });
	for (int i = 0; i < 10; i++)
		sim_equal(app_send_plain(c, 10000, 0), 0);
	app_close(c);
	from = sim.now;
	wait_closed(c);
	sim_assert(sim.now - from >= 1990 * SIM_MS && sim.now - from < 2100 * SIM_MS);
	for (int i = 0; i < 10; i++)
		sim_equal(app.msgs[i].state, APP_RELEASED);
	app_end(&app);
}

/* The same, but a qdisc holds two pieces: they are condemned, and nobody writes to them. */
static void condemns(void)
{
	struct app_conn *c;
	struct zcs_stats st;
	unsigned nr = 0;

	sim_default.silent = true;
	sim_default.share_bytes = 0;
	c = open_with((struct zcs_conn_opts){ .drain_ms = 100 });
	for (int i = 0; i < 6; i++) {
		sim_knobs(c->tcp)->hold_pct = i == 1 || i == 4 ? 100 : 0;
		sim_equal(app_send_plain(c, 10000, 0), 0);
	}
	app_close(c);
	wait_closed(c);
	for (int i = 0; i < 6; i++)
		nr += app.msgs[i].state == APP_CONDEMNED;
	sim_equal(nr, 2);
	sim_equal(app.msgs[1].state, APP_CONDEMNED);
	sim_equal(app.msgs[4].state, APP_CONDEMNED);
	st.size = sizeof(st);
	sim_equal(zcs_ctx_stats(app.ctx, &st), 0);
	sim_equal(st.condemned, 20000);
	sim_equal(st.lent, 0);
	app_end(&app);
}

/*
 * Condemned pool memory leaves circulation: later buffers are somewhere else, or have other
 * pages.
 */
static void condemns_pool(void)
{
	struct app_send s = { .len = 100000, .flags = ZCS_GIVE };
	struct app_conn *c;
	void *bufs[40];

	sim_default.silent = true;
	sim_default.hold_pct = 100;
	c = open_with((struct zcs_conn_opts){ .drain_ms = 100 });
	for (int i = 0; i < 3; i++)
		sim_equal(app_send(c, &s), 0);
	app_close(c);
	wait_closed(c);
	for (int i = 0; i < 40; i++) {
		bufs[i] = zcs_buf_alloc(app.ctx, 100000, NULL);
		sim_assert(bufs[i]);
		memset(bufs[i], 0xd8, 100000);
	}
	for (int i = 0; i < 40; i++)
		zcs_buf_free(app.ctx, bufs[i]);
	sim_let_go(c->tcp); /* reads what it held, and compares */
	app_end(&app);
}

/* The head of a condemned message lies in memory of the library's, which must not be used again. */
static void condemns_head(void)
{
	struct app_send s = { .len = 10000, .head = 200 };
	struct app_conn *c, *d;

	sim_default.silent = true;
	sim_default.hold_pct = 100;
	c = open_with((struct zcs_conn_opts){ .drain_ms = 100 });
	sim_equal(app_send(c, &s), 0);
	app_close(c);
	wait_closed(c);
	sim_equal(app.msgs[0].state, APP_CONDEMNED);
	sim_default.silent = false;
	sim_default.hold_pct = 0;
	d = app_conn(&app, NULL);
	for (int i = 0; i < 400; i++) {
		sim_assert(app_send(d, &s) >= 0);
		app_drain(&app);
	}
	sim_let_go(c->tcp);
	app_end(&app);
}

static void abort_now(void)
{
	struct app_conn *c;

	sim_default.silent = true;
	c = open_one();
	for (int i = 0; i < 5; i++)
		sim_equal(app_send_plain(c, 30000, 0), 0);
	c->closing = true;
	zcs_conn_abort(c->conn);
	app_take(&app, 0);
	sim_assert(c->closed);
	sim_assert(sim_peer_saw_reset(c->tcp));
	app_end(&app);
}

static void half_close(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 20000;
	c = open_one();
	sim_equal(app_send_plain(c, 50000, 0), 0);
	sim_equal(zcs_conn_shutdown(c->conn), 0);
	sim_equal(app_send_plain(c, 10, 0), -EPIPE);
	app_drain(&app);
	app_take(&app, 20);
	sim_assert(sim_peer_saw_fin(c->tcp));
	sim_equal(sim_peer_got(c->tcp), 50000);
	/* receiving goes on */
	sim_peer_send(c->tcp, 9000, SIM_PAGES, 0);
	sim_peer_fin(c->tcp);
	app_take(&app, 20);
	sim_assert(c->readable);
	app_recv_all(c);
	sim_equal(c->rx_pos, 9000);
	sim_assert(c->eof);
	sim_equal(c->nr_errors, 0);
	app_end(&app);
}

/* The peer's FIN does not stop our sending; it wakes nobody again and again. */
static void peer_fin_then_send(void)
{
	struct app_conn *c = open_one();
	uint64_t calls;

	sim_peer_fin(c->tcp);
	app_take(&app, 5);
	app_recv_all(c);
	sim_assert(c->eof);
	sim_equal(app_send_plain(c, 50000, 0), 0);
	app_drain(&app);
	sim_equal(app.msgs[0].ev.status, 0);
	app_take(&app, 50);
	calls = sim.calls;
	app_take(&app, 1000);
	sim_assert(sim.calls - calls < 10);
	app_end(&app);
}

/* Input that nobody reads must not turn the close into a reset that eats what was sent last. */
static void close_with_unread_input(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 20000;
	c = open_one();
	sim_peer_send(c->tcp, 100000, SIM_PAGES, 0);
	sim_equal(app_send_plain(c, 100000, 0), 0);
	app_close(c);
	wait_closed(c);
	sim_equal(sim_peer_got(c->tcp), 100000);
	sim_assert(sim_peer_saw_fin(c->tcp));
	app_end(&app);
}

static void loan_age(void)
{
	struct app_conn *c;

	sim_default.silent = true;
	c = open_with((struct zcs_conn_opts){ .loan_age_ms = 300, .drain_ms = ZCS_NONE });
	sim_equal(app_send_plain(c, 30000, 0), 0);
	app_take(&app, 200);
	sim_equal(c->nr_errors, 0);
	sim_assert(app_stats(c).oldest_loan_ms >= 190);
	app_take(&app, 200);
	sim_equal(c->error, -ETIMEDOUT);
	app_end(&app);
}

static void not_aged(void)
{
	struct app_conn *c = open_with((struct zcs_conn_opts){ .loan_age_ms = 300 });

	for (int i = 0; i < 20; i++) {
		sim_equal(app_send_plain(c, 30000, 0), 0);
		app_take(&app, 100);
	}
	sim_equal(c->nr_errors, 0);
	app_end(&app);
}

static void abandon(void)
{
	struct app_conn *c, *d;
	struct zcs_event evs[8];
	int n;

	sim_default.silent = true;
	c = open_one();
	d = app_conn(&app, NULL);
	sim_equal(app_send_plain(c, 30000, 0), 0);
	sim_equal(app_send_plain(d, 30000, ZCS_ZEROCOPY), 0);
	sim_peer_send(d->tcp, 50000, SIM_PAGES, 0);
	app_take(&app, 0);
	sim_assert(app_recv(d, 16, 0) > 0);
	sim_equal(zcs_ctx_free(app.ctx), -EBUSY);
	zcs_ctx_abandon(app.ctx);
	app.nr_spans = 0; /* forfeited */
	c->closing = d->closing = true;
	while ((n = zcs_ctx_events(app.ctx, evs, 8)) > 0)
		for (int i = 0; i < n; i++)
			app_event(&app, &evs[i]);
	sim_assert(c->closed && d->closed);
	app_end(&app);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "close_drains", close_drains },
		{ "close_waits", close_waits },
		{ "close_deadline", close_deadline },
		{ "condemns", condemns },
		{ "condemns_pool", condemns_pool },
		{ "condemns_head", condemns_head },
		{ "abort_now", abort_now },
		{ "half_close", half_close },
		{ "peer_fin_then_send", peer_fin_then_send },
		{ "close_with_unread_input", close_with_unread_input },
		{ "loan_age", loan_age },
		{ "not_aged", not_aged },
		{ "abandon", abandon },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 5);
}
