// SPDX-License-Identifier: MIT
/* Sockets whose kernel refuses zero copy: the same interface, by copying, and the reason. */
#include "net.h"

#include <linux/tls.h>
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
	struct zcs_stats st;
	struct talk t;

	talk_open(&t, NULL, near, far);
	talk(&t);
	app_stats(t.app, &st);
	assert_int_equal(st.tx_bytes_lent, 0);
	assert_int_equal(st.rx_bytes_mapped, 0);
	if (tx_reason)
		assert_int_equal(st.tx_reason, tx_reason);
	app_says(t.app, "copied");
	assert_false(t.app->how & ZCS_LENT);
	talk_end(&t);
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

/* --- kernel TLS --- */

static bool tls_ulp(const struct net_pair *p)
{
	return setsockopt(p->near, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0 &&
	       setsockopt(p->far, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0;
}

static void skip_without_tls(void)
{
	struct net_pair pair;
	bool there;

	net_pair(&pair, NET_V4, NET_LO);
	there = tls_ulp(&pair);
	close(pair.near);
	close(pair.far);
	if (!there) {
		print_message("no kernel TLS: %s\n", strerror(errno));
		skip();
	}
}

/* The same key for both ways of both ends; nothing is secret here. */
static void tls_keys(const struct net_pair *p)
{
	const struct tls12_crypto_info_aes_gcm_128 key = {
		.info = { TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128 },
		.key = "zcsock",
	};
	const int ends[] = { p->near, p->far };
	int i;

	for (i = 0; i < 2; i++) {
		assert_int_equal(setsockopt(ends[i], SOL_TLS, TLS_TX, &key, sizeof(key)), 0);
		assert_int_equal(setsockopt(ends[i], SOL_TLS, TLS_RX, &key, sizeof(key)), 0);
	}
}

/* A protocol on top of TCP, before any key is set: its data must not be lent nor mapped. */
static void tls__no_keys_yet(void **state)
{
	struct net_pair pair;

	(void)state;
	skip_without_tls();
	net_pair(&pair, NET_V4, NET_LO);
	assert_true(tls_ulp(&pair));
	converse(pair.near, pair.far, ZCS_R_ULP);
}

static void tls__in_use(void **state)
{
	struct net_pair pair;

	(void)state;
	skip_without_tls();
	net_pair(&pair, NET_V4, NET_LO);
	assert_true(tls_ulp(&pair));
	tls_keys(&pair);
	converse(pair.near, pair.far, ZCS_R_ULP);
}

/* The library has the socket, lends from it and maps from it, when kernel TLS is switched on. */
static void tls__switched_on_later(void **state)
{
	struct zcs_stats before, after;
	struct net_pair pair;
	struct talk t;

	(void)state;
	skip_without_tls();
	net_lo_mtu(MTU_MAPS);
	net_pair(&pair, NET_V4, NET_LO);
	net_set(pair.far, SOL_SOCKET, SO_ZEROCOPY, 1);
	talk_open(&t, NULL, pair.near, pair.far);
	t.peer->tx_flags = MSG_ZEROCOPY;
	talk(&t);
	app_stats(t.app, &before);
	assert_true(before.tx_bytes_lent > 0);
	assert_true(before.rx_bytes_mapped > 0);

	assert_true(tls_ulp(&pair));
	tls_keys(&pair);
	t.peer->tx_flags = 0;
	talk(&t);
	app_stats(t.app, &after);
	assert_int_equal(after.rx_bytes_mapped, before.rx_bytes_mapped);
	assert_int_equal(after.tx_bytes_lent, before.tx_bytes_lent);
	assert_int_equal(after.tx_reason, ZCS_R_ULP);
	assert_int_equal(after.rx_reason, ZCS_R_ULP);
	app_says(t.app, "kernel TLS");

	/* what was not read when it closes takes nothing away of what it sends */
	t.app->rx_manual = true;
	peer_send(t.peer, 300000);
	app_send_all(t.app, 2 * MIB, &(struct shape){ .len = 1 * MIB });
	assert_int_equal(zcs_conn_flush(t.app->conn), 0);
	net_idle(&t.net, 20);
	talk_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(unix__stream),		  NET_TEST(unix__ends),
		NET_TEST(unix__wrong_types),	  NET_TEST(mptcp__pair),
		NET_TEST(tls__no_keys_yet),	  NET_TEST(tls__in_use),
		NET_TEST(tls__switched_on_later),
	};

	return NET_MAIN(tests);
}
