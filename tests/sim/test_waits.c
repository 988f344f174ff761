/* SPDX-License-Identifier: MIT */
/*
 * test_waits.c - an application that waits for each message to come back, and others that do not,
 * over a network with a round-trip time
 */
#include "app.h"

#include <string.h>

#define LEN (64u << 10)
#define RTT (1 * SIM_MS)

static struct app app;

static struct app_conn *open_far(uint32_t send_way)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE, .send_way = send_way };

	sim.max_calls = 3000000;
	sim.flag_price = (struct sim_price){ 1000, 20 };
	sim.copy_price = (struct sim_price){ 2000, 100 };
	sim_default.ack_min_ns = sim_default.ack_max_ns = RTT;
	sim_default.sndbuf = 16u << 20;
	sim_default.cwnd = 16u << 20;
	sim_default.hold_pct = sim_default.again_pct = sim_default.partial_pct = 0;
	sim_default.copied_pct = 0;
	app_open(&app, NULL);
	return app_conn(&app, &o);
}

/* Sends so many, each when less than `window` of them are out; the percentage that was lent. */
static unsigned send_some(struct app_conn *c, unsigned nr, unsigned window, uint64_t work_ns)
{
	struct zcs_stats from = app_stats(c), to;
	unsigned out = 0;

	for (unsigned i = 0; i < nr; i++) {
		int ret = app_send_plain(c, LEN, 0);

		sim_assert(ret >= 0);
		out += ret == 0;
		if (out == window) {
			app_drain(&app);
			out = 0;
		}
		sim_run(work_ns);
	}
	app_drain(&app);
	to = app_stats(c);
	return (unsigned)((to.tx_bytes_lent - from.tx_bytes_lent) * 100 / ((uint64_t)nr * LEN));
}

static void one_at_a_time(void)
{
	struct app_conn *c = open_far(0);
	char text[2048];

	sim_assert(send_some(c, 400, 1, 0) <= 5);
	sim_equal(app_stats(c).tx_reason, ZCS_R_WAITS);
	sim_assert(zcs_conn_explain(c->conn, text, sizeof(text)) > 0);
	sim_assert(strstr(text, zcs_reason_text(ZCS_R_WAITS)));
	app_end(&app);
}

static void several_at_a_time(void)
{
	struct app_conn *c = open_far(0);

	sim_assert(send_some(c, 400, 4, 0) >= 90);
	app_end(&app);
}

/* It becomes another application: that is seen within seconds. */
static void more_and_more(void)
{
	struct app_conn *c = open_far(0);

	send_some(c, 100, 1, 0);
	sim_equal(app_stats(c).tx_reason, ZCS_R_WAITS);
	send_some(c, 40, 4, 100 * SIM_MS);
	sim_assert(send_some(c, 400, 4, 0) >= 90);
	app_end(&app);
}

static void works_in_between(void)
{
	struct app_conn *c = open_far(0);

	sim_assert(send_some(c, 200, 1, 3 * SIM_MS) >= 90);
	app_end(&app);
}

/* What it waits for is the answer: to copy would not bring it sooner. */
static void request_and_answer(void)
{
	struct app_conn *c = open_far(0);

	for (int i = 0; i < 200; i++) {
		sim_assert(app_send_plain(c, LEN, 0) >= 0);
		app_drain(&app);
		sim_peer_send(c->tcp, 100, SIM_UNMAPPED, 0);
		app_take(&app, 5);
		app_recv_all(c);
	}
	sim_assert(app_stats(c).tx_bytes_lent * 100 >= app_stats(c).tx_bytes * 90);
	app_end(&app);
}

static void pinned(void)
{
	struct app_conn *c = open_far(ZCS_WAY_ZEROCOPY);

	sim_equal(send_some(c, 200, 1, 0), 100);
	app_end(&app);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "one_at_a_time", one_at_a_time },
		{ "several_at_a_time", several_at_a_time },
		{ "more_and_more", more_and_more },
		{ "works_in_between", works_in_between },
		{ "request_and_answer", request_and_answer },
		{ "pinned", pinned },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 4);
}
