// SPDX-License-Identifier: MIT
/* A conversation: the same for every kind of socket, and for every process that may do less. */
#include "net.h"

void talk_open(struct talk *t, const struct zcs_ctx_opts *ctx_opts, int near, int far)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .trust = ZCS_TRUST_PEER,
				      .recv_way = ZCS_WAY_ZEROCOPY };

	net_start(&t->net, ctx_opts);
	t->app = app_open(&t->net, near, &opts);
	t->peer = peer_open(&t->net, far);
	t->app->tx_seed = t->peer->rx_seed = 1;
	t->app->rx_seed = t->peer->tx_seed = 2;
}

void talk_end(struct talk *t)
{
	zcs_conn_close(t->app->conn);
	PUMP_UNTIL(&t->net, t->peer->rx_eof);
	assert_int_equal(t->peer->rx_pos, t->app->tx_pos);
	close(t->peer->fd);
	t->peer->fd = -1;
	PUMP_UNTIL(&t->net, t->app->closed);
	assert_int_equal(t->app->closed_status, 0);
	assert_int_equal(t->app->condemned, 0);
	net_finish(&t->net);
}

void talk(struct talk *t)
{
	static const uint32_t flags[] = { 0, ZCS_ZEROCOPY, ZCS_COPY, ZCS_MORE };
	uint64_t in = t->app->rx_pos + 5 * MIB;
	int i;

	t->peer->rx_paused = true;
	for (i = 0; i < 40; i++) {
		app_send_all(t->app, 300000,
			     &(struct shape){ .len = 299990, .head = 10, .flags = flags[i % 4] });
		t->peer->rx_paused = i < 3;
	}
	assert_int_equal(zcs_conn_flush(t->app->conn), 0);
	peer_send(t->peer, 5 * MIB);
	PUMP_UNTIL(&t->net,
		   t->peer->rx_pos == t->app->tx_pos && t->app->out == 0 && t->app->rx_pos == in);
}
