/* SPDX-License-Identifier: MIT */
/*
 * test_dgram_recv.c - UDP, receiving: each datagram once, its bounds and bytes as they came, for as
 * long as it is held
 */
#include "app.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define NR  4096
#define GRO 65000

static struct app app;
static uint32_t lens[NR * 8];
static size_t nr_lens, got;
static struct {
	struct zcs_span span;
	uint64_t pos;
} held[NR];
static size_t nr_held;
static uint64_t sent, rx_pos;

static struct app_conn *begin(uint64_t borrowed_max)
{
	struct zcs_conn_opts o = { .borrowed_max = borrowed_max };

	sim_default.dgram = true;
	nr_lens = got = nr_held = 0;
	sent = rx_pos = 0;
	app_open(&app, NULL);
	return app_conn(&app, &o);
}

static void arrive(struct app_conn *c, size_t len, uint16_t segment)
{
	size_t left = len, one = segment ? segment : len;

	sim_peer_datagram(c->tcp, len, segment);
	sent += len;
	do {
		size_t n = left < one ? left : one;

		lens[nr_lens++] = (uint32_t)n;
		left -= n;
	} while (left);
}

static bool is_intact(const struct app_conn *c, size_t i)
{
	const struct zcs_span *s = &held[i].span;

	return sim_differs(s->base, s->len, sim_rx_key(c->tcp), held[i].pos) == s->len;
}

static void let_go(struct app_conn *c, size_t i)
{
	sim_assert(is_intact(c, i));
	zcs_span_release(app.ctx, &held[i].span, 1);
	held[i] = held[--nr_held];
}

static void check(struct app_conn *c, const struct zcs_span *s)
{
	size_t left = s->len, one = s->segment ? s->segment : s->len;
	const struct msghdr *mh = zcs_span_msg(s);

	sim_equal(mh->msg_namelen, sizeof(struct sockaddr_in));
	sim_equal(((const struct sockaddr_in *)mh->msg_name)->sin_port, htons(7));
	do {
		size_t n = left < one ? left : one;

		sim_equal(lens[got++], n);
		left -= n;
	} while (left);
	held[nr_held].span = *s;
	held[nr_held].pos = rx_pos;
	rx_pos += s->len;
	sim_assert(is_intact(c, nr_held++));
}

static int take(struct app_conn *c, size_t most)
{
	struct zcs_span spans[64];
	int n = zcs_conn_recv(c->conn, spans, most, 0);

	for (int i = 0; i < n; i++)
		check(c, &spans[i]);
	return n;
}

/* Waits for READABLE only after -EAGAIN: a wake-up that is lost hangs. */
static void take_all(struct app_conn *c)
{
	while (got < nr_lens) {
		int n = take(c, 1 + sim_rnd(40));

		sim_assert(n > 0 || n == -EAGAIN || n == -ECONNREFUSED);
		if (n != -EAGAIN)
			continue;
		while (nr_held && sim_pct(80))
			let_go(c, sim_rnd((uint32_t)nr_held));
		c->readable = false;
		while (got < nr_lens && !c->readable) {
			if (nr_held)
				let_go(c, 0);
			app_take(&app, 5);
		}
	}
	while (nr_held)
		let_go(c, nr_held - 1);
}

static void arrive_any(struct app_conn *c)
{
	static const uint32_t sizes[] = { 2, 1500, 9000, 25000, GRO };
	size_t len = sim_rnd(sizes[sim_rnd(5)]);

	arrive(c, len, sim_pct(50) && len ? (uint16_t)(len / 60 + 1 + sim_rnd(1400)) : 0);
}

static void any(void)
{
	struct app_conn *c;

	sim_default.unreachable_pct = sim_pct(30) ? 10 : 0;
	c = begin(sim_pct(50) ? 300000 : 0);
	for (int round = 0; round < 40; round++) {
		for (uint32_t n = sim_rnd(20); n; n--)
			arrive_any(c);
		for (uint32_t n = sim_rnd(4); n && got < nr_lens; n--)
			(void)take(c, 1 + sim_rnd(40));
		for (uint32_t n = sim_rnd(20); n && nr_held; n--)
			let_go(c, sim_rnd((uint32_t)nr_held));
		if (sim_pct(20))
			take_all(c);
		if (sim_pct(10))
			sim_peer_unreachable(c->tcp);
		app_take(&app, 0);
	}
	take_all(c);
	sim_equal(app_stats(c).borrowed, 0);
	sim_equal(app_stats(c).rx_bytes, sent);
	sim_equal(c->nr_errors, 0);
	app_end(&app);
}

/* Longer than any packet of IP: its end is cut off, and that is said. */
static void truncated(void)
{
	struct app_conn *c = begin(0);
	struct zcs_span s;

	sim_peer_datagram(c->tcp, 70000, 0);
	sim_equal(zcs_conn_recv(c->conn, &s, 1, 0), 1);
	sim_equal(s.len, 65536);
	sim_equal(s.flags, ZCS_SPAN_DATAGRAM | ZCS_SPAN_TRUNCATED);
	sim_assert(zcs_span_msg(&s)->msg_flags & MSG_TRUNC);
	zcs_span_release(app.ctx, &s, 1);
	app_end(&app);
}

/* Many small ones, held: what they keep from use is not much more than they are charged for. */
static void small_ones(void)
{
	struct app_conn *c = begin(0);
	uint64_t mapped;

	for (int i = 0; i < 2000; i++)
		arrive(c, 20 + sim_rnd(100), 0);
	while (take(c, 64) > 0)
		;
	sim_equal(nr_held, 2000);
	mapped = app_stats(c).pool_bytes;
	sim_assert(mapped <= app_stats(c).borrowed + (4 << 20));
	take_all(c);
	app_end(&app);
}

/* A large one among them stays where it is; a long way behind the others it is moved. */
static void large_among_small(void)
{
	struct app_conn *c = begin(0);
	uint64_t before;

	for (int round = 0; round < 20; round++) {
		uint32_t place = sim_rnd(16);

		before = app_stats(c).borrowed;
		for (uint32_t i = 0; i < 16; i++)
			arrive(c, i == place ? 20000 + sim_rnd(40000) : sim_rnd(1000), 0);
		while (take(c, 16) > 0)
			;
		sim_assert(app_stats(c).borrowed - before < 6 * 65536);
	}
	take_all(c);
	app_end(&app);
}

/* A span that was narrowed, even to nothing, is given back and still knows where it came from. */
static void narrowed(void)
{
	struct app_conn *c = begin(0);
	struct zcs_span s;

	for (int i = 0; i < 100; i++) {
		arrive(c, 1000, 100);
		sim_equal(zcs_conn_recv(c->conn, &s, 1, 0), 1);
		s.base = (const char *)s.base + (i % 2 ? 999 : 1000);
		s.len = i % 2;
		sim_equal(zcs_span_msg(&s)->msg_namelen, sizeof(struct sockaddr_in));
		zcs_span_release(app.ctx, &s, 1);
		sim_equal(app_stats(c).borrowed, 0);
	}
	app_end(&app);
}

/* What ICMP says is told, also to who waits for READABLE before it asks; and nothing breaks. */
static void error_is_told(void)
{
	struct app_conn *c = begin(0);
	struct zcs_span s;

	sim_equal(zcs_conn_recv(c->conn, &s, 1, 0), -EAGAIN);
	c->readable = false;
	sim_peer_unreachable(c->tcp);
	while (!c->readable)
		app_take(&app, 5);
	sim_equal(zcs_conn_recv(c->conn, &s, 1, 0), -ECONNREFUSED);
	sim_equal(zcs_conn_recv(c->conn, &s, 1, 0), -EAGAIN);
	arrive(c, 100, 0);
	take_all(c);
	sim_equal(c->nr_errors, 0);
	app_end(&app);
}

/* Told by a sending call that then went well: of an earlier datagram, so a receive tells it. */
static void error_of_an_earlier_one_is_told(void)
{
	struct app_conn *c = begin(0);
	struct zcs_span s;
	int n;

	sim_equal(zcs_conn_recv(c->conn, &s, 1, 0), -EAGAIN);
	c->readable = false;
	sim_knobs(c->tcp)->icmp_pct = 100;
	sim_equal(app_send_plain(c, 100, ZCS_COPY), 1);
	sim_knobs(c->tcp)->icmp_pct = 0;
	while (!c->readable)
		app_take(&app, 5);
	n = zcs_conn_recv(c->conn, &s, 1, 0);
	sim_assert(n < 0 && n != -EAGAIN); /* whichever ICMP it was */
	sim_equal(zcs_conn_recv(c->conn, &s, 1, 0), -EAGAIN);
	sim_equal(app_stats(c).tx_refused, 0);
	app_end(&app);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "any", any },
		{ "truncated", truncated },
		{ "small_ones", small_ones },
		{ "large_among_small", large_among_small },
		{ "narrowed", narrowed },
		{ "error_is_told", error_is_told },
		{ "error_of_an_earlier_one_is_told", error_of_an_earlier_one_is_told },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 20);
}
