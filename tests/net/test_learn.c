// SPDX-License-Identifier: MIT
/*
 * Paths on which the kernel copies what is lent: over loopback, and over a veth pair to a socket
 * behind it. (Before Linux 6.17 to nobody behind it, too.) Lending costs more than it saves there.
 */
#include "net.h"

static const struct shape piece = { .len = 64 * KIB };

static bool has_learned(struct app *a)
{
	struct zcs_policy p = { .size = sizeof(p) };

	assert_int_equal(zcs_conn_policy(a->conn, &p), 0);
	return p.kernel_copies;
}

static void learn__kernel_copies(void **state)
{
	const struct net_where *w = *state;
	struct zcs_stats before, after;
	struct net_pair pair;
	struct peer *peer;
	struct app *app;
	struct net net;

	net_start(&net, NULL);
	net_pair(&pair, w->family, w->path);
	app = app_open(&net, pair.near, NULL);
	peer = peer_open(&net, pair.far);
	app->tx_seed = peer->rx_seed = 1;
	while (!has_learned(app))
		app_send_all(app, 1 * MIB, &piece);
	PUMP_UNTIL(&net, app->out == 0);
	app_stats(app, &before);
	assert_true(before.tx_bytes_lent > 0); /* or it could not know */
	app_send_all(app, 20 * MIB, &piece);
	PUMP_UNTIL(&net, peer->rx_pos == app->tx_pos && app->out == 0);
	app_stats(app, &after);
	assert_true(after.tx_bytes_lent - before.tx_bytes_lent < 2 * MIB);
	assert_true(after.tx_reason == ZCS_R_KERNEL_COPIES ||
		    after.tx_reason == ZCS_R_LOCAL_DELIVERY);
	app_says(app, "the kernel copies what is lent to this peer");
	net_finish(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST_ON(learn__kernel_copies, NET_V4, NET_LO),
		NET_TEST_ON(learn__kernel_copies, NET_V6, NET_VETH),
	};

	return NET_MAIN(tests);
}
