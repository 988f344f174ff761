// SPDX-License-Identifier: MIT
/*
 * UDP: what arrives are the datagrams that were sent, each once, in order, with its bytes. Over a
 * line that is bad: nothing else than those.
 */
#include "net.h"

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>

#define LENGTHS (1 << 20)

struct udp {
	struct net net;
	struct app *app;
	int far;
	struct sockaddr_storage to;
	socklen_t to_len;
	/* what is to come: lengths, and where they begin in the stream */
	uint32_t *lengths;
	uint64_t *at;
	size_t nr, got, came;
	uint64_t rx_pos;
};

#define AROUND 3000 /* datagrams: so far may one be from where it belongs */

static const struct zcs_conn_opts lend = { .size = sizeof(lend), .send_way = ZCS_WAY_ZEROCOPY };

static void address(struct udp *u, const struct net_where *w)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&u->to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&u->to;

	memset(&u->to, 0, sizeof(u->to));
	if (w->family != NET_V4) {
		const char *lo = w->family == NET_V6 ? "::1" : "::ffff:127.0.0.1";

		v6->sin6_family = AF_INET6;
		inet_pton(AF_INET6, w->path == NET_LO ? lo : "fd99::2", &v6->sin6_addr);
		u->to_len = sizeof(*v6);
	} else {
		v4->sin_family = AF_INET;
		inet_pton(AF_INET, w->path == NET_LO ? "127.0.0.1" : "10.99.0.2", &v4->sin_addr);
		u->to_len = sizeof(*v4);
	}
}

static int far_socket(struct udp *u, const struct net_where *w)
{
	int fd, room = 64 << 20;

	if (w->path == NET_VETH && !net_has_veth())
		skip();
	address(u, w);
	if (w->path == NET_VETH)
		net_go_far();
	fd = socket(u->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	net_go_near();
	assert_true(fd >= 0);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		net_set(fd, SOL_SOCKET, SO_RCVBUF, room);
	assert_int_equal(bind(fd, (struct sockaddr *)&u->to, u->to_len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&u->to, &u->to_len), 0);
	return fd;
}

/* Until a neighbour is known few packets wait for it, and the rest is dropped. */
static void warm_up(struct udp *u, int near)
{
	struct pollfd pfd = { u->far, POLLIN, 0 };
	char c;

	for (int i = 0; i < 100; i++) {
		assert_int_equal(sendto(near, "", 1, 0, (struct sockaddr *)&u->to, u->to_len), 1);
		if (poll(&pfd, 1, 50 * (int)slowness()) == 1)
			break;
	}
	while (poll(&pfd, 1, 100) == 1)
		assert_int_equal(recv(u->far, &c, 1, 0), 1);
}

static void udp_open(struct udp *u, const struct net_where *w, bool connected,
		     const struct zcs_conn_opts *opts)
{
	int near;

	memset(u, 0, sizeof(*u));
	u->lengths = calloc(LENGTHS, sizeof(*u->lengths));
	u->at = calloc(LENGTHS, sizeof(*u->at));
	u->far = far_socket(u, w);
	near = socket(u->to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(near >= 0);
	if (connected)
		assert_int_equal(connect(near, (struct sockaddr *)&u->to, u->to_len), 0);
	warm_up(u, near);
	net_start(&u->net, NULL);
	u->app = app_open(&u->net, near, opts);
	u->app->tx_seed = 5;
}

static bool is_it(const struct udp *u, size_t i, const char *buf, size_t n)
{
	return i < u->nr && u->lengths[i] == n && stream_check(5, u->at[i], buf, n) == n;
}

/* The one at hand is one of those that were sent, if not the next one. */
static void find(struct udp *u, const char *buf, size_t n)
{
	size_t from = u->got > AROUND ? u->got - AROUND : 0;

	for (size_t i = from; i < u->got + AROUND && i < u->nr; i++) {
		if (is_it(u, i, buf, n)) {
			u->got = i + 1 > u->got ? i + 1 : u->got;
			return;
		}
	}
	fail_msg("a datagram of %zu bytes was never sent", n);
}

/* Takes what has come; fails on anything that is not the next datagram. */
static void take(struct udp *u)
{
	static char buf[65536];
	ssize_t n;

	while ((n = recv(u->far, buf, sizeof(buf), 0)) >= 0) {
		u->came++;
		if (net_line_is_bad()) {
			find(u, buf, (size_t)n);
			continue;
		}
		assert_true(is_it(u, u->got, buf, (size_t)n));
		u->got++;
		u->rx_pos += (uint64_t)n;
	}
	assert_int_equal(errno, EAGAIN);
}

static void step(struct udp *u)
{
	net_take(&u->net);
	take(u);
	if (net_now_ms() > u->net.deadline)
		fail_msg("time is up: %zu of %zu datagrams came, %zu loans are out", u->got, u->nr,
			 u->app->out);
}

static void expect(struct udp *u, const struct shape *s)
{
	size_t left = s->head + s->len, one = s->segment ? s->segment : left;

	do {
		assert_true(u->nr < LENGTHS);
		u->at[u->nr] = u->app->tx_pos - left;
		u->lengths[u->nr++] = (uint32_t)(left < one ? left : one);
		left -= left < one ? left : one;
	} while (left);
}

static void fire(struct udp *u, const struct shape *s)
{
	int r;

	while ((r = app_send(u->app, s)) == -EAGAIN)
		step(u);
	if (r < 0)
		fail_msg("zcs_conn_send: %s", strerror(-r));
	expect(u, s);
	take(u);
	/* not so far ahead that what overtakes is not found */
	for (long end = net_now_ms() + 500;
	     net_line_is_bad() && u->nr - u->got > AROUND / 3 && net_now_ms() < end;)
		step(u);
}

static void all_arrive(struct udp *u)
{
	if (net_line_is_bad()) {
		for (long end = net_now_ms() + 500; u->app->out || net_now_ms() < end;)
			step(u);
		assert_true(u->came >= u->nr - u->nr / 5);
		return;
	}
	while (u->got < u->nr || u->app->out)
		step(u);
	assert_int_equal(u->rx_pos, u->app->tx_pos);
}

static void udp_close(struct udp *u)
{
	struct zcs_stats st;

	app_stats(u->app, &st);
	assert_int_equal(st.unknown_notifications, 0);
	zcs_conn_close(u->app->conn);
	while (!u->app->closed)
		step(u);
	assert_int_equal(u->app->closed_status, 0);
	assert_int_equal(u->app->condemned, 0);
	net_finish(&u->net);
	close(u->far);
	free(u->lengths);
	free(u->at);
}

/* Single datagrams and trains, of pieces at odd places, lent and copied. */
static void send__every_size(void **state)
{
	static const uint32_t flags[] = { 0, ZCS_ZEROCOPY, ZCS_COPY, ZCS_MORE };
	const struct net_where *w = *state;
	uint64_t r = 11;
	struct udp u;

	udp_open(&u, w, true, NULL);
	for (unsigned i = 0; i < tries(3000); i++) {
		struct shape s = { .flags = flags[net_random(&r) % 4] };

		s.segment = net_random(&r) % 2 ? 500 + net_random(&r) % 900 : 0;
		s.len = net_random(&r) % (s.segment ? 200000 : 3 * 1400);
		s.head = net_random(&r) % 4 ? 0 : net_random(&r) % 200;
		s.nr_iov = s.len > 100 ? 1 + net_random(&r) % 20 : 1;
		s.misalign = net_random(&r) % 2 ? net_random(&r) % 4096 : 0;
		fire(&u, &s);
	}
	assert_int_equal(zcs_conn_flush(u.app->conn), 0);
	all_arrive(&u);
	assert_true(u.app->how & ZCS_LENT);
	udp_close(&u);
}

/* As many of any length as a packet holds. */
static void send__longest_trains(void **state)
{
	struct udp u;

	if (net_line_is_bad()) /* queues there have no room for that much */
		skip();
	udp_open(&u, *state, true, &lend);
	for (unsigned segment = 1200; segment < 1700; segment++)
		fire(&u, &(struct shape){ .len = 132000, .segment = segment });
	for (unsigned segment = 65480; segment <= 65507; segment++)
		fire(&u, &(struct shape){ .len = 132000, .segment = segment });
	all_arrive(&u);
	assert_int_equal(u.app->released_status, 0);
	udp_close(&u);
}

static void send__to_an_address(void **state)
{
	struct shape s = { .len = 14000, .segment = 1400 };
	struct udp u;

	udp_open(&u, *state, false, &lend);
	assert_int_equal(app_send(u.app, &s), -EDESTADDRREQ);
	u.app->tx_pos = 0;
	s.dest = &u.to;
	s.dest_len = u.to_len;
	for (unsigned i = 0; i < tries(300); i++) {
		s.flags = i % 3 == 0 ? ZCS_COPY : i % 3 == 1 ? ZCS_MORE : 0;
		s.nr_iov = 1 + i % 3;
		fire(&u, &s);
	}
	assert_int_equal(zcs_conn_flush(u.app->conn), 0);
	all_arrive(&u);
	udp_close(&u);
}

/* An empty datagram is one; it is never lent, for it would take a number. */
static void send__empty(void **state)
{
	struct udp u;

	udp_open(&u, *state, true, &lend);
	for (int i = 0; i < 20; i++) {
		fire(&u, &(struct shape){ .len = 0, .flags = i % 2 ? ZCS_MORE : 0 });
		fire(&u, &(struct shape){ .len = 3000, .flags = i % 3 ? ZCS_MORE : 0 });
	}
	assert_int_equal(zcs_conn_flush(u.app->conn), 0);
	all_arrive(&u);
	udp_close(&u);
}

/* What cannot be sent is refused, or is an error of its own; nothing else is lost or repeated. */
static void send__bad_among_good(void **state)
{
	static const struct {
		size_t len;
		uint32_t segment;
		int error;
	} bad[] = {
		{ 65508, 0, -EMSGSIZE }, /* more than a datagram can hold (65,507 with IPv4) */
		{ 100000, 1400000, -EMSGSIZE },
		{ 30000, 2000,
		  -EMSGSIZE }, /* a segment that is larger than the MTU: the kernel's */
	};
	struct shape good = { .len = 14000, .segment = 1400, .flags = ZCS_MORE };
	struct udp u;
	uint64_t pos;
	int r;

	udp_open(&u, *state, true, &lend);
	net_lo_mtu(1500);
	for (unsigned i = 0; i < 300; i++) {
		struct shape s = { .len = bad[i % 3].len, .segment = bad[i % 3].segment };

		good.flags = i % 2 ? ZCS_MORE : 0;
		fire(&u, &good);
		fire(&u, &good);
		pos = u.app->tx_pos;
		r = app_send(u.app, &s);
		u.app->tx_pos = pos;
		if (r < 0)
			assert_int_equal(r, bad[i % 3].error);
		fire(&u, &good);
	}
	assert_int_equal(zcs_conn_flush(u.app->conn), 0);
	all_arrive(&u);
	udp_close(&u);
}

/* Nobody listens any more: each error belongs to one message, and the socket goes on. */
static void send__nobody_listens(void **state)
{
	struct shape s = { .len = 5000, .segment = 1000 };
	struct udp u;

	udp_open(&u, *state, true, &lend);
	fire(&u, &s);
	all_arrive(&u);
	close(u.far);
	for (int i = 0; i < 100; i++) {
		assert_true(app_send(u.app, &s) >= -ECONNREFUSED);
		net_take(&u.net);
	}
	while (u.app->out)
		net_take(&u.net);
	assert_int_equal(u.app->errors, 0);
	u.far = socket(u.to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	udp_close(&u);
}

/* No notification has room: all is copied, and nothing waits for one. */
static void send__no_option_memory(void **state)
{
	struct shape s = { .len = 20000, .segment = 1000 };
	struct zcs_stats st;
	struct udp u;

	if (net_sysctl("core/optmem_max", "100") < 0)
		skip();
	udp_open(&u, *state, true, &lend);
	for (unsigned i = 0; i < 500; i++) {
		s.flags = i % 10 ? ZCS_MORE : 0;
		fire(&u, &s);
	}
	assert_int_equal(zcs_conn_flush(u.app->conn), 0);
	all_arrive(&u);
	app_stats(u.app, &st);
	assert_int_equal(net_sysctl("core/optmem_max", "131072"), 0);
	assert_true(st.tx_enobufs_optmem > 0);
	assert_int_equal(st.tx_bytes_lent, 0);
	udp_close(&u);
}

/* ---- what the path does meanwhile ------------------------------------------------------------ */

/* Goes out, if this MTU leaves it alone; a train that does not fit is refused. */
#define FITS  1000
#define LARGE 1400
#define SMALL 1280 /* an MTU: the least that IPv6 has */

static uint16_t near_port(const struct udp *u)
{
	struct sockaddr_storage own;
	socklen_t len = sizeof(own);

	assert_int_equal(getsockname(u->app->fd, (struct sockaddr *)&own, &len), 0);
	return ((struct sockaddr_in *)&own)->sin_port; /* where IPv6 has it, too */
}

static uint16_t checksum(const void *data, size_t len)
{
	const uint16_t *at = data;
	uint32_t sum = 0;

	for (; len > 1; len -= 2)
		sum += *at++;
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

/* What a router says of a datagram that is too long for what lies behind it, in ICMP. */
static size_t too_long4(const struct udp *u, void *out)
{
	const struct sockaddr_in *far = (const struct sockaddr_in *)&u->to;
	struct {
		struct icmphdr icmp;
		struct iphdr ip;
		struct udphdr udp;
	} m;

	memset(&m, 0, sizeof(m));
	m.icmp.type = ICMP_DEST_UNREACH;
	m.icmp.code = ICMP_FRAG_NEEDED;
	m.icmp.un.frag.mtu = htons(SMALL);
	m.ip = (struct iphdr){ .version = 4, .ihl = 5, .protocol = IPPROTO_UDP, .ttl = 60 };
	m.ip.daddr = far->sin_addr.s_addr;
	inet_pton(AF_INET, "10.99.0.1", &m.ip.saddr);
	m.ip.tot_len = htons(LARGE + 28);
	m.udp.source = near_port(u);
	m.udp.dest = far->sin_port;
	m.udp.len = htons(LARGE + 8);
	m.icmp.checksum = checksum(&m, sizeof(m));
	memcpy(out, &m, sizeof(m));
	return sizeof(m);
}

static size_t too_long6(const struct udp *u, void *out)
{
	const struct sockaddr_in6 *far = (const struct sockaddr_in6 *)&u->to;
	struct {
		struct icmp6_hdr icmp;
		struct ip6_hdr ip;
		struct udphdr udp;
	} m;

	memset(&m, 0, sizeof(m));
	m.icmp.icmp6_type = ICMP6_PACKET_TOO_BIG;
	m.icmp.icmp6_mtu = htonl(SMALL);
	m.ip.ip6_vfc = 0x60;
	m.ip.ip6_nxt = IPPROTO_UDP;
	m.ip.ip6_plen = htons(LARGE + 8);
	m.ip.ip6_dst = far->sin6_addr;
	inet_pton(AF_INET6, "fd99::1", &m.ip.ip6_src);
	m.udp.source = near_port(u);
	m.udp.dest = far->sin6_port;
	m.udp.len = htons(LARGE + 8);
	memcpy(out, &m, sizeof(m));
	return sizeof(m);
}

static int path_mtu(const struct udp *u)
{
	bool v6 = u->to.ss_family == AF_INET6;
	int mtu = 0;
	socklen_t len = sizeof(mtu);

	assert_int_equal(getsockopt(u->app->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP,
				    v6 ? IPV6_MTU : IP_MTU, &mtu, &len),
			 0);
	return mtu;
}

static void by_icmp(struct udp *u, bool small)
{
	struct sockaddr_storage to = u->to;
	bool v6 = to.ss_family == AF_INET6;
	char m[128];
	int raw;

	if (!small) { /* what was learned is forgotten: IPv6 does so when the device's rises */
		assert_int_equal(net_sysctl("ipv4/route/flush", "1"), 0);
		net_veth_mtu(SMALL);
		net_veth_mtu(1500);
		return;
	}
	net_go_far();
	raw = socket(to.ss_family, SOCK_RAW | SOCK_CLOEXEC, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	net_go_near();
	assert_true(raw >= 0);
	if (v6) {
		inet_pton(AF_INET6, "fd99::1", &((struct sockaddr_in6 *)&to)->sin6_addr);
		((struct sockaddr_in6 *)&to)->sin6_port = 0;
	} else {
		inet_pton(AF_INET, "10.99.0.1", &((struct sockaddr_in *)&to)->sin_addr);
	}
	assert_true(sendto(raw, m, v6 ? too_long6(u, m) : too_long4(u, m), 0,
			   (struct sockaddr *)&to, u->to_len) > 0);
	close(raw);
	while (path_mtu(u) != SMALL)
		assert_true(net_now_ms() < u->net.deadline);
}

static void by_device(struct udp *u, bool small)
{
	(void)u;
	net_veth_mtu(small ? SMALL : 1500);
}

/* Is refused, now or when its turn comes; what follows takes its place in the stream. */
static void fire_bad(struct udp *u, struct shape s, int error)
{
	uint64_t pos = u->app->tx_pos;
	size_t out = u->app->out;
	int r = app_send(u->app, &s);

	u->app->tx_pos = pos;
	if (r == 0)
		assert_int_equal(u->app->out, out + 1);
	else if (r != -EINVAL) /* older kernels say that of a segment */
		assert_int_equal(r, error);
}

/* What these tests do to the line, netem does as well. */
static void need_good_line(void)
{
	if (net_line_is_bad())
		skip();
}

/* Each datagram that can go goes, once; what cannot is told its own error, not an earlier one's. */
static void mtu_shrinks(const struct net_where *w, void (*shrink)(struct udp *u, bool small))
{
	struct shape one = { .len = LARGE }, fits = { .len = 5 * FITS, .segment = FITS };
	struct shape large = { .len = 5 * LARGE, .segment = LARGE };
	struct udp u;

	need_good_line();
	udp_open(&u, w, true, NULL);
	net_veth_mtu(1500);
	for (unsigned i = 0; i < 40; i++) {
		uint32_t way = i & 8 ? ZCS_COPY : ZCS_ZEROCOPY;

		shrink(&u, false);
		one.flags = fits.flags = large.flags = way;
		fire(&u, &large);
		one.flags |= i & 1 ? ZCS_MORE : 0;
		fits.flags |= i & 1 ? ZCS_MORE : 0;
		large.flags = ZCS_ZEROCOPY | (i & 1 ? ZCS_MORE : 0);
		if (i & 4)
			fire(&u, &fits);
		shrink(&u, true);
		if (i & 2)
			fire_bad(&u, large, -EMSGSIZE);
		fire(&u, &one);
		fire_bad(&u, large, -EMSGSIZE);
		fire(&u, &fits);
		assert_int_equal(zcs_conn_flush(u.app->conn), 0);
	}
	all_arrive(&u);
	if (u.app->released_status != -EINVAL)
		assert_int_equal(u.app->released_status, -EMSGSIZE);
	assert_int_equal(u.app->errors, 0);
	udp_close(&u);
	shrink(&u, false);
}

static void send__path_shrinks(void **state)
{
	mtu_shrinks(*state, by_icmp);
}

static void send__device_shrinks(void **state)
{
	mtu_shrinks(*state, by_device);
}

/* Who borrowed nothing hears no event: what is refused later is counted. */
static void send__copied_and_refused(void **state)
{
	struct shape good = { .len = 5 * FITS, .segment = FITS, .flags = ZCS_COPY | ZCS_MORE };
	struct shape bad = { .len = 5 * LARGE, .segment = LARGE, .flags = ZCS_COPY | ZCS_MORE };
	struct zcs_stats st;
	struct udp u;

	need_good_line();
	udp_open(&u, *state, true, NULL);
	by_device(&u, true);
	for (int i = 0; i < 10; i++) {
		uint64_t pos;

		fire(&u, &good);
		pos = u.app->tx_pos;
		assert_int_equal(app_send(u.app, &bad), 1);
		u.app->tx_pos = pos;
		fire(&u, &good);
	}
	assert_int_equal(zcs_conn_flush(u.app->conn), 0);
	all_arrive(&u);
	app_stats(u.app, &st);
	assert_int_equal(st.tx_refused, 10);
	assert_int_equal(st.tx_msgs, 30);
	app_says(u.app, "10 messages refused");
	udp_close(&u);
	by_device(&u, false);
}

/* The device's queue drops it: who asked (IP_RECVERR) is told. No memory is short. */
static void send__queue_drops(void **state)
{
	struct shape s = { .len = 7000, .segment = 1400 };
	struct zcs_stats st;
	struct udp u;

	need_good_line();
	udp_open(&u, *state, true, &lend);
	net_veth_mtu(1500);
	net_set(u.app->fd, IPPROTO_IP, IP_RECVERR, 1);
	if (u.to.ss_family == AF_INET6)
		net_set(u.app->fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
	for (unsigned i = 0; i < 50; i++) {
		s.flags = i % 2 ? ZCS_MORE : 0;
		fire(&u, &s);
		assert_int_equal(zcs_conn_flush(u.app->conn), 0);
		net_veth_drops(true);
		fire_bad(&u, s, -ENOBUFS);
		fire_bad(&u, s, -ENOBUFS);
		assert_int_equal(zcs_conn_flush(u.app->conn), 0);
		net_veth_drops(false);
		fire(&u, &s);
	}
	assert_int_equal(zcs_conn_flush(u.app->conn), 0);
	all_arrive(&u);
	assert_int_equal(u.app->released_status, -ENOBUFS);
	app_stats(u.app, &st);
	assert_int_equal(st.tx_enobufs_optmem + st.tx_enobufs_memlock, 0);
	assert_int_equal(st.tx_bytes_lent, st.tx_bytes);
	udp_close(&u);
}

/* Nobody asked: it is sent, as far as the kernel tells, and gone. */
static void send__queue_drops_in_silence(void **state)
{
	struct shape s = { .len = 7000, .segment = 1400 };
	struct udp u;
	uint64_t pos;

	need_good_line();
	udp_open(&u, *state, true, &lend);
	fire(&u, &s);
	net_veth_drops(true);
	for (int i = 0; i < 20; i++) {
		pos = u.app->tx_pos;
		assert_int_equal(app_send(u.app, &s), 0);
		u.app->tx_pos = pos;
	}
	net_veth_drops(false);
	fire(&u, &s);
	all_arrive(&u);
	assert_int_equal(u.app->released, 22);
	assert_int_equal(u.app->released_status, 0);
	udp_close(&u);
}

/* A packet that is lent has room for 17 pages: one of more is copied, and arrives. */
static void send__many_pieces(void **state)
{
	uint64_t copied = 0;
	struct udp u;

	need_good_line();
	udp_open(&u, *state, true, NULL);
	for (unsigned nr = 1; nr <= 40; nr++) {
		struct shape s = { .len = 1300 * nr, .nr_iov = nr, .misalign = 4000 };

		s.flags = ZCS_ZEROCOPY;
		s.segment = nr % 2 ? 1300 : 0;
		u.app->how = 0;
		fire(&u, &s);
		all_arrive(&u);
		if (nr <= 8 || s.segment)
			assert_true(u.app->how & ZCS_LENT);
		else if (nr > 17)
			assert_int_equal(u.app->at_once, ++copied);
		copied = u.app->at_once;
	}
	udp_close(&u);
}

/* UDP_CORK is the caller's: what is sent meanwhile is one datagram, and comes back with it. */
static void send__corked_by_the_caller(void **state)
{
	struct shape s = { .len = 3000, .flags = ZCS_ZEROCOPY };
	struct udp u;

	need_good_line();
	udp_open(&u, *state, true, NULL);
	for (int i = 0; i < 20; i++) {
		net_set(u.app->fd, SOL_UDP, UDP_CORK, 1);
		for (int j = 0; j < 3; j++)
			assert_int_equal(app_send(u.app, &s), 0);
		net_take(&u.net);
		assert_int_equal(u.app->out, 3);
		net_set(u.app->fd, SOL_UDP, UDP_CORK, 0);
		u.at[u.nr] = u.app->tx_pos - 3 * s.len;
		u.lengths[u.nr++] = (uint32_t)(3 * s.len);
		fire(&u, &s);
		all_arrive(&u);
	}
	assert_int_equal(u.app->released_status, 0);
	assert_int_equal(u.app->how, ZCS_LENT | ZCS_KERNEL_HINT);
	udp_close(&u);
}

static void streams__only(void **state)
{
	struct udp u;

	udp_open(&u, *state, true, NULL);
	assert_int_equal(zcs_conn_send_file(u.app->conn, 0, 0, 1, 0), -EOPNOTSUPP);
	assert_int_equal(zcs_conn_shutdown(u.app->conn), -EOPNOTSUPP);
	udp_close(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST_ON(send__every_size, NET_V4, NET_LO),
		NET_TEST_ON(send__every_size, NET_V6, NET_LO),
		NET_TEST_ON(send__every_size, NET_V4, NET_VETH),
		NET_TEST_ON(send__every_size, NET_V6, NET_VETH),
		NET_TEST_ON(send__every_size, NET_MAPPED, NET_LO),
		NET_TEST_ON(send__longest_trains, NET_V4, NET_LO),
		NET_TEST_ON(send__longest_trains, NET_V6, NET_LO),
		NET_TEST_ON(send__longest_trains, NET_MAPPED, NET_LO),
		NET_TEST_ON(send__to_an_address, NET_V4, NET_LO),
		NET_TEST_ON(send__to_an_address, NET_V6, NET_VETH),
		NET_TEST_ON(send__empty, NET_V4, NET_LO),
		NET_TEST_ON(send__empty, NET_V6, NET_LO),
		NET_TEST_ON(send__bad_among_good, NET_V4, NET_LO),
		NET_TEST_ON(send__nobody_listens, NET_V4, NET_LO),
		NET_TEST_ON(send__nobody_listens, NET_V6, NET_LO),
		NET_TEST_ON(send__no_option_memory, NET_V4, NET_LO),
		NET_TEST_ON(send__path_shrinks, NET_V4, NET_VETH),
		NET_TEST_ON(send__path_shrinks, NET_V6, NET_VETH),
		NET_TEST_ON(send__device_shrinks, NET_V4, NET_VETH),
		NET_TEST_ON(send__device_shrinks, NET_V6, NET_VETH),
		NET_TEST_ON(send__copied_and_refused, NET_V4, NET_VETH),
		NET_TEST_ON(send__copied_and_refused, NET_V6, NET_VETH),
		NET_TEST_ON(send__queue_drops, NET_V4, NET_VETH),
		NET_TEST_ON(send__queue_drops, NET_V6, NET_VETH),
		NET_TEST_ON(send__queue_drops_in_silence, NET_V4, NET_VETH),
		NET_TEST_ON(send__many_pieces, NET_V4, NET_LO),
		NET_TEST_ON(send__many_pieces, NET_V6, NET_VETH),
		NET_TEST_ON(send__corked_by_the_caller, NET_V4, NET_LO),
		NET_TEST_ON(send__corked_by_the_caller, NET_V6, NET_VETH),
		NET_TEST_ON(streams__only, NET_V4, NET_LO),
	};

	return NET_MAIN(tests);
}
