/* SPDX-License-Identifier: MIT */
/*
 * test_lowat.c - SO_RCVLOWAT: large pieces on request, and never a hang (guard 11)
 *
 * The trap: the kernel wakes early, part of the message is taken, the rest is below the mark, and
 * poll is silent for ever.
 */
#include "app.h"

#include <errno.h>

static struct app app;

static struct app_conn *open_one(enum zcs_way way)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE, .trust = ZCS_TRUST_PEER };

	o.recv_way = way;
	app_open(&app, NULL);
	return app_conn(&app, &o);
}

/* The program as it should be: expect, wait for READABLE, receive until -EAGAIN. */
static void receive(struct app_conn *c, uint64_t until)
{
	struct zcs_event evs[8];

	while (c->rx_pos < until) {
		int n = zcs_ctx_wait(app.ctx, evs, 8, -1);

		for (int i = 0; i < n; i++)
			app_event(&app, &evs[i]);
		if (c->readable)
			app_recv_all(c);
		sim_assert(!c->eof && !c->rx_error);
	}
}

struct part {
	struct sim_tcp *tcp;
	size_t len;
	bool early;
};

static void arrive(void *arg)
{
	struct part *p = arg;

	if (p->early)
		sim_peer_send_early(p->tcp, p->len);
	else
		sim_peer_send(p->tcp, p->len, SIM_PAGES, 0);
}

/* 64 KiB messages: 46.5 KiB come with an early wake, then the rest, below the mark. */
static void early_wake(void)
{
	struct app_conn *c = open_one(sim.seed % 2 ? ZCS_WAY_COPY : ZCS_WAY_ZEROCOPY);
	struct part first = { c->tcp, 47616, true }, rest = { c->tcp, 17920, false };

	app_take(&app, 0);
	app_recv_all(c);
	for (int i = 1; i <= 20; i++) {
		sim_equal(zcs_conn_expect(c->conn, 65536), 0);
		sim_at(SIM_MS, arrive, &first);
		sim_at(2 * SIM_MS, arrive, &rest);
		receive(c, (uint64_t)i * 65536);
	}
	app_end(&app);
}

/* The expectation is for more than ever comes at once, in pieces of any size. */
static void any_pieces(void)
{
	struct app_conn *c = open_one(sim.seed % 2 ? ZCS_WAY_COPY : ZCS_WAY_ZEROCOPY);
	struct part parts[10];
	uint64_t total = 0;

	sim_knobs(c->tcp)->early_wake_pct = 50;
	app_take(&app, 0);
	app_recv_all(c);
	for (int i = 0; i < 20; i++) {
		uint64_t sum = 0;

		for (int k = 0; k < 10; k++) {
			parts[k] = (struct part){ c->tcp, 1 + sim_rnd(60000), false };
			sim_at((uint64_t)(k + 1) * SIM_MS, arrive, &parts[k]);
			sum += parts[k].len;
		}
		sim_equal(zcs_conn_expect(c->conn, sum), 0);
		receive(c, total += sum);
	}
	app_end(&app);
}

/* A large piece is told once, not at each of its segments. */
static void wakes_once(void)
{
	struct app_conn *c = open_one(ZCS_WAY_COPY);
	struct part parts[64];
	unsigned told;

	app_take(&app, 0);
	app_recv_all(c);
	told = c->nr_readable;
	sim_equal(zcs_conn_expect(c->conn, 64 * 1000), 0);
	sim_assert(sim_tcp_lowat(c->tcp) > 30000);
	for (int k = 0; k < 64; k++) {
		parts[k] = (struct part){ c->tcp, 1000, false };
		sim_at((uint64_t)(k + 1) * SIM_MS, arrive, &parts[k]);
	}
	receive(c, 64 * 1000);
	sim_assert(c->nr_readable - told <= 2);
	/* it ended by itself: the next byte is told */
	sim_peer_send(c->tcp, 1, SIM_PAGES, 0);
	receive(c, 64 * 1000 + 1);
	sim_equal(sim_tcp_lowat(c->tcp), 1);
	app_end(&app);
}

static void taken_back(void)
{
	struct app_conn *c = open_one(ZCS_WAY_COPY);

	app_take(&app, 0);
	app_recv_all(c);
	sim_equal(zcs_conn_expect(c->conn, 100000), 0);
	sim_peer_send(c->tcp, 500, SIM_PAGES, 0);
	app_take(&app, 5);
	sim_equal(zcs_conn_expect(c->conn, 0), 0);
	receive(c, 500);
	app_end(&app);
}

/* The peer ends, or breaks, before what was expected has come. */
static void ends_early(void)
{
	struct app_conn *c = open_one(ZCS_WAY_ZEROCOPY);

	app_take(&app, 0);
	app_recv_all(c);
	sim_equal(zcs_conn_expect(c->conn, 1 << 20), 0);
	sim_peer_send(c->tcp, 50000, SIM_PAGES, 0);
	if (sim.seed % 2)
		sim_peer_fin(c->tcp);
	else
		sim_peer_reset(c->tcp);
	app_take(&app, 1);
	app_recv_all(c);
	app_take(&app, 1);
	app_recv_all(c);
	sim_equal(c->rx_pos, 50000);
	sim_assert(sim.seed % 2 ? c->eof : c->rx_error == -ECONNRESET);
	app_end(&app);
}

/* More is expected than the budget lets in. */
static void beyond_budget(void)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE, .borrowed_max = 50000 };
	struct app_conn *c;
	struct part part;

	app_open(&app, NULL);
	c = app_conn(&app, &o);
	app_take(&app, 0);
	app_recv_all(c);
	sim_equal(zcs_conn_expect(c->conn, 500000), 0);
	for (int i = 1; i <= 10; i++) {
		part = (struct part){ c->tcp, 50000, false };
		sim_at(SIM_MS, arrive, &part);
		receive(c, (uint64_t)i * 50000);
	}
	app_end(&app);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "early_wake", early_wake }, { "any_pieces", any_pieces },
		{ "wakes_once", wakes_once }, { "taken_back", taken_back },
		{ "ends_early", ends_early }, { "beyond_budget", beyond_budget },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 20);
}
