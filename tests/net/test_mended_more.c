// SPDX-License-Identifier: MIT
/* Resets, adoption, ages, detach and close while connecting: what once went wrong, a test each. */
#include "net.h"

#include <netinet/in.h>

#define DETACH_MS 5000
#define PACKET	  (14 * 4096ul) /* of the payload, at MTU_MAPS */

struct bed {
	struct net net;
	struct net_pair pair;
	struct app *app;
	struct peer *peer;
};

static void bed_of(struct bed *b, const struct zcs_conn_opts *opts)
{
	b->app = app_open(&b->net, b->pair.near, opts);
	b->peer = peer_open(&b->net, b->pair.far);
	b->app->tx_seed = b->peer->rx_seed = 1;
	b->app->rx_seed = b->peer->tx_seed = 2;
}

/* A socket on which a program before us may have lent, as far as the library can tell. */
static void bed_adopted(struct bed *b)
{
	net_start(&b->net, NULL);
	net_pair(&b->pair, NET_V4, NET_LO);
	net_set(b->pair.near, SOL_SOCKET, SO_ZEROCOPY, 1);
	bed_of(b, NULL);
}

/* A flagged call that the library does not make; the peer gets it. */
static void send_foreign(struct bed *b)
{
	static char mem[5000];

	stream_fill(1, 0, mem, sizeof(mem));
	assert_int_equal(send(b->pair.near, mem, sizeof(mem), MSG_ZEROCOPY), sizeof(mem));
	b->app->tx_pos += sizeof(mem);
	PUMP_UNTIL(&b->net, b->peer->rx_pos == b->app->tx_pos);
}

/* The descriptor is the test's again. */
static void forget(struct app *a)
{
	a->conn = NULL;
}

/* --- close --- */

static void wait_for_reset(int fd)
{
	struct pollfd pf = { .fd = fd };

	assert_int_equal(poll(&pf, 1, NET_MS), 1);
	assert_true(pf.revents & POLLHUP);
}

/* More than a queue keeps: it is freed when the error that a read meets empties it. */
static void close__reset_takes_the_queue(void **state)
{
	struct shape copied = { .len = 4096, .flags = ZCS_COPY };
	struct bed b;
	int i;

	(void)state;
	net_start(&b.net, NULL);
	net_pair(&b.pair, NET_V4, NET_LO);
	net_set(b.pair.near, SOL_SOCKET, SO_SNDBUF, 4096);
	net_set(b.pair.far, SOL_SOCKET, SO_RCVBUF, 4096);
	bed_of(&b, NULL);
	for (i = 0; i < 3000; i++)
		assert_int_equal(app_send(b.app, &copied), 1);
	net_reset(b.pair.far);
	b.peer->fd = -1;
	wait_for_reset(b.pair.near);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, -ECONNRESET);
	net_finish(&b.net);
}

/* A connection whose SYN is dropped; it is tried again after a second. */
static int connecting(struct bed *b)
{
	struct sockaddr_storage to;
	socklen_t len;
	int listener, fd;

	net_start(&b->net, NULL);
	listener = net_listen(NET_V4, NET_LO, &to, &len);
	net_silence(listener);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	b->app = app_open(&b->net, fd, NULL);
	b->app->tx_seed = 1;
	return listener;
}

/* Nothing was sent that could be drained: there is nothing to wait for. */
static void close__while_connecting(void **state)
{
	struct bed b;
	long start;
	int listener;

	(void)state;
	listener = connecting(&b);
	start = net_now_ms();
	zcs_conn_close(b.app->conn);
	net_unsilence(listener);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_in_range(net_now_ms() - start, 0, 900); /* before the SYN is tried again */
	assert_int_equal(b.app->closed_status, -ECONNABORTED);
	assert_int_equal(b.app->errors, 0);
	net_idle(&b.net, 20);
	assert_int_equal(b.app->open, 0);
	close(listener);
	net_finish(&b.net);
}

/* What is queued is delivered, and nobody is told to begin what was ended. */
static void close__while_connecting_is_not_opened(void **state)
{
	struct bed b;
	int listener;

	(void)state;
	listener = connecting(&b);
	assert_int_equal(app_send(b.app, &(struct shape){ .len = 300000 }), 0);
	zcs_conn_close(b.app->conn);
	net_unsilence(listener);
	b.peer = peer_open(&b.net, accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	b.peer->rx_seed = 1;
	PUMP_UNTIL(&b.net, b.peer->rx_eof);
	assert_int_equal(b.peer->rx_pos, 300000);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, 0);
	assert_int_equal(b.app->open, 0);
	close(listener);
	net_finish(&b.net);
}

static void open__after_abandon_is_einval(void **state)
{
	struct zcs_conn *conn = NULL;
	struct bed b;

	(void)state;
	net_start(&b.net, NULL);
	net_pair(&b.pair, NET_V4, NET_LO);
	zcs_ctx_abandon(b.net.ctx);
	assert_int_equal(zcs_conn_open(b.net.ctx, b.pair.near, NULL, &conn), -EINVAL);
	assert_null(conn);
	net_finish(&b.net);
	assert_int_equal(close(b.pair.near), 0);
	close(b.pair.far);
}

/* --- adoption --- */

static int send_bad(struct app *a, struct iovec *iov, size_t nr_iov)
{
	struct zcs_msg msg = {
		.size = sizeof(msg), .iov = iov, .nr_iov = nr_iov, .flags = ZCS_ZEROCOPY
	};

	return zcs_conn_send(a->conn, &msg);
}

/* The probe of adoption is a copy of the message, made by the library: it must not touch it. */
static void adopt__bad_pointer_is_efault(void **state)
{
	struct iovec bad[] = { { (void *)16, 0 }, { (void *)16, 100000 } };
	struct bed b;

	(void)state;
	bed_adopted(&b);
	assert_int_equal(send_bad(b.app, bad + 1, 1), -EFAULT);
	assert_int_equal(send_bad(b.app, bad, 2), -EFAULT);
	/* nothing was taken, and the next one is as good as ever */
	assert_true(app_send(b.app, &(struct shape){ .len = 100000, .flags = ZCS_ZEROCOPY }) >= 0);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == 100000 && b.app->out == 0);
	assert_int_equal(b.app->errors, 0);
	net_finish(&b.net);
}

/* What detach returns, asked now and then: that a line was quiet for long enough is no event. */
static int detach_in_time(struct bed *b, uint64_t *prior_out)
{
	long end = net_now_ms() + DETACH_MS;
	int fd = zcs_conn_detach(b->app->conn, prior_out);

	while (fd == -EBUSY && net_now_ms() < end) {
		net_idle(&b->net, 10);
		fd = zcs_conn_detach(b->app->conn, prior_out);
	}
	return fd;
}

/* Nothing more is sent: the answer to the probe is still found. */
static void detach__after_adoption(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts) };
	struct shape lend = { .len = 64 * KIB, .flags = ZCS_ZEROCOPY };
	struct app *app;
	struct bed b;

	(void)state;
	bed_adopted(&b);
	send_foreign(&b);
	assert_true(app_send(b.app, &lend) >= 0);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);
	assert_int_equal(detach_in_time(&b, &opts.prior_sends), b.pair.near);
	forget(b.app);
	assert_int_equal(opts.prior_sends, 2); /* the foreign one and the probe */

	app = app_open(&b.net, b.pair.near, &opts);
	app->tx_seed = 1;
	app->tx_pos = b.app->tx_pos;
	assert_int_equal(app_send(app, &lend), 0);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == app->tx_pos && app->out == 0);
	assert_int_equal(app->released, 1);
	assert_true(app->how & ZCS_LENT);
	net_finish(&b.net);
}

/* Somebody else sent meanwhile: the library's own count is not the kernel's. */
static void detach__distrusted_count_is_unknown(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .prior_sends = ZCS_NONE };
	struct zcs_stats st;
	uint64_t prior = 1;
	struct bed b;

	(void)state;
	net_socket_only();
	net_start(&b.net, NULL);
	net_pair(&b.pair, NET_V4, NET_LO);
	bed_of(&b, &opts);
	net_set(b.pair.near, SOL_SOCKET, SO_ZEROCOPY, 1);
	send_foreign(&b);
	app_stats(b.app, &st);
	while (!st.unknown_notifications) {
		net_step(&b.net, "a notification that nobody waits for");
		app_stats(b.app, &st);
	}
	assert_int_equal(detach_in_time(&b, &prior), b.pair.near);
	forget(b.app);
	assert_int_equal(prior, 0);
	net_finish(&b.net);
	close(b.pair.near);
}

/* --- spans --- */

/* A forwarded span grows old as a message does when the peer takes nothing. */
static void loan_age__counts_spans(void **state)
{
	const size_t len = 256 * KIB;
	struct zcs_conn_opts opts = { .size = sizeof(opts), .loan_age_ms = 300 };
	struct net_pair pair;
	struct app *out;
	struct bed b;
	long start;

	(void)state;
	net_start(&b.net, NULL);
	net_pair(&b.pair, NET_V4, NET_LO);
	bed_of(&b, NULL);
	net_pair(&pair, NET_V4, NET_LO);
	net_set(pair.near, SOL_SOCKET, SO_SNDBUF, 8192);
	net_silence(pair.far);
	out = app_open(&b.net, pair.near, &opts);
	b.app->relay_to = out;
	start = net_now_ms();
	peer_send(b.peer, len);
	PUMP_UNTIL(&b.net, b.app->rx_pos == len);
	assert_int_equal(out->errors, 0);
	PUMP_UNTIL(&b.net, out->errors);
	assert_int_equal(out->status, -ETIMEDOUT);
	assert_in_range(net_now_ms() - start, 250, 3000l * slowness()); /* by a coarse clock */
	net_finish(&b.net);
	close(pair.far);
}

/* All that is there, in as many spans as a program with much memory would take. */
static void take_all(struct app *a)
{
	struct zcs_span s[64];
	int i, n;

	while ((n = zcs_conn_recv(a->conn, s, 64, 0)) > 0) {
		for (i = 0; i < n; i++) {
			assert_int_equal(stream_check(a->rx_seed, a->rx_pos, s[i].base, s[i].len),
					 s[i].len);
			a->rx_pos += s[i].len;
		}
		zcs_span_release(a->net->ctx, s, n);
	}
	assert_int_equal(n, -EAGAIN);
}

/* What the peer sends, whole before the next begins; the calls that receiving took. */
static uint64_t transfer(struct bed *b, size_t len, int flags)
{
	struct zcs_stats before, after;

	app_stats(b->app, &before);
	b->peer->tx_flags = flags;
	peer_send(b->peer, len);
	while (b->app->rx_pos < b->peer->tx_pos) {
		PUMP_UNTIL(&b->net, b->app->readable);
		b->app->readable = 0;
		take_all(b->app);
	}
	app_stats(b->app, &after);
	return after.rx_calls - before.rx_calls;
}

/* Pages that map, and then for ever bytes that cannot be: not to be read by twos and threes. */
static void recv__unmappable_after_mapped_is_read_in_pieces(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .trust = ZCS_TRUST_PEER,
				      .recv_way = ZCS_WAY_ZEROCOPY };
	struct zcs_stats st;
	uint64_t mapped, calls = 0;
	struct bed b;
	int i;

	(void)state;
	net_lo_mtu(MTU_MAPS);
	net_start(&b.net, NULL);
	net_pair(&b.pair, NET_V4, NET_LO);
	bed_of(&b, &opts);
	b.app->rx_manual = true;
	net_set(b.pair.far, SOL_SOCKET, SO_ZEROCOPY, 1);
	transfer(&b, PACKET, MSG_ZEROCOPY);
	app_stats(b.app, &st);
	mapped = st.rx_bytes_mapped;
	assert_true(mapped > 0);
	for (i = 0; i < 64; i++)
		calls += transfer(&b, 65536 - 777, 0);
	app_stats(b.app, &st);
	assert_int_equal(st.rx_bytes_mapped, mapped);
	assert_in_range(calls / 4, 1, 150); /* of each MiB */
	net_finish(&b.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(close__reset_takes_the_queue),
		NET_TEST(close__while_connecting),
		NET_TEST(close__while_connecting_is_not_opened),
		NET_TEST(open__after_abandon_is_einval),
		NET_TEST(adopt__bad_pointer_is_efault),
		NET_TEST(detach__after_adoption),
		NET_TEST(detach__distrusted_count_is_unknown),
		NET_TEST(loan_age__counts_spans),
		NET_TEST(recv__unmappable_after_mapped_is_read_in_pieces),
	};

	return NET_MAIN(tests);
}
