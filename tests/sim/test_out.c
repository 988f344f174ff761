/* SPDX-License-Identifier: MIT */
/*
 * test_out.c - EPOLLOUT: only for who waits for it, and then always
 *
 * Edges are lost where nobody is registered for them, so each case ends by waiting for something
 * that only a wake-up can bring: the simulated kernel fails when nothing is left to happen.
 */
#include "app.h"
#include "sys.h"

#include <errno.h>
#include <sys/epoll.h>

static struct app app;

static struct app_conn *open_with(uint32_t poll_self)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE, .poll_self = poll_self };

	o.send_way = sim.seed % 2 ? ZCS_WAY_COPY : ZCS_WAY_ZEROCOPY;
	/* a look at the clock of each call: the socket is full, then it is not */
	sim.step_ns = sim.seed % 3 ? 30 * SIM_US : 0;
	app_open(&app, NULL);
	return app_conn(&app, &o);
}

static bool asks(const struct app_conn *c)
{
	return sim_watched(c->fd) & EPOLLOUT;
}

/* Fills the socket of a peer that takes nothing. */
static void fill(struct app_conn *c)
{
	sim_peer_silence(c->tcp, true);
	for (int i = 0; i < 4; i++)
		sim_assert(app_send_plain(c, 30000 + sim_rnd(30000), 0) >= 0);
}

/* Wakes that have nothing to do with sending. */
static void wake(struct app_conn *c, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		sim_peer_send(c->tcp, 1 + sim_rnd(100), SIM_PAGES, 0);
		app_take(&app, 1);
		app_recv_all(c);
	}
}

/* ---- who never waits ------------------------------------------------------------------------- */

static void never_blocked(void)
{
	struct app_conn *c = open_with(0);

	for (int i = 0; i < 2000; i++) {
		sim_assert(!asks(c));
		sim_assert(app_send_plain(c, 1 + sim_rnd(20000), 0) >= 0);
		if (i % 8 == 7)
			app_take(&app, 1);
		if (i % 16 == 15)
			wake(c, 1);
	}
	app_drain(&app);
	sim_equal(sim.out_reports, 0);
	sim_assert(sim.reports > 0);
	app_end(&app);
}

/* Below the low-water mark a writable socket is no reason to wake up. */
static void never_woken_below_mark(void)
{
	struct app_conn *c = open_with(0);
	unsigned before;

	app_take(&app, 1);
	app_recv_all(c);
	sim_equal(zcs_conn_expect(c->conn, 100000), 0);
	before = sim.reports;
	for (int i = 0; i < 50; i++) {
		sim_peer_send(c->tcp, 1000, SIM_PAGES, 0);
		app_take(&app, 1);
	}
	sim_equal(sim.reports, before);
	app_end(&app);
}

/* ---- who waits ------------------------------------------------------------------------------- */

static void blocked_is_woken(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 50000;
	sim_default.ack_max = 20000;
	c = open_with(0);
	for (int i = 0; i < 50; i++) {
		fill(c);
		sim_assert(asks(c));
		sim_peer_silence(c->tcp, false);
		app_drain(&app);
		while (sim_peer_got(c->tcp) < c->tx_pos)
			app_take(&app, 1);
	}
	sim_assert(sim.out_reports > 0);
	app_end(&app);
}

/* It stays on for a while, then it goes; who waits again is woken again. */
static void dropped_and_asked_again(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 50000;
	sim_default.ack_max = 20000;
	c = open_with(0);
	for (int i = 0; i < 20; i++) {
		unsigned before;

		fill(c);
		sim_assert(asks(c));
		sim_peer_silence(c->tcp, false);
		app_drain(&app);
		before = sim.out_reports;
		wake(c, 16);
		sim_assert(!asks(c));
		sim_assert(sim.out_reports - before <= 16);
		before = sim.out_reports;
		wake(c, 1 + sim_rnd(40));
		sim_equal(sim.out_reports, before);
	}
	app_end(&app);
}

/* Any number of idle reports between two times that it is full. */
static void dropped_or_not(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 40000 + sim_rnd(60000);
	sim_default.ack_max = 1 + sim_rnd(40000);
	sim_default.partial_pct = sim_rnd(50);
	c = open_with(0);
	for (int i = 0; i < 60; i++) {
		int ret = 0;

		wake(c, sim_rnd(20));
		for (int k = 0; k < 5 && ret >= 0; k++)
			ret = app_send_plain(c, 1 + sim_rnd(60000), sim_pct(20) ? ZCS_COPY : 0);
		sim_assert(ret >= 0 || ret == -EAGAIN);
		if (sim_pct(70))
			app_drain(&app);
	}
	app_drain(&app);
	while (sim_peer_got(c->tcp) < c->tx_pos)
		app_take(&app, 1);
	app_end(&app);
}

/* Idle reports that come while it waits do not count. */
static void not_dropped_while_waiting(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 50000;
	c = open_with(0);
	fill(c);
	wake(c, 100);
	sim_assert(asks(c));
	sim_peer_silence(c->tcp, false);
	app_drain(&app);
	sim_equal(sim_tcp_end(c->tcp), c->tx_pos);
	app_end(&app);
}

/* The budget is full as well as the socket: WRITABLE comes. */
static void writable_is_told(void)
{
	struct zcs_conn_opts o = { .size = sizeof(o), .lent_max = 100000 };
	struct app_conn *c;

	sim_default.sndbuf = 50000;
	c = open_with(0);
	sim_equal(zcs_conn_limits(c->conn, &o), 0);
	for (int i = 0; i < 30; i++) {
		sim_peer_silence(c->tcp, true);
		while (app_send_plain(c, 30000, 0) >= 0)
			;
		sim_assert(asks(c));
		c->writable = false;
		sim_peer_silence(c->tcp, false);
		while (!c->writable)
			app_take(&app, 1);
		app_drain(&app);
		wake(c, sim_rnd(40));
	}
	app_end(&app);
}

/* ---- who connects ---------------------------------------------------------------------------- */

static struct app_conn *open_connecting(int err)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE };
	struct sim_tcp *tcp;
	int fd;

	app_open(&app, NULL);
	tcp = sim_tcp_connecting(&fd, 3 * SIM_MS, err);
	return app_conn_over(&app, &o, tcp, fd);
}

static void connecting_is_told(void)
{
	struct app_conn *c = open_connecting(0);
	unsigned before;

	sim_assert(asks(c));
	if (sim.seed % 2)
		sim_equal(app_send_plain(c, 50000, 0), 0);
	while (!c->open)
		app_take(&app, 4);
	app_drain(&app);
	sim_equal(sim_tcp_end(c->tcp), c->tx_pos);
	before = sim.out_reports;
	wake(c, 40);
	sim_assert(!asks(c));
	sim_assert(sim.out_reports - before <= 16);
	app_end(&app);
}

static void refused_is_told(void)
{
	struct app_conn *c = open_connecting(ECONNREFUSED);

	if (sim.seed % 2)
		sim_equal(app_send_plain(c, 50000, 0), 0);
	app_take(&app, 10);
	sim_equal(c->error, -ECONNREFUSED);
	sim_assert(!c->open);
	app_end(&app);
}

/* ---- who polls ------------------------------------------------------------------------------- */

static uint32_t wanted(struct app_conn *c)
{
	return (uint32_t)zcs_conn_ready(c->conn, 0);
}

/* The bits that the program is to wait for have EPOLLOUT while it is needed. */
static void poll_self(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 50000;
	sim_default.ack_max = 20000;
	c = open_with(1);
	sim_assert(!(wanted(c) & EPOLLOUT));
	for (int i = 0; i < 20; i++) {
		fill(c);
		sim_assert(wanted(c) & EPOLLOUT);
		sim_equal(sim_watched(c->fd), 0);
		sim_peer_silence(c->tcp, false);
		while (sim_peer_got(c->tcp) < c->tx_pos) {
			uint32_t up = sim_poll(c->fd) & (wanted(c) | EPOLLERR | EPOLLHUP);

			if (up)
				zcs_conn_ready(c->conn, up);
			sim_run(20 * SIM_US);
			app_take(&app, 0);
		}
		sim_run(SIM_MS);
		zcs_conn_ready(c->conn, sim_poll(c->fd));
		app_take(&app, 0);
		sim_assert(!(wanted(c) & EPOLLOUT));
	}
	app_end(&app);
}

/* Closing is the library's: it polls by itself from then on, for what is queued first. */
static void poll_self_then_close(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 50000;
	c = open_with(1);
	fill(c);
	app_close(c);
	sim_peer_silence(c->tcp, false);
	app_end(&app);
	sim_equal(sim_peer_got(c->tcp), c->tx_pos);
	sim_assert(sim_peer_saw_fin(c->tcp));
}

static void close_while_blocked(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 50000;
	c = open_with(0);
	fill(c);
	wake(c, sim_rnd(30));
	app_close(c);
	sim_peer_silence(c->tcp, false);
	app_end(&app);
	sim_equal(sim_peer_got(c->tcp), c->tx_pos);
	sim_assert(sim_peer_saw_fin(c->tcp));
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "never_blocked", never_blocked },
		{ "never_woken_below_mark", never_woken_below_mark },
		{ "blocked_is_woken", blocked_is_woken },
		{ "dropped_and_asked_again", dropped_and_asked_again },
		{ "dropped_or_not", dropped_or_not },
		{ "not_dropped_while_waiting", not_dropped_while_waiting },
		{ "writable_is_told", writable_is_told },
		{ "connecting_is_told", connecting_is_told },
		{ "refused_is_told", refused_is_told },
		{ "poll_self", poll_self },
		{ "poll_self_then_close", poll_self_then_close },
		{ "close_while_blocked", close_while_blocked },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 30);
}
