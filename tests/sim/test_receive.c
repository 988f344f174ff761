/* SPDX-License-Identifier: MIT */
/*
 * test_receive.c - mapping and copying, in order; ends, errors and marks; kernels that know less
 */
#include "app.h"

#include <errno.h>
#include <string.h>

static struct app app;

static struct app_conn *open_with(struct zcs_conn_opts o)
{
	app_open(&app, NULL);
	o.prior_sends = ZCS_NONE;
	o.trust = o.trust ? o.trust : ZCS_TRUST_PEER;
	o.recv_way = o.recv_way ? o.recv_way : ZCS_WAY_ZEROCOPY;
	return app_conn(&app, &o);
}

static struct app_conn *open_one(void)
{
	return open_with((struct zcs_conn_opts){ 0 });
}

/* Takes `want` bytes from the peer, waiting for READABLE as the contract says. */
static void take_in(struct app_conn *c, uint64_t want)
{
	while (c->rx_pos < want) {
		app_take(&app, 1);
		app_recv_all(c);
		sim_assert(!c->eof && !c->rx_error);
	}
	sim_equal(c->rx_pos, want);
}

static void maps(void)
{
	struct app_conn *c = open_one();

	for (int i = 0; i < 10; i++)
		sim_peer_send(c->tcp, 16 * 4096, SIM_PAGES, 0);
	take_in(c, 160 * 4096);
	sim_equal(app_stats(c).rx_bytes_mapped, 160 * 4096);
	app_end(&app);
}

/* Spans are held while the window goes round and round: none may change. */
static void held_spans_stay(void)
{
	struct app_conn *c = open_with((struct zcs_conn_opts){ .borrowed_max = ZCS_UNLIMITED });

	for (int i = 0; i < 400; i++) {
		sim_peer_send(c->tcp, 64 * 4096, SIM_PAGES, 0);
		app_take(&app, 0);
		while (app_recv(c, 4, 0) > 0)
			;
		while (app.nr_spans > 40)
			app_release(&app, sim_rnd((uint32_t)app.nr_spans));
	}
	sim_assert(app_stats(c).rx_bytes_mapped > c->rx_pos / 2);
	app_end(&app);
}

/* Guard 14: the kernel maps less than it could; nothing beyond may be handed out. */
static void partly_mapped(void)
{
	struct app_conn *c;

	sim_default.map_part_pct = 100;
	c = open_one();
	for (int i = 0; i < 20; i++)
		sim_peer_send(c->tcp, (1 + sim_rnd(16)) * 4096, SIM_PAGES, 0);
	take_in(c, sim_tcp_unread(c->tcp));
	sim_assert(app_stats(c).rx_bytes_mapped > 0);
	app_end(&app);
}

static void mixed_in_order(void)
{
	struct app_conn *c = open_one();

	for (int i = 0; i < 30; i++) {
		sim_peer_send(c->tcp, 13 + sim_rnd(5000), SIM_UNMAPPED, 0);
		sim_peer_send(c->tcp, 8 * 4096 + sim_rnd(4096), SIM_HEAD, 40 + sim_rnd(200));
		sim_peer_send(c->tcp, 8 * 4096, SIM_PAGES, 0);
	}
	take_in(c, sim_tcp_unread(c->tcp));
	sim_assert(app_stats(c).rx_bytes_mapped > 0);
	sim_assert(app_stats(c).rx_bytes_mapped < app_stats(c).rx_bytes);
	app_end(&app);
}

/* Nothing can be mapped: it copies, and tries again when the data may be different. */
static void unmappable_then_not(void)
{
	struct app_conn *c = open_with((struct zcs_conn_opts){ .recv_way = ZCS_WAY_ADAPT });
	uint64_t sent = 0;

	for (int i = 0; i < 100; i++) {
		sim_peer_send(c->tcp, 64 * 4096, SIM_UNMAPPED, 0);
		take_in(c, sent += 64 * 4096);
	}
	sim_equal(app_stats(c).rx_bytes_mapped, 0);
	sim_equal(app_stats(c).rx_reason, ZCS_R_UNMAPPABLE);
	sim_assert(sim.map_calls < 60);
	for (int i = 0; i < 2000 && !app_stats(c).rx_bytes_mapped; i++) {
		sim_peer_send(c->tcp, 64 * 4096, SIM_PAGES, 0);
		take_in(c, sent += 64 * 4096);
	}
	sim_assert(app_stats(c).rx_bytes_mapped > 0);
	app_end(&app);
}

/* A kernel that refuses from now on (7.1-rc): copy and count, the connection lives. */
static void refused_from_now_on(void)
{
	static const int errs[] = { EINVAL, EBUSY, ENOMEM };
	struct app_conn *c = open_one();
	uint64_t sent = 0;

	for (int i = 0; i < 30; i++) {
		sim_peer_send(c->tcp, 64 * 4096, SIM_PAGES, 0);
		take_in(c, sent += 64 * 4096);
		if (i == 5) {
			sim_knobs(c->tcp)->map_err_pct = 100;
			sim_knobs(c->tcp)->map_errno = errs[sim.seed % 3];
		}
	}
	sim_assert(app_stats(c).rx_map_refused > 0);
	sim_equal(c->nr_errors, 0);
	app_end(&app);
}

/* ---- older kernels --------------------------------------------------------------------------- */

static void with_optlen(socklen_t optlen)
{
	struct app_conn *c;

	sim_default.map_optlen = optlen;
	c = open_one();
	for (int i = 0; i < 20; i++) {
		sim_peer_send(c->tcp, 100 + sim_rnd(3000), SIM_UNMAPPED, 0);
		sim_peer_send(c->tcp, 16 * 4096 + sim_rnd(100), SIM_PAGES, 0);
	}
	take_in(c, sim_tcp_unread(c->tcp));
	if (optlen)
		sim_assert(app_stats(c).rx_bytes_mapped > 0);
	else
		sim_equal(app_stats(c).rx_reason, ZCS_R_NO_MAP);
	sim_peer_send(c->tcp, 20000, SIM_PAGES, 0);
	sim_peer_fin(c->tcp);
	app_take(&app, 0);
	app_recv_all(c);
	sim_assert(c->eof);
	sim_equal(c->rx_error, 0);
	app_end(&app);
}

static void optlen_40(void)
{
	with_optlen(40);
}

static void optlen_24(void)
{
	with_optlen(24);
}

static void optlen_16(void)
{
	with_optlen(16);
}

static void optlen_0(void)
{
	with_optlen(0);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/*
 * Guard 13: the mapping call takes the error with the data; it must come after the data, not as
 * EOF.
 */
static void reset_behind_data(void)
{
	struct app_conn *c = open_one();

	sim_peer_send(c->tcp, 16 * 4096, SIM_PAGES, 0);
	app_take(&app, 0);
	sim_peer_send(c->tcp, 40 * 4096, SIM_PAGES, 0);
	sim_peer_reset(c->tcp);
	app_recv_all(c);
	app_take(&app, 0);
	app_recv_all(c);
	sim_equal(c->rx_pos, 56 * 4096);
	sim_assert(!c->eof);
	sim_equal(c->rx_error, -ECONNRESET);
	sim_equal(c->error, -ECONNRESET);
	app_end(&app);
}

static void fin_behind_data(void)
{
	struct app_conn *c = open_one();

	sim_peer_send(c->tcp, 16 * 4096 + 5, SIM_PAGES, 0);
	sim_peer_fin(c->tcp);
	app_take(&app, 0);
	app_recv_all(c);
	sim_equal(c->rx_pos, 16 * 4096 + 5);
	sim_assert(c->eof);
	sim_equal(app_recv(c, 4, 0), 0);
	sim_equal(c->nr_errors, 0);
	app_end(&app);
}

/* ---- the urgent byte ------------------------------------------------------------------------- */

static void urgent(void)
{
	struct app_conn *c = open_one();

	sim_peer_send(c->tcp, 9000, SIM_PAGES, 0);
	c->rx_hole = 9001;
	sim_peer_urgent(c->tcp);
	sim_peer_send(c->tcp, 9000, SIM_PAGES, 0);
	sim_peer_fin(c->tcp);
	for (int i = 0; i < 5 && !c->eof; i++) {
		app_take(&app, 1);
		app_recv_all(c);
	}
	sim_equal(c->rx_pos, 18001);
	sim_equal(c->urgent, 1);
	sim_assert(c->eof);
	sim_equal(app_stats(c).rx_reason, ZCS_R_URGENT);
	app_end(&app);
}

/* It is the first that comes, and all that comes. */
static void urgent_alone(void)
{
	struct app_conn *c = open_one();

	c->rx_hole = 1;
	sim_peer_urgent(c->tcp);
	app_take(&app, 1);
	sim_assert(c->readable);
	app_recv_all(c);
	sim_equal(c->urgent, 1);
	sim_peer_send(c->tcp, 50000, SIM_PAGES, 0);
	take_in(c, 50001);
	app_end(&app);
}

/* ---- budgets --------------------------------------------------------------------------------- */

/* The budget is the only back-pressure: it stops reading, and goes on when spans come back. */
static void budget(void)
{
	struct app_conn *c = open_with((struct zcs_conn_opts){ .borrowed_max = 100000 });

	for (int i = 0; i < 10; i++)
		sim_peer_send(c->tcp, 16 * 4096, SIM_PAGES, 0);
	app_take(&app, 0);
	while (app_recv(c, 4, 0) > 0)
		;
	sim_assert(app_stats(c).borrowed <= 100000 + 4096);
	sim_assert(sim_tcp_unread(c->tcp) >= 500000);
	app_take(&app, 10);
	sim_assert(!c->readable);
	app_release_all(&app);
	app_take(&app, 0);
	sim_assert(c->readable);
	take_in(c, 160 * 4096);
	app_end(&app);
}

/* The context's budget, used up by another connection. */
static void budget_of_context(void)
{
	struct zcs_ctx_opts co = { .size = sizeof(co), .borrowed_max = 100000 };
	struct app_conn *c, *d;

	app_open(&app, &co);
	c = app_conn(&app, NULL);
	d = app_conn(&app, NULL);
	sim_peer_send(c->tcp, 300000, SIM_UNMAPPED, 0);
	sim_peer_send(d->tcp, 300000, SIM_UNMAPPED, 0);
	app_take(&app, 0);
	while (app_recv(c, 4, 0) > 0)
		;
	sim_equal(app_recv(d, 4, 0), -EAGAIN);
	app_release_all(&app);
	app_take(&app, 0);
	sim_assert(d->readable);
	take_in(d, 300000);
	take_in(c, 300000);
	app_end(&app);
}

/* A larger limit is as good as released spans. */
static void budget_grows(void)
{
	struct zcs_ctx_opts co = { .size = sizeof(co), .borrowed_max = 100000 };
	struct app_conn *c;

	app_open(&app, &co);
	c = app_conn(&app, NULL);
	sim_peer_send(c->tcp, 300000, SIM_UNMAPPED, 0);
	app_take(&app, 0);
	while (app_recv(c, 4, 0) > 0)
		;
	co.borrowed_max = 1 << 20;
	sim_equal(zcs_ctx_limits(app.ctx, &co), 0);
	app_take(&app, 0);
	sim_assert(c->readable);
	app_recv_all(c);
	sim_equal(c->rx_pos, 300000);
	app_end(&app);
}

/* Guard 12: a peer on this host could change what is mapped. */
static void untrusted(void)
{
	struct app_conn *c = open_with((struct zcs_conn_opts){ .trust = ZCS_TRUST_ROUTE });

	sim_peer_send(c->tcp, 64 * 4096, SIM_PAGES, 0);
	take_in(c, 64 * 4096);
	sim_equal(app_stats(c).rx_bytes_mapped, 0);
	sim_equal(app_stats(c).rx_reason, ZCS_R_UNTRUSTED);
	app_end(&app);
}

/* Guard 18: kernel TLS comes on the socket while it receives by mapping. */
static void ulp_later(void)
{
	struct app_conn *c = open_one();

	sim_peer_send(c->tcp, 64 * 4096, SIM_PAGES, 0);
	take_in(c, 64 * 4096);
	sim_assert(app_stats(c).rx_bytes_mapped > 0);
	sim_knobs(c->tcp)->ulp = true;
	sim_peer_send(c->tcp, 64 * 4096, SIM_PAGES, 0);
	take_in(c, 128 * 4096);
	sim_equal(app_stats(c).rx_reason, ZCS_R_ULP);
	app_end(&app);
}

/* Spans outlive their connection. */
static void spans_after_close(void)
{
	struct app_conn *c = open_one();

	sim_peer_send(c->tcp, 64 * 4096, SIM_PAGES, 0);
	app_take(&app, 0);
	sim_assert(app_recv(c, 16, 0) > 0);
	app_close(c);
	while (!c->closed)
		app_take(&app, 1);
	sim_assert(sim_peer_saw_fin(c->tcp));
	sim_assert(!sim_tcp_pinned(c->tcp)); /* guard 10: close(2) would send nothing */
	sim_assert(app.nr_spans > 0);
	sim_equal(zcs_ctx_free(app.ctx), -EBUSY);
	app_end(&app);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "maps", maps },
		{ "held_spans_stay", held_spans_stay },
		{ "partly_mapped", partly_mapped },
		{ "mixed_in_order", mixed_in_order },
		{ "unmappable_then_not", unmappable_then_not },
		{ "refused_from_now_on", refused_from_now_on },
		{ "optlen_40", optlen_40 },
		{ "optlen_24", optlen_24 },
		{ "optlen_16", optlen_16 },
		{ "optlen_0", optlen_0 },
		{ "reset_behind_data", reset_behind_data },
		{ "fin_behind_data", fin_behind_data },
		{ "urgent", urgent },
		{ "urgent_alone", urgent_alone },
		{ "budget", budget },
		{ "budget_of_context", budget_of_context },
		{ "budget_grows", budget_grows },
		{ "untrusted", untrusted },
		{ "ulp_later", ulp_later },
		{ "spans_after_close", spans_after_close },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 5);
}
