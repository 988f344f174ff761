/* SPDX-License-Identifier: MIT */
/*
 * test_random_dgram.c - random datagrams over several UDP sockets, with every fault on
 *
 * What must hold is in app.c (one event per token, nothing after CLOSED, memory only scribbled over
 * when it is released) and in the kernel (bytes, boundaries, order, leaks, hangs). Here: what was
 * not refused was sent, once, and the library counts as the kernel does.
 */
#include "app.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct app app;
static bool cut[APP_CONNS]; /* closed or aborted before the end */
static struct zcs_stats sums;
static uint64_t refusals, tokens[3]; /* released, condemned, with an error */

static uint32_t pick(const uint32_t *of, unsigned nr)
{
	return of[sim_rnd(nr)];
}

static unsigned maybe(unsigned pct)
{
	return sim_pct(50) ? sim_rnd(pct) : 0;
}

/* ---- the kernel's mood ----------------------------------------------------------------------- */

static void mood_failures(struct sim_knobs *k)
{
	static const uint32_t errors[] = { EMSGSIZE, ENOBUFS, EPERM, EINVAL, EACCES };

	k->again_pct = maybe(40);
	k->icmp_pct = maybe(40);
	k->fail_pct = maybe(40);
	k->fail_errno = (int)pick(errors, 5);
	k->no_trains = sim_pct(20);
	k->zc_refuse = sim_pct(5) ? EOPNOTSUPP : 0;
	if (sim_pct(30))
		sim.memlock = (uint64_t)(8 + sim_rnd(200)) << 12;
	if (sim_pct(30))
		sim.optmem_max = 832 * sim_rnd(40);
}

static void mood(bool grim)
{
	static const uint32_t bufs[] = { 4096, 65536, 300000, 4 << 20 };
	struct sim_knobs *k = &sim_default;

	k->dgram = true;
	k->share_bytes = 0;
	k->family = sim_pct(50) ? AF_INET : AF_INET6;
	k->v4mapped = sim_pct(50);
	k->zc_start = sim_pct(50) ? 0u - sim_rnd(40) : 0;
	k->sndbuf = pick(bufs, 4);
	k->ack_max = 4096 + sim_rnd(1 << (8 + sim_rnd(13)));
	k->ack_min_ns = sim_rnd(100000);
	k->ack_max_ns = k->ack_min_ns + sim_rnd(1000000);
	k->merge_pct = sim_rnd(101);
	k->split_pct = maybe(50);
	k->dup_pct = maybe(40);
	k->copied_pct = sim_pct(30) ? 100 : maybe(60);
	k->hold_pct = maybe(60);
	k->hold_ns = grim ? 0 : 1 + sim_rnd(20 * SIM_MS);
	k->note_late_ns = sim_pct(50) ? sim_rnd(3 * SIM_MS) : 0;
	mood_failures(k);
	sim.step_ns = sim_pct(70) ? sim_rnd(40000) : 0;
	sim.eintr_pct = maybe(10);
}

/* ---- what the program does ------------------------------------------------------------------- */

static struct zcs_conn_opts some_opts(bool grim)
{
	static const uint32_t budgets[] = { 900, 5000, 100000, 0, 0 };
	struct zcs_conn_opts o = { .send_way = sim_rnd(4) };

	o.lent_max = pick(budgets, 5);
	o.writable_at = sim_pct(30) ? ZCS_NONE : 0;
	o.drain_ms = grim ? 1 + sim_rnd(200) : 0;
	o.prior_sends = sim_default.zc_start ? sim_default.zc_start : ZCS_NONE;
	return o;
}

static struct app_send some_send(void)
{
	struct app_send s = { .segment = sim_pct(50) ? 1 + sim_rnd(1 << (4 + sim_rnd(13))) : 0 };
	uint32_t most = s.segment ? 200000 : 65000;

	/* not so many that it takes all day */
	if (s.segment && s.segment < most / 500)
		most = 500 * s.segment;
	s.len = sim_pct(10) ? 0 : sim_rnd(most >> sim_rnd(8));
	s.head = sim_pct(20) ? sim_rnd(ZCS_HEAD_MAX + 1) : 0;
	s.pieces = sim_pct(40) ? 1 + sim_rnd(40) : 1;
	s.skew = sim_rnd(4096);
	s.flags = sim_pct(40) ? ZCS_MORE : 0;
	s.flags |= sim_pct(20) ? ZCS_COPY : sim_pct(50) ? ZCS_ZEROCOPY : 0;
	if (s.len && sim_pct(20) && !(s.flags & ZCS_COPY)) {
		s.flags |= ZCS_GIVE;
		s.pieces = 1;
		s.skew = 0;
	} else if (sim_pct(20)) {
		s.pool = true;
		s.skew = 0;
	}
	return s;
}

/* An error that this kernel has, or a budget's. */
static bool may_say(int error)
{
	static const int icmp[] = { ECONNREFUSED, EMSGSIZE, EHOSTUNREACH, EPROTO, EACCES };

	for (unsigned i = 0; i < 5; i++)
		if (error == -icmp[i] && sim_default.icmp_pct)
			return true;
	return error == -EAGAIN || error == -EMSGSIZE || error == -ENOBUFS ||
	       (sim_default.fail_pct && error == -sim_default.fail_errno);
}

static void do_send(struct app_conn *c)
{
	struct app_send s = some_send();
	int r = app_send(c, &s);

	if (r < 0 && !may_say(r))
		sim_fail("zcs_conn_send: %d", r);
	refusals += r < 0 && r != -EAGAIN;
}

static void do_odd(unsigned i)
{
	struct app_conn *c = &app.conns[i];
	char text[512];

	switch (sim_rnd(10)) {
	case 0:
		cut[i] = c->closing = true;
		zcs_conn_abort(c->conn);
		break;
	case 1:
		cut[i] = true;
		app_close(c);
		break;
	case 2:
		sim_note_timestamp(c->tcp, sim_rnd(100));
		break;
	case 3:
		sim_note_icmp(c->tcp, sim_rnd(100));
		break;
	default:
		sim_assert(zcs_conn_explain(c->conn, text, sizeof(text)) > 0);
		break;
	}
}

static void step(void)
{
	unsigned i = sim_rnd(app.nr_conns), what = sim_rnd(100);

	if (app.conns[i].closing)
		app_take(&app, 1);
	else if (what < 60)
		do_send(&app.conns[i]);
	else if (what < 90)
		app_take(&app, sim_pct(70) ? 0 : (int)sim_rnd(4));
	else if (what < 99)
		(void)!zcs_conn_flush(app.conns[i].conn);
	else
		do_odd(i);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* All is sent that was not refused: of what is silent nothing else tells. */
static void all_sent(struct app_conn *c)
{
	sim_equal(zcs_conn_flush(c->conn), 0);
	for (int i = 0; sim_undone(c->tcp) && i < 100000; i++)
		app_take(&app, 5);
	sim_equal(sim_undone(c->tcp), 0);
	sim_equal(app_stats(c).tx_bytes, sim_tcp_end(c->tcp));
	sim_equal(app_stats(c).tx_refused, sim_dropped(c->tcp));
	if (!sim_default.dup_pct)
		sim_equal(app_stats(c).unknown_notifications, 0);
	sim_equal(c->nr_errors, 0);
}

static void add_up(void)
{
	struct zcs_stats st = { .size = sizeof(st) };

	sim_equal(zcs_ctx_stats(app.ctx, &st), 0);
	sums.tx_bytes_lent += st.tx_bytes_lent;
	sums.tx_bytes_uncopied += st.tx_bytes_uncopied;
	sums.tx_enobufs_memlock += st.tx_enobufs_memlock;
	sums.tx_enobufs_optmem += st.tx_enobufs_optmem;
	sums.tx_refused += st.tx_refused;
}

static void random_datagrams(void)
{
	struct zcs_ctx_opts o = { .size = sizeof(o), .zerocopy_min = sim_pct(50) ? ZCS_NONE : 0 };
	unsigned nr = 1 + sim_rnd(4), steps = 50 + sim_rnd(300);
	bool grim = sim_pct(15); /* queues hold for ever: closes end at their deadline */
	struct zcs_conn_opts conn;

	o.lent_max = sim_pct(20) ? 100000 : 0;
	o.pool_max = sim_pct(50) ? 4 << 20 : 0;
	mood(grim);
	sim.max_calls = 6000000;
	memset(cut, 0, sizeof(cut));
	app_open(&app, &o);
	for (unsigned i = 0; i < nr; i++) {
		conn = some_opts(grim);
		app_conn(&app, &conn);
	}
	for (unsigned i = 0; i < steps; i++)
		step();
	for (unsigned i = 0; i < nr; i++)
		if (!cut[i])
			all_sent(&app.conns[i]);
	add_up();
	app_end(&app);
	tokens[0] += app.nr_events[ZCS_EV_RELEASED];
	tokens[1] += app.nr_events[ZCS_EV_CONDEMNED];
	tokens[2] += app.nr_failed;
}

static void say(const char *what, uint64_t n)
{
	printf("%s %llu\n", what, (unsigned long long)n);
}

int main(void)
{
	static const struct sim_case cases[] = { { "random_datagrams", random_datagrams } };

	sim_main(cases, 1, 300);
	say("lent", sums.tx_bytes_lent);
	say("lent and never copied", sums.tx_bytes_uncopied);
	say("locked memory ran out", sums.tx_enobufs_memlock);
	say("option memory ran out", sums.tx_enobufs_optmem);
	say("refused", sums.tx_refused);
	say("refused at once", refusals);
	say("released", tokens[0]);
	say("condemned", tokens[1]);
	say("with an error", tokens[2]);
	return 0;
}
