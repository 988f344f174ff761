// SPDX-License-Identifier: MIT
/*
 * UDP, receiving: the datagrams that arrived, each once, with its bytes, its bounds and whatever
 * recvmsg(2) says of it; what is held stays as it was.
 */
#include "net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define NR_HELD 4096
#define ROOM	(4 << 20)

struct in {
	struct net net;
	struct app *app; /* receives */
	int far;	 /* sends */
	struct sockaddr_storage to, from;
	socklen_t to_len, from_len;
	/* what is to come, in order */
	uint32_t lengths[1 << 16];
	size_t nr, got;
	uint64_t tx_pos, rx_pos;
	struct zcs_span held[NR_HELD];
	uint64_t held_pos[NR_HELD];
	size_t nr_held, trains;
};

static struct in in;

static const struct net_where v4 = { NET_V4, NET_LO };

static int bound(const struct net_where *w, struct sockaddr_storage *ss, socklen_t *len)
{
	int fd;

	net_address(ss, len, w->family, NET_LO);
	fd = socket(ss->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)ss, *len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ss, len), 0);
	return fd;
}

/* For all that a test sends before it reads; not everybody may have it. */
static bool gets_room(int fd)
{
	int room = ROOM;
	socklen_t len = sizeof(room);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		net_set(fd, SOL_SOCKET, SO_RCVBUF, room);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, &len), 0);
	return room >= ROOM;
}

static void in_open(const struct net_where *w, const struct zcs_conn_opts *opts)
{
	int near;

	if (net_line_is_bad()) /* what arrives is not what was sent */
		skip();
	memset(&in, 0, sizeof(in));
	near = bound(w, &in.to, &in.to_len);
	(void)gets_room(near);
	in.far = bound(w, &in.from, &in.from_len);
	assert_int_equal(connect(in.far, (struct sockaddr *)&in.to, in.to_len), 0);
	net_start(&in.net, NULL);
	in.app = app_open(&in.net, near, opts);
	in.app->rx_manual = true;
}

static void in_close(void)
{
	struct zcs_stats st;

	zcs_span_release(in.net.ctx, in.held, in.nr_held);
	app_stats(in.app, &st);
	assert_int_equal(st.borrowed, 0);
	assert_int_equal(st.rx_bytes, in.rx_pos);
	zcs_conn_close(in.app->conn);
	PUMP_UNTIL(&in.net, in.app->closed);
	net_finish(&in.net);
	close(in.far);
}

/* One datagram, or a train of them by one call. */
static void fire(size_t len, uint16_t segment)
{
	static char buf[65536];
	struct iovec v = { buf, len };
	char control[CMSG_SPACE(sizeof(segment))] __attribute__((__aligned__(8))) = { 0 };
	struct msghdr mh = { .msg_iov = &v, .msg_iovlen = 1 };
	size_t left = len, one = segment ? segment : len;

	if (segment) {
		struct cmsghdr *cm = (struct cmsghdr *)control;

		*cm = (struct cmsghdr){ CMSG_LEN(sizeof(segment)), SOL_UDP, UDP_SEGMENT };
		memcpy(CMSG_DATA(cm), &segment, sizeof(segment));
		mh.msg_control = control;
		mh.msg_controllen = sizeof(control);
	}
	stream_fill(7, in.tx_pos, buf, len);
	assert_int_equal(sendmsg(in.far, &mh, 0), len);
	in.tx_pos += len;
	do {
		size_t n = left < one ? left : one;

		in.lengths[in.nr++ % 65536] = (uint32_t)n;
		left -= n;
	} while (left);
}

static void check_bounds(const struct zcs_span *s)
{
	size_t left = s->len, one = s->segment ? s->segment : s->len;

	in.trains += s->segment > 0;
	do {
		size_t n = left < one ? left : one;

		assert_true(in.got < in.nr);
		assert_int_equal(in.lengths[in.got++ % 65536], n);
		left -= n;
	} while (left);
}

static void check_source(const struct zcs_span *s)
{
	const struct msghdr *mh = zcs_span_msg(s);

	assert_non_null(mh);
	assert_int_equal(mh->msg_namelen, in.from_len);
	assert_memory_equal(mh->msg_name, &in.from, in.from_len);
	assert_int_equal(mh->msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
}

static bool is_intact(size_t i)
{
	const struct zcs_span *s = &in.held[i];

	return stream_check(7, in.held_pos[i], s->base, s->len) == s->len;
}

/* Gives back the one in place i, which must have stayed as it was. */
static void let_go(size_t i)
{
	assert_true(is_intact(i));
	check_source(&in.held[i]);
	zcs_span_release(in.net.ctx, &in.held[i], 1);
	in.held[i] = in.held[--in.nr_held];
	in.held_pos[i] = in.held_pos[in.nr_held];
}

/* What is there, checked and held; the number of spans, or why none. */
static int take_some(size_t most)
{
	struct zcs_span *s = &in.held[in.nr_held];
	int n;

	assert_true(in.nr_held + most <= NR_HELD);
	n = zcs_conn_recv(in.app->conn, s, most, 0);
	for (int i = 0; i < n; i++, s++) {
		assert_true(s->flags & ZCS_SPAN_DATAGRAM);
		assert_int_equal(s->flags & (ZCS_SPAN_TRUNCATED | ZCS_SPAN_MAPPED), 0);
		check_bounds(s);
		check_source(s);
		in.held_pos[in.nr_held] = in.rx_pos;
		assert_true(is_intact(in.nr_held++));
		in.rx_pos += s->len;
	}
	return n;
}

static void take_all(void)
{
	while (in.got < in.nr) {
		if (take_some(16) == -EAGAIN)
			net_step(&in.net, "all comes");
		while (in.nr_held > NR_HELD / 2)
			let_go(in.nr_held / 3);
	}
}

/* Sizes and trains of all kinds, some of which are held for long. */
static void recv__every_size(void **state)
{
	static const size_t sizes[] = { 1, 100, 1400, 9000, 30000, 65507 };
	uint64_t r = 3;

	in_open(*state, &(struct zcs_conn_opts){ .size = sizeof(struct zcs_conn_opts),
						 .borrowed_max = 256 << 20 });
	for (unsigned i = 0; i < tries(2000); i++) {
		for (unsigned n = net_random(&r) % 20; n; n--) {
			size_t len = net_random(&r) % (sizes[net_random(&r) % 6] + 1);
			uint64_t segment = 1 + net_random(&r) % 1472;

			fire(len, len && net_random(&r) % 2 && len / segment < 60 ? segment : 0);
		}
		while (in.got < in.nr && net_random(&r) % 10) {
			take_some(1 + net_random(&r) % 32);
			net_take(&in.net);
		}
		for (unsigned n = net_random(&r) % 40; n && in.nr_held; n--)
			let_go(net_random(&r) % in.nr_held);
		if (in.nr - in.got > 500)
			take_all();
	}
	take_all();
	assert_true(in.trains > 0);
	in_close();
}

/* No datagram is one too, with its source. */
static void recv__empty(void **state)
{
	in_open(*state, NULL);
	for (int i = 0; i < 50; i++) {
		fire(0, 0);
		fire(i % 3 ? 0 : 100, 0);
	}
	take_all();
	assert_int_equal(in.nr_held, 100);
	in_close();
}

/* What little ones hold is not much more than they are charged for, and that ends at the budget. */
static void recv__budget(void **state)
{
	const struct zcs_conn_opts opts = { .size = sizeof(opts), .borrowed_max = 200 * KIB };
	struct zcs_stats st;
	unsigned told;
	int n;

	n = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!gets_room(n))
		skip();
	close(n);
	in_open(*state, &opts);
	for (int i = 0; i < 3000; i++)
		fire(100, 0);
	PUMP_UNTIL(&in.net, in.app->readable);
	while ((n = take_some(16)) > 0)
		;
	assert_int_equal(n, -EAGAIN);
	app_stats(in.app, &st);
	assert_true(st.borrowed >= 200 * KIB && st.borrowed < 300 * KIB);
	assert_true(in.nr_held > 300 && in.nr_held < 3000);
	assert_true(st.pool_bytes <= 4 * MIB);
	told = in.app->readable;
	net_idle(&in.net, 20);
	assert_int_equal(in.app->readable, told);
	let_go(0);
	while (in.nr_held > 100)
		let_go(in.nr_held / 2);
	PUMP_UNTIL(&in.net, in.app->readable > told);
	while (in.got < in.nr) {
		assert_true(take_some(16) > 0);
		while (in.nr_held > 100)
			let_go(in.nr_held / 2);
	}
	in_close();
}

static const struct cmsghdr *find(const struct zcs_span *s, int level, int type)
{
	struct msghdr *mh = (struct msghdr *)zcs_span_msg(s);

	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level == level && cm->cmsg_type == type)
			return cm;
	}
	fail_msg("no control message %d of level %d", type, level);
	return NULL;
}

static void check_control(const struct zcs_span *s, bool six)
{
	int level = six ? IPPROTO_IPV6 : IPPROTO_IP;
	const void *info = CMSG_DATA(find(s, level, six ? IPV6_PKTINFO : IP_PKTINFO));
	struct timespec ts;

	if (six)
		assert_memory_equal(&((const struct in6_pktinfo *)info)->ipi6_addr,
				    &((struct sockaddr_in6 *)&in.to)->sin6_addr, 16);
	else
		assert_memory_equal(&((const struct in_pktinfo *)info)->ipi_addr,
				    &((struct sockaddr_in *)&in.to)->sin_addr, 4);
	assert_int_equal(*CMSG_DATA(find(s, level, six ? IPV6_TCLASS : IP_TOS)) & 3, 2);
	memcpy(&ts, CMSG_DATA(find(s, SOL_SOCKET, SCM_TIMESTAMPNS)), sizeof(ts));
	assert_int_equal(s->rx_time_ns, ts.tv_sec * 1000000000ll + ts.tv_nsec);
}

/* Time stamps, ECN and the local address are handed on as the kernel gives them. */
static void recv__control(void **state)
{
	const struct net_where *w = *state;
	bool six = w->family == NET_V6;
	int level = six ? IPPROTO_IPV6 : IPPROTO_IP, near;

	in_open(w, NULL);
	near = zcs_conn_fd(in.app->conn);
	net_set(near, level, six ? IPV6_RECVTCLASS : IP_RECVTOS, 1);
	net_set(near, level, six ? IPV6_RECVPKTINFO : IP_PKTINFO, 1);
	net_set(near, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	net_set(in.far, level, six ? IPV6_TCLASS : IP_TOS, 2);
	assert_int_equal(zcs_conn_limits(in.app->conn, NULL), 0);
	for (int i = 0; i < 20; i++)
		fire(i % 2 ? 30000 : 700, i % 4 == 1 ? 1200 : 0);
	take_all();
	for (size_t i = 0; i < in.nr_held; i++)
		check_control(&in.held[i], six);
	in_close();
}

/* What ICMP says ends nothing: the port is open again, and datagrams come again. */
static void recv__after_an_error(void **state)
{
	int n, again;

	(void)state;
	in_open(&v4, NULL);
	assert_int_equal(
		connect(zcs_conn_fd(in.app->conn), (struct sockaddr *)&in.from, in.from_len), 0);
	close(in.far);
	for (int i = 0; i < 20; i++) {
		struct shape s = { .len = 10, .flags = ZCS_COPY };

		(void)app_send(in.app, &s);
		n = take_some(16);
		assert_true(n == -EAGAIN || n == -ECONNREFUSED);
		net_take(&in.net);
	}
	again = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	net_set(again, SOL_SOCKET, SO_REUSEADDR, 1);
	assert_int_equal(bind(again, (struct sockaddr *)&in.from, in.from_len), 0);
	assert_int_equal(connect(again, (struct sockaddr *)&in.to, in.to_len), 0);
	in.far = again;
	fire(1000, 0);
	take_all();
	assert_int_equal(in.app->errors, 0);
	in_close();
}

/* Sends back what came from where it is, to where it came from; held until that is through. */
static void recv__echo(void **state)
{
	static char buf[65536];
	uint64_t back = 0;

	in_open(*state, NULL);
	for (unsigned i = 0; i < tries(300); i++) {
		struct zcs_span s;
		struct zcs_msg msg = {
			.size = sizeof(msg), .nr_iov = 1, .token = 1, .flags = ZCS_ZEROCOPY
		};
		struct zcs_event ev;
		struct iovec v;
		ssize_t n;

		fire(1 + i * 200 % 60000, i % 2 ? 1400 : 0);
		while (zcs_conn_recv(in.app->conn, &s, 1, 0) == -EAGAIN)
			net_take(&in.net);
		check_bounds(&s);
		in.rx_pos += s.len;
		v = (struct iovec){ (void *)s.base, s.len };
		msg.iov = &v;
		msg.dest = zcs_span_msg(&s)->msg_name;
		msg.dest_len = zcs_span_msg(&s)->msg_namelen;
		msg.segment = s.segment;
		if (zcs_conn_send(in.app->conn, &msg) == 0) {
			while (zcs_ctx_wait(in.net.ctx, &ev, 1, 1000) != 1 ||
			       ev.type != ZCS_EV_RELEASED)
				;
			assert_int_equal(ev.status, 0);
		}
		zcs_span_release(in.net.ctx, &s, 1);
		while (back < in.rx_pos) {
			n = recv(in.far, buf, sizeof(buf), 0);
			assert_true(n > 0);
			assert_int_equal(stream_check(7, back, buf, (size_t)n), n);
			back += (uint64_t)n;
		}
	}
	in_close();
}

static void recv__bad_calls(void **state)
{
	struct zcs_span s = { 0 };

	(void)state;
	in_open(&v4, NULL);
	assert_int_equal(zcs_conn_recv(in.app->conn, &s, 0, 0), -EINVAL);
	assert_int_equal(zcs_conn_recv(in.app->conn, &s, 1, 100), -EINVAL);
	assert_int_equal(zcs_conn_recv(in.app->conn, &s, 1, 0), -EAGAIN);
	assert_null(zcs_span_msg(&s));
	app_says(in.app, "cannot map");
	in_close();
}

#define ON_LO(f) NET_TEST_ON(f, NET_V4, NET_LO), NET_TEST_ON(f, NET_V6, NET_LO)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_LO(recv__every_size),   ON_LO(recv__empty), ON_LO(recv__budget),
		ON_LO(recv__control),	   ON_LO(recv__echo),  NET_TEST(recv__after_an_error),
		NET_TEST(recv__bad_calls),
	};

	return NET_MAIN(tests);
}
