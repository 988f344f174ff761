/* SPDX-License-Identifier: MIT */
/*
 * test_adopt.c - descriptors with a past: foreign sends in flight, detach and open, connecting
 */
#include "app.h"
#include "sys.h"

#include <errno.h>
#include <string.h>

#define FOREIGN_KEY 500

static struct app app;
static char theirs[40000];

static void open_ctx(void)
{
	struct zcs_ctx_opts co = { .size = sizeof(co), .zerocopy_min = ZCS_NONE };

	app_open(&app, &co);
}

/* Somebody sends with the flag, and then hands the descriptor over. */
static void foreign_sends(struct sim_tcp *tcp, int fd, int nr)
{
	struct iovec v = { theirs, sizeof(theirs) };
	struct msghdr mh = { .msg_iov = &v, .msg_iovlen = 1 };
	int one = 1;

	zcsi_sys->setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one));
	sim_fill(theirs, sizeof(theirs), FOREIGN_KEY, 0);
	for (int i = 0; i < nr; i++) {
		sim_expect(tcp, sizeof(theirs), FOREIGN_KEY, 0);
		sim_equal(zcsi_sys->sendmsg(fd, &mh, MSG_ZEROCOPY | MSG_DONTWAIT), sizeof(theirs));
	}
}

static struct app_conn *adopt(int nr, uint64_t prior)
{
	struct zcs_conn_opts o = { .prior_sends = prior, .send_way = ZCS_WAY_ZEROCOPY };
	struct app_conn *c;
	struct sim_tcp *tcp;
	int fd;

	tcp = sim_tcp_new(&fd);
	foreign_sends(tcp, fd, nr);
	c = app_conn_over(&app, &o, tcp, fd);
	c->tx_pos = (uint64_t)nr * sizeof(theirs);
	return c;
}

/*
 * Their notification has a number that could be ours: until the line has been quiet, nothing of the
 * caller's may be lent.
 */
static void foreign_in_flight(void)
{
	struct app_conn *c;

	sim_default.silent = true;
	sim_default.share_bytes = 0;
	open_ctx();
	c = adopt(3, 0);
	for (int i = 0; i < 3; i++)
		sim_assert(app_send_plain(c, 20000, 0) >= 0);
	app_take(&app, 50);
	sim_equal(app_stats(c).tx_bytes_lent, 0);
	sim_peer_ack(c->tcp, 60000);
	app_take(&app, 50);
	sim_peer_silence(c->tcp, false);
	app_drain(&app);
	for (int i = 0; i < 50; i++) {
		sim_assert(app_send_plain(c, 20000, 0) >= 0);
		app_drain(&app);
		app_take(&app, 20);
	}
	/* and then it lends */
	sim_assert(app_stats(c).tx_bytes_lent >= 20000);
	app_end(&app);
}

/* The caller says how many: no need to wait. */
static void prior_is_told(void)
{
	struct app_conn *c;

	sim_default.share_bytes = 0;
	open_ctx();
	c = adopt(3, 3);
	sim_equal(app_send_plain(c, 20000, 0), 0);
	sim_equal(app_stats(c).tx_bytes_lent, 20000);
	app_drain(&app);
	app_take(&app, 20);
	app_end(&app);
}

/* Theirs are all done, and near the wrap: the number that comes next is found out. */
static void unknown_counter(void)
{
	struct app_conn *c;

	sim_default.zc_start = 0xfffffffd;
	open_ctx();
	c = adopt(2, 0);
	sim_run(SIM_S);
	for (int i = 0; i < 100; i++) {
		sim_assert(app_send_plain(c, 20000, 0) >= 0);
		app_drain(&app);
		app_take(&app, 20);
	}
	sim_assert(app_stats(c).tx_bytes_lent >= 20000);
	app_end(&app);
}

static void accepted_child(void)
{
	struct app_conn *c;

	open_ctx();
	c = adopt(0, ZCS_NONE);
	sim_equal(app_send_plain(c, 20000, 0), 0);
	sim_equal(app_stats(c).tx_bytes_lent, 20000);
	app_drain(&app);
	app_end(&app);
}

static void detach_and_open(void)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE, .send_way = ZCS_WAY_ZEROCOPY };
	struct app_conn *c, *d;
	uint64_t prior = 0;
	int fd;

	open_ctx();
	c = app_conn(&app, &o);
	for (int i = 0; i < 7; i++)
		sim_equal(app_send_plain(c, 20000, 0), 0);
	sim_equal(zcs_conn_detach(c->conn, &prior), -EBUSY);
	app_drain(&app);
	fd = zcs_conn_detach(c->conn, &prior);
	sim_equal(fd, c->fd);
	c->conn = NULL;
	sim_assert(prior);
	o.prior_sends = prior;
	d = app_conn_over(&app, &o, c->tcp, fd);
	d->tx_pos = c->tx_pos;
	d->key = c->key;
	for (int i = 0; i < 7; i++)
		sim_equal(app_send_plain(d, 20000, 0), 0);
	app_drain(&app);
	sim_equal(app_stats(d).unknown_notifications, 0);
	sim_equal(app_stats(d).tx_bytes_lent, 140000);
	app_end(&app);
}

/*
 * A connection on which nothing was ever lent: 0 sends before, which is ZCS_NONE and not
 * "unknown".
 */
static void detach_unused(void)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE, .send_way = ZCS_WAY_ZEROCOPY };
	struct app_conn *c, *d;
	uint64_t prior = 0;
	int fd;

	open_ctx();
	c = app_conn(&app, &o);
	fd = zcs_conn_detach(c->conn, &prior);
	sim_equal(fd, c->fd);
	c->conn = NULL;
	o.prior_sends = prior;
	d = app_conn_over(&app, &o, c->tcp, fd);
	sim_equal(app_send_plain(d, 20000, 0), 0);
	sim_equal(app_stats(d).tx_bytes_lent, 20000);
	app_drain(&app);
	app_end(&app);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void connecting(void)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE, .send_way = ZCS_WAY_ZEROCOPY };
	struct app_conn *c;
	struct sim_tcp *tcp;
	int fd;

	open_ctx();
	tcp = sim_tcp_connecting(&fd, 30 * SIM_MS, 0);
	c = app_conn_over(&app, &o, tcp, fd);
	sim_equal(app_send_plain(c, 20000, 0), 0); /* is sent when it is open */
	sim_equal(app_recv(c, 4, 0), -EAGAIN);
	app_take(&app, 10);
	sim_assert(!c->open);
	app_drain(&app);
	sim_assert(c->open);
	sim_equal(sim_peer_got(tcp), 20000);
	sim_equal(c->nr_errors, 0);
	app_end(&app);
}

static void refused(void)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE };
	struct app_conn *c;
	struct sim_tcp *tcp;
	int fd;

	open_ctx();
	tcp = sim_tcp_connecting(&fd, 30 * SIM_MS, ECONNREFUSED);
	c = app_conn_over(&app, &o, tcp, fd);
	sim_equal(app_send_plain(c, 20000, 0), 0);
	app_drain(&app);
	sim_equal(app.msgs[0].ev.status, -ECONNREFUSED);
	sim_equal(app.msgs[0].ev.bytes, 0);
	sim_assert(!c->open);
	sim_equal(c->error, -ECONNREFUSED);
	sim_equal(app_recv(c, 4, 0), -ECONNREFUSED);
	app_end(&app);
}

static void closed_while_connecting(void)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE, .drain_ms = 50 };
	struct app_conn *c;
	struct sim_tcp *tcp;
	int fd;

	open_ctx();
	tcp = sim_tcp_connecting(&fd, 10 * SIM_S, 0);
	c = app_conn_over(&app, &o, tcp, fd);
	sim_equal(app_send_plain(c, 20000, 0), 0);
	app_close(c);
	app_end(&app);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "foreign_in_flight", foreign_in_flight },
		{ "prior_is_told", prior_is_told },
		{ "unknown_counter", unknown_counter },
		{ "accepted_child", accepted_child },
		{ "detach_and_open", detach_and_open },
		{ "detach_unused", detach_unused },
		{ "connecting", connecting },
		{ "refused", refused },
		{ "closed_while_connecting", closed_while_connecting },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 5);
}
