/* SPDX-License-Identifier: MIT */
/*
 * test_worth.c - what is left in the queue is not read while it is little of what is expected, and
 * nobody ever waits for it in vain
 *
 * What is there already wakes nobody again, so each of the ways out is walked here: more that
 * comes, an early wake-up, an end, an error, urgent data, an expectation that changes.
 */
#include "app.h"
#include "sys.h"

#include <errno.h>
#include <sys/epoll.h>

#define MIB	 (1u << 20)
#define EXPECTED (2 * MIB)
#define LEFT	 (24 * 4096u)
#define PIECE	 (12 * 4096u)

static struct app app;

static struct app_conn *open_one(void)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE, .trust = ZCS_TRUST_PEER };

	o.recv_way = sim.seed % 2 ? ZCS_WAY_COPY : ZCS_WAY_ZEROCOPY;
	app_open(&app, NULL);
	return app_conn(&app, &o);
}

/* 2 MiB are expected, 1 MiB is read, and less than a quarter of the other is there. */
static void leave(struct app_conn *c)
{
	int ret = 1;

	app_take(&app, 0);
	app_recv_all(c);
	sim_equal(zcs_conn_expect(c->conn, EXPECTED), 0);
	for (int i = 0; i < 16; i++)
		sim_peer_send(c->tcp, 65536, SIM_PAGES, 0);
	sim_peer_send(c->tcp, LEFT, SIM_PAGES, 0);
	app_take(&app, 0);
	sim_assert(c->readable);
	while (c->rx_pos < MIB && ret > 0) {
		ret = app_recv(c, 16, MIB - c->rx_pos);
		app_release_all(&app);
	}
	sim_equal(c->rx_pos, MIB);
	sim_equal(app_recv(c, 16, 0), -EAGAIN);
	sim_equal(sim_tcp_unread(c->tcp), LEFT);
	app_take(&app, 100);
	sim_assert(!c->readable);
}

/* As the contract says: nothing is received before READABLE comes. */
static void read_when_told(struct app_conn *c, uint64_t until)
{
	struct zcs_event evs[8];

	while (c->rx_pos < until) {
		int n = zcs_ctx_wait(app.ctx, evs, 8, -1);

		for (int i = 0; i < n; i++)
			app_event(&app, &evs[i]);
		if (c->readable)
			app_recv_all(c);
		sim_assert(c->rx_pos == until || (!c->eof && !c->rx_error));
	}
	sim_equal(c->rx_pos, until);
}

static void send_rest(struct app_conn *c, uint64_t nr)
{
	while (nr) {
		size_t len = nr < PIECE ? nr : PIECE;

		sim_peer_send(c->tcp, len, SIM_PAGES, 0);
		nr -= len;
	}
}

/* ---- what is left ---------------------------------------------------------------------------- */

static void is_not_read(void)
{
	struct app_conn *c = open_one();
	uint64_t calls;

	leave(c);
	calls = app_stats(c).rx_calls;
	for (int i = 0; i < 10; i++)
		sim_equal(app_recv(c, 16, 0), -EAGAIN);
	sim_equal(app_stats(c).rx_calls, calls);
	/* a little more of it wakes nobody */
	sim_peer_send(c->tcp, LEFT, SIM_PAGES, 0);
	app_take(&app, 100);
	sim_assert(!c->readable);
	send_rest(c, EXPECTED - MIB - 2 * LEFT);
	read_when_told(c, EXPECTED);
	sim_assert(app_stats(c).rx_calls - calls <= 10);
	app_end(&app);
}

/* Asked although nobody was told: a quarter may be read, or waits for the rest. */
static void a_quarter_comes(void)
{
	struct app_conn *c = open_one();

	leave(c);
	sim_peer_send(c->tcp, MIB / 4 - LEFT - 1, SIM_PAGES, 0);
	app_take(&app, 1);
	sim_assert(!c->readable);
	sim_peer_send(c->tcp, 1, SIM_PAGES, 0);
	app_take(&app, 1);
	sim_assert(!c->readable);
	/* to look up how much is there is for wake-ups only: either is right */
	app_recv_all(c);
	sim_assert(c->rx_pos == MIB || c->rx_pos == MIB + MIB / 4);
	send_rest(c, EXPECTED - MIB - MIB / 4);
	read_when_told(c, EXPECTED);
	app_end(&app);
}

/* Without expectations whatever is there is read, also after one that was met. */
static void nothing_is_expected(void)
{
	struct app_conn *c = open_one();

	leave(c);
	send_rest(c, EXPECTED - MIB - LEFT);
	read_when_told(c, EXPECTED);
	for (int i = 1; i <= 100; i++) {
		sim_peer_send(c->tcp, 1, SIM_PAGES, 0);
		read_when_told(c, EXPECTED + (uint64_t)i);
	}
	app_end(&app);
}

/* ---- ways out -------------------------------------------------------------------------------- */

static void after_an_early_wake(void)
{
	struct app_conn *c = open_one();

	leave(c);
	for (unsigned i = 1; i <= 20; i++) {
		sim_peer_send_early(c->tcp, 10);
		read_when_told(c, MIB + LEFT + i * 10);
	}
	send_rest(c, EXPECTED - c->rx_pos);
	read_when_told(c, EXPECTED);
	app_end(&app);
}

static void after_fin(void)
{
	struct app_conn *c = open_one();

	leave(c);
	sim_peer_fin(c->tcp);
	read_when_told(c, MIB + LEFT);
	sim_assert(c->eof);
	sim_equal(c->rx_error, 0);
	app_end(&app);
}

static void after_data_and_fin(void)
{
	struct app_conn *c = open_one();

	leave(c);
	sim_peer_send(c->tcp, 5, SIM_PAGES, 0);
	sim_peer_fin(c->tcp);
	read_when_told(c, MIB + LEFT + 5);
	sim_assert(c->eof);
	app_end(&app);
}

static void after_an_error(void)
{
	struct app_conn *c = open_one();

	leave(c);
	sim_peer_reset(c->tcp);
	read_when_told(c, MIB + LEFT);
	sim_equal(c->rx_error, -ECONNRESET);
	sim_assert(!c->eof);
	app_end(&app);
}

static void after_urgent_data(void)
{
	struct app_conn *c = open_one();

	leave(c);
	c->rx_hole = MIB + LEFT + 1;
	sim_peer_urgent(c->tcp);
	read_when_told(c, MIB + LEFT);
	sim_equal(c->urgent, 1);
	send_rest(c, 5000);
	sim_peer_fin(c->tcp);
	read_when_told(c, MIB + LEFT + 5001);
	app_end(&app);
}

/* ---- the expectation changes ----------------------------------------------------------------- */

/* What is there is more than a quarter of it now: who asks gets it. */
static void lowered_and_asked(void)
{
	struct app_conn *c = open_one();

	leave(c);
	sim_equal(zcs_conn_expect(c->conn, 3 * LEFT), 0);
	app_recv_all(c);
	sim_equal(c->rx_pos, MIB + LEFT);
	send_rest(c, 2 * LEFT);
	read_when_told(c, MIB + 3 * LEFT);
	app_end(&app);
}

static void ended_and_asked(void)
{
	struct app_conn *c = open_one();

	leave(c);
	sim_equal(zcs_conn_expect(c->conn, 0), 0);
	app_recv_all(c);
	sim_equal(c->rx_pos, MIB + LEFT);
	sim_equal(sim_tcp_lowat(c->tcp), 1);
	app_end(&app);
}

/* Nobody asks any more: the mark has to tell. */
static void lowered_and_waited(void)
{
	struct app_conn *c = open_one();

	leave(c);
	sim_equal(zcs_conn_expect(c->conn, 3 * LEFT), 0);
	send_rest(c, 2 * LEFT);
	read_when_told(c, MIB + 3 * LEFT);
	app_end(&app);
}

static void ended_and_waited(void)
{
	struct app_conn *c = open_one();

	leave(c);
	sim_equal(zcs_conn_expect(c->conn, 0), 0);
	read_when_told(c, MIB + LEFT);
	app_end(&app);
}

/* ---- any sequence ---------------------------------------------------------------------------- */

enum polling { BY_CONTEXT, BY_LEVEL, BY_EDGE };
enum ending { FIN_WITH_DATA, FIN_WHEN_READ, RESET };

/* What the peer sends, and a program that expects now this and now that. */
struct play {
	struct app_conn *c;
	uint64_t total, sent, last_ns;
	uint64_t urgent_at; /* position, or 0 */
	enum ending ending;
	enum polling polling;
	int ep; /* BY_EDGE */
};

static void end_stream(struct play *p)
{
	if (p->ending == RESET)
		sim_peer_reset(p->c->tcp);
	else
		sim_peer_fin(p->c->tcp);
}

static void arrive(void *arg)
{
	struct play *p = arg;
	uint64_t len = 1 + sim_rnd(sim_pct(10) ? 400000 : 60000);

	p->last_ns = sim.now;
	if (p->urgent_at && p->sent >= p->urgent_at) {
		p->c->rx_hole = p->sent + 1;
		p->urgent_at = 0;
		len = 1;
		sim_peer_urgent(p->c->tcp);
	} else {
		len = len < p->total - p->sent ? len : p->total - p->sent;
		sim_peer_send(p->c->tcp, len, sim_rnd(3), 1 + sim_rnd(300));
	}
	p->sent += len;
	if (p->sent < p->total)
		sim_at(sim_rnd(2000000), arrive, p);
	else if (p->ending != FIN_WHEN_READ)
		end_stream(p);
}

static void play_begin(struct play *p, enum polling polling)
{
	static const unsigned early[] = { 0, 0, 10, 50 };
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE, .trust = ZCS_TRUST_PEER };

	o.recv_way = ZCS_WAY_ADAPT + sim_rnd(3);
	o.borrowed_max = sim_pct(30) ? 20000 + sim_rnd(200000) : 0;
	o.poll_self = polling != BY_CONTEXT;
	sim.step_ns = sim_pct(50) ? 20 * SIM_US : 0;
	sim_default.early_wake_pct = early[sim_rnd(4)];
	app_open(&app, NULL);
	*p = (struct play){ .c = app_conn(&app, &o), .polling = polling, .ep = -1 };
	p->total = 2 + sim_rnd(sim_pct(50) ? 3 * MIB : 50000);
	p->ending = sim_rnd(3);
	/* not the last one: what is read then does not count it */
	p->urgent_at = sim_pct(10) && p->total > 1000000 ? 1 + sim_rnd(300000) : 0;
	sim_at(sim_rnd(2000000), arrive, p);
}

/* A descriptor of its own, and the context's. */
static void edge_begin(struct play *p)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (p->polling != BY_EDGE)
		return;
	p->ep = zcsi_sys->epoll_create();
	ev.data.fd = zcs_ctx_fd(app.ctx);
	sim_equal(zcsi_sys->epoll_ctl(p->ep, EPOLL_CTL_ADD, ev.data.fd, &ev), 0);
	ev.data.fd = p->c->fd;
	ev.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
	sim_equal(zcsi_sys->epoll_ctl(p->ep, EPOLL_CTL_ADD, ev.data.fd, &ev), 0);
}

static void wait_edge(struct play *p)
{
	struct epoll_event evs[2];
	int n = zcsi_sys->epoll_wait(p->ep, evs, 2, -1);

	for (int i = 0; i < n; i++) {
		if (evs[i].data.fd == p->c->fd)
			zcs_conn_ready(p->c->conn, evs[i].events);
		else
			(void)!zcs_ctx_process(app.ctx, 0);
	}
}

static void wait_level(struct play *p)
{
	uint32_t want = (uint32_t)zcs_conn_ready(p->c->conn, 0) | EPOLLERR | EPOLLHUP;
	uint32_t got = sim_poll(p->c->fd) & want;

	if (got)
		zcs_conn_ready(p->c->conn, got);
	else if (sim_poll(zcs_ctx_fd(app.ctx)) & EPOLLIN)
		(void)!zcs_ctx_process(app.ctx, 0);
	else if (p->sent == p->total && sim.now > p->last_ns + 5 * SIM_S)
		sim_fail("hang: %llu of %llu bytes received", (unsigned long long)p->c->rx_pos,
			 (unsigned long long)p->total);
	else
		sim_run(sim_rnd(SIM_MS));
}

static void play_wait(struct play *p)
{
	struct zcs_event evs[4];
	int n;

	if (p->polling == BY_EDGE)
		wait_edge(p);
	else if (p->polling == BY_LEVEL)
		wait_level(p);
	n = p->polling == BY_CONTEXT ? zcs_ctx_wait(app.ctx, evs, 4, -1)
				     : zcs_ctx_events(app.ctx, evs, 4);
	for (int i = 0; i < n; i++)
		app_event(&app, &evs[i]);
}

static void play_read(struct play *p)
{
	struct app_conn *c = p->c;
	int ret;

	do {
		ret = app_recv(c, 1 + sim_rnd(20), sim_pct(30) ? 1 + sim_rnd(500000) : 0);
		if (sim_pct(70))
			app_release_all(&app);
	} while (ret > 0);
	app_release_all(&app);
	if (c->rx_pos == p->total && p->ending == FIN_WHEN_READ)
		end_stream(p);
}

/* Never more than comes, but where an end would follow. An urgent byte may be in already. */
static void play_expect(struct play *p)
{
	uint64_t left = p->total - p->c->rx_pos, bytes;

	left -= left && p->c->urgent;
	bytes = sim_rnd((uint32_t)left + 1);
	if (p->ending != FIN_WHEN_READ && sim_pct(20))
		bytes = sim_pct(20) ? SIZE_MAX : bytes * 2;
	else if (sim_pct(20))
		bytes = sim_pct(50) ? left : 0;
	sim_assert(zcs_conn_expect(p->c->conn, bytes) == 0 || p->ending == RESET);
}

static bool play_is_over(const struct play *p)
{
	return p->c->eof || p->c->rx_error;
}

static void play(enum polling polling)
{
	unsigned changes = sim_rnd(60);
	struct play p;

	play_begin(&p, polling);
	edge_begin(&p);
	while (!play_is_over(&p)) {
		play_wait(&p);
		if (p.c->readable)
			play_read(&p);
		if (sim_pct(changes) && !play_is_over(&p)) {
			play_expect(&p);
			if (sim_pct(50))
				play_read(&p);
		}
	}
	sim_equal(p.c->rx_pos, p.total);
	sim_assert(p.ending == RESET ? p.c->rx_error == -ECONNRESET : p.c->eof);
	if (p.ep >= 0)
		zcsi_sys->close(p.ep);
	app_end(&app);
}

static void any_by_context(void)
{
	play(BY_CONTEXT);
}

static void any_by_level(void)
{
	play(BY_LEVEL);
}

static void any_by_edge(void)
{
	play(BY_EDGE);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "is_not_read", is_not_read },
		{ "a_quarter_comes", a_quarter_comes },
		{ "nothing_is_expected", nothing_is_expected },
		{ "after_an_early_wake", after_an_early_wake },
		{ "after_fin", after_fin },
		{ "after_data_and_fin", after_data_and_fin },
		{ "after_an_error", after_an_error },
		{ "after_urgent_data", after_urgent_data },
		{ "lowered_and_asked", lowered_and_asked },
		{ "ended_and_asked", ended_and_asked },
		{ "lowered_and_waited", lowered_and_waited },
		{ "ended_and_waited", ended_and_waited },
		{ "any_by_context", any_by_context },
		{ "any_by_level", any_by_level },
		{ "any_by_edge", any_by_edge },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 300);
}
