// SPDX-License-Identifier: MIT
/* VSOCK streams within the machine. What is lent goes to the socket at the other end as it is. */
#include "net.h"

static const struct zcs_conn_opts lend = { .size = sizeof(lend), .send_way = ZCS_WAY_ZEROCOPY };

/* The option since 6.7; before, all is copied, and the reason told. */
static bool can_lend(int fd)
{
	int one = 1, zero = 0;

	return setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &zero, sizeof(zero)) == 0;
}

static void open_pair(struct talk *t, const struct zcs_conn_opts *opts)
{
	struct net_pair pair;

	net_pair(&pair, NET_VSOCK, NET_LO); /* skips */
	net_start(&t->net, NULL);
	t->app = app_open(&t->net, pair.near, opts);
	t->peer = peer_open(&t->net, pair.far);
	t->app->tx_seed = t->peer->rx_seed = 1;
	t->app->rx_seed = t->peer->tx_seed = 2;
}

static void all_arrives(struct talk *t, const struct app *app)
{
	PUMP_UNTIL(&t->net, t->peer->rx_pos == app->tx_pos && app->out == 0);
}

static void vsock__talk(void **state)
{
	struct zcs_stats st;
	struct net_pair pair;
	struct talk t;
	bool lends;

	(void)state;
	net_pair(&pair, NET_VSOCK, NET_LO);
	lends = can_lend(pair.near);
	talk_open(&t, NULL, pair.near, pair.far);
	talk(&t);
	app_stats(t.app, &st);
	assert_int_equal(st.unknown_notifications, 0);
	if (lends) {
		assert_true(st.tx_bytes_lent > 0);
		assert_true(st.tx_bytes_uncopied > 0);
	} else {
		assert_int_equal(st.tx_bytes_lent, 0);
		assert_int_equal(st.tx_reason, ZCS_R_NO_SO_ZEROCOPY);
		app_says(t.app, "SO_ZEROCOPY");
	}
	talk_end(&t);
}

/* Pieces at odd places: 17 pages at most go in one call, however many it takes. */
static void vsock__odd_pieces(void **state)
{
	uint64_t r = 7;
	struct talk t;

	(void)state;
	open_pair(&t, &lend);
	for (unsigned i = 0; i < tries(400); i++) {
		struct shape s = { .len = 1000 + net_random(&r) % 200000 };

		s.nr_iov = 1 + net_random(&r) % 40;
		s.misalign = net_random(&r) % 4096;
		s.head = net_random(&r) % 3 ? 0 : net_random(&r) % 200;
		app_send_all(t.app, s.len + s.head, &s);
	}
	all_arrives(&t, t.app);
	talk_end(&t);
}

/* Nothing is read: what is lent stays lent, and at the deadline it is condemned. */
static void vsock__deadline(void **state)
{
	struct zcs_conn_opts opts = lend;
	struct zcs_stats st;
	struct talk t;

	(void)state;
	opts.drain_ms = 300;
	open_pair(&t, &opts);
	t.peer->rx_paused = true;
	for (int i = 0; i < 10; i++)
		assert_true(app_send(t.app, &(struct shape){ .len = 100000 }) >= 0);
	app_stats(t.app, &st);
	zcs_conn_close(t.app->conn);
	PUMP_UNTIL(&t.net, t.app->closed);
	assert_int_equal(t.app->closed_status, -ETIMEDOUT);
	if (st.tx_bytes_lent)
		assert_true(t.app->condemned > 0);
	net_finish(&t.net);
}

static void vsock__peer_closes(void **state)
{
	struct talk t;

	(void)state;
	open_pair(&t, NULL);
	for (int i = 0; i < 20; i++)
		assert_true(app_send(t.app, &(struct shape){ .len = 100000 }) >= 0);
	close(t.peer->fd);
	t.peer->fd = -1;
	PUMP_UNTIL(&t.net, t.app->errors);
	assert_true(t.app->status == -EPIPE || t.app->status == -ECONNRESET);
	zcs_conn_close(t.app->conn);
	PUMP_UNTIL(&t.net, t.app->closed && t.app->out == 0);
	net_finish(&t.net);
}

/* Memory that is not there is an error of its message, and of nothing else. */
static void vsock__bad_memory(void **state)
{
	struct iovec gone = { (void *)16, 100000 };
	struct zcs_msg msg = { .size = sizeof(msg), .iov = &gone, .nr_iov = 1 };
	struct talk t;
	int r;

	(void)state;
	open_pair(&t, NULL);
	for (msg.flags = 0; msg.flags <= ZCS_ZEROCOPY; msg.flags += ZCS_ZEROCOPY) {
		r = zcs_conn_send(t.app->conn, &msg);
		if (r != -EFAULT && r != -ENOMEM)
			fail_msg("bad memory: %d", r);
		app_send_all(t.app, 300000, &(struct shape){ .len = 100000, .flags = msg.flags });
		all_arrives(&t, t.app);
	}
	talk_end(&t);
}

/* Credit comes in odd pieces, and each call has one number all the same: ours are the kernel's. */
static void vsock__numbers(void **state)
{
	struct shape s = { .len = 256 * KIB };
	struct zcs_conn_opts again = lend;
	struct zcs_stats st;
	struct app *app;
	struct talk t;

	(void)state;
	open_pair(&t, &lend);
	t.peer->rx_chunk = 70000;
	app_send_all(t.app, tries(200) * MIB, &s);
	all_arrives(&t, t.app);
	app_stats(t.app, &st);
	assert_int_equal(st.unknown_notifications, 0);
	assert_int_equal(zcs_conn_detach(t.app->conn, &again.prior_sends), t.app->fd);
	t.app->conn = NULL;
	app = app_open(&t.net, t.app->fd, &again);
	app->tx_seed = 1;
	app->tx_pos = t.app->tx_pos;
	app_send_all(app, 1 * MIB, &s);
	all_arrives(&t, app);
	assert_true(!st.tx_bytes_lent == !(app->how & ZCS_LENT));
	app_stats(app, &st);
	assert_int_equal(st.unknown_notifications, 0);
	net_finish(&t.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(vsock__talk),	     NET_TEST(vsock__odd_pieces),
		NET_TEST(vsock__deadline),   NET_TEST(vsock__peer_closes),
		NET_TEST(vsock__bad_memory), NET_TEST(vsock__numbers),
	};

	return NET_MAIN(tests);
}
