// SPDX-License-Identifier: MIT
/* The end of a connection, and UNIX sockets: what once went wrong, one test for each. */
#include "net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

struct bed {
	struct net net;
	struct net_pair pair;
	struct app *app;
	struct peer *peer;
};

static void bed_of(struct bed *b, int near, int far)
{
	net_start(&b->net, NULL);
	b->pair = (struct net_pair){ near, far };
	b->app = app_open(&b->net, near, NULL);
	b->peer = peer_open(&b->net, far);
	b->app->tx_seed = b->peer->rx_seed = 1;
	b->app->rx_seed = b->peer->tx_seed = 2;
}

static void bed_tcp(struct bed *b)
{
	struct net_pair pair;

	net_pair(&pair, NET_V4, NET_LO);
	bed_of(b, pair.near, pair.far);
}

static void bed_unix(struct bed *b)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	bed_of(b, fds[0], fds[1]);
}

static void peer_gone(struct bed *b)
{
	close(b->peer->fd);
	b->peer->fd = -1;
}

/* --- TCP --- */

/* Both write before they read: a close that does not read on would wait for ever. */
static void close__reads_while_it_drains(void **state)
{
	struct bed b;

	(void)state;
	bed_tcp(&b);
	b.app->rx_manual = true;
	b.peer->rx_paused = true;
	assert_int_equal(app_send(b.app, &(struct shape){ .len = 8 * MIB }), 0);
	peer_send(b.peer, 32 * MIB);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.peer->tx_at == b.peer->tx_len || b.peer->tx_error);
	assert_int_equal(b.peer->tx_error, 0);
	b.peer->rx_paused = false;
	PUMP_UNTIL(&b.net, b.peer->rx_eof || b.peer->rx_error);
	assert_int_equal(b.peer->rx_error, 0);
	assert_int_equal(b.peer->rx_pos, 8 * MIB);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, 0);
	net_finish(&b.net);
}

static void mptcp_pair(int *near, int *far)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	socklen_t len = sizeof(to);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);

	if (listener < 0) {
		print_message("no MPTCP: %s\n", strerror(errno));
		skip();
	}
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&to, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&to, &len), 0);
	*near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	assert_int_equal(connect(*near, (struct sockaddr *)&to, len), 0);
	*far = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(*far >= 0);
	close(listener);
}

/* What the peer sent was never read, and it reads late: a reset would destroy our bytes. */
static void close__mptcp_loses_nothing(void **state)
{
	struct bed b;
	int near, far;

	(void)state;
	mptcp_pair(&near, &far);
	bed_of(&b, near, far);
	b.app->rx_manual = true;
	b.peer->rx_paused = true;
	peer_send(b.peer, 1000);
	PUMP_UNTIL(&b.net, b.app->readable);
	assert_int_equal(app_send(b.app, &(struct shape){ .len = 2 * MIB, .flags = ZCS_COPY }), 1);
	zcs_conn_close(b.app->conn);
	net_idle(&b.net, 100);
	b.peer->rx_paused = false;
	PUMP_UNTIL(&b.net, b.peer->rx_eof || b.peer->rx_error);
	assert_int_equal(b.peer->rx_error, 0);
	assert_int_equal(b.peer->rx_pos, 2 * MIB);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, 0);
	net_finish(&b.net);
}

/* Half a message and then a clean end would look whole to a peer that reads to the end. */
static void local_failure__peer_sees_reset_not_fin(void **state)
{
	const size_t len = 3 * MIB, at = 1 * MIB + 64 * KIB;
	char *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec iov = { mem, len };
	struct zcs_msg msg = { .size = sizeof(msg), .iov = &iov, .nr_iov = 1 };
	struct bed b;

	(void)state;
	assert_true(mem != MAP_FAILED);
	bed_tcp(&b);
	net_set(b.pair.near, SOL_SOCKET, SO_SNDBUFFORCE, 8 * MIB);
	stream_fill(1, 0, mem, at);
	assert_int_equal(mprotect(mem + at, 4096, PROT_NONE), 0);
	msg.token = app_expect_token(b.app);
	msg.flags = ZCS_ZEROCOPY;
	assert_int_equal(zcs_conn_send(b.app->conn, &msg), 0);
	PUMP_UNTIL(&b.net, b.app->errors);
	assert_int_equal(b.app->status, -EFAULT);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed && (b.peer->rx_eof || b.peer->rx_error));
	assert_int_equal(b.peer->rx_error, -ECONNRESET);
	assert_in_range(b.peer->rx_pos, net_line_is_bad() ? 0 : 1, at);
	assert_int_equal(b.app->closed_status, -EFAULT);
	assert_true(b.app->how & ZCS_ABANDONED);
	net_finish(&b.net);
	munmap(mem, len);
}

/* A file between two loans, and a send that meets the reset before its notifications are read. */
static void abandon__files_do_not_hide_loans(void **state)
{
	struct shape lend = { .len = 64 * KIB, .flags = ZCS_ZEROCOPY };
	int file = memfd_create("file", MFD_CLOEXEC);
	struct bed b;
	struct pollfd pf;
	int ret;

	(void)state;
	assert_int_equal(ftruncate(file, 100), 0);
	bed_tcp(&b);
	net_set(b.pair.near, SOL_SOCKET, SO_SNDBUFFORCE, 4 * MIB);
	net_silence(b.pair.far);
	assert_int_equal(app_send(b.app, &lend), 0);
	assert_int_equal(zcs_conn_send_file(b.app->conn, file, 0, 100, app_expect_token(b.app)), 0);
	net_take(&b.net);
	assert_int_equal(app_send(b.app, &lend), 0);
	assert_int_equal(zcs_conn_flush(b.app->conn), 0);
	assert_int_equal(net_unacked(b.pair.near), 2 * lend.len + 100);
	net_reset(b.pair.far);
	b.peer->fd = -1;
	pf = (struct pollfd){ .fd = b.pair.near };
	assert_int_equal(poll(&pf, 1, 5000), 1);
	ret = app_send(b.app, &(struct shape){ .len = 10, .flags = ZCS_COPY });
	assert_true(net_by_ring() ? ret == 1 : ret < 0);
	PUMP_UNTIL(&b.net, b.app->errors && b.app->out == 0);
	assert_int_equal(b.app->released, 3);
	assert_int_equal(b.app->condemned, 0);
	net_finish(&b.net);
	close(file);
}

/* --- UNIX stream sockets --- */

/* MSG_ERRQUEUE means nothing there: the call would take bytes of the stream. */
static void unix_stream__error_queue_is_not_the_stream(void **state)
{
	struct bed b;

	(void)state;
	bed_unix(&b);
	assert_int_equal(send(b.pair.far, "hello", 5, 0), 5);
	peer_gone(&b); /* EPOLLHUP beside the bytes */
	b.app->rx_plain = true;
	PUMP_UNTIL(&b.net, b.app->rx_eof || b.app->rx_error);
	assert_int_equal(b.app->rx_pos, 5);
	assert_true(b.app->rx_eof);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	net_finish(&b.net);
}

/* At the end of a stream the same call succeeds for ever. */
static void unix_stream__abort_comes_to_an_end(void **state)
{
	struct bed b;

	(void)state;
	bed_unix(&b);
	peer_gone(&b);
	zcs_conn_abort(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	net_finish(&b.net);
}

static void send_descriptors(int sock, int fd)
{
	union {
		char buf[CMSG_SPACE(20 * sizeof(int))];
		struct cmsghdr align;
	} control = { .buf = { 0 } };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);
	int i, fds[20];

	for (i = 0; i < 20; i++)
		fds[i] = fd;
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(cm), fds, sizeof(fds));
	assert_int_equal(sendmsg(sock, &msg, 0), 1);
}

static int next_fd(void)
{
	int fd = dup(STDERR_FILENO);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

/* Nobody could ever close what a peer sends along with its bytes. */
static void unix__no_descriptors_leak_in(void **state)
{
	struct bed b;
	int before;

	(void)state;
	bed_unix(&b);
	b.app->rx_plain = true;
	before = next_fd();
	send_descriptors(b.pair.far, STDERR_FILENO);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 1);
	assert_int_equal(next_fd(), before);
	/* nor when a closing connection drops its input */
	send_descriptors(b.pair.far, STDERR_FILENO);
	zcs_conn_close(b.app->conn);
	assert_true(next_fd() <= before);
	PUMP_UNTIL(&b.net, b.app->closed);
	net_finish(&b.net);
}

/* Descriptors end a read early; what came behind them makes no new edge. */
static void unix_stream__short_read_is_not_the_end(void **state)
{
	struct bed b;
	int i;

	(void)state;
	bed_unix(&b);
	b.app->rx_plain = true;
	for (i = 0; i < 5; i++)
		send_descriptors(b.pair.far, STDERR_FILENO);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 5);
	net_finish(&b.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(close__reads_while_it_drains),
		NET_TEST(close__mptcp_loses_nothing),
		NET_TEST(local_failure__peer_sees_reset_not_fin),
		NET_TEST(abandon__files_do_not_hide_loans),
		NET_TEST(unix__no_descriptors_leak_in),
		NET_TEST(unix_stream__short_read_is_not_the_end),
		NET_TEST(unix_stream__abort_comes_to_an_end),
		NET_TEST(unix_stream__error_queue_is_not_the_stream),
	};

	return NET_MAIN(tests);
}
