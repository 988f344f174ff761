/* SPDX-License-Identifier: MIT */
/*
 * test_dgram.c - UDP: boundaries are kept, failures take numbers, nothing is sent twice
 */
#include "app.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct app app;
static uint32_t lens[100000];
static size_t nr_lens;

static struct app_conn *open_with(uint32_t way)
{
	struct zcs_conn_opts o = { .send_way = way, .lent_max = 64 << 20 };

	sim_default.dgram = true;
	sim_default.share_bytes = 0;
	nr_lens = 0;
	app_open(&app, NULL);
	return app_conn(&app, &o);
}

static void note_lens(const struct app_send *s)
{
	uint64_t left = s->head + s->len, one = s->segment ? s->segment : left;

	do {
		lens[nr_lens++] = (uint32_t)(left < one ? left : one);
		left -= left < one ? left : one;
	} while (left);
}

static struct app_send any(void)
{
	struct app_send s = { .segment = sim_pct(60) ? 100 + sim_rnd(9000) : 0 };

	s.len = sim_pct(10) ? 0 : sim_rnd(s.segment ? 200000 : 20000);
	s.head = sim_pct(20) ? 1 + sim_rnd(200) : 0;
	s.pieces = sim_pct(50) ? 1 + sim_rnd(40) : 1;
	s.skew = sim_rnd(4096);
	s.pool = sim_pct(30) && !s.skew;
	s.flags = (uint32_t[]){ 0, ZCS_MORE, ZCS_COPY, ZCS_ZEROCOPY }[sim_rnd(4)];
	return s;
}

static void send_any(struct app_conn *c, int nr)
{
	for (int i = 0; i < nr; i++) {
		struct app_send s = any();
		int r;

		while ((r = app_send(c, &s)) == -EAGAIN)
			app_take(&app, 1);
		sim_assert(r >= 0);
		note_lens(&s);
		if (sim_pct(30))
			app_take(&app, (int)sim_rnd(3));
	}
	sim_equal(zcs_conn_flush(c->conn), 0);
}

static void all_came(struct app_conn *c)
{
	const uint32_t *got;

	app_drain(&app);
	while (sim_peer_got(c->tcp) < sim_tcp_end(c->tcp))
		app_take(&app, 5);
	sim_equal(app_stats(c).unknown_notifications, 0);
	sim_equal(c->nr_errors, 0);
	sim_equal(sim_peer_datagrams(c->tcp, &got), nr_lens);
	sim_equal(memcmp(got, lens, nr_lens * sizeof(*lens)), 0);
	app_end(&app);
}

static void boundaries(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 100000;
	sim_default.again_pct = sim_pct(50) ? 20 : 0;
	sim_default.icmp_pct = sim_pct(50) ? 20 : 0;
	sim_default.no_trains = sim_pct(30);
	sim_default.family = sim_pct(50) ? AF_INET : AF_INET6;
	sim_default.v4mapped = sim_pct(50);
	c = open_with(sim_pct(50) ? ZCS_WAY_ZEROCOPY : ZCS_WAY_ADAPT);
	send_any(c, 150);
	sim_assert(app_stats(c).tx_bytes_lent > 0);
	all_came(c);
}

/* A queue holds some back, while later ones are through. */
static void out_of_order(void)
{
	struct app_conn *c;

	sim_default.hold_pct = 30;
	sim_default.hold_ns = 20 * SIM_MS;
	c = open_with(ZCS_WAY_ZEROCOPY);
	send_any(c, 150);
	all_came(c);
}

static void little_memory(void)
{
	struct app_conn *c;

	sim.optmem_max = 3 * 832;
	sim.memlock = sim_pct(50) ? 200000 : UINT64_MAX;
	sim_default.hold_pct = 50;
	sim_default.hold_ns = 5 * SIM_MS;
	c = open_with(ZCS_WAY_ZEROCOPY);
	send_any(c, 150);
	sim_assert(app_stats(c).tx_enobufs_optmem + app_stats(c).tx_enobufs_memlock > 0);
	all_came(c);
}

/* Guard 21: an empty datagram would take a number. Those behind it are lent with the next ones. */
static void empty_ones(void)
{
	struct app_conn *c;

	sim_default.hold_pct = 50;
	sim_default.hold_ns = 5 * SIM_MS;
	c = open_with(ZCS_WAY_ZEROCOPY);
	for (int i = 0; i < 60; i++) {
		struct app_send s = { .len = i % 3 ? 3000 : 0, .flags = i % 7 ? ZCS_MORE : 0 };

		sim_assert(app_send(c, &s) >= 0);
		note_lens(&s);
	}
	sim_equal(zcs_conn_flush(c->conn), 0);
	sim_assert(app_stats(c).tx_bytes_lent > 0);
	all_came(c);
}

/* Guard 22: more than 17 pages are too many to lend. Guard 25: 64 datagrams are a train. */
static void many_pieces(void)
{
	struct app_conn *c = open_with(ZCS_WAY_ZEROCOPY);

	for (unsigned i = 1; i < 60; i++) {
		struct app_send s = { .len = 1000 * i, .pieces = i, .skew = sim_rnd(4096) };

		s.segment = i % 2 ? 100 + sim_rnd(300) : 0;
		sim_assert(app_send(c, &s) >= 0);
		note_lens(&s);
	}
	all_came(c);
	sim_equal(app.nr_failed, 0);
}

/* Guard 24: what ICMP said of one datagram is told to another, which is sent all the same. */
static void told_late(void)
{
	struct app_conn *c;

	sim_default.icmp_pct = 50;
	c = open_with(sim_pct(50) ? ZCS_WAY_ZEROCOPY : ZCS_WAY_COPY);
	send_any(c, 100);
	all_came(c);
	sim_equal(app.nr_failed, 0);
}

/* Guard 20: what failed after the packet was built took a number, alone or among others. */
static void failures_take_numbers(void)
{
	static const int errors[] = { EMSGSIZE, EPERM, ENOBUFS, EINVAL };
	struct app_conn *c;
	uint64_t failed = 0;

	sim_default.fail_pct = 20;
	sim_default.fail_errno = errors[sim_rnd(4)];
	sim_default.hold_pct = 30;
	sim_default.hold_ns = 5 * SIM_MS;
	c = open_with(ZCS_WAY_ZEROCOPY);
	for (int i = 0; i < 300; i++) {
		struct app_send s = any();
		int r;

		while ((r = app_send(c, &s)) == -EAGAIN)
			app_take(&app, 1);
		sim_assert(r >= 0 || r == -sim_default.fail_errno);
		failed += r < 0;
		if (sim_pct(30))
			app_take(&app, (int)sim_rnd(3));
	}
	sim_equal(zcs_conn_flush(c->conn), 0);
	app_drain(&app);
	while (sim_peer_got(c->tcp) < sim_tcp_end(c->tcp))
		app_take(&app, 5);
	sim_equal(app_stats(c).unknown_notifications, 0);
	sim_equal(c->nr_errors, 0);
	sim_assert(failed + app.nr_failed > 0);
	app_end(&app);
}

/* At close what is still held below the socket is condemned, not reported free. */
static void close_condemns(void)
{
	struct zcs_conn_opts o = { .send_way = ZCS_WAY_ZEROCOPY, .drain_ms = 100 };
	struct app_conn *c;

	sim_default.dgram = true;
	sim_default.hold_pct = 100;
	app_open(&app, NULL);
	c = app_conn(&app, &o);
	sim_equal(app_send_plain(c, 5000, 0), 0);
	sim_run(10 * SIM_MS);
	app_close(c);
	while (!c->closed)
		app_take(&app, 50);
	sim_equal(app.msgs[0].state, APP_CONDEMNED);
	sim_let_go(c->tcp);
	app_end(&app);
}

static void too_large(void)
{
	struct app_conn *c = open_with(ZCS_WAY_ADAPT);
	struct app_send s = { .len = 65508 };

	sim_equal(app_send(c, &s), -EMSGSIZE);
	s = (struct app_send){ .len = 100, .segment = 70000 };
	sim_equal(app_send(c, &s), -EMSGSIZE);
	s = (struct app_send){ .len = 65507 };
	sim_assert(app_send(c, &s) >= 0);
	note_lens(&s);
	all_came(c);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "boundaries", boundaries },
		{ "out_of_order", out_of_order },
		{ "little_memory", little_memory },
		{ "empty_ones", empty_ones },
		{ "many_pieces", many_pieces },
		{ "told_late", told_late },
		{ "failures_take_numbers", failures_take_numbers },
		{ "close_condemns", close_condemns },
		{ "too_large", too_large },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 20);
}
