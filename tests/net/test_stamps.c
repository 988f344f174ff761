// SPDX-License-Identifier: MIT
/*
 * Receive time stamps that are asked for when the connection is open already: they show after
 * zcs_conn_limits, on spans of either kind, however the socket was asked.
 */
#include "net.h"

#include <linux/net_tstamp.h>
#include <time.h>

#define STAMP_MIN 1577836800000000000 /* the year 2020, in nanoseconds */
#define PIECE	  (64 * KIB)
#define TRIES	  100

struct bed {
	struct net net;
	struct app *app;
	struct peer *peer;
};

static void bed_make(struct bed *b, enum zcs_way way, enum net_family family)
{
	struct zcs_conn_opts o = { .size = sizeof(o), .trust = ZCS_TRUST_PEER, .recv_way = way };
	struct net_pair pair;

	net_lo_mtu(way == ZCS_WAY_ZEROCOPY ? MTU_MAPS : MTU_LO);
	net_start(&b->net, NULL);
	net_pair(&pair, family, NET_LO);
	b->app = app_open(&b->net, pair.near, &o);
	b->peer = peer_open(&b->net, pair.far);
	if (way == ZCS_WAY_ZEROCOPY) {
		net_set(pair.far, SOL_SOCKET, SO_ZEROCOPY, 1);
		b->peer->tx_flags = MSG_ZEROCOPY;
	}
	b->app->rx_seed = b->peer->tx_seed = 5;
	b->app->rx_hold = true;
}

/* One piece more; how many of its spans have a stamp, checked, of how many. */
static size_t receive_piece(struct bed *b, size_t *nr_out, size_t *mapped_out)
{
	int64_t now = (int64_t)time(NULL) * 1000000000;
	uint64_t until = b->app->rx_pos + PIECE;
	size_t stamped = 0;

	peer_send(b->peer, PIECE);
	PUMP_UNTIL(&b->net, b->app->rx_pos == until);
	*nr_out = b->app->nr_held;
	for (size_t i = 0; i < b->app->nr_held; i++) {
		const struct zcs_span *s = &b->app->held[i];

		*mapped_out += s->flags & ZCS_SPAN_MAPPED ? 1 : 0;
		if (!s->rx_time_ns)
			continue;
		assert_true(s->rx_time_ns > STAMP_MIN);
		assert_true(s->rx_time_ns < now + 60 * 1000000000ll);
		stamped++;
	}
	app_check_held(b->app);
	app_release_held(b->app);
	return stamped;
}

/* Until all spans of a piece have one: the kernel begins a moment after it was asked. */
static size_t receive_stamped(struct bed *b)
{
	size_t nr = 0, mapped = 0;

	for (int i = 0; i < TRIES; i++) {
		if (receive_piece(b, &nr, &mapped) == nr)
			return mapped;
		net_idle(&b->net, 10);
	}
	fail_msg("spans without a time stamp");
	return 0;
}

static void receive_unstamped(struct bed *b, int pieces)
{
	size_t nr, mapped = 0;

	for (int i = 0; i < pieces; i++)
		assert_int_equal(receive_piece(b, &nr, &mapped), 0);
}

static void asked_later(enum zcs_way way, enum net_family family, int name, int value)
{
	size_t mapped = 0;
	struct bed b;

	bed_make(&b, way, family);
	receive_unstamped(&b, 3);
	net_set(b.app->fd, SOL_SOCKET, name, value);
	assert_int_equal(zcs_conn_limits(b.app->conn, NULL), 0);
	for (int i = 0; i < 10; i++)
		mapped += receive_stamped(&b);
	if (way == ZCS_WAY_ZEROCOPY)
		assert_true(mapped > 0);
	else
		assert_int_equal(mapped, 0);
	net_finish(&b.net);
}

#define STAMPING (SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE)

static void copied__timestampns(void **state)
{
	(void)state;
	asked_later(ZCS_WAY_COPY, NET_V4, SO_TIMESTAMPNS, 1);
}

static void copied__timestamp(void **state)
{
	(void)state;
	asked_later(ZCS_WAY_COPY, NET_V6, SO_TIMESTAMP, 1);
}

static void copied__timestamping(void **state)
{
	(void)state;
	asked_later(ZCS_WAY_COPY, NET_V4, SO_TIMESTAMPING, STAMPING);
}

static void mapped__timestampns(void **state)
{
	(void)state;
	asked_later(ZCS_WAY_ZEROCOPY, NET_V4, SO_TIMESTAMPNS, 1);
}

static void mapped__timestamping(void **state)
{
	(void)state;
	asked_later(ZCS_WAY_ZEROCOPY, NET_V4, SO_TIMESTAMPING, STAMPING);
}

/* Off again: the next look finds that, and limits are as they were. */
static void off_again(void **state)
{
	struct zcs_conn_opts o = { .size = sizeof(o), .borrowed_max = 4 * MIB };
	struct bed b;

	(void)state;
	bed_make(&b, ZCS_WAY_COPY, NET_V4);
	net_set(b.app->fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	assert_int_equal(zcs_conn_limits(b.app->conn, &o), 0);
	receive_stamped(&b);
	net_set(b.app->fd, SOL_SOCKET, SO_TIMESTAMPNS, 0);
	assert_int_equal(zcs_conn_limits(b.app->conn, NULL), 0);
	receive_unstamped(&b, 5);
	net_finish(&b.net);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		NET_TEST(copied__timestampns),	NET_TEST(copied__timestamp),
		NET_TEST(copied__timestamping), NET_TEST(mapped__timestampns),
		NET_TEST(mapped__timestamping), NET_TEST(off_again),
	};

	return NET_MAIN(tests);
}
