// SPDX-License-Identifier: MIT
/*
 * Datagrams that are lent as to a card: nothing on the way to the partner's sink copies them. What
 * is given back is scribbled over, and the partner tells whether it was too early.
 *
 * One can be held: to an address that nobody answers for it waits in the neighbour's queue, below
 * the socket, until the neighbour is made known. Meanwhile others pass it.
 */
#include "bed.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <netlink/route/neighbour.h>

#define ASIDE4 "198.18.0.9"
#define ASIDE6 "2001:2::9"

struct udp {
	struct net net;
	struct app *app;
	enum net_family family;
	struct sockaddr_storage sink, aside;
	socklen_t len;
};

static const struct zcs_conn_opts lent = { .size = sizeof(lent), .send_way = ZCS_WAY_ZEROCOPY };

/* Nobody gives up on an address that is asked for, and what waits for one has room. */
static void be_patient(void)
{
	assert_int_equal(net_sysctl("ipv4/neigh/near0/mcast_solicit", "1000"), 0);
	assert_int_equal(net_sysctl("ipv6/neigh/near0/mcast_solicit", "1000"), 0);
	assert_int_equal(net_sysctl("ipv4/neigh/near0/unres_qlen_bytes", "8000000"), 0);
	assert_int_equal(net_sysctl("ipv6/neigh/near0/unres_qlen_bytes", "8000000"), 0);
}

static void addresses(struct udp *u)
{
	far_address(u->family, LAB_PORT_SINK, &u->sink, &u->len);
	u->aside = u->sink;
	if (u->family == NET_V6)
		inet_pton(AF_INET6, ASIDE6, &((struct sockaddr_in6 *)&u->aside)->sin6_addr);
	else if (u->family == NET_MAPPED)
		inet_pton(AF_INET6, "::ffff:" ASIDE4,
			  &((struct sockaddr_in6 *)&u->aside)->sin6_addr);
	else
		inet_pton(AF_INET, ASIDE4, &((struct sockaddr_in *)&u->aside)->sin_addr);
}

static void udp_open(struct udp *u, enum net_family family, const struct zcs_conn_opts *opts)
{
	int fd, room = 16 << 20;

	memset(u, 0, sizeof(*u));
	FAR_START("mtu 1500", "verify");
	far_needs_uncopied();
	be_patient();
	u->family = family;
	addresses(u);
	fd = socket(u->sink.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)), 0);
	net_start(&u->net, NULL);
	u->app = app_open(&u->net, fd, opts);
}

/* The address is the partner's from now on: what waited for it goes there. */
static void let_go(const struct udp *u)
{
	struct nl_addr *ll = nl_addr_build(AF_LLC, (void *)(uintptr_t)lab_far_mac, 6), *to = NULL;
	struct rtnl_neigh *neigh = rtnl_neigh_alloc();
	struct nl_sock *nl = nl_socket_alloc();

	assert_int_equal(nl_addr_parse(u->family == NET_V6 ? ASIDE6 : ASIDE4, AF_UNSPEC, &to), 0);
	assert_int_equal(nl_connect(nl, NETLINK_ROUTE), 0);
	rtnl_neigh_set_ifindex(neigh, (int)if_nametoindex(LAB_NEAR_DEVICE));
	rtnl_neigh_set_state(neigh, NUD_PERMANENT);
	rtnl_neigh_set_lladdr(neigh, ll);
	assert_int_equal(rtnl_neigh_set_dst(neigh, to), 0);
	assert_int_equal(rtnl_neigh_add(nl, neigh, NLM_F_CREATE | NLM_F_REPLACE), 0);
	nl_addr_put(to);
	nl_addr_put(ll);
	rtnl_neigh_put(neigh);
	nl_socket_free(nl);
}

static void fire(struct udp *u, const struct sockaddr_storage *to, struct shape s)
{
	s.dest = to;
	s.dest_len = u->len;
	assert_int_equal(app_send(u->app, &s), 0);
}

/* So many bytes came, and were right; none came twice. */
static void all_right(uint64_t bytes)
{
	FAR_UNTIL(far_stat("verified") + far_stat("wrong") >= bytes);
	assert_int_equal(far_stat("wrong"), 0);
	assert_int_equal(far_stat("verified"), bytes);
	assert_int_equal(far_stat("udp_bytes"), bytes);
	assert_int_equal(far_stat("overflow"), 0);
}

/* All came back, and nothing was copied. */
static void udp_close(struct udp *u)
{
	struct zcs_stats st;

	PUMP_UNTIL(&u->net, u->app->out == 0);
	app_stats(u->app, &st);
	assert_int_equal(u->app->how, ZCS_LENT);
	assert_int_equal(st.tx_bytes, u->app->tx_pos);
	assert_int_equal(st.tx_bytes_lent, st.tx_bytes);
	assert_int_equal(st.tx_bytes_uncopied, st.tx_bytes);
	assert_int_equal(st.unknown_notifications, 0);
	all_right(st.tx_bytes);
	zcs_conn_close(u->app->conn);
	PUMP_UNTIL(&u->net, u->app->closed);
	assert_int_equal(u->app->closed_status, 0);
	assert_int_equal(u->app->condemned, 0);
	assert_int_equal(u->app->released_status, 0);
	net_finish(&u->net);
}

/* A datagram that fits the MTU, or a train of those; of few pieces. */
static struct shape any_shape(uint64_t *r)
{
	struct shape s = { .nr_iov = 1 + net_random(r) % 4, .misalign = net_random(r) % 4096 };

	s.segment = net_random(r) % 2 ? 100 + net_random(r) % 1300 : 0;
	s.len = 64 + net_random(r) % (s.segment ? 60000 : 1300);
	s.flags = net_random(r) % 3 ? ZCS_MORE : 0;
	return s;
}

static void lent__is_not_copied(void **state)
{
	uint64_t r = 3;
	struct udp u;

	udp_open(&u, FAMILY(state), &lent);
	for (int i = 0; i < 500; i++) {
		fire(&u, &u.sink, any_shape(&r));
		if (u.app->out > 100)
			net_take(&u.net);
		PUMP_UNTIL(&u.net, u.app->out < 200);
	}
	assert_int_equal(zcs_conn_flush(u.app->conn), 0);
	udp_close(&u);
}

/* One is in a queue while later ones complete: it alone stays lent. */
static void held__while_others_pass(void **state)
{
	struct shape s = { .len = 20000, .segment = 1400 };
	struct udp u;

	udp_open(&u, FAMILY(state), &lent);
	for (int i = 0; i < 3; i++)
		fire(&u, &u.sink, s);
	fire(&u, &u.aside, s);
	for (int i = 0; i < 50; i++) {
		fire(&u, &u.sink, s);
		PUMP_UNTIL(&u.net, u.app->out == 1);
	}
	net_idle(&u.net, 50);
	assert_int_equal(u.app->out, 1);
	assert_int_equal(u.app->released, 53);
	all_right(53 * s.len);
	let_go(&u);
	udp_close(&u);
}

/*
 * What IP must cut, as it is no train, the kernel copies. It says so, but not before the packet is
 * gone. The partner does not understand the pieces: that they arrive, net-udp shows.
 */
static void copied__in_pieces(void **state)
{
	struct shape s = { .len = 5000 };
	struct zcs_stats st;
	struct udp u;

	udp_open(&u, FAMILY(state), &lent);
	fire(&u, &u.aside, s);
	net_idle(&u.net, 20);
	assert_int_equal(u.app->out, 1);
	let_go(&u);
	PUMP_UNTIL(&u.net, u.app->out == 0);
	assert_int_equal(u.app->how, ZCS_LENT | ZCS_KERNEL_HINT);
	app_stats(u.app, &st);
	assert_int_equal(st.tx_bytes_lent, s.len);
	assert_int_equal(st.tx_bytes_uncopied, 0);
	net_finish(&u.net);
}

/* The same of what is appended to a datagram that the caller holds back (UDP_CORK). */
static void copied__while_corked(void **state)
{
	struct shape s = { .len = 300 };
	struct udp u;

	udp_open(&u, FAMILY(state), &lent);
	assert_int_equal(connect(u.app->fd, (struct sockaddr *)&u.sink, u.len), 0);
	net_set(u.app->fd, SOL_UDP, UDP_CORK, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(app_send(u.app, &s), 0);
	net_idle(&u.net, 20);
	assert_int_equal(u.app->out, 3);
	net_set(u.app->fd, SOL_UDP, UDP_CORK, 0);
	PUMP_UNTIL(&u.net, u.app->out == 0);
	assert_int_equal(u.app->how, ZCS_LENT | ZCS_KERNEL_HINT);
	all_right(3 * s.len);
	assert_int_equal(far_stat("udp_packets"), 1);
	net_finish(&u.net);
}

/* Of those that left with one call every other one is held. */
static void held__of_one_call(void **state)
{
	struct shape s = { .len = 1400, .flags = ZCS_MORE };
	struct udp u;

	udp_open(&u, FAMILY(state), &lent);
	for (int i = 0; i < 30; i++)
		fire(&u, i % 2 ? &u.aside : &u.sink, s);
	assert_int_equal(zcs_conn_flush(u.app->conn), 0);
	PUMP_UNTIL(&u.net, u.app->out == 15);
	net_idle(&u.net, 50);
	assert_int_equal(u.app->out, 15);
	all_right(15 * s.len);
	let_go(&u);
	udp_close(&u);
}

/* Any of them may be held, and several at a time. */
static void held__any(void **state)
{
	uint64_t r = 7;
	struct udp u;

	udp_open(&u, FAMILY(state), &lent);
	for (int i = 0; i < 150; i++) {
		fire(&u, net_random(&r) % 5 ? &u.sink : &u.aside, any_shape(&r));
		if (net_random(&r) % 8 == 0)
			net_take(&u.net);
	}
	assert_int_equal(zcs_conn_flush(u.app->conn), 0);
	net_idle(&u.net, 50);
	assert_true(u.app->out > 0);
	assert_true(u.app->released > 0);
	let_go(&u);
	udp_close(&u);
}

/* What a packet still holds at the end is condemned: it arrives later, with what lies there. */
static void end_while_held(struct udp *u, int status)
{
	uint64_t sent = u->app->tx_pos;

	PUMP_UNTIL(&u->net, u->app->closed);
	assert_int_equal(u->app->closed_status, status);
	assert_int_equal(u->app->condemned, 2);
	assert_int_equal(u->app->released, 3);
	let_go(u);
	all_right(sent);
	net_finish(&u->net);
}

static void two_held_of_five(struct udp *u)
{
	struct shape s = { .len = 5000, .segment = 1000 };

	for (int i = 0; i < 5; i++)
		fire(u, i % 2 ? &u->aside : &u->sink, s);
	PUMP_UNTIL(&u->net, u->app->out == 2);
}

static void held__by_a_close(void **state)
{
	struct zcs_conn_opts opts = lent;
	struct udp u;

	opts.drain_ms = 100;
	udp_open(&u, FAMILY(state), &opts);
	two_held_of_five(&u);
	zcs_conn_close(u.app->conn);
	end_while_held(&u, -ETIMEDOUT);
}

static void held__by_an_abort(void **state)
{
	struct udp u;

	udp_open(&u, FAMILY(state), &lent);
	two_held_of_five(&u);
	zcs_conn_abort(u.app->conn);
	end_while_held(&u, -ECONNABORTED);
}

/* A close waits for what is held, as long as it may. */
static void close__waits_for_what_is_held(void **state)
{
	struct udp u;

	udp_open(&u, FAMILY(state), &lent);
	two_held_of_five(&u);
	zcs_conn_close(u.app->conn);
	net_idle(&u.net, 50);
	assert_int_equal(u.app->closed, 0);
	assert_int_equal(u.app->out, 2);
	let_go(&u);
	PUMP_UNTIL(&u.net, u.app->closed);
	assert_int_equal(u.app->closed_status, 0);
	assert_int_equal(u.app->released, 5);
	assert_int_equal(u.app->how, ZCS_LENT);
	all_right(25000);
	net_finish(&u.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERY(lent__is_not_copied),
		EVERY(copied__in_pieces),
		EVERY(copied__while_corked),
		EVERY(held__while_others_pass),
		EVERY(held__of_one_call),
		EVERY(held__any),
		EVERY(held__by_a_close),
		EVERY(held__by_an_abort),
		EVERY(close__waits_for_what_is_held),
	};

	return FAR_MAIN(tests);
}
