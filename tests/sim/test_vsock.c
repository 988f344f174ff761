/* SPDX-License-Identifier: MIT */
/*
 * test_vsock.c - VSOCK: a packet per flagged call, and failures that take a number
 */
#include "app.h"
#include "sys.h"

#include <errno.h>

static struct app app;

static struct app_conn *open_with(struct zcs_conn_opts o)
{
	sim_default.family = AF_VSOCK;
	sim_default.share_bytes = 0;
	app_open(&app, NULL);
	o.send_way = o.send_way ? o.send_way : ZCS_WAY_ZEROCOPY;
	return app_conn(&app, &o);
}

static void send_some(struct app_conn *c, int nr)
{
	struct app_send s;

	for (int i = 0; i < nr; i++) {
		s = (struct app_send){ .len = 1 + sim_rnd(300000), .skew = sim_rnd(4096) };
		s.pieces = sim_pct(50) ? 1 + sim_rnd(30) : 1;
		s.head = sim_pct(20) ? 1 + sim_rnd(200) : 0;
		s.pool = !s.skew;
		while (app_send(c, &s) == -EAGAIN)
			app_take(&app, 1);
		if (sim_pct(30))
			app_take(&app, (int)sim_rnd(3));
	}
}

static void all_arrives(struct app_conn *c)
{
	app_drain(&app);
	sim_equal(app_stats(c).unknown_notifications, 0);
	sim_equal(c->nr_errors, 0);
	app_end(&app);
	sim_equal(sim_peer_got(c->tcp), c->tx_pos);
}

/* No call is for more than a packet: the simulated kernel looks. */
static void one_packet_per_call(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 256 << 10;
	c = open_with((struct zcs_conn_opts){ 0 });
	send_some(c, 100);
	sim_assert(app_stats(c).tx_bytes_lent > 0);
	all_arrives(c);
}

/* Less credit than the message: the kernel copies, and says so. */
static void short_of_credit(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 40000;
	sim_default.partial_pct = 50;
	c = open_with((struct zcs_conn_opts){ 0 });
	send_some(c, 60);
	all_arrives(c);
}

/* Guard 19: ENOMEM is ENOBUFS, and may have taken a number. */
static void failures_take_numbers(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 256 << 10;
	sim_default.nomem_pct = 30;
	sim_default.nomem_takes_pct = 50;
	sim_default.merge_pct = sim_pct(50) ? 100 : 0;
	c = open_with((struct zcs_conn_opts){ .send_way = ZCS_WAY_ZEROCOPY });
	for (int i = 0; i < 40; i++) {
		send_some(c, 10);
		sim_run(2000 * SIM_MS); /* the pause after a refusal */
	}
	sim_assert(app_stats(c).tx_enobufs_memlock > 0);
	all_arrives(c);
}

/* The guest goes: the call that learns of it took a number, and those before are not forgotten. */
static void device_is_gone(void)
{
	struct app_conn *c = open_with((struct zcs_conn_opts){ 0 });

	for (int i = 0; i < 5; i++)
		sim_equal(app_send_plain(c, 20000, 0), 0);
	sim_knobs(c->tcp)->nomem_pct = sim_knobs(c->tcp)->nomem_takes_pct = 100;
	sim_knobs(c->tcp)->nomem_errno = ENODEV;
	sim_equal(app_send_plain(c, 20000, 0), -ENODEV);
	app_drain(&app);
	sim_equal(app_stats(c).unknown_notifications, 0);
	for (int i = 0; i < 5; i++)
		sim_equal(app.msgs[i].state, APP_RELEASED);
	app_end(&app);
}

/* Nothing at all can be lent: it is known at the first send. */
static void transport_only_copies(void)
{
	struct app_conn *c;

	sim_default.send_refuse = EOPNOTSUPP;
	c = open_with((struct zcs_conn_opts){ 0 });
	send_some(c, 20);
	sim_equal(app_stats(c).tx_bytes_lent, 0);
	sim_equal(app_stats(c).tx_reason, ZCS_R_NO_SO_ZEROCOPY);
	all_arrives(c);
}

/* Before 6.7: the error queue would be taken for the stream. */
static void option_refused(void)
{
	struct app_conn *c;

	sim_default.zc_refuse = EOPNOTSUPP;
	c = open_with((struct zcs_conn_opts){ 0 });
	sim_peer_send(c->tcp, 5000, SIM_UNMAPPED, 0);
	send_some(c, 20);
	sim_equal(sim.errq_reads, 0);
	app_recv_all(c);
	sim_equal(c->rx_pos, 5000);
	sim_equal(app_stats(c).tx_reason, ZCS_R_NO_SO_ZEROCOPY);
	all_arrives(c);
}

/* Somebody lent on it before and nobody says how often: it cannot be found out. */
static void with_a_past(void)
{
	struct zcs_conn_opts o = { .size = sizeof(o), .send_way = ZCS_WAY_ZEROCOPY };
	struct sim_tcp *tcp;
	struct app_conn *c;
	uint64_t prior = 1;
	int fd, on = 1;

	sim_default.family = AF_VSOCK;
	app_open(&app, NULL);
	tcp = sim_tcp_new(&fd);
	sim_equal(zcsi_sys->setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)), 0);
	c = app_conn_over(&app, &o, tcp, fd);
	send_some(c, 10);
	sim_equal(app_stats(c).tx_bytes_lent, 0);
	sim_equal(app_stats(c).tx_reason, ZCS_R_ADOPTING);
	/* theirs: handed on, not taken for ours */
	sim_note(tcp, 0, 0, false);
	app_take(&app, 0);
	sim_equal(app_stats(c).tx_reason, ZCS_R_ADOPTING);
	sim_equal(app_stats(c).foreign_dropped, 1);
	app_drain(&app);
	sim_equal(zcs_conn_detach(c->conn, &prior), fd);
	sim_equal(prior, 0); /* still nobody knows */
	c->conn = NULL;
	zcsi_sys->close(fd);
	app_end(&app);
}

/* A peer that never takes it: at the deadline it is never reported free. */
static void abort_condemns(void)
{
	struct app_conn *c;

	sim_default.silent = true;
	c = open_with((struct zcs_conn_opts){ .drain_ms = 100 });
	sim_equal(app_send_plain(c, 50000, 0), 0);
	app_close(c);
	while (!c->closed)
		app_take(&app, 50);
	sim_equal(app.msgs[0].state, APP_CONDEMNED);
	sim_peer_silence(c->tcp, false); /* it is still read after that */
	sim_run(1000 * SIM_MS);
	app_end(&app);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "one_packet_per_call", one_packet_per_call },
		{ "short_of_credit", short_of_credit },
		{ "failures_take_numbers", failures_take_numbers },
		{ "device_is_gone", device_is_gone },
		{ "transport_only_copies", transport_only_copies },
		{ "option_refused", option_refused },
		{ "with_a_past", with_a_past },
		{ "abort_condemns", abort_condemns },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 20);
}
