// SPDX-License-Identifier: MIT
/*
 * A read that ends inside a page. The kernel's hint is then to copy the rest of the packet,
 * although to copy the rest of that page is enough to map again.
 */
#include "net.h"

/* The bytes of one call, released at once; -errno. */
static int take(struct app *app, size_t max)
{
	struct zcs_span spans[16];
	int nr = zcs_conn_recv(app->conn, spans, 16, max), len = 0;

	for (int i = 0; i < nr; i++) {
		assert_int_equal(
			stream_check(app->rx_seed, app->rx_pos, spans[i].base, spans[i].len),
			spans[i].len);
		app->rx_pos += spans[i].len;
		len += (int)spans[i].len;
	}
	if (nr > 0)
		zcs_span_release(app->net->ctx, spans, nr);
	return nr > 0 ? len : nr;
}

/* 100 bytes by copy of a packet of 14 pages: those behind the first can still be mapped. */
static void recv__maps_again_behind_the_page(void **state)
{
	struct zcs_conn_opts o = { .size = sizeof(o),
				   .trust = ZCS_TRUST_PEER,
				   .recv_way = ZCS_WAY_ZEROCOPY };
	struct zcs_stats st = { .size = sizeof(st) };
	struct net_pair p;
	struct peer *peer;
	struct app *app;
	struct net n;

	(void)state;
	net_lo_mtu(MTU_MAPS);
	net_start(&n, NULL);
	net_pair(&p, NET_V4, NET_LO);
	net_set(p.far, SOL_SOCKET, SO_ZEROCOPY, 1);
	app = app_open(&n, p.near, &o);
	app->rx_manual = true;
	peer = peer_open(&n, p.far);
	peer->tx_flags = MSG_ZEROCOPY;
	peer_send(peer, 14 * 4096);
	PUMP_UNTIL(&n, net_queued(p.near) == 14 * 4096);

	/* One page mapped, so that the position in a page is known, and one copied. */
	assert_int_equal(take(app, 2 * 4096), 2 * 4096);
	assert_int_equal(take(app, 100), 100);
	while (take(app, 0) > 0)
		;
	assert_int_equal(app->rx_pos, 14 * 4096);
	app_stats(app, &st);
	/*
	 * The first, and all behind the one with the 100 bytes, but for the page that two packets
	 * share: the window of a new connection cuts the first one at 7.5 pages.
	 */
	assert_true(st.rx_bytes_mapped >= 11 * 4096);
	net_finish(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(recv__maps_again_behind_the_page),
	};

	return NET_MAIN(tests);
}
