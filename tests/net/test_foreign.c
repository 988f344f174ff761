// SPDX-License-Identifier: MIT
/* Error-queue messages that are not the library's: handed on, and loans still come back. */
#include "net.h"

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>

#define STAMP_MIN 1577836800000000000 /* the year 2020, in nanoseconds */

static struct {
	unsigned nr, stamps, payload;
	void *user;
} seen;

static void on_foreign(void *user, const struct msghdr *msg, size_t payload_len)
{
	struct cmsghdr *cm;

	seen.nr++;
	seen.user = user;
	seen.payload += payload_len > 0;
	assert_true(payload_len == 0 || msg->msg_iovlen >= 1);
	for (cm = CMSG_FIRSTHDR(msg); cm; cm = CMSG_NXTHDR((struct msghdr *)msg, cm))
		seen.stamps += cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_TIMESTAMPING;
}

static void run(const struct net_where *w, int stamp_flags, zcs_foreign_fn *fn)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .foreign = fn };
	struct shape s = { .len = 100 * KIB, .flags = ZCS_ZEROCOPY };
	struct zcs_stats st;
	struct net_pair pair;
	struct peer *peer;
	struct app *app;
	struct net net;

	memset(&seen, 0, sizeof(seen));
	net_start(&net, NULL);
	net_pair(&pair, w->family, w->path);
	net_set(pair.near, SOL_SOCKET, SO_TIMESTAMPING, stamp_flags);
	app = app_open(&net, pair.near, &opts);
	peer = peer_open(&net, pair.far);
	app->tx_seed = peer->rx_seed = 81;
	app_send_all(app, 10 * MIB, &s);
	s.flags = ZCS_COPY;
	app_send_all(app, 1 * MIB, &s);
	PUMP_UNTIL(&net, peer->rx_pos == app->tx_pos && app->out == 0);
	app_stats(app, &st);
	assert_true(st.tx_bytes_lent > 0);
	if (fn) {
		PUMP_UNTIL(&net, seen.stamps > 0);
		assert_ptr_equal(seen.user, app);
		app_stats(app, &st);
		assert_int_equal(st.foreign_dropped, 0);
	} else {
		PUMP_UNTIL(&net, (app_stats(app, &st), st.foreign_dropped) > 0);
		assert_int_equal(seen.nr, 0);
	}
	assert_int_equal(st.unknown_notifications, 0);
	net_finish(&net);
}

#define STAMPS                                                                                     \
	(SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE |      \
	 SOF_TIMESTAMPING_OPT_ID)

static void foreign__stamps_with_packets(void **state)
{
	run(*state, STAMPS, on_foreign);
	assert_true(seen.payload > 0);
}

static void foreign__stamps_only(void **state)
{
	run(*state, STAMPS | SOF_TIMESTAMPING_OPT_TSONLY, on_foreign);
}

static void foreign__nobody_asked(void **state)
{
	run(*state, STAMPS, NULL);
}

/* Receive time stamps come with the spans. */
static void recv__time_stamps(void **state)
{
	const struct net_where *w = *state;
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .trust = ZCS_TRUST_PEER,
				      .recv_way = ZCS_WAY_ZEROCOPY };
	struct net_pair pair;
	struct peer *peer;
	struct app *app;
	struct net net;
	size_t i, stamped;

	net_lo_mtu(MTU_MAPS);
	net_start(&net, NULL);
	net_pair(&pair, w->family, w->path);
	net_set(pair.near, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	net_set(pair.far, SOL_SOCKET, SO_ZEROCOPY, 1);
	app = app_open(&net, pair.near, &opts);
	peer = peer_open(&net, pair.far);
	peer->tx_flags = MSG_ZEROCOPY;
	peer->tx_seed = app->rx_seed = 82;
	app->rx_hold = true;
	/* The kernel starts to stamp a moment after the first socket asks for it. */
	do {
		app_release_held(app);
		app->rx_mapped = 0;
		peer_send(peer, 1 * MIB);
		PUMP_UNTIL(&net, app->rx_pos == peer->tx_pos);
		for (i = stamped = 0; i < app->nr_held; i++) {
			stamped += app->held[i].rx_time_ns > STAMP_MIN;
			assert_true(!app->held[i].rx_time_ns ||
				    app->held[i].rx_time_ns > STAMP_MIN);
		}
	} while (stamped < app->nr_held && net_now_ms() < net.deadline);
	assert_int_equal(stamped, app->nr_held);
	assert_true(app->rx_mapped > 0);
	net_finish(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST_ON(foreign__stamps_with_packets, NET_V4, NET_LO),
		NET_TEST_ON(foreign__stamps_with_packets, NET_V6, NET_LO),
		NET_TEST_ON(foreign__stamps_with_packets, NET_MAPPED, NET_LO),
		NET_TEST_ON(foreign__stamps_with_packets, NET_V4, NET_VETH),
		NET_TEST_ON(foreign__stamps_only, NET_V4, NET_LO),
		NET_TEST_ON(foreign__stamps_only, NET_V6, NET_LO),
		NET_TEST_ON(foreign__nobody_asked, NET_V4, NET_LO),
		NET_TEST_ON(recv__time_stamps, NET_V4, NET_LO),
	};

	return NET_MAIN(tests);
}
