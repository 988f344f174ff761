// SPDX-License-Identifier: MIT
/*
 * The low-water mark: waking up for large pieces only must never mean not waking up. After a part
 * was taken the rest may lie below the mark for ever.
 */
#include "net.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/wait.h>

#define PIECE (64 * KIB)

/* The far end, in a process of its own so that both sides really run at once. */
static void ping(int fd, unsigned rounds, bool lend)
{
	static char out[2][PIECE], in[PIECE];
	unsigned i;

	net_nonblock(fd, false);
	if (lend)
		net_set(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
	for (i = 0; i < rounds; i++) {
		char drop[256];
		struct msghdr msg = { .msg_control = drop, .msg_controllen = sizeof(drop) };
		size_t at = 0;

		stream_fill(31, i * PIECE, out[i % 2], PIECE);
		while (at < PIECE) {
			ssize_t n = send(fd, out[i % 2] + at, PIECE - at, lend ? MSG_ZEROCOPY : 0);

			if (n <= 0)
				_exit(2);
			at += n;
		}
		if (recv(fd, in, PIECE, MSG_WAITALL) != (ssize_t)PIECE)
			_exit(3);
		if (stream_check(32, i * PIECE, in, PIECE) != PIECE)
			_exit(4);
		/* The answer acknowledges what it answers: the buffers are free. */
		while (lend && recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
			msg.msg_controllen = sizeof(drop);
	}
	_exit(0);
}

static void ping_pong(unsigned mtu, unsigned rounds, bool lend, enum net_family family)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .trust = ZCS_TRUST_PEER,
				      .recv_way = ZCS_WAY_ZEROCOPY };
	struct shape s = { .len = PIECE, .flags = ZCS_COPY };
	struct net_pair pair;
	struct net net;
	struct app *app;
	unsigned i;
	int status;
	pid_t pid;

	net_lo_mtu(mtu);
	net_pair(&pair, family, NET_LO);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		ping(pair.far, rounds, lend);
	close(pair.far);
	net_start(&net, NULL);
	app = app_open(&net, pair.near, &opts);
	app->rx_seed = 31;
	app->tx_seed = 32;
	for (i = 1; i <= rounds; i++) {
		assert_int_equal(zcs_conn_expect(app->conn, PIECE), 0);
		PUMP_UNTIL(&net, app->rx_pos == i * PIECE);
		app_send_all(app, PIECE, &s);
	}
	assert_int_equal(zcs_conn_flush(app->conn), 0); /* nobody turns the loop any more */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	if (lend && mtu == MTU_MAPS)
		assert_true(app->rx_mapped > 0);
	net_finish(&net);
}

static void expect__ping_pong_at_default_mtu(void **state)
{
	(void)state;
	ping_pong(MTU_LO, tries(3000), true, NET_V4);
}

static void expect__ping_pong_in_whole_pages(void **state)
{
	(void)state;
	ping_pong(MTU_MAPS, tries(3000), true, NET_V4);
}

static void expect__ping_pong_copied(void **state)
{
	(void)state;
	ping_pong(MTU_LO, tries(3000), false, NET_V6);
}

/* It does keep small pieces from waking us up. */
static void expect__wakes_for_large_pieces_only(void **state)
{
	struct net_pair pair;
	struct peer *peer;
	struct app *app;
	struct net net;
	unsigned before;
	int i;

	(void)state;
	net_start(&net, NULL);
	net_pair(&pair, NET_V4, NET_LO);
	app = app_open(&net, pair.near, NULL);
	peer = peer_open(&net, pair.far);
	app->rx_seed = peer->tx_seed = 8;
	peer_send(peer, 10);
	PUMP_UNTIL(&net, app->rx_pos == 10);
	assert_int_equal(zcs_conn_expect(app->conn, 100000), 0);
	before = app->readable;
	for (i = 0; i < 50; i++) {
		peer_send(peer, 1000);
		PUMP_UNTIL(&net, peer->tx_at == peer->tx_len);
		net_idle(&net, 1);
	}
	assert_int_equal(app->readable, before);
	peer_send(peer, 50000);
	PUMP_UNTIL(&net, app->rx_pos == 100010);
	assert_in_range(app->readable - before, 1, 10);
	/* They are in: it ended by itself. */
	peer_send(peer, 1);
	PUMP_UNTIL(&net, app->rx_pos == 100011);
	/* And it can be taken back. */
	assert_int_equal(zcs_conn_expect(app->conn, 100000), 0);
	peer_send(peer, 1);
	net_idle(&net, 5);
	assert_int_equal(zcs_conn_expect(app->conn, 0), 0);
	PUMP_UNTIL(&net, app->rx_pos == 100012);
	net_finish(&net);
}

/* Less than was expected, then the end: that is not waited for either. */
static void expect__end_of_stream_below_it(void **state)
{
	struct net_pair pair;
	struct peer *peer;
	struct app *app;
	struct net net;

	(void)state;
	net_start(&net, NULL);
	net_pair(&pair, NET_V4, NET_LO);
	app = app_open(&net, pair.near, NULL);
	peer = peer_open(&net, pair.far);
	app->rx_seed = peer->tx_seed = 8;
	assert_int_equal(zcs_conn_expect(app->conn, 100 * MIB), 0);
	peer_send(peer, 20000);
	peer->tx_shut = true;
	PUMP_UNTIL(&net, app->rx_eof);
	assert_int_equal(app->rx_pos, 20000);
	net_finish(&net);
}

/* More than the receive buffer can ever hold. */
static void expect__more_than_fits(void **state)
{
	struct net_pair pair;
	struct peer *peer;
	struct app *app;
	struct net net;

	(void)state;
	net_start(&net, NULL);
	net_pair(&pair, NET_V4, NET_LO);
	net_set(pair.near, SOL_SOCKET, SO_RCVBUF, 65536);
	app = app_open(&net, pair.near, NULL);
	peer = peer_open(&net, pair.far);
	app->rx_seed = peer->tx_seed = 8;
	assert_int_equal(zcs_conn_expect(app->conn, 40 * MIB), 0);
	peer_send(peer, 40 * MIB);
	PUMP_UNTIL(&net, app->rx_pos == 40 * MIB);
	net_finish(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(expect__ping_pong_at_default_mtu),
		NET_TEST(expect__ping_pong_in_whole_pages),
		NET_TEST(expect__ping_pong_copied),
		NET_TEST(expect__wakes_for_large_pieces_only),
		NET_TEST(expect__end_of_stream_below_it),
		NET_TEST(expect__more_than_fits),
	};

	return NET_MAIN(tests);
}
