/* SPDX-License-Identifier: MIT */
/*
 * test_numbers.c - numbers of flagged calls: taken on success only, notified in any order
 */
#include "app.h"
#include "sys.h"

#include <errno.h>
#include <string.h>

static struct app app;

static struct app_conn *open_with(uint64_t prior)
{
	struct zcs_ctx_opts co = { .size = sizeof(co), .zerocopy_min = ZCS_NONE };
	struct zcs_conn_opts o = { .prior_sends = prior, .send_way = ZCS_WAY_ZEROCOPY };

	o.lent_max = 64 << 20;
	app_open(&app, &co);
	return app_conn(&app, &o);
}

/* Guard 1: the flagged calls that said -EAGAIN must not move the library's count. */
static void failed_calls_take_none(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 100000;
	c = open_with(ZCS_NONE);
	for (int i = 0; i < 6; i++)
		sim_equal(app_send_plain(c, 150000, 0), 0);
	app_drain(&app);
	sim_equal(app_stats(c).unknown_notifications, 0);
	sim_equal(app_stats(c).tx_bytes_lent, 900000);
	sim_equal(app_stats(c).lent, 0);
	app_end(&app);
	sim_equal(sim_peer_got(c->tcp), 900000);
}

/* Guard 3: several calls share one completion and are notified as one range: each has its event. */
static void shared_and_merged(void)
{
	struct app_conn *c;

	sim_default.cwnd = 4096;
	c = open_with(ZCS_NONE);
	for (int i = 0; i < 50; i++)
		sim_equal(app_send_plain(c, 5000, 0), 0);
	app_take(&app, 0);
	for (unsigned i = 0; i < 50; i++)
		sim_equal(app.msgs[i].state, APP_OUT);
	app_drain(&app);
	for (unsigned i = 0; i < 50; i++) {
		sim_equal(app.msgs[i].state, APP_RELEASED);
		sim_assert(app.msgs[i].ev.how & ZCS_LENT);
	}
	sim_assert(app_by_ring() || app_stats(c).tx_notifications < 25);
	app_end(&app);
}

/* Guard 4: a range settles all of its numbers, but not the one before it that is still out. */
static void holes(void)
{
	struct app_conn *c;

	sim_default.share_bytes = 0;
	c = open_with(ZCS_NONE);
	sim_knobs(c->tcp)->hold_pct = 100; /* only the first is held by a qdisc */
	sim_equal(app_send_plain(c, 20000, 0), 0);
	sim_knobs(c->tcp)->hold_pct = 0;
	for (int i = 0; i < 5; i++)
		sim_equal(app_send_plain(c, 20000, 0), 0);
	sim_run(10 * SIM_MS);
	app_take(&app, 0);
	sim_equal(app.msgs[0].state, APP_OUT);
	for (int i = 1; i < 6; i++)
		sim_equal(app.msgs[i].state, APP_RELEASED);
	sim_equal(app_stats(c).lent, 20000);
	sim_let_go(c->tcp);
	app_drain(&app);
	app_end(&app);
}

/* At a reset the unsent part is dropped first, so the later numbers come first. */
static void reset_reverses(void)
{
	struct app_conn *c;

	sim_default.share_bytes = 30000;
	sim_default.cwnd = 25000;
	sim_default.silent = true;
	c = open_with(ZCS_NONE);
	for (int i = 0; i < 10; i++)
		sim_equal(app_send_plain(c, 10000, 0), 0);
	sim_peer_reset(c->tcp);
	sim_assert(app_by_ring() || sim_notes(c->tcp) >= 2);
	app_drain(&app);
	sim_equal(c->error, -ECONNRESET);
	sim_equal(app_stats(c).unknown_notifications, 0);
	for (int i = 0; i < 10; i++) {
		sim_equal(app.msgs[i].state, APP_RELEASED);
		sim_assert(!app.msgs[i].ev.status || app.msgs[i].ev.status == -ECONNRESET);
	}
	sim_equal(app_send_plain(c, 10, 0), -ECONNRESET);
	app_end(&app);
}

/* Numbers that were never taken: nothing that is out may be taken for free because of them. */
static void made_up_ranges(void)
{
	struct app_conn *c;

	sim_default.silent = true;
	c = open_with(ZCS_NONE);
	for (int i = 0; i < 3; i++)
		sim_equal(app_send_plain(c, 10000, 0), 0);
	sim_note(c->tcp, 0, 1000, false);
	sim_note(c->tcp, 3, 7, true);
	app_take(&app, 0);
	for (int i = 0; i < 3; i++)
		sim_equal(app.msgs[i].state, APP_OUT);
	sim_assert(app_stats(c).unknown_notifications > 0);
	/* what is sent from now on is copied, and the connection goes on */
	sim_equal(app_send_plain(c, 10000, 0), 1);
	sim_equal(app_stats(c).tx_reason, ZCS_R_DISTRUST);
	sim_peer_silence(c->tcp, false);
	app_end(&app);
	sim_equal(sim_peer_got(c->tcp), 40000);
}

/* A notification that comes twice is counted and settles nothing the second time. */
static void repeated(void)
{
	struct app_conn *c;

	sim_default.share_bytes = 0;
	sim_default.merge_pct = 0;
	sim_default.dup_pct = 100;
	sim_default.sndbuf = 30000;
	c = open_with(ZCS_NONE);
	for (int i = 0; i < 20; i++)
		sim_equal(app_send_plain(c, 20000, 0), 0);
	app_drain(&app);
	sim_assert(app_stats(c).unknown_notifications >= 10);
	sim_equal(app_stats(c).tx_bytes_lent, 400000);
	app_end(&app);
}

/* The counter is 32 bits wide: low may be greater than high. */
static void wraps(void)
{
	struct app_conn *c;

	sim_default.zc_start = 0xfffffff8;
	sim_default.share_pct = 50;
	sim_default.sndbuf = 60000;
	c = open_with(0xfffffff8);
	for (int i = 0; i < 40; i++)
		sim_equal(app_send_plain(c, 20000, 0), 0);
	app_drain(&app);
	sim_equal(app_stats(c).unknown_notifications, 0);
	sim_assert(sim_tcp_next_number(c->tcp) < 1000);
	app_end(&app);
}

/* The last piece of a message is copied and so at once the kernel's; the first is still lent. */
static void last_piece_copied(void)
{
	struct app_conn *c;

	sim_default.silent = true;
	sim_default.sndbuf = 100000;
	c = open_with(ZCS_NONE);
	sim_equal(app_send_plain(c, 150000, 0), 0);
	sim.memlock = 0; /* no more flagged calls */
	sim_peer_ack(c->tcp, 60000);
	app_take(&app, 0);
	sim_equal(sim_tcp_end(c->tcp), 150000);
	sim_equal(app.msgs[0].state, APP_OUT);
	sim_peer_silence(c->tcp, false);
	app_drain(&app);
	sim_equal(app.msgs[0].ev.how & (ZCS_LENT | ZCS_COPIED), ZCS_LENT | ZCS_COPIED);
	app_end(&app);
}

/* COPIED is told as a hint; nothing else follows from it. */
static void copied_hint(void)
{
	struct app_conn *c;

	sim_default.copied_pct = 100;
	c = open_with(ZCS_NONE);
	sim_equal(app_send_plain(c, 50000, 0), 0);
	app_drain(&app);
	sim_equal(app.msgs[0].ev.how, ZCS_LENT | ZCS_KERNEL_HINT);
	sim_equal(app_stats(c).tx_bytes_uncopied, 0);
	app_end(&app);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "failed_calls_take_none", failed_calls_take_none },
		{ "shared_and_merged", shared_and_merged },
		{ "holes", holes },
		{ "reset_reverses", reset_reverses },
		{ "copied_hint", copied_hint },
	};

	/* Of system calls, not of io_uring */
	static const struct sim_case by_socket[] = {
		{ "made_up_ranges", made_up_ranges },
		{ "repeated", repeated },
		{ "wraps", wraps },
		{ "last_piece_copied", last_piece_copied },
	};
	int r = sim_main(cases, sizeof(cases) / sizeof(*cases), 5);

	if (!r && !app_by_ring())
		r = sim_main(by_socket, sizeof(by_socket) / sizeof(*by_socket), 5);
	return r;
}
