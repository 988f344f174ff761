// SPDX-License-Identifier: MIT
/*
 * The end of a connection with memory still lent: every token is reported once, nothing before the
 * kernel has let go of it, and CLOSED comes last.
 */
#include "net.h"

#include <netinet/in.h>
#include <sys/mman.h>

struct bed {
	struct net net;
	struct net_pair pair;
	struct app *app;
	struct peer *peer;
};

static void bed_make(struct bed *b, const struct net_where *w, uint64_t drain_ms)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .drain_ms = drain_ms };

	net_start(&b->net, NULL);
	net_pair(&b->pair, w->family, w->path);
	b->app = app_open(&b->net, b->pair.near, &opts);
	b->peer = peer_open(&b->net, b->pair.far);
	b->app->tx_seed = b->peer->rx_seed = 7;
	b->peer->rx_paused = true;
}

static void lend_some(struct bed *b, unsigned nr)
{
	struct shape s = { .len = 1 * MIB, .flags = ZCS_ZEROCOPY };
	unsigned i;

	for (i = 0; i < nr; i++)
		assert_int_equal(app_send(b->app, &s), 0);
	net_idle(&b->net, 5);
	assert_int_equal(b->app->out, nr);
}

/* The peer reads only after we closed: what it gets must be right to the last byte. */
static void close__drains(void **state)
{
	struct bed b;

	bed_make(&b, *state, 0);
	lend_some(&b, 8);
	zcs_conn_close(b.app->conn);
	zcs_conn_close(b.app->conn); /* no effect */
	assert_int_equal(
		zcs_conn_send(b.app->conn, &(struct zcs_msg){ .size = sizeof(struct zcs_msg) }),
		-EPIPE);
	assert_int_equal(zcs_ctx_free(b.net.ctx), -EBUSY);
	net_idle(&b.net, 50);
	assert_true(b.app->out > 0);
	b.peer->rx_paused = false;
	b.peer->rx_chunk = 100000;
	PUMP_UNTIL(&b.net, b.peer->rx_eof);
	assert_int_equal(b.peer->rx_pos, b.app->tx_pos);
	close(b.peer->fd);
	b.peer->fd = -1;
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->released, 8);
	assert_int_equal(b.app->bytes_released, 8 * MIB);
	assert_int_equal(b.app->released_status, 0);
	assert_int_equal(b.app->closed_status, 0);
	net_finish(&b.net);
}

/* A peer that sends on and on does not keep the close from ending. */
static void close__drops_input(void **state)
{
	struct shape s = { .len = 1 * MIB, .flags = ZCS_ZEROCOPY };
	struct bed b;

	bed_make(&b, *state, 0);
	b.app->rx_manual = true;
	peer_send(b.peer, 30 * MIB);
	b.peer->rx_paused = false;
	assert_int_equal(app_send(b.app, &s), 0);
	net_idle(&b.net, 5);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.peer->rx_eof || b.peer->rx_error);
	assert_int_equal(b.peer->rx_pos, b.app->tx_pos);
	close(b.peer->fd);
	b.peer->fd = -1;
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->released, 1);
	net_finish(&b.net);
}

/* The peer's kernel drops all packets: only the deadline ends it. */
static void close__deadline(void **state)
{
	struct bed b;
	long start;

	bed_make(&b, *state, 300);
	net_silence(b.pair.far);
	lend_some(&b, 8);
	start = net_now_ms();
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_in_range(net_now_ms() - start, 250, 3000l * slowness());
	assert_int_equal(b.app->released + b.app->condemned, 8);
	assert_true(b.app->closed_status < 0);
	assert_true(b.app->how & ZCS_ABANDONED);
	net_unsilence(b.pair.far);
	b.peer->rx_paused = false;
	/* What did arrive is the start of the stream; pieces released by now are overwritten. */
	net_idle(&b.net, 50);
	net_finish(&b.net);
}

/* A peer that acknowledges until its window is closed, and then reads nothing. */
static void close__deadline_with_closed_window(void **state)
{
	struct bed b;

	bed_make(&b, *state, 200);
	lend_some(&b, 12);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->released + b.app->condemned, 12);
	assert_true(b.app->closed_status < 0);
	b.peer->rx_paused = false;
	PUMP_UNTIL(&b.net, b.peer->rx_eof || b.peer->rx_error);
	assert_true(b.peer->rx_pos < b.app->tx_pos);
	assert_int_equal(b.peer->rx_error, -ECONNRESET);
	net_finish(&b.net);
}

static void close__no_drain_at_all(void **state)
{
	struct bed b;

	bed_make(&b, *state, ZCS_NONE);
	net_silence(b.pair.far);
	lend_some(&b, 4);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->released + b.app->condemned, 4);
	net_finish(&b.net);
}

static void abort__resets(void **state)
{
	struct bed b;

	bed_make(&b, *state, 0);
	lend_some(&b, 8);
	zcs_conn_abort(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->released + b.app->condemned, 8);
	b.peer->rx_paused = false;
	PUMP_UNTIL(&b.net, b.peer->rx_eof || b.peer->rx_error);
	assert_int_equal(b.peer->rx_error, -ECONNRESET);
	net_finish(&b.net);
}

static void abort__during_close(void **state)
{
	struct bed b;

	bed_make(&b, *state, 0);
	net_silence(b.pair.far);
	lend_some(&b, 8);
	zcs_conn_close(b.app->conn);
	net_idle(&b.net, 20);
	zcs_conn_abort(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->released + b.app->condemned, 8);
	net_finish(&b.net);
}

/*
 * Packets that wait below the socket, here for the peer's hardware address, hold their pages when
 * the socket is gone. That memory must not come back as RELEASED while they wait.
 */
static void close__pages_held_below_the_socket(void **state)
{
	static const struct net_where veth = { NET_V4, NET_VETH };
	struct shape s = { .len = 16 * KIB, .flags = ZCS_ZEROCOPY };
	struct zcs_stats st = { .size = sizeof(st) };
	struct bed b;

	(void)state;
	bed_make(&b, &veth, 100);
	b.app->keep_mem = true;
	net_far_is_deaf(true);
	assert_int_equal(app_send(b.app, &s), 0);
	net_idle(&b.net, 20);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->released + b.app->condemned, 1);
	assert_int_equal(zcs_ctx_stats(b.net.ctx, &st), 0);
	if (!b.app->condemned)
		print_message("the packet did not stay in the neighbour's queue\n");
	assert_int_equal(st.condemned, b.app->condemned ? 16 * KIB : 0);
	assert_int_equal(b.app->condemned, 1);
	/* Now it may go: the bytes, if they come, must be the ones that were lent. */
	net_far_is_deaf(false);
	b.peer->rx_paused = false;
	net_idle(&b.net, 100);
	net_finish(&b.net);
}

static void ctx_abandon__returns_every_token(void **state)
{
	static const struct net_where lo = { NET_V4, NET_LO };
	struct net_pair pair;
	struct app *other;
	struct bed b;

	(void)state;
	bed_make(&b, &lo, 0);
	net_pair(&pair, NET_V6, NET_LO);
	other = app_open(&b.net, pair.near, NULL);
	net_silence(b.pair.far);
	lend_some(&b, 8);
	assert_int_equal(app_send(other, &(struct shape){ .len = 16 * MIB }), 0);
	assert_int_equal(zcs_ctx_free(b.net.ctx), -EBUSY);
	zcs_ctx_abandon(b.net.ctx);
	assert_int_equal(zcs_ctx_free(b.net.ctx), -EBUSY); /* the events wait */
	net_take(&b.net);
	assert_int_equal(b.app->closed, 1);
	assert_int_equal(other->closed, 1);
	assert_int_equal(b.app->released + b.app->condemned, 8);
	assert_int_equal(other->released + other->condemned, 1);
	assert_int_equal(zcs_ctx_free(b.net.ctx), 0);
	assert_int_equal(zcs_ctx_new(NULL, &b.net.ctx), 0);
	close(pair.far);
	net_finish(&b.net);
}

static void ctx_free__busy_with_a_span(void **state)
{
	struct zcs_ctx *ctx;
	struct bed b;

	(void)state;
	bed_make(&b, &(struct net_where){ NET_V4, NET_LO }, 0);
	ctx = b.net.ctx;
	b.app->rx_hold = true;
	b.app->rx_seed = b.peer->tx_seed = 5;
	peer_send(b.peer, 100000);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 100000);
	zcs_conn_abort(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	app_check_held(b.app); /* also after the connection is closed */
	assert_int_equal(zcs_ctx_free(ctx), -EBUSY);
	app_release_held(b.app);
	net_finish(&b.net);
}

/* The peer's reset comes while memory is lent: an error, every token, and closing still works. */
static void error__returns_every_token(void **state)
{
	struct bed b;

	bed_make(&b, *state, 0);
	lend_some(&b, 8);
	net_reset(b.pair.far);
	b.peer->fd = -1;
	PUMP_UNTIL(&b.net, b.app->errors && b.app->out == 0);
	assert_int_equal(b.app->errors, 1);
	assert_true(b.app->status == -ECONNRESET || b.app->status == -EPIPE);
	assert_int_equal(b.app->released, 8);
	assert_true(b.app->released_status < 0);
	assert_true(app_send(b.app, &(struct shape){ .len = 10 }) < 0);
	assert_int_equal(b.app->closed, 0);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	net_finish(&b.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST_ON(close__drains, NET_V4, NET_LO),
		NET_TEST_ON(close__drains, NET_V6, NET_LO),
		NET_TEST_ON(close__drains, NET_V4, NET_VETH),
		NET_TEST_ON(close__drops_input, NET_V4, NET_LO),
		NET_TEST_ON(close__deadline, NET_V4, NET_LO),
		NET_TEST_ON(close__deadline, NET_V6, NET_LO),
		NET_TEST_ON(close__deadline, NET_MAPPED, NET_LO),
		NET_TEST_ON(close__deadline, NET_V4, NET_VETH),
		NET_TEST_ON(close__deadline_with_closed_window, NET_V4, NET_LO),
		NET_TEST_ON(close__deadline_with_closed_window, NET_V6, NET_VETH),
		NET_TEST_ON(close__no_drain_at_all, NET_V4, NET_LO),
		NET_TEST_ON(abort__resets, NET_V4, NET_LO),
		NET_TEST_ON(abort__resets, NET_V6, NET_LO),
		NET_TEST_ON(abort__resets, NET_V4, NET_VETH),
		NET_TEST_ON(abort__during_close, NET_V4, NET_LO),
		NET_TEST(close__pages_held_below_the_socket),
		NET_TEST(ctx_abandon__returns_every_token),
		NET_TEST(ctx_free__busy_with_a_span),
		NET_TEST_ON(error__returns_every_token, NET_V4, NET_LO),
		NET_TEST_ON(error__returns_every_token, NET_V6, NET_LO),
	};

	return NET_MAIN(tests);
}
