/* SPDX-License-Identifier: MIT */
/*
 * test_random.c - random traffic in both directions over several connections, with every fault on
 *
 * What must hold is in app.c (one event per token, nothing after CLOSED, memory only scribbled over
 * when it is released) and in the kernel (the peer's bytes, leaks, hangs). Here: what is accepted
 * arrives, and -EAGAIN is followed by its event.
 */
#include "app.h"
#include "sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_KEY    77
#define FOREIGN_KEY 78
#define FILE_LEN    (600 << 10)

/* What a peer has still to send. */
struct talk {
	struct app_conn *c;
	uint64_t left;
	bool bulk; /* whole pages, as a card with header split delivers them */
	bool reset, stopped;
};

static struct app app;
static struct talk talks[APP_CONNS];
static bool wants_writable[APP_CONNS];
static bool cut[APP_CONNS]; /* aborted, or broken on purpose */
static bool grim; /* peers fall silent and qdiscs hold for ever: closes end at their deadline */
static uint64_t tx_left;
static int file;
static struct zcs_stats sums; /* of all seeds: was everything there? */
static uint64_t tokens[3];    /* released, condemned, with an error */

static uint32_t pick(const uint32_t *of, unsigned nr)
{
	return of[sim_rnd(nr)];
}

/* Mostly small numbers, sometimes up to max. */
static size_t some_size(size_t max)
{
	size_t top = (size_t)1 << (1 + sim_rnd(21));

	if (top > max)
		top = max;
	return 1 + sim_rnd((uint32_t)top);
}

/* ---- the kernel's mood ----------------------------------------------------------------------- */

static unsigned maybe(unsigned pct)
{
	return sim_pct(50) ? sim_rnd(pct) : 0;
}

static void mood_tx(struct sim_knobs *k)
{
	static const uint32_t bufs[] = { 4096, 65536, 300000, 4 << 20 };

	k->sndbuf = pick(bufs, 4);
	k->cwnd = 1448 + sim_rnd(1 << (10 + sim_rnd(10)));
	k->partial_pct = maybe(60);
	k->again_pct = maybe(30);
	k->ack_max = 1 + sim_rnd(1 << (8 + sim_rnd(13)));
	if (k->ack_max < k->sndbuf / 64)
		k->ack_max = k->sndbuf / 64;
	k->ack_min_ns = sim_rnd(100000);
	k->ack_max_ns = k->ack_min_ns + sim_rnd(1000000);
	k->lag_pct = maybe(70);
	k->zc_start = sim_pct(50) ? 0u - sim_rnd(40) : 0;
	k->share_pct = sim_rnd(101);
	k->merge_pct = sim_rnd(101);
	k->split_pct = maybe(50);
	k->dup_pct = maybe(40);
	k->copied_pct = sim_pct(30) ? 100 : maybe(60);
	k->reread_pct = maybe(60);
	k->hold_pct = maybe(50);
	k->hold_ns = 1 + sim_rnd(20 * SIM_MS);
	if (grim)
		k->hold_ns = 0;
	k->zc_refuse = sim_pct(5) ? EOPNOTSUPP : 0;
	k->ring_zc_refuse = sim_pct(5) ? EOPNOTSUPP : 0;
	k->ring_nomem_pct = sim_pct(20) ? sim_rnd(60) : 0;
	k->ring_late_pct = maybe(40);
	k->ring_short_pct = maybe(50);
	k->note_late_ns = sim_pct(50) ? sim_rnd(3 * SIM_MS) : 0;
}

static void mood(void)
{
	static const socklen_t optlens[] = { 64, 64, 64, 64, 40, 24, 16, 0 };
	struct sim_knobs *k = &sim_default;

	grim = sim_pct(15);
	mood_tx(k);
	k->family = sim_pct(50) ? AF_INET : AF_INET6;
	k->v4mapped = sim_pct(50);
	k->map_optlen = pick(optlens, 8);
	k->map_err_pct = sim_pct(20) ? sim_rnd(100) : 0;
	k->map_errno = sim_pct(50) ? EINVAL : sim_pct(50) ? EBUSY : ENOMEM;
	k->map_part_pct = maybe(60);
	k->early_wake_pct = maybe(30);
	sim.step_ns = sim_pct(70) ? sim_rnd(40000) : 0;
	sim.eintr_pct = maybe(10);
	sim.mmap_fail_pct = sim_pct(10) ? sim_rnd(60) : 0;
	sim.ring_no_report = sim_pct(20);
	sim.ring_submit_pct = maybe(30);
	sim.ring_map_fail_pct = maybe(40);
	if (sim_pct(30))
		sim.memlock = (uint64_t)(8 + sim_rnd(1000)) << 12;
	if (sim_pct(30))
		sim.optmem_max = 832 * sim_rnd(40);
}

/* ---- peers ----------------------------------------------------------------------------------- */

static void talk(void *arg)
{
	struct talk *t = arg;
	size_t len = some_size(200000);
	struct sim_tcp *s = t->c->tcp;

	if (t->stopped)
		return;
	if (t->bulk && sim_pct(90))
		len = 4096 * (1 + sim_rnd(16));
	if (len > t->left)
		len = t->left;
	if (sim_tcp_unread(s) < 1 << 20) {
		unsigned way = t->bulk ? 0 : sim_rnd(10);

		sim_peer_send(s, len,
			      way < 6	? SIM_PAGES
			      : way < 8 ? SIM_HEAD
					: SIM_UNMAPPED,
			      sim_rnd(300));
		t->left -= len;
	}
	if (t->left) {
		sim_at(sim_rnd(t->bulk ? 100000 : 500000), talk, t);
		return;
	}
	t->stopped = true;
	if (t->reset && sim_pct(50)) {
		cut[t->c - app.conns] = true;
		sim_peer_reset(s);
	} else {
		sim_peer_fin(s);
	}
}

static void reset_later(void *arg)
{
	struct talk *t = arg;

	if (!t->stopped && !t->c->closed) {
		t->stopped = cut[t->c - app.conns] = true;
		sim_peer_reset(t->c->tcp);
	}
}

/* Somebody else's flagged sends, still in flight when the library gets the socket. */
static void foreign_sends(struct sim_tcp *tcp, int fd)
{
	static char theirs[65536];
	struct iovec v = { theirs, 1 + sim_rnd(sizeof(theirs)) };
	struct msghdr mh = { .msg_iov = &v, .msg_iovlen = 1 };
	unsigned nr = sim_rnd(4), hold = sim_knobs(tcp)->hold_pct;
	int one = 1;
	ssize_t n;

	/* Nobody can know of one that is acknowledged and still in a qdisc. */
	sim_knobs(tcp)->hold_pct = 0;
	zcsi_sys->setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one));
	sim_fill(theirs, sizeof(theirs), FOREIGN_KEY, 0);
	while (nr--) {
		sim_expect(tcp, v.iov_len, FOREIGN_KEY, 0);
		n = zcsi_sys->sendmsg(fd, &mh, MSG_ZEROCOPY | MSG_DONTWAIT);
		sim_unexpect(tcp, v.iov_len - (n > 0 ? (uint64_t)n : 0));
	}
	sim_knobs(tcp)->hold_pct = hold;
}

static void fall_silent(void *arg)
{
	sim_peer_silence(arg, true);
}

static struct zcs_conn_opts some_opts(void)
{
	static const uint32_t budgets[] = { 900, 5000, 100000, 0, 0 };
	struct zcs_conn_opts o = { 0 };

	o.lent_max = pick(budgets, 5);
	o.borrowed_max = pick(budgets, 5);
	o.writable_at = sim_pct(30) ? ZCS_NONE : 0;
	o.drain_ms = grim ? 1 + sim_rnd(200) : 0;
	o.prior_sends = sim_pct(70) ? ZCS_NONE : 0;
	o.send_way = sim_rnd(4);
	o.recv_way = sim_pct(60) ? ZCS_WAY_ZEROCOPY : sim_rnd(4);
	o.trust = sim_pct(80) ? ZCS_TRUST_PEER : sim_rnd(4);
	return o;
}

static void plan_peer(unsigned i, struct sim_tcp *tcp)
{
	struct talk *t = &talks[i];

	*t = (struct talk){ .c = &app.conns[i], .left = some_size(1 << 20) };
	t->reset = sim_pct(10);
	t->bulk = sim_pct(50);
	if (t->bulk)
		t->left = 4096 * (1 + sim_rnd(500));
	if (grim && sim_pct(70)) {
		cut[i] = true;
		sim_at(5 * SIM_MS + sim_rnd(20 * SIM_MS), fall_silent, tcp);
	}
	if (sim_pct(70))
		sim_at(2 * SIM_MS + sim_rnd(SIM_MS), talk, t);
	else
		t->left = 0;
	if (sim_pct(7))
		sim_at(sim_rnd(30 * SIM_MS), reset_later, t);
}

static void open_one(unsigned i)
{
	struct zcs_conn_opts o = some_opts();
	struct sim_tcp *tcp;
	uint64_t foreign;
	int fd;

	if (sim_pct(20))
		tcp = sim_tcp_connecting(&fd, 1 + sim_rnd(SIM_MS), 0);
	else
		tcp = sim_tcp_new(&fd);
	if (o.prior_sends == 0)
		foreign_sends(tcp, fd);
	else if (sim_default.zc_start)
		o.prior_sends = sim_default.zc_start;
	foreign = sim_tcp_end(tcp);
	app_conn_over(&app, &o, tcp, fd);
	app.conns[i].tx_pos = foreign;
	plan_peer(i, tcp);
}

/* ---- what the program does ------------------------------------------------------------------- */

static void refused(unsigned i, int ret)
{
	struct app_conn *c = &app.conns[i];

	if (ret == -EAGAIN) {
		wants_writable[i] = true;
		c->writable = false;
	} else if (ret == -ENOMEM && sim.mmap_fail_pct) {
		return;
	} else if (ret != -ENOBUFS && !cut[i] && !c->closing) {
		sim_fail("zcs_conn_send: %d on a connection that nobody broke", ret);
	}
}

static void do_send(unsigned i)
{
	struct app_send s = { .len = some_size(2 << 20) };
	int ret;

	if (app.conns[i].closing || s.len > tx_left)
		return;
	s.head = sim_pct(30) ? sim_rnd(ZCS_HEAD_MAX + 1) : 0;
	s.pieces = sim_pct(30) ? 1 + sim_rnd(40) : sim_pct(3) ? 3000 : 1;
	s.skew = sim_rnd(4096);
	s.flags = sim_pct(20) ? ZCS_MORE : 0;
	s.flags |= sim_pct(15) ? ZCS_COPY : sim_pct(50) ? ZCS_ZEROCOPY : 0;
	if (sim_pct(20) && !(s.flags & ZCS_COPY)) {
		s.flags |= ZCS_GIVE;
		s.pieces = 1;
	} else {
		s.pool = sim_pct(20);
	}
	ret = app_send(&app.conns[i], &s);
	if (ret < 0)
		refused(i, ret);
	else
		tx_left -= s.len;
}

static void do_send_file(unsigned i)
{
	uint64_t off = sim_rnd(FILE_LEN), len = 1 + sim_rnd(FILE_LEN - (uint32_t)off);
	int ret;

	if (app.conns[i].closing)
		return;
	ret = app_send_file(&app.conns[i], file, off, len, FILE_KEY);
	if (ret < 0)
		refused(i, ret);
}

static void do_forward(unsigned i)
{
	struct app_conn *to = &app.conns[i];
	struct app_span *s;
	size_t n;
	int ret;

	if (!app.nr_spans || to->closing)
		return;
	n = sim_rnd((uint32_t)app.nr_spans);
	s = &app.spans[n];
	sim_expect(to->tcp, s->span.len, sim_rx_key(s->c->tcp), s->pos);
	ret = zcs_conn_send_span(to->conn, &s->span,
				 sim_pct(20)   ? ZCS_COPY
				 : sim_pct(50) ? ZCS_ZEROCOPY
					       : 0);
	sim_trace("app: forward %zu to %u: %d", s->span.len, to->key, ret);
	sim_assert(ret != -EAGAIN);
	if (ret < 0) {
		sim_unexpect(to->tcp, s->span.len);
		refused(i, ret);
		return;
	}
	to->tx_pos += s->span.len;
	app.spans[n] = app.spans[--app.nr_spans];
}

static void do_span(void)
{
	size_t n = sim_rnd((uint32_t)app.nr_spans);
	struct app_span *s = &app.spans[n];
	int ret;

	if (!app.nr_spans)
		return;
	if (sim_pct(10)) {
		ret = zcs_span_stabilize(app.ctx, &s->span);
		sim_assert(ret == 0 || ret == -ENOMEM);
		if (!ret)
			sim_assert(!(s->span.flags & ZCS_SPAN_MAPPED));
	} else if (sim_pct(15)) {
		if (zcs_ctx_post_release(app.ctx, &s->span, 1) == 0)
			app.spans[n] = app.spans[--app.nr_spans];
	} else {
		app_release(&app, n);
	}
}

static void do_odd(unsigned i)
{
	struct app_conn *c = &app.conns[i];
	char text[512];

	switch (sim_rnd(12)) {
	case 0:
		if (!cut[i])
			sim_equal(zcs_conn_shutdown(c->conn), 0);
		cut[i] = true; /* later sends: -EPIPE */
		break;
	case 1:
		cut[i] = c->closing = true;
		zcs_conn_abort(c->conn);
		break;
	case 2:
		sim_note_timestamp(c->tcp, sim_rnd(100));
		break;
	case 3:
		sim_note_icmp(c->tcp, sim_rnd(100));
		break;
	case 4:
		app_close(c);
		break;
	case 5:
		sim_assert(zcs_conn_explain(c->conn, text, sizeof(text)) > 0);
		break;
	default:
		(void)!zcs_conn_expect(c->conn, some_size(1 << 18));
		break;
	}
}

static void step(void)
{
	unsigned i = sim_rnd(app.nr_conns), what = sim_rnd(100);

	if (app.conns[i].closed)
		return;
	if (what < 30)
		do_send(i);
	else if (what < 33)
		do_send_file(i);
	else if (what < 40)
		do_forward(i);
	else if (what < 60 && !app.conns[i].closing)
		app_recv(&app.conns[i], 1 + sim_rnd(20), sim_pct(50) ? 0 : some_size(1 << 20));
	else if (what < 75)
		do_span();
	else if (what < 98)
		app_take(&app, sim_pct(70) ? 0 : (int)sim_rnd(4));
	else if (!app.conns[i].closing && sim_pct(30))
		do_odd(i);
	else if (!app.conns[i].closing)
		(void)!zcs_conn_flush(app.conns[i].conn);
}

/* ---- the end: everything that is owed comes -------------------------------------------------- */

static void wait_some(void)
{
	struct zcs_event evs[4];
	int n = zcs_ctx_wait(app.ctx, evs, 4, -1);

	sim_assert(n >= 0 || n == -EINTR);
	for (int i = 0; i < n; i++)
		app_event(&app, &evs[i]);
}

static void settle(unsigned i)
{
	struct app_conn *c = &app.conns[i];

	while (!c->closing && !c->eof && !c->rx_error && (talks[i].stopped || talks[i].left)) {
		app_recv_all(c);
		app_release_all(&app);
		if (c->eof || c->rx_error)
			break;
		sim_trace("app: %u waits for READABLE", c->key);
		while (!c->readable)
			wait_some();
	}
	if (c->closing || c->error || cut[i] || !wants_writable[i])
		return;
	sim_trace("app: %u waits for WRITABLE", c->key);
	while (!c->writable && !c->error && !cut[i])
		wait_some();
}

static void check_arrived(void)
{
	for (unsigned i = 0; i < app.nr_conns; i++) {
		struct app_conn *c = &app.conns[i];

		if (!grim && !c->error && !c->rx_error && !sim_peer_saw_reset(c->tcp))
			sim_equal(sim_peer_got(c->tcp), c->tx_pos);
		if (c->eof)
			sim_equal(sim_tcp_unread(c->tcp), 0);
	}
}

static void add_up(void)
{
	struct zcs_stats st = { .size = sizeof(st) };

	sim_equal(zcs_ctx_stats(app.ctx, &st), 0);
	sums.tx_bytes_lent += st.tx_bytes_lent;
	sums.tx_bytes_file += st.tx_bytes_file;
	sums.tx_bytes_uncopied += st.tx_bytes_uncopied;
	sums.tx_enobufs_memlock += st.tx_enobufs_memlock;
	sums.tx_enobufs_optmem += st.tx_enobufs_optmem;
	sums.rx_bytes += st.rx_bytes;
	sums.rx_bytes_mapped += st.rx_bytes_mapped;
	sums.rx_map_refused += st.rx_map_refused;
	sums.unknown_notifications += st.unknown_notifications;
}

static void say(const char *what, uint64_t n)
{
	printf("%s %llu\n", what, (unsigned long long)n);
}

/* What all seeds together did: a test that never lends proves nothing. */
static void sum_up(void)
{
	say("lent", sums.tx_bytes_lent);
	say("lent and never copied", sums.tx_bytes_uncopied);
	say("from files", sums.tx_bytes_file);
	say("locked memory ran out", sums.tx_enobufs_memlock);
	say("option memory ran out", sums.tx_enobufs_optmem);
	say("unknown numbers", sums.unknown_notifications);
	say("received", sums.rx_bytes);
	say("mapped", sums.rx_bytes_mapped);
	say("mapping refused", sums.rx_map_refused);
	say("released", tokens[0]);
	say("condemned", tokens[1]);
	say("with an error", tokens[2]);
}

static void make_file(void)
{
	char *all;

	if (!file)
		file = memfd_create("sim", 0);
	all = malloc(FILE_LEN);
	sim_fill(all, FILE_LEN, FILE_KEY, 0);
	if (pwrite(file, all, FILE_LEN, 0) != FILE_LEN)
		sim_fail("memfd");
	free(all);
}

static void random_traffic(void)
{
	struct zcs_ctx_opts o = { .size = sizeof(o), .zerocopy_min = sim_pct(50) ? ZCS_NONE : 0 };
	unsigned nr = 1 + sim_rnd(4), steps = 50 + sim_rnd(400);

	o.lent_max = sim_pct(20) ? 100000 : 0;
	o.borrowed_max = sim_pct(20) ? 100000 : 0;
	o.pool_max = sim_pct(50) ? 4 << 20 : 0;
	o.ring = app_ring();
	mood();
	sim.max_calls = 6000000; /* with a budget of one byte a call reads one byte */
	make_file();
	memset(wants_writable, 0, sizeof(wants_writable));
	memset(cut, 0, sizeof(cut));
	tx_left = 6 << 20;
	while (zcs_ctx_new(&o, &app.ctx) == -ENOMEM)
		;
	sim_assert(app.ctx);
	for (unsigned i = 0; i < nr; i++)
		open_one(i);
	for (unsigned i = 0; i < steps; i++)
		step();
	for (unsigned i = 0; i < nr; i++)
		if (!app.conns[i].closing)
			(void)!zcs_conn_flush(app.conns[i].conn);
	for (unsigned i = 0; i < nr && !grim; i++)
		settle(i);
	for (unsigned i = 0; i < nr; i++)
		talks[i].stopped = true;
	app_release_all(&app);
	sim.mmap_fail_pct = 0;
	add_up();
	app_end(&app);
	tokens[0] += app.nr_events[ZCS_EV_RELEASED];
	tokens[1] += app.nr_events[ZCS_EV_CONDEMNED];
	tokens[2] += app.nr_failed;
	check_arrived();
	memset(&app, 0, sizeof(app));
}

int main(void)
{
	static const struct sim_case cases[] = { { "random_traffic", random_traffic } };

	sim_main(cases, 1, 300);
	sum_up();
	return 0;
}
