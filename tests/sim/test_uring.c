/* SPDX-License-Identifier: MIT */
/*
 * test_uring.c - the io_uring way to send: chains, results, notifications, and when it cannot be
 */
#include "app.h"
#include "sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct app app;

static void open_ctx(void)
{
	struct zcs_ctx_opts co = { .zerocopy_min = ZCS_NONE, .ring = ZCS_RING_TRY };

	app_open(&app, &co);
}

static struct app_conn *conn_with(struct zcs_conn_opts o)
{
	o.prior_sends = o.prior_sends ? o.prior_sends : ZCS_NONE;
	o.send_way = o.send_way ? o.send_way : ZCS_WAY_ZEROCOPY;
	return app_conn(&app, &o);
}

static struct app_conn *open_one(void)
{
	open_ctx();
	return conn_with((struct zcs_conn_opts){ 0 });
}

static bool explains(struct app_conn *c, const char *what)
{
	char text[1024];

	sim_assert(zcs_conn_explain(c->conn, text, sizeof(text)) > 0);
	return strstr(text, what);
}

static int send_len(struct app_conn *c, size_t len, uint32_t flags)
{
	struct app_send s = { .len = len, .flags = flags };

	return app_send(c, &s);
}

static void flush(struct app_conn *c)
{
	sim_equal(zcs_conn_flush(c->conn), 0);
}

/* ---- what is submitted ----------------------------------------------------------------------- */

/* Nothing goes out before the caller lets us work; then all connections' in one call. */
static void one_call_for_all(void)
{
	struct app_conn *c[3];

	open_ctx();
	for (int i = 0; i < 3; i++)
		c[i] = conn_with((struct zcs_conn_opts){ 0 });
	for (int i = 0; i < 30; i++)
		sim_equal(send_len(c[i % 3], 40000, 0), 0);
	sim_equal(sim.ring_submits, 0);
	sim_assert(explains(c[0], "sent by io_uring"));
	app_take(&app, 0);
	sim_equal(sim.ring_submits, 1);
	sim_equal(sim.ring_reqs, 30);
	sim_equal(sim.sendmsg_calls, 0);
	app_drain(&app);
	for (int i = 0; i < 3; i++) {
		sim_equal(sim_peer_got(c[i]->tcp), 400000);
		sim_equal(app_stats(c[i]).tx_bytes_lent, 400000);
	}
	app_end(&app);
}

/* 32 messages, or 2 MiB, are a chain. */
static void full_chains(void)
{
	struct app_conn *c = open_one();

	for (int i = 0; i < 31; i++)
		sim_equal(send_len(c, 1000, 0), 0);
	sim_equal(sim.ring_submits, 0);
	sim_equal(send_len(c, 1000, 0), 0);
	sim_equal(sim.ring_submits, 1);
	for (int i = 0; i < 3; i++)
		sim_equal(send_len(c, 600000, 0), 0);
	sim_equal(sim.ring_submits, 1);
	sim_equal(send_len(c, 600000, 0), 0);
	sim_equal(sim.ring_submits, 2);
	app_drain(&app);
	app_end(&app);
}

/* What is copied leaves in one request, and its memory is free at once. */
static void small_ones_together(void)
{
	struct app_conn *c = open_one();
	uint64_t released = 0;

	for (int i = 0; i < 20; i++)
		sim_equal(send_len(c, 100 + i, ZCS_COPY), 1);
	flush(c);
	sim_equal(sim.ring_reqs, 1);
	sim_equal(sim_tcp_end(c->tcp), 2190);
	sim_equal(app_stats(c).lent, 0);
	app_take(&app, 10);
	app_end(&app);

	/* by the policy: not ours until the kernel has it */
	open_ctx();
	c = conn_with((struct zcs_conn_opts){ .send_way = ZCS_WAY_COPY });
	for (int i = 0; i < 10; i++)
		sim_equal(send_len(c, 5000, 0), 0);
	sim_equal(app_stats(c).lent, 50000);
	app_drain(&app);
	for (int i = 0; i < 10; i++)
		released += app.msgs[i].ev.how == ZCS_COPIED;
	sim_equal(released, 10);
	app_end(&app);
}

/* What is lent, too, when it is small: each message keeps the number of the one request. */
static void small_loans_together(void)
{
	struct app_conn *c = open_one();
	struct app_send pool = { .len = 4096, .pool = true };

	for (int i = 0; i < 20; i++)
		sim_equal(
			app_send(c, &(struct app_send){ .len = 5000 + i, .head = i, .pieces = 3 }),
			0);
	flush(c);
	sim_equal(sim.ring_reqs, 1);
	app_drain(&app);
	for (int i = 0; i < 20; i++)
		sim_equal(app.msgs[i].ev.how, ZCS_LENT);
	/* what is larger stays alone, and what is copied goes by itself */
	for (int i = 0; i < 4; i++)
		sim_equal(send_len(c, i == 1 ? 32768 : 5000, i == 2 ? ZCS_COPY : 0), i == 2);
	flush(c);
	sim_equal(sim.ring_reqs, 5);
	app_drain(&app);
	/* pieces of a slab that lie side by side are one piece of registered memory */
	for (int i = 0; i < 16; i++)
		sim_equal(app_send(c, &pool), 0);
	flush(c);
	sim_equal(sim.ring_reqs, 6);
	sim_equal(sim.ring_fixed, 1);
	app_drain(&app);
	sim_equal(app_stats(c).tx_bytes, app_stats(c).tx_bytes_lent + 5000);
	app_end(&app);
}

/* A peer that has taken a part of a request has freed none of its messages. */
static void shared_until_settled(void)
{
	struct app_conn *c;

	sim_default.silent = true;
	c = open_one();
	for (int i = 0; i < 10; i++)
		sim_equal(send_len(c, 3000, 0), 0);
	flush(c);
	sim_equal(sim.ring_reqs, 1);
	sim_peer_ack(c->tcp, 29000);
	app_take(&app, 1);
	for (int i = 0; i < 10; i++)
		sim_equal(app.msgs[i].state, APP_OUT);
	sim_peer_ack(c->tcp, 30000);
	app_take(&app, 1);
	for (int i = 0; i < 10; i++)
		sim_equal(app.msgs[i].state, APP_RELEASED);
	app_end(&app);
}

/* One iovec short of what a chain may have: the message is split between two. */
static void many_pieces(void)
{
	struct app_send s = { .len = 20000, .pieces = 300 };
	struct app_conn *c = open_one();

	for (int i = 0; i < 100; i++)
		sim_equal(app_send(c, &s), 0);
	app_drain(&app);
	sim_equal(sim_peer_got(c->tcp), 2000000);
	sim_equal(app_stats(c).tx_bytes_lent, 2000000);
	app_end(&app);
}

/* A long chain is cancelled, a shorter one follows and then the end: nothing stays behind. */
static void shorter_chain_then_reset(void)
{
	struct app_conn *c;

	sim_default.silent = true;
	sim_default.sndbuf = 100000;
	c = open_one();
	sim_knobs(c->tcp)->ring_nomem_pct = 100;
	for (int i = 0; i < 192; i++)
		sim_equal(send_len(c, 40000, 0), 0);
	sim_assert(app_stats(c).tx_enobufs_memlock > 4);
	sim_knobs(c->tcp)->ring_nomem_pct = 0;
	flush(c);
	sim_assert(sim_tcp_end(c->tcp) > 80000);
	sim_knobs(c->tcp)->note_late_ns = 5 * SIM_MS;
	sim_peer_reset(c->tcp);
	app_take(&app, 20);
	sim_equal(c->nr_errors, 1);
	for (int i = 0; i < 192; i++)
		sim_equal(app.msgs[i].state, APP_RELEASED);
	app_end(&app);
}

static void mixed_with_files(void)
{
	struct app_conn *c = open_one();
	int file = memfd_create("sim", 0);
	char *all = malloc(100000);

	sim_fill(all, 100000, 9, 0);
	sim_equal(pwrite(file, all, 100000, 0), 100000);
	free(all);
	sim_knobs(c->tcp)->sndbuf = 40000;
	for (int i = 0; i < 5; i++) {
		sim_equal(send_len(c, 30000, 0), 0);
		sim_equal(send_len(c, 100, ZCS_COPY), 1);
		sim_equal(app_send_file(c, file, 1000, 70000, 9), 0);
	}
	app_drain(&app);
	sim_equal(sim_tcp_end(c->tcp), 5 * 100100);
	app_end(&app);
	close(file);
}

static void half_closed(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 30000;
	c = open_one();
	for (int i = 0; i < 5; i++)
		sim_equal(send_len(c, 50000, 0), 0);
	sim_equal(zcs_conn_shutdown(c->conn), 0);
	app_drain(&app);
	app_take(&app, 20);
	sim_equal(sim_peer_got(c->tcp), 250000);
	sim_assert(sim_peer_saw_fin(c->tcp));
	app_end(&app);
}

/* ---- registered memory ----------------------------------------------------------------------- */

static void registered(void)
{
	struct app_send s = { .len = 100000, .flags = ZCS_GIVE };
	struct app_conn *c = open_one();

	for (int i = 0; i < 50; i++)
		sim_assert(app_send(c, &s) == 0);
	app_take(&app, 20);
	sim_equal(sim.ring_fixed, sim.ring_reqs);
	/* a piece of one, and one that is larger than a slab */
	s = (struct app_send){ .len = 5 << 20, .flags = ZCS_GIVE };
	sim_equal(app_send(c, &s), 0);
	app_take(&app, 20);
	sim_equal(sim.ring_fixed, sim.ring_reqs);
	/* other memory is not */
	sim_equal(send_len(c, 100000, 0), 0);
	app_drain(&app);
	sim_equal(sim.ring_fixed + 1, sim.ring_reqs);
	app_end(&app);
}

/* Slabs come and go: what is mapped later, at the same place or another, is registered anew. */
static void registered_again(void)
{
	struct zcs_ctx_opts co = { .ring = ZCS_RING_TRY, .pool_retain = ZCS_NONE };
	struct app_send s = { .len = 1 << 20, .flags = ZCS_GIVE | ZCS_ZEROCOPY };
	struct app_conn *c;

	app_open(&app, &co);
	c = conn_with((struct zcs_conn_opts){ 0 });
	sim.memlock = 40 << 20;
	for (int i = 0; i < 40; i++) {
		s.len = i % 3 ? 1 << 20 : 3 << 20;
		sim_equal(app_send(c, &s), 0);
		app_take(&app, 20);
	}
	sim_equal(sim.ring_fixed, sim.ring_reqs);
	app_end(&app);
}

/* Locked memory is too small to register anything, then too small for anything. */
static void no_locked_memory(void)
{
	struct app_send s = { .len = 200000, .flags = ZCS_GIVE };
	struct app_conn *c = open_one();

	sim.memlock = 1 << 20;
	for (int i = 0; i < 20; i++) {
		sim_equal(app_send(c, &s), 0);
		app_take(&app, 20);
	}
	sim_equal(sim.ring_fixed, 0);
	sim_equal(app_stats(c).tx_bytes_lent, 4000000);
	sim_assert(explains(c, "not registered"));
	sim.memlock = 4096;
	for (int i = 0; i < 20; i++) {
		sim_equal(app_send(c, &s), 0);
		app_take(&app, 20);
	}
	sim_equal(app_stats(c).tx_bytes, 8000000);
	sim_equal(app_stats(c).tx_bytes_lent, 4000000);
	sim_assert(app_stats(c).tx_enobufs_memlock > 0);
	sim_equal(app_stats(c).tx_reason, ZCS_R_MEMLOCK);
	sim.memlock = UINT64_MAX;
	for (int i = 0; i < 20; i++) {
		sim_equal(app_send(c, &s), 0);
		app_take(&app, 200);
	}
	sim_assert(app_stats(c).tx_bytes_lent > 5000000);
	app_end(&app);
}

/* ---- results --------------------------------------------------------------------------------- */

/* Guard 16: requests end short, those behind them are cancelled; the stream is whole. */
static void chains_break(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 50000;
	sim_default.partial_pct = 50;
	sim_default.ring_short_pct = 60;
	c = open_one();
	for (int i = 0; i < 100; i++)
		sim_assert(send_len(c, 1 + sim_rnd(40000), i % 5 ? 0 : ZCS_COPY) >= 0);
	app_drain(&app);
	while (sim_peer_got(c->tcp) < c->tx_pos)
		app_take(&app, 5);
	sim_equal(c->nr_errors, 0);
	app_end(&app);
}

/* Guard 17: two chains at a time would mix. */
static void chains_wait(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 50000;
	sim_default.ring_late_pct = 40;
	c = open_one();
	for (int i = 0; i < 200; i++)
		sim_equal(send_len(c, 20000 + sim_rnd(40000), 0), 0);
	app_drain(&app);
	sim_equal(sim_peer_got(c->tcp), c->tx_pos);
	app_end(&app);
}

/*
 * Guard 15: requests that failed or were cancelled are notified all the same, and later: when what
 * they were called is called by others, of which the peer has taken nothing yet.
 */
static void errors_notify(void)
{
	struct app_conn *a, *b;

	open_ctx();
	a = conn_with((struct zcs_conn_opts){ 0 });
	b = conn_with((struct zcs_conn_opts){ 0 });
	sim_knobs(a->tcp)->ring_zc_refuse = EOPNOTSUPP;
	sim_knobs(a->tcp)->note_late_ns = 10 * SIM_MS;
	sim_knobs(b->tcp)->silent = true;
	for (int i = 0; i < 10; i++)
		sim_equal(send_len(a, 20000, 0), 0);
	flush(a);
	for (int i = 0; i < 10; i++)
		sim_equal(send_len(b, 20000, 0), 0);
	flush(b);
	app_take(&app, 30);
	for (int i = 0; i < 10; i++) {
		sim_equal(app.msgs[i].state, APP_RELEASED);
		sim_equal(app.msgs[i].ev.how, ZCS_COPIED);
		sim_equal(app.msgs[10 + i].state, APP_OUT);
	}
	sim_equal(app_stats(a).tx_reason, ZCS_R_ULP);
	sim_equal(app_stats(a).unknown_notifications, 0);
	sim_peer_silence(b->tcp, false);
	app_drain(&app);
	app_end(&app);
}

/* Kernel TLS comes on a socket that sends by the ring: it takes the bytes, by the socket only. */
static void ulp_later(void)
{
	struct app_conn *c = open_one();

	sim_knobs(c->tcp)->note_late_ns = sim_pct(50) ? 5 * SIM_MS : 0;
	for (int i = 0; i < 60; i++) {
		if (i == 20)
			sim_knobs(c->tcp)->ulp = true;
		sim_assert(send_len(c, 1 + sim_rnd(60000), sim_pct(30) ? ZCS_COPY : 0) >= 0);
		if (sim_pct(30))
			app_take(&app, (int)sim_rnd(3));
	}
	flush(c);
	app_drain(&app);
	while (sim_peer_got(c->tcp) < c->tx_pos)
		app_take(&app, 5);
	sim_equal(c->nr_errors, 0);
	sim_equal(app_stats(c).tx_reason, ZCS_R_ULP);
	app_end(&app);
}

/* Requests that many share end short, within a message or between two, or find no memory. */
static void shared_breaks(void)
{
	struct app_send s = { 0 };
	struct app_conn *c;

	sim_default.sndbuf = 20000;
	sim_default.partial_pct = 50;
	sim_default.ring_short_pct = 60;
	sim_default.note_late_ns = sim_pct(50) ? 5 * SIM_MS : 0;
	c = open_one();
	for (int i = 0; i < 300; i++) {
		s = (struct app_send){ .len = 1 + sim_rnd(12000), .pool = sim_pct(50) };
		s.head = sim_pct(20) ? 16 : 0;
		s.pieces = sim_pct(20) ? 4 : 1;
		sim_equal(app_send(c, &s), 0);
		if (i == 31)
			sim_assert(sim.ring_reqs > 0 && sim.ring_reqs < 10);
		if (i == 31 && sim_pct(50))
			sim_knobs(c->tcp)->ring_nomem_pct = 30;
		if (i > 31 && sim_pct(5))
			app_take(&app, (int)sim_rnd(3));
	}
	app_drain(&app);
	while (sim_peer_got(c->tcp) < c->tx_pos)
		app_take(&app, 5);
	sim_equal(c->nr_errors, 0);
	sim_equal(app_stats(c).unknown_notifications, 0);
	app_end(&app);
}

/* A request of many fails, and is notified later than those that then copy the same bytes. */
static void shared_errors_notify(void)
{
	struct app_conn *c = open_one();

	sim_knobs(c->tcp)->ring_zc_refuse = EINVAL;
	sim_knobs(c->tcp)->note_late_ns = 10 * SIM_MS;
	for (int i = 0; i < 20; i++)
		sim_equal(send_len(c, 2000, 0), 0);
	flush(c);
	sim_equal(sim.ring_reqs, 3); /* asking for a report, not asking, copying */
	sim_equal(sim_tcp_end(c->tcp), 40000);
	app_drain(&app);
	for (int i = 0; i < 20; i++) {
		sim_equal(app.msgs[i].ev.how, ZCS_COPIED);
		sim_equal(app.msgs[i].ev.bytes, 2000);
	}
	sim_equal(app_stats(c).tx_bytes_lent, 0);
	app_end(&app);
}

/* Notifications come late and in any order. */
static void any_order(void)
{
	struct app_conn *c;
	unsigned out = 0;

	sim_default.note_late_ns = 20 * SIM_MS;
	c = open_one();
	for (int i = 0; i < 64; i++)
		sim_equal(send_len(c, 33000, 0), 0);
	app_take(&app, 0);
	sim_run(8 * SIM_MS);
	app_take(&app, 0);
	for (int i = 0; i < 64; i++)
		out += app.msgs[i].state == APP_OUT;
	sim_assert(out > 0 && out < 64);
	app_drain(&app);
	sim_equal(app_stats(c).unknown_notifications, 0);
	app_end(&app);
}

static void copied_hint(void)
{
	struct app_conn *c;

	sim_default.copied_pct = 100;
	c = open_one();
	for (int i = 0; i < 5; i++)
		sim_equal(send_len(c, 50000, 0), 0);
	app_drain(&app);
	for (int i = 0; i < 5; i++)
		sim_equal(app.msgs[i].ev.how, ZCS_LENT | ZCS_KERNEL_HINT);
	app_end(&app);
}

/* Linux 6.1 does not know how to report copies: found out once, and nothing is lost. */
static void no_report(void)
{
	struct app_conn *c;

	sim.ring_no_report = true;
	c = open_one();
	for (int i = 0; i < 40; i++)
		sim_equal(send_len(c, 50000, 0), 0);
	app_drain(&app);
	sim_equal(app_stats(c).tx_bytes_lent, 2000000);
	sim_equal(c->nr_errors, 0);
	app_end(&app);
}

/* The kernel takes a part of what is submitted, or nothing: later, without spinning. */
static void not_all_taken(void)
{
	struct app_conn *c, *d;
	uint64_t calls;

	c = open_one();
	d = conn_with((struct zcs_conn_opts){ 0 });
	sim.ring_submit_pct = 70;
	for (int i = 0; i < 60; i++)
		sim_equal(send_len(i % 2 ? c : d, 30000, 0), 0);
	app_drain(&app);
	sim_equal(sim_peer_got(c->tcp), c->tx_pos);
	sim_equal(sim_peer_got(d->tcp), d->tx_pos);
	sim.ring_submit_pct = 100;
	sim_equal(send_len(c, 30000, 0), 0);
	calls = sim.calls;
	app_take(&app, 30);
	sim_assert(sim.calls - calls < 300);
	sim.ring_submit_pct = 0;
	app_drain(&app);
	app_end(&app);
}

/* Whatever may pass is waited for. */
static void entered_later(void)
{
	static const int errors[] = { EAGAIN, EBUSY, EINTR, ENOMEM };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct app_conn *c = open_one();

		sim_peer_silence(c->tcp, true);
		sim_equal(send_len(c, 50000, 0), 0);
		flush(c);
		sim.ring_enter_error = errors[i];
		sim_equal(send_len(c, 50000, 0), 0);
		app_take(&app, 30);
		sim_equal(app_stats(c).lent, 100000);
		sim.ring_enter_error = 0;
		sim_peer_silence(c->tcp, false);
		app_drain(&app);
		sim_equal(c->nr_errors, 0);
		sim_equal(sim_peer_got(c->tcp), 100000);
		app_end(&app);
	}
}

/* All connections of the ring hear of it; what the kernel may read is never said to be free. */
static void check_lost(struct app_conn *c, struct app_conn *d)
{
	struct app_conn *e;

	sim_equal(c->error, -ENOTRECOVERABLE);
	sim_equal(d->error, -ENOTRECOVERABLE);
	sim_assert(explains(c, "ring is lost"));
	sim_equal(send_len(d, 100, 0), -ENOTRECOVERABLE);
	e = conn_with((struct zcs_conn_opts){ 0 });
	sim_assert(explains(e, "sent by the socket: the ring is lost"));
	sim_equal(send_len(e, 50000, 0), 0);
	sim_peer_silence(c->tcp, false);
	app_take(&app, 50);
	for (int i = 0; i < 5; i++)
		sim_equal(app.msgs[i].state, APP_OUT);
	sim_assert(app_last(&app)->state == APP_RELEASED);
}

static void lose(int error, bool closing)
{
	struct app_conn *c, *d;

	open_ctx();
	c = conn_with((struct zcs_conn_opts){ .drain_ms = ZCS_UNLIMITED });
	d = conn_with((struct zcs_conn_opts){ 0 });
	sim_peer_silence(c->tcp, true);
	for (int i = 0; i < 5; i++)
		sim_equal(send_len(c, 10000 * (i + 1), 0), 0);
	flush(c);
	if (closing)
		app_close(c);
	sim.ring_enter_error = error;
	sim_equal(send_len(closing ? d : c, 10000, 0), 0);
	app_take(&app, 10);
	sim_equal(app.msgs[5].ev.status, -ENOTRECOVERABLE);
	sim_equal(app.msgs[5].ev.how, ZCS_ABANDONED);
	if (!closing)
		check_lost(c, d);
	app_close(c);
	app_take(&app, 0);
	sim_assert(c->closed);
	for (int i = 0; i < 5; i++)
		sim_equal(app.msgs[i].state, APP_CONDEMNED);
	app_end(&app);
	sim.ring_enter_error = 0;
}

/*
 * The kernel lets us in no more, as it does another thread: it was asked for ever, and what was
 * lent was never heard of again.
 */
static void lost(void)
{
	lose(EEXIST, false);
	lose(EBADF, true);
	lose(EBADR, sim_pct(50));
}

/* It is found out when notifications are to be fetched, or at the abort. */
static void lost_late(void)
{
	struct app_conn *c = open_one();
	uint64_t calls;

	for (int i = 0; i < 5; i++)
		sim_equal(send_len(c, 10000, 0), 0);
	flush(c);
	sim.ring_enter_error = EEXIST;
	if (sim_pct(50)) {
		calls = sim.calls;
		app_take(&app, 100);
		sim_assert(sim.calls - calls < 100);
		sim_equal(c->error, -ENOTRECOVERABLE);
	}
	c->closing = true;
	zcs_conn_abort(c->conn);
	app_take(&app, 0);
	sim_assert(c->closed);
	sim_equal(app.nr_events[ZCS_EV_CONDEMNED], 5);
	app_end(&app);
	sim.ring_enter_error = 0;
}

/* Nobody was asked at once, so it breaks the connection. */
static void bad_memory(void)
{
	struct app_conn *c = open_one();
	char *mem = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec v = { mem, 8192 };
	struct zcs_msg m = { .size = sizeof(m), .iov = &v, .nr_iov = 1, .token = 1 };
	struct zcs_event evs[4];
	int n;

	munmap(mem, 8192);
	sim_equal(zcs_conn_send(c->conn, &m), 0);
	n = zcs_ctx_wait(app.ctx, evs, 4, 10);
	sim_assert(n >= 2);
	sim_equal(evs[0].type, ZCS_EV_RELEASED);
	sim_equal(evs[0].status, -EFAULT);
	sim_equal(evs[0].how, ZCS_ABANDONED);
	sim_equal(evs[n - 1].type, ZCS_EV_ERROR);
	sim_equal(sim_tcp_end(c->tcp), 0);
	app_end(&app);
}

static void peer_reset(void)
{
	struct app_conn *c;

	sim_default.silent = true;
	sim_default.sndbuf = 50000;
	c = open_one();
	for (int i = 0; i < 10; i++)
		sim_equal(send_len(c, 30000, 0), 0);
	app_take(&app, 1);
	sim_peer_reset(c->tcp);
	app_drain(&app);
	sim_assert(c->error == -ECONNRESET || c->error == -EPIPE);
	sim_equal(c->nr_errors, 1);
	sim_equal(app_stats(c).lent, 0);
	app_end(&app);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* A chain waits for room that never comes: at the abort all memory is back at once. */
static void abort_with_chain(void)
{
	struct app_conn *c;

	sim_default.silent = true;
	sim_default.sndbuf = 50000;
	c = open_one();
	for (int i = 0; i < 20; i++)
		sim_equal(send_len(c, 30000, i % 4 ? 0 : ZCS_COPY), i % 4 ? 0 : 1);
	app_take(&app, 1);
	sim_equal(sim_tcp_end(c->tcp), 50000);
	c->closing = true;
	zcs_conn_abort(c->conn);
	app_take(&app, 0);
	sim_assert(c->closed);
	for (int i = 0; i < 20; i++)
		sim_assert(app.msgs[i].state != APP_OUT && app.msgs[i].state != APP_CONDEMNED);
	app_end(&app);
}

/* A connection fails while its chain waits: what the kernel may read stays lent until the close. */
static void aged_with_chain(void)
{
	struct app_conn *c;

	sim_default.silent = true;
	sim_default.sndbuf = 50000;
	open_ctx();
	c = conn_with((struct zcs_conn_opts){ .loan_age_ms = 100, .drain_ms = 100 });
	for (int i = 0; i < 5; i++)
		sim_equal(send_len(c, 30000, 0), 0);
	app_take(&app, 300);
	sim_equal(c->error, -ETIMEDOUT);
	sim_equal(app.msgs[0].state, APP_OUT);
	sim_equal(app.msgs[4].state, APP_OUT);
	sim_peer_silence(c->tcp, false);
	app_take(&app, 20);
	app_end(&app);
}

/* Notifications that come when their connection, or their context, is gone for long. */
static void late_for_all(void)
{
	struct app_conn *c, *d;

	sim_default.silent = true;
	c = open_one();
	sim_knobs(c->tcp)->hold_pct = 100;
	for (int i = 0; i < 5; i++)
		sim_equal(send_len(c, 30000, 0), 0);
	flush(c);
	c->closing = true;
	zcs_conn_abort(c->conn);
	app_take(&app, 0);
	app_take(&app, 0);
	sim_equal(app.nr_events[ZCS_EV_CONDEMNED], 5);
	sim_default.silent = false;
	d = conn_with((struct zcs_conn_opts){ 0 });
	sim_equal(send_len(d, 30000, 0), 0);
	if (sim_pct(50))
		sim_let_go(c->tcp);
	app_drain(&app);
	app_end(&app);
}

static void abandon(void)
{
	struct zcs_event evs[8];
	struct app_conn *c, *d;
	int n;

	sim_default.silent = true;
	sim_default.sndbuf = 40000;
	c = open_one();
	d = conn_with((struct zcs_conn_opts){ 0 });
	for (int i = 0; i < 10; i++)
		sim_equal(send_len(i % 2 ? c : d, 30000, 0), 0);
	app_take(&app, 0);
	sim_equal(send_len(c, 30000, 0), 0);
	sim_equal(zcs_ctx_free(app.ctx), -EBUSY);
	zcs_ctx_abandon(app.ctx);
	c->closing = d->closing = true;
	while ((n = zcs_ctx_events(app.ctx, evs, 8)) > 0)
		for (int i = 0; i < n; i++)
			app_event(&app, &evs[i]);
	sim_assert(c->closed && d->closed);
	app_end(&app);
}

/* The socket's own count is as it was. */
static void detach(void)
{
	static const uint64_t priors[] = { ZCS_NONE, 7 };
	uint64_t prior;

	open_ctx();
	for (int i = 0; i < 2; i++) {
		struct app_conn *c = conn_with((struct zcs_conn_opts){ .prior_sends = priors[i] });

		for (int j = 0; j < 5; j++)
			sim_equal(send_len(c, 30000, 0), 0);
		sim_equal(zcs_conn_detach(c->conn, &prior), -EBUSY);
		app_drain(&app);
		sim_equal(zcs_conn_detach(c->conn, &prior), c->fd);
		sim_equal(prior, priors[i]);
		c->conn = NULL;
		sim_equal(zcsi_sys->close(c->fd), 0);
	}
	app_end(&app);
}

/* ---- when it cannot be ----------------------------------------------------------------------- */

static void sends_by_socket(const char *why)
{
	struct app_conn *c = open_one();

	sim_assert(explains(c, "sent by the socket"));
	sim_assert(explains(c, why));
	for (int i = 0; i < 5; i++)
		sim_equal(send_len(c, 50000, 0), 0);
	app_drain(&app);
	sim_equal(app_stats(c).tx_bytes_lent, 250000);
	sim_equal(sim.ring_submits, 0);
	app_end(&app);
}

static void refused(void)
{
	static const struct {
		int error;
		const char *why;
	} refusals[] = {
		{ ENOSYS, "not in this kernel" }, { EPERM, "io_uring_disabled" },
		{ EACCES, "forbidden" },	  { EOPNOTSUPP, "too old" },
		{ ENOMEM, "no memory" },	  { EMFILE, "could not be made" },
	};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		sim.ring_error = refusals[i].error;
		sends_by_socket(refusals[i].why);
	}
}

static void built_without(void)
{
	const struct zcsi_sys *real = zcsi_sys;
	struct zcsi_sys without = *real;

	without.ring = NULL;
	zcsi_sys = &without;
	sends_by_socket("built without liburing");
	zcsi_sys = real;
}

/* No memory for a ring is no judgement for ever. */
static void memory_comes_back(void)
{
	struct app_conn *c, *d;

	sim.ring_error = ENOMEM;
	c = open_one();
	sim.ring_error = 0;
	d = conn_with((struct zcs_conn_opts){ 0 });
	sim_assert(explains(c, "by the socket"));
	sim_assert(explains(d, "by io_uring"));
	sim_equal(send_len(c, 50000, 0), 0);
	sim_equal(send_len(d, 50000, 0), 0);
	app_drain(&app);
	app_end(&app);
}

/* A descriptor with a past, and one that nobody asked for. */
static void not_for_all(void)
{
	struct zcs_conn_opts o = { 0 };
	struct app_conn *c;
	struct sim_tcp *tcp;
	int fd, one = 1;

	open_ctx();
	tcp = sim_tcp_new(&fd);
	zcsi_sys->setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one));
	c = app_conn_over(&app, &o, tcp, fd);
	sim_assert(explains(c, "somebody else may have sent"));
	sim_equal(send_len(c, 100, 0), 1);
	app_end(&app);

	app_open(&app, &(struct zcs_ctx_opts){ .ring = ZCS_RING_OFF });
	c = conn_with((struct zcs_conn_opts){ 0 });
	sim_assert(!explains(c, "sent by"));
	app_end(&app);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "one_call_for_all", one_call_for_all },
		{ "full_chains", full_chains },
		{ "small_ones_together", small_ones_together },
		{ "small_loans_together", small_loans_together },
		{ "shared_until_settled", shared_until_settled },
		{ "many_pieces", many_pieces },
		{ "shorter_chain_then_reset", shorter_chain_then_reset },
		{ "mixed_with_files", mixed_with_files },
		{ "half_closed", half_closed },
		{ "registered", registered },
		{ "registered_again", registered_again },
		{ "no_locked_memory", no_locked_memory },
		{ "chains_break", chains_break },
		{ "chains_wait", chains_wait },
		{ "errors_notify", errors_notify },
		{ "ulp_later", ulp_later },
		{ "shared_breaks", shared_breaks },
		{ "shared_errors_notify", shared_errors_notify },
		{ "any_order", any_order },
		{ "copied_hint", copied_hint },
		{ "no_report", no_report },
		{ "not_all_taken", not_all_taken },
		{ "entered_later", entered_later },
		{ "lost", lost },
		{ "lost_late", lost_late },
		{ "bad_memory", bad_memory },
		{ "peer_reset", peer_reset },
		{ "abort_with_chain", abort_with_chain },
		{ "aged_with_chain", aged_with_chain },
		{ "late_for_all", late_for_all },
		{ "abandon", abandon },
		{ "detach", detach },
		{ "refused", refused },
		{ "built_without", built_without },
		{ "memory_comes_back", memory_comes_back },
		{ "not_for_all", not_for_all },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 10);
}
