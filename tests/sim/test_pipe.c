/* SPDX-License-Identifier: MIT */
/*
 * test_pipe.c - from one connection to another through a pipe, beside messages and spans
 */
#include "app.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct app app;
static int ends[2];

static struct app_conn *begin(void)
{
	sim_assert(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
	app_open(&app, NULL);
	return app_conn(&app, NULL);
}

static void finish(void)
{
	app_end(&app);
	close(ends[0]);
	close(ends[1]);
}

/* One way or the other; false: nothing more is there for now, or never. */
static bool pass_on(struct app_conn *in, struct app_conn *out)
{
	uint64_t pos = in->rx_pos;
	int n;

	if (sim_pct(20)) {
		n = app_recv(in, 4, 1 + sim_rnd(5000));
		app_release_all(&app);
		return n > 0;
	}
	n = zcs_conn_recv_pipe(in->conn, ends[1], sim_pct(50) ? 1 + sim_rnd(70000) : 0);
	in->eof |= n == 0;
	if (n == -EAGAIN)
		in->readable = false;
	if (n <= 0) {
		sim_assert(n == 0 || n == -EAGAIN || n == -ENOSPC);
		return false;
	}
	in->rx_pos += (uint64_t)n;
	sim_equal(app_send_pipe(out, ends[0], (size_t)n, sim_rx_key(in->tcp), pos), 0);
	if (sim_pct(20))
		sim_assert(app_send_plain(out, 1 + sim_rnd(30000), 0) >= -EAGAIN);
	return true;
}

/* Every byte that came goes out, and a wake-up that is lost hangs. */
static void relay(void)
{
	struct app_conn *in, *out;
	uint64_t sent = 0;

	sim_default.sndbuf = 20000 + sim_rnd(100000);
	sim_default.early_wake_pct = sim_pct(50) ? 20 : 0;
	in = begin();
	out = app_conn(&app, NULL);
	for (int i = 0; i < 60; i++) {
		size_t len = 1 + sim_rnd(60000);

		sim_peer_send(in->tcp, len, sim_rnd(3), 100);
		sent += len;
		while (pass_on(in, out) && sim_pct(90))
			;
		app_take(&app, (int)sim_rnd(3));
	}
	sim_peer_fin(in->tcp);
	while (!in->eof) {
		while (pass_on(in, out))
			;
		if (!in->eof)
			app_take(&app, 5);
	}
	sim_equal(in->rx_pos, sent);
	app_drain(&app);
	sim_equal(app.nr_failed, 0);
	finish();
}

/* The peer of one or of the other is gone: each token has its event, nothing hangs. */
static void reset(void)
{
	struct app_conn *in = begin(), *out = app_conn(&app, NULL);
	int n;

	sim_peer_send(in->tcp, 50000, SIM_PAGES, 0);
	while (pass_on(in, out))
		;
	sim_peer_reset(sim_pct(50) ? in->tcp : out->tcp);
	app_take(&app, 5);
	n = zcs_conn_recv_pipe(in->conn, ends[1], 0);
	sim_assert(n == -EAGAIN || n == -ECONNRESET || n == -ENOSPC);
	sim_assert(n != -ECONNRESET || zcs_conn_recv_pipe(in->conn, ends[1], 0) == -ECONNRESET);
	app_drain(&app);
	finish();
}

/* A full pipe is not an empty socket: no event will tell that there is room again. */
static void full(void)
{
	struct app_conn *in = begin();
	static char buf[1 << 20];
	uint64_t pos = 0;
	int n;

	sim_peer_send(in->tcp, 200000, SIM_PAGES, 0);
	while (pos < 200000) {
		while ((n = zcs_conn_recv_pipe(in->conn, ends[1], 0)) > 0)
			;
		sim_assert(n == (sim_tcp_unread(in->tcp) ? -ENOSPC : -EAGAIN));
		n = (int)read(ends[0], buf, sizeof(buf));
		sim_equal(sim_differs(buf, (size_t)n, sim_rx_key(in->tcp), pos), n);
		pos += (uint64_t)n;
	}
	finish();
}

/* All was moved but the end, which the library knows of: it will not be told again. */
static void full_at_the_end(void)
{
	struct app_conn *in = begin();
	static char buf[1 << 20];
	int n;

	sim_peer_send(in->tcp, 16 * 4096, SIM_PAGES, 0);
	sim_peer_fin(in->tcp);
	app_take(&app, 1);
	sim_equal(zcs_conn_recv_pipe(in->conn, ends[1], 0), 16 * 4096);
	n = zcs_conn_recv_pipe(in->conn, ends[1], 0);
	if (n == -ENOSPC) {
		sim_equal(read(ends[0], buf, sizeof(buf)), 16 * 4096);
		n = zcs_conn_recv_pipe(in->conn, ends[1], 0);
	}
	sim_equal(n, 0);
	finish();
}

/* A full budget stops spans only: who goes on by pipe is woken as ever. */
static void beyond_the_budget(void)
{
	struct zcs_conn_opts o = { .size = sizeof(o), .borrowed_max = 8192 };
	struct app_conn *in = begin();

	sim_equal(zcs_conn_limits(in->conn, &o), 0);
	sim_peer_send(in->tcp, 20000, SIM_PAGES, 0);
	while (app_recv(in, 4, 0) > 0)
		;
	sim_assert(sim_tcp_unread(in->tcp) > 0);
	while (zcs_conn_recv_pipe(in->conn, ends[1], 0) > 0)
		;
	in->readable = false;
	sim_peer_send(in->tcp, 100, SIM_PAGES, 0);
	for (int i = 0; i < 10 && !in->readable; i++)
		app_take(&app, 5);
	sim_assert(in->readable);
	sim_equal(zcs_conn_recv_pipe(in->conn, ends[1], 0), 100);
	app_release_all(&app);
	finish();
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "relay", relay },
		{ "reset", reset },
		{ "full", full },
		{ "beyond_the_budget", beyond_the_budget },
		{ "full_at_the_end", full_at_the_end },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 60);
}
