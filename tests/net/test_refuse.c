// SPDX-License-Identifier: MIT
/* Sockets whose kernel refuses zero copy: the same interface, by copying, and the reason. */
#include "net.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

static void converse(int near, int far, enum zcs_reason tx_reason)
{
	static const uint32_t flags[] = { 0, ZCS_ZEROCOPY, ZCS_COPY, ZCS_MORE };
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .trust = ZCS_TRUST_PEER,
				      .recv_way = ZCS_WAY_ZEROCOPY };
	struct zcs_stats st;
	struct peer *peer;
	struct app *app;
	struct net net;
	int i;

	net_start(&net, NULL);
	app = app_open(&net, near, &opts);
	peer = peer_open(&net, far);
	app->tx_seed = peer->rx_seed = 1;
	app->rx_seed = peer->tx_seed = 2;
	peer->rx_paused = true;
	for (i = 0; i < 40; i++) {
		app_send_all(app, 300000,
			     &(struct shape){ .len = 299990, .head = 10, .flags = flags[i % 4] });
		peer->rx_paused = i < 3;
	}
	assert_int_equal(zcs_conn_flush(app->conn), 0);
	peer_send(peer, 5 * MIB);
	PUMP_UNTIL(&net, peer->rx_pos == app->tx_pos && app->out == 0 && app->rx_pos == 5 * MIB);
	app_stats(app, &st);
	assert_int_equal(st.tx_bytes_lent, 0);
	assert_int_equal(st.rx_bytes_mapped, 0);
	if (tx_reason)
		assert_int_equal(st.tx_reason, tx_reason);
	app_says(app, "copied");
	assert_false(app->how & ZCS_LENT);
	zcs_conn_close(app->conn);
	PUMP_UNTIL(&net, peer->rx_eof);
	close(peer->fd);
	peer->fd = -1;
	PUMP_UNTIL(&net, app->closed);
	assert_int_equal(app->closed_status, 0);
	assert_int_equal(app->condemned, 0);
	net_finish(&net);
}

static void unix__stream(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	converse(fds[0], fds[1], ZCS_R_NO_SO_ZEROCOPY);
}

/* Half-close and a peer that vanishes, where there is no TCP to tell of it. */
static void unix__ends(void **state)
{
	struct peer *peer;
	struct app *app;
	struct net net;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	net_start(&net, NULL);
	app = app_open(&net, fds[0], NULL);
	peer = peer_open(&net, fds[1]);
	app->tx_seed = peer->rx_seed = 1;
	app->rx_seed = peer->tx_seed = 2;
	app_send_all(app, 1 * MIB, &(struct shape){ .len = 1 * MIB });
	assert_int_equal(zcs_conn_shutdown(app->conn), 0);
	PUMP_UNTIL(&net, peer->rx_eof && app->out == 0);
	assert_int_equal(peer->rx_pos, 1 * MIB);
	peer->tx_shut = true;
	peer_send(peer, 100000);
	PUMP_UNTIL(&net, app->rx_eof);
	assert_int_equal(app->rx_pos, 100000);
	zcs_conn_close(app->conn);
	PUMP_UNTIL(&net, app->closed);
	net_finish(&net);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	net_start(&net, NULL);
	app = app_open(&net, fds[0], NULL);
	assert_int_equal(app_send(app, &(struct shape){ .len = 8 * MIB }), 0);
	close(fds[1]);
	PUMP_UNTIL(&net, app->errors && app->out == 0);
	assert_true(app->status == -EPIPE || app->status == -ECONNRESET);
	net_finish(&net);
}

static void unix__wrong_types(void **state)
{
	struct zcs_conn *conn;
	struct net net;
	int fds[2];

	(void)state;
	net_start(&net, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	assert_int_equal(zcs_conn_open(net.ctx, fds[0], NULL, &conn), -EOPNOTSUPP);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	assert_int_equal(zcs_conn_open(net.ctx, fds[0], NULL, &conn), -EOPNOTSUPP);
	close(fds[0]);
	close(fds[1]);
	net_finish(&net);
}

static void mptcp__pair(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	socklen_t len = sizeof(to);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP), near, far;

	(void)state;
	if (listener < 0) {
		print_message("no MPTCP: %s\n", strerror(errno));
		skip();
	}
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&to, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&to, &len), 0);
	near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	assert_int_equal(connect(near, (struct sockaddr *)&to, len), 0);
	far = accept(listener, NULL, NULL);
	close(listener);
	converse(near, far, ZCS_R_NONE); /* which of two, depends on the kernel */
}

/* A protocol on top of TCP, before any key is set: its data must not be lent nor mapped. */
static void ulp__kernel_tls(void **state)
{
	struct net_pair pair;

	(void)state;
	net_pair(&pair, NET_V4, NET_LO);
	if (setsockopt(pair.near, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0) {
		print_message("no kernel TLS: %s\n", strerror(errno));
		close(pair.near);
		close(pair.far);
		skip();
	}
	converse(pair.near, pair.far, ZCS_R_ULP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(unix__stream), NET_TEST(unix__ends),	   NET_TEST(unix__wrong_types),
		NET_TEST(mptcp__pair),	NET_TEST(ulp__kernel_tls),
	};

	return NET_MAIN(tests);
}
