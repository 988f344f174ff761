// SPDX-License-Identifier: MIT
/* Very many notifications at once, and too little of what they cost. */
#include "net.h"

#include <sys/resource.h>

static void open_pair(struct net *net, struct app **app, struct peer **peer,
		      const struct zcs_conn_opts *opts)
{
	struct net_pair pair;

	net_pair(&pair, NET_V4, NET_LO);
	*app = app_open(net, pair.near, opts);
	*peer = peer_open(net, pair.far);
	(*app)->tx_seed = (*peer)->rx_seed = 11;
}

static const struct zcs_conn_opts pinned = { .size = sizeof(pinned),
					     .send_way = ZCS_WAY_ZEROCOPY,
					     .lent_max = ZCS_UNLIMITED,
					     .prior_sends = ZCS_NONE };

/*
 * The queue of the kernel fills, then the library's own; all of it is out at the same time. Before
 * Linux 6.8 option memory is enough for 26 notifications: the rest is copied, and its reason told.
 */
static void storm__many_outstanding(void **state)
{
	struct shape s = { .len = 40, .flags = ZCS_ZEROCOPY };
	struct zcs_stats st;
	struct peer *peer;
	struct app *app;
	struct net net;
	unsigned i;

	(void)state;
	net_start(&net, NULL);
	open_pair(&net, &app, &peer, &pinned);
	net_silence(peer->fd); /* a peer that only does not read has room for all of it on 6.1 */
	for (i = 0; i < 30000; i++)
		assert_in_range(app_send(app, &s), 0, 1);
	net_idle(&net, 10);
	app_stats(app, &st);
	assert_int_equal(st.tx_enobufs_memlock, 0);
	assert_true(st.tx_enobufs_optmem || (app->out > 1000 && !app->at_once));
	net_unsilence(peer->fd);
	PUMP_UNTIL(&net, peer->rx_pos == app->tx_pos && app->out == 0);
	assert_int_equal(app->released + app->at_once, 30000);
	net_finish(&net);
}

/* Nobody takes events or processes for long: notifications pile up in the error queue. */
static void storm__nobody_reaps(void **state)
{
	struct shape s = { .len = 5000, .flags = ZCS_ZEROCOPY };
	struct zcs_stats st;
	struct peer *peer;
	struct app *app;
	struct net net;
	unsigned i;

	(void)state;
	net_start(&net, NULL);
	open_pair(&net, &app, &peer, &pinned);
	for (i = 0; i < 20000; i++) {
		char drop[16384];

		assert_true(app_send(app, &s) >= 0);
		while (i % 100 == 0 && recv(peer->fd, drop, sizeof(drop), MSG_DONTWAIT) > 0)
			peer->rx_plain = true;
	}
	peer->rx_plain = true;
	PUMP_UNTIL(&net, app->out == 0);
	app_stats(app, &st);
	assert_int_equal(st.tx_bytes, app->tx_pos);
	assert_int_equal(st.unknown_notifications, 0);
	net_finish(&net);
}

/* Option memory for two or three notifications: works, and the statistics name it. */
static void storm__little_option_memory(void **state)
{
	struct shape s = { .len = 600 * KIB, .flags = ZCS_ZEROCOPY };
	struct zcs_stats st;
	struct peer *peer;
	struct app *app;
	struct net net;

	(void)state;
	net_socket_only();
	if (net_sysctl("core/optmem_max", "2048") < 0) {
		print_message("net.core.optmem_max is not of this namespace (before 6.8)\n");
		skip();
	}
	net_start(&net, NULL);
	open_pair(&net, &app, &peer, &pinned);
	peer->rx_paused = true;
	while (app->tx_pos < 12 * MIB)
		assert_true(app_send(app, &s) >= 0);
	net_idle(&net, 10);
	peer->rx_paused = false;
	PUMP_UNTIL(&net, peer->rx_pos == app->tx_pos && app->out == 0);
	app_stats(app, &st);
	assert_int_equal(net_sysctl("core/optmem_max", "131072"), 0);
	assert_true(st.tx_enobufs_optmem > 0);
	assert_int_equal(st.tx_enobufs_memlock, 0);
	app_says(app, "optmem");
	net_finish(&net);
}

/* None at all: not one flagged send succeeds, and nothing waits for a notification. */
static void storm__no_option_memory(void **state)
{
	struct shape s = { .len = 100 * KIB, .flags = ZCS_ZEROCOPY };
	struct zcs_stats st;
	struct peer *peer;
	struct app *app;
	struct net net;

	(void)state;
	net_socket_only();
	if (net_sysctl("core/optmem_max", "100") < 0)
		skip();
	net_start(&net, NULL);
	open_pair(&net, &app, &peer, &pinned);
	app_send_all(app, 5 * MIB, &s);
	PUMP_UNTIL(&net, peer->rx_pos == app->tx_pos && app->out == 0);
	app_stats(app, &st);
	assert_int_equal(net_sysctl("core/optmem_max", "131072"), 0);
	assert_int_equal(st.tx_bytes_lent, 0);
	assert_int_equal(st.tx_reason, ZCS_R_OPTMEM);
	app_says(app, "optmem");
	net_finish(&net);
}

/* In a child of its own: limits and identity do not come back. */
static void run_unprivileged(void)
{
	struct rlimit limit = { 64 * KIB, 64 * KIB };
	struct shape s = { .len = 1 * MIB, .flags = ZCS_ZEROCOPY };
	struct zcs_stats st;
	struct peer *peer;
	struct app *app;
	struct net net;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || !net_drop_root()) {
		print_message("cannot become an unprivileged user\n");
		_exit(77);
	}
	net_start(&net, NULL);
	open_pair(&net, &app, &peer, NULL);
	peer->rx_paused = true;
	app_send(app, &s);
	app_send(app, &s);
	peer->rx_paused = false;
	app_send_all(app, 30 * MIB, &s);
	PUMP_UNTIL(&net, peer->rx_pos == app->tx_pos && app->out == 0);
	app_stats(app, &st);
	assert_true(st.tx_enobufs_memlock > 0);
	assert_int_equal(st.tx_enobufs_optmem, 0);
	app_says(app, "lock");
	net_finish(&net);
}

static void storm__little_locked_memory(void **state)
{
	(void)state;
	net_in_child(run_unprivileged);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(storm__many_outstanding),     NET_TEST(storm__nobody_reaps),
		NET_TEST(storm__little_option_memory), NET_TEST(storm__no_option_memory),
		NET_TEST(storm__little_locked_memory),
	};

	return NET_MAIN(tests);
}
