/* SPDX-License-Identifier: MIT */
/*
 * test_span.c - spans forwarded, stabilized and handed back; files
 */
#include "app.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_KEY 600

static struct app app;

static struct app_conn *open_two(struct app_conn **to_out, uint64_t borrowed_max)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE, .trust = ZCS_TRUST_PEER };
	struct app_conn *from;

	o.recv_way = o.send_way = ZCS_WAY_ZEROCOPY;
	o.borrowed_max = borrowed_max;
	app_open(&app, NULL);
	from = app_conn(&app, &o);
	*to_out = app_conn(&app, &o);
	return from;
}

static int forward(struct app_conn *to, uint32_t flags)
{
	struct app_span *s = &app.spans[0];
	int ret;

	sim_expect(to->tcp, s->span.len, sim_rx_key(s->c->tcp), s->pos);
	ret = zcs_conn_send_span(to->conn, &s->span, flags);
	if (ret < 0) {
		sim_unexpect(to->tcp, s->span.len);
		return ret;
	}
	to->tx_pos += s->span.len;
	memmove(s, s + 1, --app.nr_spans * sizeof(*s));
	return ret;
}

/*
 * Mapped pages go out again while the window is reused: the kernel holds the pages, the window
 * shows new ones at the same addresses.
 */
static void relay(void)
{
	struct app_conn *from, *to;
	uint64_t total = 0;

	sim_default.reread_pct = 50;
	sim_default.lag_pct = 50;
	sim_default.ack_max = 50000;
	from = open_two(&to, 0);
	for (int i = 0; i < 200; i++) {
		sim_peer_send(from->tcp, 32 * 4096, SIM_PAGES, 0);
		total += 32 * 4096;
		app_take(&app, 0);
		while (app_recv(from, 8, 0) > 0)
			while (app.nr_spans)
				sim_equal(forward(to, 0), 0);
	}
	while (from->rx_pos < total || sim_peer_got(to->tcp) < total) {
		app_take(&app, 1);
		while (app_recv(from, 8, 0) > 0)
			while (app.nr_spans)
				sim_equal(forward(to, 0), 0);
	}
	sim_assert(app_stats(from).rx_bytes_mapped > total / 2);
	sim_assert(app_stats(to).tx_bytes_lent > total / 2);
	app_end(&app);
	sim_equal(sim_peer_got(to->tcp), total);
}

/*
 * Spans count for what makes a ring submit, as messages do: they waited for the next turn however
 * many there were.
 */
static void forward_many(void)
{
	struct app_conn *from, *to;

	from = open_two(&to, 0);
	sim_peer_send(from->tcp, 64 * 4096, SIM_UNMAPPED, 0);
	app_take(&app, 0);
	while (app.nr_spans < 32)
		sim_assert(app_recv(from, 1, 4096) > 0);
	for (int i = 0; i < 32; i++) {
		sim_equal(sim.ring_submits, 0);
		sim_equal(forward(to, 0), 0);
	}
	sim_equal(sim.ring_submits, app_by_ring());
	sim_equal(sim_tcp_end(to->tcp), to->tx_pos);
	app_take(&app, 10);
	sim_equal(sim_peer_got(to->tcp), to->tx_pos);
	app_end(&app);
}

/* The next hop is slow: the bytes stay charged to the receiver, and that stops its reading. */
static void relay_back_pressure(void)
{
	struct app_conn *from, *to;

	from = open_two(&to, 200000);
	sim_knobs(to->tcp)->sndbuf = 50000;
	sim_peer_silence(to->tcp, true);
	sim_peer_send(from->tcp, 300 * 4096, SIM_PAGES, 0);
	app_take(&app, 0);
	while (app_recv(from, 8, 0) > 0)
		while (app.nr_spans)
			sim_equal(forward(to, 0), 0);
	sim_assert(app_stats(from).borrowed > 100000);
	sim_assert(sim_tcp_unread(from->tcp) > 800000);
	app_take(&app, 5);
	sim_assert(!from->readable);
	sim_peer_silence(to->tcp, false);
	while (sim_peer_got(to->tcp) < 300 * 4096) {
		app_take(&app, 1);
		while (app_recv(from, 8, 0) > 0)
			while (app.nr_spans)
				sim_equal(forward(to, 0), 0);
	}
	app_take(&app, 1);
	sim_equal(app_stats(from).borrowed, 0);
	app_end(&app);
}

/* A private copy that was forwarded and is condemned: later reads must not land in its memory. */
static void condemned_copy(void)
{
	struct app_conn *from, *to;

	from = open_two(&to, 0);
	sim_knobs(to->tcp)->hold_pct = 100;
	sim_knobs(to->tcp)->silent = true;
	sim_peer_send(from->tcp, 30000, SIM_UNMAPPED, 0);
	app_take(&app, 0);
	while (app_recv(from, 8, 0) > 0)
		while (app.nr_spans)
			sim_equal(forward(to, ZCS_ZEROCOPY), 0);
	sim_equal(zcs_conn_flush(to->conn), 0);
	sim_assert(app_stats(to).tx_bytes_lent > 0);
	to->closing = true;
	zcs_conn_abort(to->conn);
	app_take(&app, 0);
	for (int i = 0; i < 100; i++) {
		sim_peer_send(from->tcp, 30000, SIM_UNMAPPED, 0);
		app_take(&app, 0);
		app_recv_all(from);
	}
	sim_let_go(to->tcp);
	app_end(&app);
}

/* A span that cannot be forwarded stays the caller's. */
static void forward_fails(void)
{
	struct app_conn *from, *to;

	from = open_two(&to, 0);
	sim_peer_send(from->tcp, 32 * 4096, SIM_PAGES, 0);
	app_take(&app, 0);
	sim_assert(app_recv(from, 8, 0) > 0);
	sim_peer_reset(to->tcp);
	app_take(&app, 0);
	sim_equal(forward(to, 0), -ECONNRESET);
	sim_assert(app_stats(from).borrowed > 0);
	app_release_all(&app);
	sim_equal(app_stats(from).borrowed, 0);
	app_end(&app);
}

/* The next hop breaks with spans queued: their memory comes back to the receiver. */
static void forward_then_reset(void)
{
	struct app_conn *from, *to;

	from = open_two(&to, 100000);
	sim_knobs(to->tcp)->sndbuf = 10000;
	sim_peer_silence(to->tcp, true);
	sim_peer_send(from->tcp, 64 * 4096, SIM_PAGES, 0);
	app_take(&app, 0);
	while (app_recv(from, 8, 0) > 0)
		while (app.nr_spans)
			sim_equal(forward(to, 0), 0);
	sim_peer_reset(to->tcp);
	app_take(&app, 1);
	sim_assert(from->readable);
	sim_equal(app_stats(from).borrowed, 0);
	app_recv_all(from);
	app_end(&app);
}

static void stabilize(void)
{
	struct app_conn *from, *to;
	struct zcs_span *s;

	from = open_two(&to, 0);
	sim_peer_send(from->tcp, 32 * 4096, SIM_PAGES, 0);
	app_take(&app, 0);
	sim_assert(app_recv(from, 8, 0) > 0);
	s = &app.spans[0].span;
	sim_assert(s->flags & ZCS_SPAN_MAPPED);
	sim_equal(zcs_span_stabilize(app.ctx, s), 0);
	sim_assert(!(s->flags & ZCS_SPAN_MAPPED));
	sim_equal(zcs_span_stabilize(app.ctx, s), 0);
	app_release_all(&app);
	sim_equal(app_stats(from).borrowed, 0);
	app_end(&app);
}

/* Narrowed and copied it gives budget back, which lets a stopped receiver go on. */
static void stabilize_makes_room(void)
{
	struct app_conn *from, *to;
	struct zcs_span *s;

	from = open_two(&to, 16 * 4096);
	sim_peer_send(from->tcp, 64 * 4096, SIM_PAGES, 0);
	app_take(&app, 0);
	while (app_recv(from, 8, 0) > 0)
		;
	sim_assert(!from->readable && sim_tcp_unread(from->tcp) > 0);
	for (size_t i = 0; i < app.nr_spans; i++) {
		s = &app.spans[i].span;
		s->len = s->len < 16 ? s->len : 16;
		sim_equal(zcs_span_stabilize(app.ctx, s), 0);
	}
	app_take(&app, 0);
	sim_assert(from->readable);
	app_release_all(&app);
	app_end(&app);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int make_file(size_t len)
{
	int fd = memfd_create("sim", 0);
	char *all = malloc(len);

	sim_fill(all, len, FILE_KEY, 0);
	if (pwrite(fd, all, len, 0) != (ssize_t)len)
		sim_fail("memfd");
	free(all);
	return fd;
}

/* Until RELEASED the peer's kernel may not have it; afterwards the file is the program's. */
static void file_in_order(void)
{
	struct app_conn *from, *to;
	int fd = make_file(500000);
	char junk[4096];

	sim_default.sndbuf = 60000;
	sim_default.lag_pct = 50;
	from = open_two(&to, 0);
	sim_equal(app_send_plain(to, 30000, 0), 0);
	sim_equal(app_send_file(to, fd, 1000, 499000, FILE_KEY), 0);
	sim_equal(app_send_plain(to, 30000, 0), 0);
	app_drain(&app);
	memset(junk, 0x11, sizeof(junk));
	for (off_t at = 0; at < 500000; at += (off_t)sizeof(junk))
		if (pwrite(fd, junk, sizeof(junk), at) < 0)
			sim_fail("memfd");
	sim_equal(app_stats(to).tx_bytes_file, 499000);
	sim_equal(app_stats(from).tx_bytes_file, 0);
	close(fd);
	app_end(&app);
	sim_equal(sim_peer_got(to->tcp), 559000);
}

/* A file that ends early: the message says so, the connection stays usable. */
static void file_too_short(void)
{
	struct app_conn *from, *to;
	int fd = make_file(100000);

	from = open_two(&to, 0);
	sim_expect(to->tcp, 100000, FILE_KEY, 0);
	to->app->msgs = realloc(app.msgs, 64 * sizeof(*app.msgs));
	app.max_msgs = 64;
	app.msgs[app.nr_msgs++] =
		(struct app_msg){ .c = to, .state = APP_OUT, .total = 150000, .file = true };
	to->out++;
	sim_equal(zcs_conn_send_file(to->conn, fd, 0, 150000, app.nr_msgs), 0);
	to->tx_pos = 100000;
	app_drain(&app);
	sim_equal(app.msgs[0].ev.status, -ENODATA);
	sim_equal(app.msgs[0].ev.bytes, 100000);
	sim_equal(app_send_plain(to, 30000, 0), 0);
	app_drain(&app);
	sim_equal(to->nr_errors + from->nr_errors, 0);
	close(fd);
	app_end(&app);
	sim_equal(sim_peer_got(to->tcp), 130000);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "relay", relay },
		{ "forward_many", forward_many },
		{ "relay_back_pressure", relay_back_pressure },
		{ "condemned_copy", condemned_copy },
		{ "forward_fails", forward_fails },
		{ "forward_then_reset", forward_then_reset },
		{ "stabilize", stabilize },
		{ "stabilize_makes_room", stabilize_makes_room },
		{ "file_in_order", file_in_order },
		{ "file_too_short", file_too_short },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 10);
}
