// SPDX-License-Identifier: MIT
/* Pipes: what comes from one socket leaves by another, and nobody looks at it in between. */
#include "net.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>

struct bed {
	struct net net;
	struct net_pair pair;
	struct app *app;
	struct peer *peer;
	int r, w; /* the pipe */
};

static void bed_make(struct bed *b, const struct net_where *w)
{
	int fds[2];

	net_start(&b->net, NULL);
	net_pair(&b->pair, w->family, w->path);
	b->app = app_open(&b->net, b->pair.near, NULL);
	b->app->rx_manual = true;
	b->peer = peer_open(&b->net, b->pair.far);
	b->app->tx_seed = b->peer->rx_seed = 61;
	b->peer->tx_seed = 61;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	b->r = fds[0];
	b->w = fds[1];
}

static void bed_end(struct bed *b)
{
	net_finish(&b->net);
	if (b->r >= 0)
		close(b->r);
	if (b->w >= 0)
		close(b->w);
}

/* Fills the pipe with the stream from pos on. */
static void fill(struct bed *b, uint64_t pos, size_t len)
{
	char *mem = malloc(len);

	stream_fill(61, pos, mem, len);
	assert_int_equal(write(b->w, mem, len), len);
	free(mem);
}

/* What came from the plain side goes on to `out`; the bytes that wait, or the end: 0. */
static int pass_on(struct app *in, struct app *out, const struct bed *b)
{
	int n;

	while ((n = zcs_conn_recv_pipe(in->conn, b->w, 0)) > 0)
		assert_int_equal(
			zcs_conn_send_pipe(out->conn, b->r, (size_t)n, app_expect_token(out)), 0);
	assert_true(n == 0 || n == -EAGAIN || n == -ENOSPC);
	return n;
}

static void pipe__relay(void **state)
{
	const struct net_where *w = *state;
	const size_t len = 40 * MIB;
	struct net_pair pair;
	struct peer *to;
	struct app *out;
	struct zcs_stats st;
	struct bed b;
	int n;

	bed_make(&b, w);
	net_pair(&pair, w->family, w->path);
	out = app_open(&b.net, pair.near, NULL);
	to = peer_open(&b.net, pair.far);
	to->rx_seed = 61;
	peer_send(b.peer, len);
	b.peer->tx_shut = true;
	while ((n = pass_on(b.app, out, &b)) != 0)
		net_step(&b.net, "all is passed on");
	assert_int_equal(zcs_conn_recv_pipe(b.app->conn, b.w, 0), 0); /* asked again */
	assert_int_equal(zcs_conn_shutdown(out->conn), 0);
	PUMP_UNTIL(&b.net, to->rx_eof && out->out == 0);
	assert_int_equal(to->rx_pos, len);
	assert_int_equal(out->bytes_released, len);
	app_stats(out, &st);
	assert_int_equal(st.tx_bytes_file, len);
	app_stats(b.app, &st);
	assert_int_equal(st.rx_bytes, len);
	assert_int_equal(st.borrowed, 0);
	bed_end(&b);
}

/* Spans and pipes take turns with one stream, and nothing is lost between them. */
static void pipe__and_spans(void **state)
{
	const struct zcs_conn_opts trust = { .size = sizeof(trust),
					     .trust = ZCS_TRUST_PEER,
					     .recv_way = ZCS_WAY_ZEROCOPY };
	const size_t len = 20 * MIB;
	static char buf[MIB];
	uint64_t pos = 0, r = 5;
	struct bed b;

	bed_make(&b, *state);
	assert_int_equal(zcs_conn_limits(b.app->conn, &trust), 0);
	b.peer->tx_flags = MSG_ZEROCOPY;
	net_set(b.peer->fd, SOL_SOCKET, SO_ZEROCOPY, 1);
	peer_send(b.peer, len);
	while (pos < len) {
		struct zcs_span spans[8];
		bool by_pipe = net_random(&r) % 2;
		size_t max = 1 + net_random(&r) % 200000;
		int n = by_pipe ? zcs_conn_recv_pipe(b.app->conn, b.w, max)
				: zcs_conn_recv(b.app->conn, spans, 8, max);

		if (n == -EAGAIN) {
			net_step(&b.net, "all comes");
			continue;
		}
		assert_true(n > 0);
		if (by_pipe) {
			assert_true((size_t)n <= max);
			assert_int_equal(read(b.r, buf, sizeof(buf)), n);
			assert_int_equal(stream_check(61, pos, buf, (size_t)n), n);
			pos += (uint64_t)n;
			continue;
		}
		for (int i = 0; i < n; pos += spans[i++].len)
			assert_int_equal(stream_check(61, pos, spans[i].base, spans[i].len),
					 spans[i].len);
		zcs_span_release(b.net.ctx, spans, (size_t)n);
	}
	bed_end(&b);
}

static size_t in_pipe(const struct bed *b)
{
	int there = 0;

	assert_int_equal(ioctl(b->r, FIONREAD, &there), 0);
	return (size_t)there;
}

/* In order with messages; a full socket is waited for, a pipe that is short is not. */
static void pipe__among_messages(void **state)
{
	struct bed b;

	bed_make(&b, *state);
	assert_true(fcntl(b.w, F_SETPIPE_SZ, MIB) >= (int)MIB);
	for (int i = 0; i < 200; i++) {
		size_t len = 1 + (size_t)i * 331 % 65536;

		b.peer->rx_paused = in_pipe(&b) < 200 * KIB;
		PUMP_UNTIL(&b.net, b.peer->rx_paused || !in_pipe(&b));
		fill(&b, b.app->tx_pos, len);
		assert_int_equal(zcs_conn_send_pipe(b.app->conn, b.r, in_pipe(&b) + 1, 1),
				 -ENODATA);
		assert_int_equal(zcs_conn_send_pipe(b.app->conn, b.r, len, app_expect_token(b.app)),
				 0);
		b.app->tx_pos += len;
		assert_true(app_send(b.app, &(struct shape){ .len = 20000 }) >= 0);
		net_take(&b.net);
	}
	b.peer->rx_paused = false;
	PUMP_UNTIL(&b.net, b.app->out == 0 && b.peer->rx_pos == b.app->tx_pos);
	assert_int_equal(b.app->released_status, 0);
	bed_end(&b);
}

/* RELEASED comes when the peer's kernel has the bytes; of memory too that was lent to the pipe. */
static void pipe__released_means_delivered(void **state)
{
	const size_t len = 32 * KIB;
	struct iovec v = { NULL, len };
	struct bed b;

	bed_make(&b, *state);
	v.iov_base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stream_fill(61, 0, v.iov_base, len);
	assert_int_equal(vmsplice(b.w, &v, 1, 0), len);
	b.peer->rx_paused = true;
	net_silence(b.pair.far);
	assert_int_equal(zcs_conn_send_pipe(b.app->conn, b.r, len, app_expect_token(b.app)), 0);
	net_idle(&b.net, 50);
	assert_int_equal(b.app->out, 1); /* not acknowledged */
	net_unsilence(b.pair.far);
	PUMP_UNTIL(&b.net, b.app->out == 0);
	assert_int_equal(net_unacked(b.pair.near), 0);
	munmap(v.iov_base, len);
	b.peer->rx_paused = false;
	PUMP_UNTIL(&b.net, b.peer->rx_pos == len);
	bed_end(&b);
}

/* Somebody takes from the pipe what was said to be there: the message ends short, and no more. */
static void pipe__somebody_takes_it(void **state)
{
	static char buf[5000];
	struct bed b;

	bed_make(&b, *state);
	fill(&b, 0, 10000);
	assert_int_equal(zcs_conn_send_pipe(b.app->conn, b.r, 10000, app_expect_token(b.app)), 0);
	assert_int_equal(read(b.r, buf, 5000), 5000);
	b.peer->rx_plain = true;
	PUMP_UNTIL(&b.net, b.app->out == 0);
	assert_int_equal(b.app->released_status, -ENODATA);
	assert_int_equal(b.app->bytes_released, 5000);
	b.app->tx_pos = 5000;
	assert_true(app_send(b.app, &(struct shape){ .len = 3000 }) >= 0);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == 8000 && b.app->out == 0);
	bed_end(&b);
}

/* The bytes that were in the pipe, checked; pos: where they begin. */
static size_t empty(const struct bed *b, uint64_t pos)
{
	static char buf[MIB];
	ssize_t n = read(b->r, buf, sizeof(buf));

	if (n < 0)
		return 0;
	assert_int_equal(stream_check(61, pos, buf, (size_t)n), n);
	return (size_t)n;
}

/* A full pipe is told from an empty socket; one that nobody reads from a broken connection. */
static void pipe__full_and_abandoned(void **state)
{
	const size_t len = 300000;
	size_t have = 0, full = 0;
	unsigned told;
	struct bed b;

	bed_make(&b, *state);
	assert_int_equal(zcs_conn_recv_pipe(b.app->conn, b.w, 0), -EAGAIN);
	peer_send(b.peer, len);
	while (have < len) {
		int n = zcs_conn_recv_pipe(b.app->conn, b.w, 0);
		size_t there = in_pipe(&b);

		if (n == -EAGAIN && have + there < len) {
			net_step(&b.net, "all comes");
			continue;
		}
		assert_true(n > 0 || n == -EAGAIN || (n == -ENOSPC && there > 0));
		full += n == -ENOSPC;
		have += n < 0 ? empty(&b, have) : 0;
	}
	assert_true(full > 0);
	assert_int_equal(zcs_conn_recv_pipe(b.app->conn, b.w, 0), -EAGAIN);
	told = b.app->readable;
	peer_send(b.peer, 10);
	PUMP_UNTIL(&b.net, b.app->readable > told);
	close(b.r);
	b.r = -1;
	assert_int_equal(zcs_conn_recv_pipe(b.app->conn, b.w, 0), -EPIPE); /* and no SIGPIPE */
	b.app->rx_seed = 61;
	b.app->rx_pos = len;
	app_drain(b.app);
	assert_int_equal(b.app->rx_pos, len + 10);
	assert_int_equal(b.app->errors, 0);
	bed_end(&b);
}

static void pipe__reset(void **state)
{
	struct bed b;
	int n;

	bed_make(&b, *state);
	peer_send(b.peer, 1000);
	PUMP_UNTIL(&b.net, net_queued(b.pair.near) == 1000);
	net_reset(b.peer->fd);
	b.peer->fd = -1;
	b.peer->rx_paused = true;
	while ((n = zcs_conn_recv_pipe(b.app->conn, b.w, 0)) > 0 || n == -EAGAIN)
		net_take(&b.net);
	assert_int_equal(n, -ECONNRESET);
	assert_int_equal(zcs_conn_recv_pipe(b.app->conn, b.w, 0), -ECONNRESET);
	bed_end(&b);
}

/* The end that lies behind an urgent byte is not taken for one that is here. */
static void pipe__urgent(void **state)
{
	struct zcs_span span;
	struct bed b;
	int n;

	bed_make(&b, *state);
	assert_int_equal(send(b.peer->fd, "abcU", 4, MSG_OOB), 4);
	assert_int_equal(send(b.peer->fd, "d", 1, 0), 1);
	assert_int_equal(shutdown(b.peer->fd, SHUT_WR), 0);
	b.peer->tx_shut = true;
	usleep(20000);
	while ((n = zcs_conn_recv_pipe(b.app->conn, b.w, 0)) > 0 || n == -EAGAIN) {
		if (n == -EAGAIN)
			net_step(&b.net, "urgent data");
	}
	assert_int_equal(n, -EOPNOTSUPP);
	while ((n = zcs_conn_recv(b.app->conn, &span, 1, 0)) != 0) {
		if (n < 0)
			net_step(&b.net, "the end");
		else
			zcs_span_release(b.net.ctx, &span, 1);
	}
	bed_end(&b);
}

static void pipe__bad_descriptors(void **state)
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct bed b;

	bed_make(&b, *state);
	assert_int_equal(zcs_conn_send_pipe(b.app->conn, -1, 1, 1), -EBADF);
	assert_int_equal(zcs_conn_send_pipe(b.app->conn, file, 1, 1), -EBADF);
	assert_int_equal(zcs_conn_send_pipe(b.app->conn, b.r, 0, 1), -EINVAL);
	assert_int_equal(zcs_conn_send_pipe(b.app->conn, b.r, 1, 1), -ENODATA);
	assert_int_equal(zcs_conn_recv_pipe(b.app->conn, -1, 0), -EBADF);
	assert_int_equal(zcs_conn_recv_pipe(b.app->conn, file, 0), -EBADF);
	peer_send(b.peer, 100);
	PUMP_UNTIL(&b.net, net_queued(b.pair.near) == 100);
	assert_int_equal(zcs_conn_recv_pipe(b.app->conn, b.r, 0), -EBADF); /* its other end */
	assert_int_equal(zcs_conn_recv_pipe(b.app->conn, b.w, 0), 100);
	zcs_conn_close(b.app->conn);
	assert_int_equal(zcs_conn_recv_pipe(b.app->conn, b.w, 0), -EPIPE);
	assert_int_equal(zcs_conn_send_pipe(b.app->conn, b.r, 1, 1), -EPIPE);
	close(file);
	bed_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST_ON(pipe__relay, NET_V4, NET_LO),
		NET_TEST_ON(pipe__relay, NET_V6, NET_LO),
		NET_TEST_ON(pipe__relay, NET_V4, NET_VETH),
		NET_TEST_ON(pipe__and_spans, NET_V4, NET_LO),
		NET_TEST_ON(pipe__and_spans, NET_V6, NET_VETH),
		NET_TEST_ON(pipe__among_messages, NET_V4, NET_LO),
		NET_TEST_ON(pipe__released_means_delivered, NET_V4, NET_LO),
		NET_TEST_ON(pipe__somebody_takes_it, NET_V4, NET_LO),
		NET_TEST_ON(pipe__full_and_abandoned, NET_V4, NET_LO),
		NET_TEST_ON(pipe__reset, NET_V4, NET_LO),
		NET_TEST_ON(pipe__urgent, NET_V4, NET_LO),
		NET_TEST_ON(pipe__bad_descriptors, NET_V4, NET_LO),
	};

	return NET_MAIN(tests);
}
