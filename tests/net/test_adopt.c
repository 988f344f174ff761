// SPDX-License-Identifier: MIT
/*
 * Adoption: sockets on which somebody else sent with MSG_ZEROCOPY. Their notifications carry
 * numbers that look like ours, so a wrong guess gives back memory that is still being sent.
 */
#include "net.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#define FOREIGN (1 * MIB)

struct bed {
	struct net net;
	struct net_pair pair;
	struct app *app;
	struct peer *peer;
	char *foreign; /* lent by the program before us */
	size_t foreign_len;
	unsigned foreign_calls;
};

static void bed_make(struct bed *b, enum net_family family, enum net_path path)
{
	memset(b, 0, sizeof(*b));
	net_start(&b->net, NULL);
	assert_int_equal(net_sysctl("ipv4/tcp_wmem", "4096 8388608 8388608"), 0);
	net_pair(&b->pair, family, path);
}

/* Two flagged sends that stay in flight: the far end acknowledges nothing. */
static void send_foreign(struct bed *b)
{
	size_t at = 0;

	net_set(b->pair.near, SOL_SOCKET, SO_ZEROCOPY, 1);
	assert_int_equal(posix_memalign((void **)&b->foreign, 4096, 2 * FOREIGN), 0);
	stream_fill(1, 0, b->foreign, 2 * FOREIGN);
	net_silence(b->pair.far);
	while (b->foreign_calls < 2) {
		ssize_t n = send(b->pair.near, b->foreign + at, FOREIGN,
				 MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL);

		assert_true(n > 0);
		at += n;
		b->foreign_calls++;
	}
	b->foreign_len = at;
	assert_int_equal(net_unacked(b->pair.near), at);
}

static void adopt(struct bed *b, uint64_t prior_sends)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .prior_sends = prior_sends };

	b->app = app_open(&b->net, b->pair.near, &opts);
	b->peer = peer_open(&b->net, b->pair.far);
	b->app->tx_seed = b->peer->rx_seed = 1;
	b->app->tx_pos = b->foreign_len;
}

static void finish(struct bed *b)
{
	PUMP_UNTIL(&b->net, b->peer->rx_pos == b->app->tx_pos && b->app->out == 0);
	net_finish(&b->net);
	free(b->foreign);
}

/* The number is not known: nothing of ours is lent while foreign sends may be out. */
static void open__foreign_sends_in_flight(void **state)
{
	const struct net_where *w = *state;
	struct shape s = { .len = 256 * KIB };
	struct bed b;
	struct zcs_stats st;
	int i;

	bed_make(&b, w->family, w->path);
	send_foreign(&b);
	adopt(&b, 0);
	for (i = 0; i < 8; i++)
		assert_true(app_send(b.app, &s) >= 0);
	app_stats(b.app, &st);
	assert_int_equal(st.tx_bytes_lent, 0);
	net_unsilence(b.pair.far);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);

	/* The line is quiet once, and then it lends. */
	s.flags = ZCS_ZEROCOPY;
	do {
		app_send_all(b.app, 1 * MIB, &s);
		PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);
		app_stats(b.app, &st);
	} while (!st.tx_bytes_lent);
	app_send_all(b.app, 20 * MIB, &s);
	finish(&b);
}

/* While it is not known, the reason says so. */
static void open__says_adopting(void **state)
{
	struct shape s = { .len = 256 * KIB };
	struct bed b;
	struct zcs_stats st;

	(void)state;
	bed_make(&b, NET_V4, NET_LO);
	send_foreign(&b);
	adopt(&b, 0);
	assert_true(app_send(b.app, &s) >= 0);
	app_stats(b.app, &st);
	assert_int_equal(st.tx_reason, ZCS_R_ADOPTING);
	net_unsilence(b.pair.far);
	finish(&b);
}

/* The number is known: ours are told from theirs, and lending starts at once. */
static void open__prior_sends_given(void **state)
{
	const struct net_where *w = *state;
	struct shape s = { .len = 256 * KIB, .flags = ZCS_ZEROCOPY };
	struct bed b;
	struct zcs_stats st;
	int i;

	bed_make(&b, w->family, w->path);
	send_foreign(&b);
	adopt(&b, b.foreign_calls);
	for (i = 0; i < 8; i++)
		assert_int_equal(app_send(b.app, &s), 0);
	net_unsilence(b.pair.far);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);
	app_stats(b.app, &st);
	assert_true(st.tx_bytes_lent > 0);
	app_send_all(b.app, 20 * MIB, &s);
	finish(&b);
}

/* A listener's children have the option set and count from 0. */
static void open__inherited(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .prior_sends = ZCS_NONE };
	struct shape s = { .len = 512 * KIB, .flags = ZCS_ZEROCOPY };
	struct sockaddr_storage to;
	struct zcs_stats st;
	struct peer *peer;
	struct app *app;
	struct net net;
	socklen_t len;
	int listener = net_listen(NET_V4, NET_LO, &to, &len), one = 0, child;

	(void)state;
	net_start(&net, NULL);
	net_set(listener, SOL_SOCKET, SO_ZEROCOPY, 1);
	peer = peer_open(&net, net_connect(&to, len));
	child = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	len = sizeof(one);
	assert_int_equal(getsockopt(child, SOL_SOCKET, SO_ZEROCOPY, &one, &len), 0);
	assert_int_equal(one, 1);
	app = app_open(&net, child, &opts);
	app->tx_seed = peer->rx_seed = 9;
	assert_int_equal(app_send(app, &s), 0);
	assert_int_equal(zcs_conn_flush(app->conn), 0);
	app_stats(app, &st);
	assert_true(st.tx_bytes_lent > 0);
	app_send_all(app, 20 * MIB, &s);
	PUMP_UNTIL(&net, peer->rx_pos == app->tx_pos && app->out == 0);
	net_finish(&net);
	close(listener);
}

/* Detach tells the number to open it with elsewhere; it is right, or the bytes would be wrong. */
static void detach__and_open_elsewhere(void **state)
{
	struct shape s = { .len = 300 * KIB, .flags = ZCS_ZEROCOPY };
	struct zcs_conn_opts opts = { .size = sizeof(opts) };
	struct net net;
	struct zcs_stats st;
	struct net_pair pair;
	struct peer *peer;
	struct app *app;
	uint64_t pos;
	int round;

	(void)state;
	net_pair(&pair, NET_V4, NET_LO);
	for (round = 0, pos = 0; round < 4; round++) {
		net_start(&net, NULL);
		app = app_open(&net, pair.near, &opts);
		peer = peer_open(&net, pair.far);
		app->tx_pos = peer->rx_pos = pos;
		app_send_all(app, 4 * MIB, &s);
		assert_int_equal(zcs_conn_detach(app->conn, NULL), -EBUSY);
		PUMP_UNTIL(&net, peer->rx_pos == app->tx_pos && app->out == 0);
		net_take(&net);
		app_stats(app, &st);
		assert_true(st.tx_bytes_lent > 0);
		pos = app->tx_pos;
		assert_int_equal(zcs_conn_detach(app->conn, &opts.prior_sends), pair.near);
		assert_true(opts.prior_sends > 0);
		app->conn = NULL;
		peer->fd = -1;
		net_finish(&net);
	}
	close(pair.near);
	close(pair.far);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST_ON(open__foreign_sends_in_flight, NET_V4, NET_LO),
		NET_TEST_ON(open__foreign_sends_in_flight, NET_V6, NET_LO),
		NET_TEST_ON(open__foreign_sends_in_flight, NET_MAPPED, NET_LO),
		NET_TEST_ON(open__foreign_sends_in_flight, NET_V4, NET_VETH),
		NET_TEST(open__says_adopting),
		NET_TEST_ON(open__prior_sends_given, NET_V4, NET_LO),
		NET_TEST_ON(open__prior_sends_given, NET_V6, NET_LO),
		NET_TEST_ON(open__prior_sends_given, NET_V4, NET_VETH),
		NET_TEST(open__inherited),
		NET_TEST(detach__and_open_elsewhere),
	};

	return NET_MAIN(tests);
}
