// SPDX-License-Identifier: MIT
/* Sockets that are still connecting, and sockets that cannot be connections at all. */
#include "net.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

struct bed {
	struct net net;
	struct sockaddr_storage to;
	socklen_t len;
	int listener;
	struct app *app;
};

/* A connection whose SYN is dropped: it is tried again after a second. */
static void bed_make(struct bed *b)
{
	int fd;

	net_start(&b->net, NULL);
	b->listener = net_listen(NET_V4, NET_LO, &b->to, &b->len);
	net_silence(b->listener);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&b->to, b->len), -1);
	assert_int_equal(errno, EINPROGRESS);
	b->app = app_open(&b->net, fd, NULL);
	b->app->tx_seed = 71;
	b->app->rx_seed = 72;
}

static void open__connecting(void **state)
{
	struct shape s = { .len = 200000 };
	struct peer *peer;
	struct bed b;
	int i;

	(void)state;
	bed_make(&b);
	/* Messages are taken before there is a connection; they wait. */
	for (i = 0; i < 5; i++)
		assert_int_equal(app_send(b.app, &s), 0);
	assert_int_equal(app_drain(b.app), -EAGAIN);
	net_idle(&b.net, 20);
	assert_int_equal(b.app->open, 0);
	net_unsilence(b.listener);
	PUMP_UNTIL(&b.net, b.app->open);
	peer = peer_open(&b.net, accept(b.listener, NULL, NULL));
	peer->rx_seed = 71;
	peer->tx_seed = 72;
	peer_send(peer, 100000);
	PUMP_UNTIL(&b.net, peer->rx_pos == 5 * 200000 && b.app->out == 0);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 100000);
	assert_int_equal(b.app->open, 1);
	assert_int_equal(b.app->errors, 0);
	close(b.listener);
	net_finish(&b.net);
}

/* Nobody listens any more when the SYN is tried again. */
static void open__refused_later(void **state)
{
	struct shape s = { .len = 200000 };
	struct bed b;

	(void)state;
	bed_make(&b);
	assert_int_equal(app_send(b.app, &s), 0);
	close(b.listener);
	PUMP_UNTIL(&b.net, b.app->errors && b.app->out == 0);
	assert_int_equal(b.app->status, -ECONNREFUSED);
	assert_int_equal(b.app->open, 0);
	assert_int_equal(b.app->errors, 1);
	assert_int_equal(b.app->released, 1);
	assert_int_equal(b.app->released_status, -ECONNREFUSED);
	assert_int_equal(b.app->bytes_released, 0);
	assert_true(b.app->how & ZCS_ABANDONED);
	assert_int_equal(app_send(b.app, &s), -ECONNREFUSED);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	net_finish(&b.net);
}

static void open__closed_while_connecting(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .drain_ms = 100 };
	struct bed b;

	(void)state;
	bed_make(&b);
	assert_int_equal(zcs_conn_limits(b.app->conn, &opts), 0);
	assert_int_equal(app_send(b.app, &(struct shape){ .len = 100000 }), 0);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->released, 1);
	assert_true(b.app->how & ZCS_ABANDONED);
	close(b.listener);
	net_finish(&b.net);
}

/* Closed while connecting, and then it connects: what was queued is still delivered. */
static void open__closed_then_connected(void **state)
{
	struct peer *peer;
	struct bed b;

	(void)state;
	bed_make(&b);
	assert_int_equal(app_send(b.app, &(struct shape){ .len = 300000 }), 0);
	zcs_conn_close(b.app->conn);
	net_unsilence(b.listener);
	peer = peer_open(&b.net, accept(b.listener, NULL, NULL));
	peer->rx_seed = 71;
	PUMP_UNTIL(&b.net, peer->rx_eof);
	assert_int_equal(peer->rx_pos, 300000);
	close(peer->fd);
	peer->fd = -1;
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, 0);
	close(b.listener);
	net_finish(&b.net);
}

/* What cannot be taken stays the caller's. */
static void open__refuses(void **state)
{
	struct sockaddr_storage to;
	struct zcs_conn *conn;
	struct net net;
	socklen_t len;
	int fd, listener, file;

	(void)state;
	net_start(&net, NULL);
	assert_int_equal(zcs_conn_open(net.ctx, -1, NULL, &conn), -EBADF);
	file = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(zcs_conn_open(net.ctx, file, NULL, &conn), -ENOTSOCK);
	assert_int_equal(close(file), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(zcs_conn_open(net.ctx, fd, NULL, &conn), -ENOTCONN);
	assert_int_equal(close(fd), 0);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(zcs_conn_open(net.ctx, fd, NULL, &conn), -EOPNOTSUPP);
	assert_int_equal(close(fd), 0);
	listener = net_listen(NET_V4, NET_LO, &to, &len);
	assert_int_equal(zcs_conn_open(net.ctx, listener, NULL, &conn), -EINVAL);
	/* A connection attempt that has already failed says why. */
	close(listener);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, len), -1);
	if (errno == EINPROGRESS && poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, NET_MS) == 1)
		assert_int_equal(zcs_conn_open(net.ctx, fd, NULL, &conn), -ECONNREFUSED);
	assert_int_equal(close(fd), 0);
	net_finish(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(open__connecting),
		NET_TEST(open__refused_later),
		NET_TEST(open__closed_while_connecting),
		NET_TEST(open__closed_then_connected),
		NET_TEST(open__refuses),
	};

	return NET_MAIN(tests);
}
