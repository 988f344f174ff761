// SPDX-License-Identifier: MIT
/* Spans forwarded to another connection: A -> relay -> C, and what can go wrong there. */
#include "net.h"

struct bed {
	struct net net;
	struct app *in, *out;	/* the relay's two ends */
	struct peer *from, *to; /* A and C */
};

static void bed_make(struct bed *b, bool mapped, uint64_t borrowed_max)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .trust = ZCS_TRUST_PEER,
				      .recv_way = mapped ? ZCS_WAY_ZEROCOPY : ZCS_WAY_COPY,
				      .borrowed_max = borrowed_max };
	struct net_pair pair;

	net_lo_mtu(MTU_MAPS);
	net_start(&b->net, NULL);
	net_pair(&pair, NET_V4, NET_LO);
	b->in = app_open(&b->net, pair.near, &opts);
	b->from = peer_open(&b->net, pair.far);
	if (mapped) {
		net_set(pair.far, SOL_SOCKET, SO_ZEROCOPY, 1);
		b->from->tx_flags = MSG_ZEROCOPY;
	}
	net_pair(&pair, NET_V6, NET_LO);
	b->out = app_open(&b->net, pair.near, &opts);
	b->to = peer_open(&b->net, pair.far);
	b->in->relay_to = b->out;
	b->from->tx_seed = b->in->rx_seed = b->to->rx_seed = 61;
}

static void relay(bool mapped)
{
	struct zcs_stats st;
	struct bed b;
	int i;

	bed_make(&b, mapped, 0);
	for (i = 0; i < 30; i++) {
		peer_send(b.from, i % 3 ? 2 * MIB : 100 + 7000ul * i);
		PUMP_UNTIL(&b.net, b.from->tx_at == b.from->tx_len);
	}
	b.from->tx_shut = true;
	PUMP_UNTIL(&b.net, b.to->rx_pos == b.from->tx_pos);
	PUMP_UNTIL(&b.net, b.in->rx_eof);
	app_stats(b.out, &st);
	assert_int_equal(st.tx_bytes, b.to->rx_pos);
	app_stats(b.in, &st);
	if (mapped)
		assert_true(b.in->rx_mapped > 20 * MIB);
	else
		assert_int_equal(b.in->rx_mapped, 0);
	zcs_conn_close(b.out->conn);
	PUMP_UNTIL(&b.net, b.to->rx_eof);
	zcs_conn_close(b.in->conn);
	close(b.to->fd);
	b.to->fd = -1;
	PUMP_UNTIL(&b.net, b.out->closed && b.in->closed);
	net_finish(&b.net);
}

static void relay__mapped(void **state)
{
	(void)state;
	relay(true);
}

static void relay__copied(void **state)
{
	(void)state;
	relay(false);
}

/* C does not read: the relay stops reading from A, bounded by the budget, and nothing is lost. */
static void stalled(bool mapped)
{
	struct zcs_stats st;
	struct bed b;
	uint64_t at;

	bed_make(&b, mapped, 1 * MIB);
	b.to->rx_paused = true;
	peer_send(b.from, 60 * MIB);
	do { /* until it stands still, and 60 MiB are never through like this */
		at = b.in->rx_pos;
		net_idle(&b.net, 50 * (int)slowness());
	} while (!at || b.in->rx_pos != at);
	app_stats(b.in, &st);
	assert_in_range(st.borrowed, 1, 1 * MIB + 64 * KIB);
	assert_true(b.from->tx_at < b.from->tx_len);
	b.to->rx_paused = false;
	PUMP_UNTIL(&b.net, b.to->rx_pos == 60 * MIB);
	PUMP_UNTIL(&b.net, (app_stats(b.in, &st), st.borrowed) == 0);
	net_finish(&b.net);
}

static void relay__stalls_with_its_receiver_mapped(void **state)
{
	(void)state;
	stalled(true);
}

static void relay__stalls_with_its_receiver_copied(void **state)
{
	(void)state;
	stalled(false);
}

/* The sender's end is closed while its bytes still wait to go out at the other. */
static void relay__outlives_the_receiving_end(void **state)
{
	struct bed b;

	(void)state;
	bed_make(&b, true, 0);
	b.to->rx_paused = true;
	peer_send(b.from, 3 * MIB);
	b.from->tx_shut = true;
	PUMP_UNTIL(&b.net, b.in->rx_eof);
	zcs_conn_close(b.in->conn);
	PUMP_UNTIL(&b.net, b.in->closed);
	b.to->rx_paused = false;
	PUMP_UNTIL(&b.net, b.to->rx_pos == 3 * MIB);
	net_finish(&b.net);
}

/* C goes away: the span stays the caller's, and can be released. */
static void relay__target_is_gone(void **state)
{
	struct zcs_stats st = { .size = sizeof(st) };
	struct bed b;
	size_t i;

	(void)state;
	bed_make(&b, true, 0);
	b.to->rx_paused = true;
	peer_send(b.from, 40 * MIB);
	net_idle(&b.net, 20);
	b.in->relay_to = NULL;
	b.in->rx_hold = true;
	net_reset(b.to->fd);
	b.to->fd = -1;
	PUMP_UNTIL(&b.net, b.out->errors);
	PUMP_UNTIL(&b.net, b.in->nr_held);
	for (i = 0; i < b.in->nr_held; i++)
		assert_true(zcs_conn_send_span(b.out->conn, &b.in->held[i], 0) < 0);
	app_check_held(b.in);
	app_release_held(b.in);
	b.in->rx_hold = false;
	PUMP_UNTIL(&b.net, b.in->rx_pos == 40 * MIB);
	zcs_conn_close(b.out->conn);
	PUMP_UNTIL(&b.net, b.out->closed);
	assert_int_equal(zcs_ctx_stats(b.net.ctx, &st), 0);
	assert_int_equal(st.borrowed, 0);
	net_finish(&b.net);
}

/* To itself: an echo, with the flags that are allowed. */
static void relay__echo(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .trust = ZCS_TRUST_PEER };
	struct net_pair pair;
	struct peer *peer;
	struct app *app;
	struct net net;

	(void)state;
	net_lo_mtu(MTU_MAPS);
	net_start(&net, NULL);
	net_pair(&pair, NET_V4, NET_LO);
	app = app_open(&net, pair.near, &opts);
	peer = peer_open(&net, pair.far);
	net_set(pair.far, SOL_SOCKET, SO_ZEROCOPY, 1);
	peer->tx_flags = MSG_ZEROCOPY;
	peer->tx_seed = peer->rx_seed = app->rx_seed = 62;
	app->relay_to = app;
	peer_send(peer, 40 * MIB);
	PUMP_UNTIL(&net, peer->rx_pos == 40 * MIB);
	net_finish(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(relay__mapped),
		NET_TEST(relay__copied),
		NET_TEST(relay__stalls_with_its_receiver_mapped),
		NET_TEST(relay__stalls_with_its_receiver_copied),
		NET_TEST(relay__outlives_the_receiving_end),
		NET_TEST(relay__target_is_gone),
		NET_TEST(relay__echo),
	};

	return NET_MAIN(tests);
}
