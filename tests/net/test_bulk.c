// SPDX-License-Identifier: MIT
/* Bytes: all sizes, all ways to hand them over, both directions, every kind of address. */
#include "net.h"

struct bed {
	struct net net;
	struct net_pair pair;
	struct app *app;
	struct peer *peer;
};

static void bed_make(struct bed *b, void **state, const struct zcs_conn_opts *opts)
{
	const struct net_where *w = *state;

	net_pair(&b->pair, w->family, w->path); /* may skip */
	net_start(&b->net, NULL);
	b->app = app_open(&b->net, b->pair.near, opts);
	b->peer = peer_open(&b->net, b->pair.far);
	b->app->tx_seed = b->peer->rx_seed = 1;
	b->app->rx_seed = b->peer->tx_seed = 2;
}

/* Closes from our side; then nothing is missing at either end. */
static void bed_close(struct bed *b)
{
	struct zcs_stats st;

	zcs_conn_close(b->app->conn);
	PUMP_UNTIL(&b->net, b->peer->rx_eof);
	close(b->peer->fd);
	b->peer->fd = -1;
	PUMP_UNTIL(&b->net, b->app->closed);
	assert_int_equal(b->peer->rx_pos, b->app->tx_pos);
	assert_int_equal(b->app->condemned, 0);
	assert_int_equal(b->app->released_status, 0);
	assert_int_equal(b->app->closed_status, 0);
	st = (struct zcs_stats){ .size = sizeof(st) };
	assert_int_equal(zcs_ctx_stats(b->net.ctx, &st), 0);
	assert_int_equal(st.lent, 0);
	assert_int_equal(st.tx_bytes, b->app->tx_pos);
	assert_int_equal(st.unknown_notifications, 0);
	net_finish(&b->net);
}

static void send__every_size(void **state)
{
	static const size_t sizes[] = { 1,     7,     64,    4095,   4096,    16383,
					16384, 65535, 65537, 262144, 1048576, 4194304 };
	static const uint32_t flags[] = { 0, ZCS_COPY, ZCS_ZEROCOPY };
	struct bed b;
	uint64_t r = 1;
	size_t i, j;

	bed_make(&b, state, NULL);
	b.peer->rx_paused = true;
	b.peer->rx_chunk = 40000;
	for (j = 0; j < 3; j++) {
		for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			struct shape s = { .len = sizes[i], .flags = flags[(i + j) % 3] };

			s.head = net_random(&r) % 3 ? 0 : net_random(&r) % (ZCS_HEAD_MAX + 1);
			s.nr_iov = s.len > 100 ? 1 + net_random(&r) % 40 : 1;
			s.misalign = net_random(&r) % 2 ? net_random(&r) % 4096 : 0;
			app_send_all(b.app, s.len + s.head, &s);
			b.peer->rx_paused = i < 3; /* let some of it wait */
		}
		b.peer->rx_chunk = 0;
	}
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);
	/* VSOCK is lent to since 6.7 */
	assert_true(b.app->how & ZCS_LENT || ((struct net_where *)*state)->family == NET_VSOCK);
	assert_true(b.app->how & ZCS_COPIED || b.app->at_once);
	bed_close(&b);
}

/* More iovec entries than one system call takes. */
static void send__many_pieces(void **state)
{
	struct shape s = { .len = 300000, .nr_iov = 3000, .head = 10 };
	struct bed b;
	int i;

	bed_make(&b, state, NULL);
	for (i = 0; i < 6; i++) {
		s.flags = i % 2 ? ZCS_ZEROCOPY : 0;
		app_send_all(b.app, s.len + s.head, &s);
	}
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);
	bed_close(&b);
}

static void send__give(void **state)
{
	struct shape s = { .len = 700000, .head = 16, .flags = ZCS_GIVE | ZCS_ZEROCOPY };
	struct bed b;

	bed_make(&b, state, NULL);
	app_send_all(b.app, tries(100) * MIB, &s);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos);
	assert_true(b.app->given > tries(100));
	assert_int_equal(b.app->released, 0);
	bed_close(&b);
}

static void send__more_holds_back(void **state)
{
	struct shape s = { .len = 100, .flags = ZCS_MORE };
	struct bed b;
	unsigned i;

	bed_make(&b, state, NULL);
	for (i = 0; i < 5; i++)
		assert_true(app_send(b.app, &s) >= 0);
	net_idle(&b.net, 20);
	assert_int_equal(b.peer->rx_pos, 0);
	assert_int_equal(zcs_conn_flush(b.app->conn), 0);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == 500);
	assert_true(app_send(b.app, &s) >= 0);
	s.flags = 0;
	assert_true(app_send(b.app, &s) >= 0);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == 700 && b.app->out == 0);
	assert_int_equal(zcs_conn_flush(b.app->conn), 0);
	s = (struct shape){ .len = 3 * MIB, .flags = ZCS_MORE | ZCS_ZEROCOPY };
	app_send_all(b.app, 9 * MIB, &s);
	assert_int_equal(zcs_conn_flush(b.app->conn), 0);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);
	bed_close(&b);
}

/* A budget that is full says so, once nothing was taken, and says when there is room again. */
static void send__budget(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .lent_max = 256 * KIB };
	struct shape s = { .len = 1 * MIB, .flags = ZCS_ZEROCOPY };
	struct shape tiny = { .len = 64 * KIB, .flags = ZCS_ZEROCOPY };
	struct zcs_stats st;
	struct bed b;
	int i, ret = 0;

	bed_make(&b, state, &opts);
	b.peer->rx_paused = true;
	assert_int_equal(app_send(b.app, &s), 0); /* larger than the budget, alone */
	assert_int_equal(app_send(b.app, &tiny), -EAGAIN);
	assert_int_equal(b.app->writable, 0);
	b.peer->rx_paused = false;
	PUMP_UNTIL(&b.net, b.app->writable == 1);
	PUMP_UNTIL(&b.net, b.app->out == 0);
	b.peer->rx_paused = true;
	for (i = 0; i < 200 && ret == 0; i++) {
		ret = app_send(b.app, &tiny);
		app_stats(b.app, &st);
		assert_true(st.lent <= 256 * KIB);
	}
	b.peer->rx_paused = false;
	app_send_all(b.app, 8 * MIB, &tiny);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);
	bed_close(&b);
}

static void both_ways(void **state)
{
	struct shape s = { .len = 300000, .head = 5 };
	struct bed b;
	int i;

	bed_make(&b, state, NULL);
	for (i = 0; i < 6; i++) {
		b.peer->tx_flags = 0;
		peer_send(b.peer, 4 * MIB);
		app_send_all(b.app, 5 * MIB, &s);
		PUMP_UNTIL(&b.net, b.app->rx_pos == b.peer->tx_pos);
		PUMP_UNTIL(&b.net, b.peer->tx_at == b.peer->tx_len);
	}
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);
	assert_int_equal(b.app->rx_error, 0);
	bed_close(&b);
}

/* The library at both ends, in one context; mapped where that is possible. */
static void both_ends(void **state)
{
	const struct net_where *w = *state;
	struct zcs_conn_opts opts = { .size = sizeof(opts), .trust = ZCS_TRUST_PEER };
	struct shape s = { .len = 512 * KIB };
	struct net_pair pair;
	struct net net;
	struct app *a, *b;

	net_lo_mtu(MTU_MAPS);
	net_pair(&pair, w->family, w->path);
	net_start(&net, NULL);
	a = app_open(&net, pair.near, &opts);
	b = app_open(&net, pair.far, &opts);
	a->tx_seed = b->rx_seed = 3;
	b->tx_seed = a->rx_seed = 4;
	b->rx_max = 100000;
	app_send_all(a, tries(40) * MIB, &s);
	s.flags = ZCS_ZEROCOPY;
	app_send_all(b, tries(40) * MIB, &s);
	PUMP_UNTIL(&net, b->rx_pos == a->tx_pos && a->rx_pos == b->tx_pos);
	PUMP_UNTIL(&net, a->out == 0 && b->out == 0);
	zcs_conn_close(a->conn);
	PUMP_UNTIL(&net, b->rx_eof);
	zcs_conn_close(b->conn);
	PUMP_UNTIL(&net, a->closed && b->closed);
	assert_int_equal(a->closed_status, 0);
	assert_int_equal(b->closed_status, 0);
	net_finish(&net);
}

static void send__refuses_nonsense(void **state)
{
	struct iovec iov = { "abc", 3 }, huge[2] = { { "a", SIZE_MAX / 2 }, { "b", SIZE_MAX / 2 } };
	struct iovec gone = { (void *)16, 100000 };
	struct zcs_msg msg = { .size = sizeof(msg), .iov = &iov, .nr_iov = 1 };
	struct bed b;

	bed_make(&b, state, NULL);
	msg.flags = 0x80000000;
	assert_int_equal(zcs_conn_send(b.app->conn, &msg), -EINVAL);
	msg.flags = ZCS_GIVE; /* not of the pool */
	assert_int_equal(zcs_conn_send(b.app->conn, &msg), -EINVAL);
	msg.flags = 0;
	msg.head = "x";
	msg.head_len = ZCS_HEAD_MAX + 1;
	assert_int_equal(zcs_conn_send(b.app->conn, &msg), -EINVAL);
	msg.head_len = 0;
	msg.iov = huge;
	msg.nr_iov = 2;
	assert_int_equal(zcs_conn_send(b.app->conn, &msg), -EINVAL);
	msg.iov = &gone;
	msg.nr_iov = 1;
	for (msg.flags = 0; !net_by_ring() && msg.flags <= ZCS_ZEROCOPY; msg.flags += ZCS_ZEROCOPY)
		assert_int_equal(zcs_conn_send(b.app->conn, &msg), -EFAULT);
	both_ways(state); /* another connection; and this one is still whole: */
	app_send_all(b.app, 100, &(struct shape){ .len = 100 });
	PUMP_UNTIL(&b.net, b.peer->rx_pos == 100 && b.app->out == 0);
	bed_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST_ON(send__every_size, NET_V4, NET_LO),
		NET_TEST_ON(send__every_size, NET_V6, NET_LO),
		NET_TEST_ON(send__every_size, NET_MAPPED, NET_LO),
		NET_TEST_ON(send__every_size, NET_V4, NET_VETH),
		NET_TEST_ON(send__every_size, NET_V6, NET_VETH),
		NET_TEST_ON(send__every_size, NET_MAPPED, NET_VETH),
		NET_TEST_ON(send__many_pieces, NET_V4, NET_LO),
		NET_TEST_ON(send__many_pieces, NET_V4, NET_VETH),
		NET_TEST_ON(send__give, NET_V4, NET_LO),
		NET_TEST_ON(send__give, NET_V6, NET_VETH),
		NET_TEST_ON(send__more_holds_back, NET_V4, NET_LO),
		NET_TEST_ON(send__more_holds_back, NET_V6, NET_VETH),
		NET_TEST_ON(send__budget, NET_V4, NET_LO),
		NET_TEST_ON(both_ways, NET_V4, NET_LO),
		NET_TEST_ON(both_ways, NET_V6, NET_LO),
		NET_TEST_ON(both_ways, NET_MAPPED, NET_LO),
		NET_TEST_ON(both_ways, NET_V4, NET_VETH),
		NET_TEST_ON(both_ends, NET_V4, NET_LO),
		NET_TEST_ON(both_ends, NET_V6, NET_LO),
		NET_TEST_ON(both_ends, NET_MAPPED, NET_LO),
		NET_TEST_ON(both_ends, NET_V4, NET_VETH),
		NET_TEST_ON(send__every_size, NET_VSOCK, NET_LO),
		NET_TEST_ON(send__give, NET_VSOCK, NET_LO),
		NET_TEST_ON(send__more_holds_back, NET_VSOCK, NET_LO),
		NET_TEST_ON(both_ways, NET_VSOCK, NET_LO),
		NET_TEST_ON(both_ends, NET_VSOCK, NET_LO),
		NET_TEST_ON(send__refuses_nonsense, NET_V4, NET_LO),
	};

	return NET_MAIN(tests);
}
