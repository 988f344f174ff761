// SPDX-License-Identifier: MIT
/* Spans: held, released in any order, outliving their connection; what the window must not do. */
#include "net.h"

struct bed {
	struct net net;
	struct app *app[2];
	struct peer *peer[2];
};

/* Two connections whose data arrive in pages that can be mapped. */
static void bed_make(struct bed *b, const struct zcs_ctx_opts *ctx_opts,
		     const struct zcs_conn_opts *more)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .trust = ZCS_TRUST_PEER,
				      .recv_way = ZCS_WAY_ZEROCOPY };
	struct net_pair pair;
	int i;

	if (more)
		opts.borrowed_max = more->borrowed_max;
	net_lo_mtu(MTU_MAPS);
	net_start(&b->net, ctx_opts);
	for (i = 0; i < 2; i++) {
		net_pair(&pair, i ? NET_V6 : NET_V4, NET_LO);
		b->app[i] = app_open(&b->net, pair.near, &opts);
		b->peer[i] = peer_open(&b->net, pair.far);
		b->peer[i]->tx_flags = MSG_ZEROCOPY;
		net_set(pair.far, SOL_SOCKET, SO_ZEROCOPY, 1);
		b->app[i]->rx_seed = b->peer[i]->tx_seed = 20 + i;
	}
}

static void receive(struct bed *b, int i, size_t len)
{
	peer_send(b->peer[i], len);
	PUMP_UNTIL(&b->net, b->app[i]->rx_pos == b->peer[i]->tx_pos);
}

/* One span stays borrowed while the window moves round and round under another connection. */
static void span__held_while_others_receive(void **state)
{
	struct bed b;
	int i;

	(void)state;
	bed_make(&b, NULL, NULL);
	b.app[0]->rx_hold = true;
	receive(&b, 0, 200000);
	assert_true(b.app[0]->rx_mapped > 0);
	b.app[0]->rx_hold = false;
	for (i = 0; i < 80; i++) {
		receive(&b, 1, 2 * MIB);
		app_check_held(b.app[0]);
		if (i % 10 == 0)
			receive(&b, 0, 100000);
	}
	assert_true(b.app[1]->rx_mapped > 100 * MIB);
	app_release_held(b.app[0]);
	net_finish(&b.net);
}

/* Held spans in many places: other data go round them, mapped or copied, and all stay whole. */
static void span__held_all_over(void **state)
{
	struct zcs_ctx_opts ctx_opts = { .size = sizeof(ctx_opts), .borrowed_max = ZCS_UNLIMITED };
	struct zcs_conn_opts opts = { .borrowed_max = ZCS_UNLIMITED };
	struct bed b;
	int i;

	(void)state;
	bed_make(&b, &ctx_opts, &opts);
	for (i = 0; i < 60; i++) {
		b.app[0]->rx_hold = true;
		receive(&b, 0, 30000 + 1000 * i);
		receive(&b, 1, 1500 * KIB);
	}
	app_check_held(b.app[0]);
	/* every second one goes, the rest stays */
	for (i = 0; (size_t)i + 1 < b.app[0]->nr_held; i++) {
		zcs_span_release(b.net.ctx, &b.app[0]->held[i], 1);
		memmove(&b.app[0]->held[i], &b.app[0]->held[i + 1],
			(b.app[0]->nr_held - i - 1) * sizeof(b.app[0]->held[0]));
		memmove(&b.app[0]->held_pos[i], &b.app[0]->held_pos[i + 1],
			(b.app[0]->nr_held - i - 1) * sizeof(b.app[0]->held_pos[0]));
		b.app[0]->nr_held--;
	}
	b.app[0]->rx_hold = false;
	for (i = 0; i < 20; i++)
		receive(&b, 1, 2 * MIB);
	app_check_held(b.app[0]);
	net_finish(&b.net);
}

static void span__released_in_any_order(void **state)
{
	struct zcs_conn_opts opts = { .borrowed_max = ZCS_UNLIMITED };
	struct zcs_stats st = { .size = sizeof(st) };
	uint64_t r = 4;
	struct bed b;
	int round;

	(void)state;
	bed_make(&b, NULL, &opts);
	b.app[0]->rx_hold = true;
	for (round = 0; round < 30; round++) {
		struct app *a = b.app[0];

		receive(&b, 0, 1 * MIB + 777);
		app_check_held(a);
		while (a->nr_held) {
			size_t i = net_random(&r) % a->nr_held;

			zcs_span_release(b.net.ctx, &a->held[i], 1);
			a->held[i] = a->held[--a->nr_held];
		}
		assert_int_equal(zcs_ctx_stats(b.net.ctx, &st), 0);
		assert_int_equal(st.borrowed, 0);
	}
	net_finish(&b.net);
}

/* Past the budget reading stops, nothing is lost, and a release starts it again. */
static void span__budget_stops_reading(void **state)
{
	struct zcs_conn_opts opts = { .borrowed_max = 512 * KIB };
	struct zcs_stats st;
	struct bed b;
	int i;

	(void)state;
	bed_make(&b, NULL, &opts);
	b.app[0]->rx_hold = true;
	peer_send(b.peer[0], 30 * MIB);
	net_idle(&b.net, 100);
	app_stats(b.app[0], &st);
	assert_true(b.app[0]->rx_pos > 0);
	assert_in_range(st.borrowed, 1, 512 * KIB + 64 * KIB);
	for (i = 0; b.app[0]->rx_pos < b.peer[0]->tx_pos; i++) {
		uint64_t before = b.app[0]->rx_pos;

		app_check_held(b.app[0]);
		app_release_held(b.app[0]);
		PUMP_UNTIL(&b.net, b.app[0]->rx_pos > before);
	}
	assert_true(i > 20);
	receive(&b, 1, 3 * MIB); /* the other one was never concerned */
	net_finish(&b.net);
}

/* The context's budget counts for all of its connections together. */
static void span__budget_of_the_context(void **state)
{
	struct zcs_ctx_opts opts = { .size = sizeof(opts), .borrowed_max = 512 * KIB };
	struct zcs_stats st = { .size = sizeof(st) };
	struct bed b;

	(void)state;
	bed_make(&b, &opts, NULL);
	b.app[0]->rx_hold = true;
	peer_send(b.peer[0], 10 * MIB);
	peer_send(b.peer[1], 10 * MIB);
	net_idle(&b.net, 100);
	assert_int_equal(zcs_ctx_stats(b.net.ctx, &st), 0);
	assert_in_range(st.borrowed, 1, 512 * KIB + 64 * KIB);
	b.app[0]->rx_hold = false;
	app_release_held(b.app[0]);
	PUMP_UNTIL(&b.net, b.app[0]->rx_pos == 10 * MIB && b.app[1]->rx_pos == 10 * MIB);
	net_finish(&b.net);
}

/* A mapping must not keep the data socket open: its FIN goes out although spans are held. */
static void close__fin_is_not_held_back(void **state)
{
	struct bed b;

	(void)state;
	bed_make(&b, NULL, NULL);
	b.app[0]->rx_hold = true;
	receive(&b, 0, 1 * MIB);
	assert_true(b.app[0]->rx_mapped > 0);
	zcs_conn_close(b.app[0]->conn);
	PUMP_UNTIL(&b.net, b.peer[0]->rx_eof);
	close(b.peer[0]->fd);
	b.peer[0]->fd = -1;
	PUMP_UNTIL(&b.net, b.app[0]->closed);
	app_check_held(b.app[0]);
	receive(&b, 1, 20 * MIB);
	app_check_held(b.app[0]);
	net_finish(&b.net);
}

/*
 * After CLOSED the socket is gone although its spans are held: a peer that sends on is reset. One
 * that a mapping kept alive would take data in for nobody.
 */
static void close__leaves_no_socket(void **state)
{
	struct bed b;
	int tries;

	(void)state;
	bed_make(&b, NULL, NULL);
	b.app[0]->rx_hold = true;
	receive(&b, 0, 1 * MIB);
	assert_true(b.app[0]->rx_mapped > 0);
	zcs_conn_close(b.app[0]->conn);
	PUMP_UNTIL(&b.net, b.app[0]->closed && b.peer[0]->rx_eof);
	for (tries = 0; !b.peer[0]->tx_error; tries++) {
		assert_true(tries < 100);
		peer_send(b.peer[0], 1000);
		PUMP_UNTIL(&b.net, b.peer[0]->tx_error || b.peer[0]->tx_at == b.peer[0]->tx_len);
		net_idle(&b.net, 1);
	}
	app_check_held(b.app[0]);
	net_finish(&b.net);
}

static void stabilize__mapped_and_copied(void **state)
{
	struct zcs_stats st = { .size = sizeof(st) };
	struct bed b;
	size_t i;

	(void)state;
	bed_make(&b, NULL, NULL);
	b.app[0]->rx_hold = b.app[1]->rx_hold = true;
	receive(&b, 0, 300001);
	b.peer[1]->tx_flags = 0;
	receive(&b, 1, 300001);
	for (i = 0; i < b.app[0]->nr_held; i++) {
		assert_int_equal(zcs_span_stabilize(b.net.ctx, &b.app[0]->held[i]), 0);
		assert_false(b.app[0]->held[i].flags & ZCS_SPAN_MAPPED);
	}
	for (i = 0; i < b.app[1]->nr_held; i++)
		assert_int_equal(zcs_span_stabilize(b.net.ctx, &b.app[1]->held[i]), 0);
	app_check_held(b.app[0]);
	app_check_held(b.app[1]);
	app_release_held(b.app[0]);
	app_release_held(b.app[1]);
	assert_int_equal(zcs_ctx_stats(b.net.ctx, &st), 0);
	assert_int_equal(st.borrowed, 0);
	net_finish(&b.net);
}

/* Small pieces, max_bytes, and one span at a time give the same stream. */
static void recv__in_small_bites(void **state)
{
	struct zcs_span span;
	struct bed b;
	size_t max;
	int n;

	(void)state;
	bed_make(&b, NULL, NULL);
	b.app[0]->rx_manual = true;
	for (max = 1; max < 300000; max = max * 5 + 1) {
		peer_send(b.peer[0], max * 7 + 3);
		while (b.app[0]->rx_pos < b.peer[0]->tx_pos) {
			n = zcs_conn_recv(b.app[0]->conn, &span, 1, max);
			if (n == -EAGAIN) {
				net_step(&b.net, "data");
				continue;
			}
			assert_int_equal(n, 1);
			assert_in_range(span.len, 1, max);
			assert_int_equal(stream_check(20, b.app[0]->rx_pos, span.base, span.len),
					 span.len);
			b.app[0]->rx_pos += span.len;
			zcs_span_release(b.net.ctx, &span, 1);
		}
	}
	net_finish(&b.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(span__held_while_others_receive),
		NET_TEST(span__held_all_over),
		NET_TEST(span__released_in_any_order),
		NET_TEST(span__budget_stops_reading),
		NET_TEST(span__budget_of_the_context),
		NET_TEST(close__fin_is_not_held_back),
		NET_TEST(close__leaves_no_socket),
		NET_TEST(stabilize__mapped_and_copied),
		NET_TEST(recv__in_small_bites),
	};

	return NET_MAIN(tests);
}
