// SPDX-License-Identifier: MIT
/* Files: in order with messages, from any offset, shrinking under way, to a peer that is gone. */
#include "net.h"

#include <fcntl.h>
#include <sys/mman.h>

#define FILE_TOKEN (1ull << 63) /* app.c makes none of this kind */

struct bed {
	struct net net;
	struct net_pair pair;
	struct app *app;
	struct peer *peer;
};

static void bed_make(struct bed *b, const struct net_where *w)
{
	net_start(&b->net, NULL);
	net_pair(&b->pair, w->family, w->path);
	b->app = app_open(&b->net, b->pair.near, NULL);
	b->peer = peer_open(&b->net, b->pair.far);
	b->app->tx_seed = b->peer->rx_seed = 51;
}

/* A file that holds the stream from pos on. */
static int make_file(uint64_t pos, size_t len)
{
	char name[] = "/tmp/zcsock-net-XXXXXX";
	char *mem;
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(ftruncate(fd, len), 0);
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(mem, MAP_FAILED);
	stream_fill(51, pos, mem, len);
	munmap(mem, len);
	return fd;
}

/* Events of send_file carry a token that app.c did not make. */
struct file_events {
	unsigned nr;
	struct zcs_event last;
	uint64_t bytes;
	unsigned readable, writable, errors;
};

static void take(struct bed *b, struct file_events *f)
{
	struct zcs_event ev[8];
	int i, n;

	assert_true(zcs_ctx_process(b->net.ctx, 0) >= 0);
	while ((n = zcs_ctx_events(b->net.ctx, ev, 8)) > 0) {
		for (i = 0; i < n; i++) {
			if (ev[i].type == ZCS_EV_RELEASED && (ev[i].token & FILE_TOKEN)) {
				f->nr++;
				f->last = ev[i];
				f->bytes += ev[i].bytes;
			} else {
				app_event(ev[i].user, &ev[i]);
			}
		}
	}
}

/* The peer reads, the library works, until nr files were reported. */
static void run_until(struct bed *b, struct file_events *f, unsigned nr)
{
	while (f->nr < nr) {
		struct pollfd fds[2] = { { .fd = zcs_ctx_fd(b->net.ctx), .events = POLLIN },
					 { .fd = b->peer->fd, .events = POLLIN } };
		static char buf[MIB];
		ssize_t n;

		if (b->peer->rx_paused)
			fds[1].fd = -1;
		if (poll(fds, 2, (int)(b->net.deadline - net_now_ms())) <= 0)
			fail_msg("time is up, waiting for file %u of %u", f->nr, nr);
		if (fds[0].revents)
			take(b, f);
		if (!fds[1].revents)
			continue;
		n = recv(b->peer->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0) {
			assert_int_equal(stream_check(51, b->peer->rx_pos, buf, n), n);
			b->peer->rx_pos += n;
		} else {
			b->peer->rx_paused = true;
		}
	}
}

static void file__whole_and_parts(void **state)
{
	struct file_events f = { .nr = 0 };
	int file = make_file(0, 10 * MIB);
	struct zcs_stats st;
	struct bed b;
	unsigned i;

	bed_make(&b, *state);
	assert_int_equal(zcs_conn_send_file(b.app->conn, file, 0, 3 * MIB + 17, FILE_TOKEN + 1), 0);
	b.app->tx_pos = 3 * MIB + 17;
	/* a message between files */
	assert_true(app_send(b.app, &(struct shape){ .len = 300000 }) >= 0);
	for (i = 0; i < 5; i++) {
		assert_int_equal(zcs_conn_send_file(b.app->conn, file, b.app->tx_pos, 700001,
						    FILE_TOKEN + 2 + i),
				 0);
		b.app->tx_pos += 700001;
		assert_true(app_send(b.app, &(struct shape){ .len = 20, .flags = ZCS_COPY }) >= 0);
	}
	run_until(&b, &f, 6);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);
	assert_int_equal(f.last.token, FILE_TOKEN + 6);
	assert_int_equal(f.last.status, 0);
	assert_int_equal(f.bytes, 3 * MIB + 17 + 5 * 700001);
	app_stats(b.app, &st);
	assert_int_equal(st.tx_bytes_file, f.bytes);
	assert_int_equal(lseek(file, 0, SEEK_CUR), 0); /* its offset is the caller's */
	close(file);
	net_finish(&b.net);
}

/*
 * RELEASED comes when the peer's kernel has the bytes: what is written to the file after that does
 * not reach a peer that reads late.
 */
static void file__released_means_delivered(void **state)
{
	struct file_events f = { .nr = 0 };
	const size_t len = 32 * KIB; /* fits into the peer's window */
	int file = make_file(0, len);
	struct bed b;
	char *mem;

	bed_make(&b, *state);
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	b.peer->rx_paused = true;
	net_silence(b.pair.far);
	assert_int_equal(zcs_conn_send_file(b.app->conn, file, 0, len, FILE_TOKEN + 1), 0);
	net_idle(&b.net, 50);
	take(&b, &f);
	assert_int_equal(f.nr, 0); /* not acknowledged */
	net_unsilence(b.pair.far);
	run_until(&b, &f, 1);
	assert_int_equal(net_unacked(b.pair.near), 0);
	b.app->tx_pos = len;
	munmap(mem, len);
	b.peer->rx_paused = false;
	PUMP_UNTIL(&b.net, b.peer->rx_pos == len);
	close(file);
	net_finish(&b.net);
}

/* It ends early: that is told, and the connection goes on. */
static void file__shorter_than_said(void **state)
{
	struct file_events f = { .nr = 0 };
	int file = make_file(0, 1 * MIB);
	struct bed b;

	bed_make(&b, *state);
	assert_int_equal(zcs_conn_send_file(b.app->conn, file, 0, 2 * MIB, FILE_TOKEN + 1), 0);
	b.app->tx_pos = 1 * MIB; /* the next byte of the stream that goes out */
	assert_true(app_send(b.app, &(struct shape){ .len = 50000 }) >= 0);
	run_until(&b, &f, 1);
	assert_int_equal(f.last.status, -ENODATA);
	assert_int_equal(f.last.bytes, 1 * MIB);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);
	assert_int_equal(b.app->errors, 0);
	close(file);
	net_finish(&b.net);
}

static void file__shrinks_under_way(void **state)
{
	struct file_events f = { .nr = 0 };
	int file = make_file(0, 32 * MIB);
	struct bed b;

	bed_make(&b, *state);
	b.peer->rx_paused = true;
	assert_int_equal(zcs_conn_send_file(b.app->conn, file, 0, 32 * MIB, FILE_TOKEN + 1), 0);
	net_idle(&b.net, 20);
	/* what is still in flight keeps its pages; what was not yet sent is gone */
	assert_int_equal(ftruncate(file, 24 * MIB), 0);
	b.peer->rx_paused = false;
	run_until(&b, &f, 1);
	assert_int_equal(f.last.status, -ENODATA);
	assert_int_equal(f.last.bytes, 24 * MIB);
	b.app->tx_pos = 24 * MIB;
	assert_true(app_send(b.app, &(struct shape){ .len = 50000 }) >= 0);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);
	close(file);
	net_finish(&b.net);
}

/* SIGPIPE, which sendfile has no flag against, would end this program. */
static void file__peer_is_gone(void **state)
{
	struct file_events f = { .nr = 0 };
	int file = make_file(0, 8 * MIB), i;
	struct bed b;

	bed_make(&b, *state);
	for (i = 0; i < 2; i++)
		assert_int_equal(
			zcs_conn_send_file(b.app->conn, file, 0, 8 * MIB, FILE_TOKEN + 1 + i), 0);
	net_reset(b.peer->fd);
	b.peer->fd = -1;
	b.peer->rx_paused = true;
	run_until(&b, &f, 2);
	assert_true(f.last.status < 0);
	PUMP_UNTIL(&b.net, b.app->errors);
	assert_true(zcs_conn_send_file(b.app->conn, file, 0, 100, FILE_TOKEN + 9) < 0);
	close(file);
	net_finish(&b.net);
}

static void file__bad_descriptors(void **state)
{
	struct file_events f = { .nr = 0 };
	int pipes[2], ret;
	struct bed b;

	bed_make(&b, *state);
	assert_true(zcs_conn_send_file(b.app->conn, -1, 0, 100, FILE_TOKEN + 1) < 0);
	/* A pipe is no file: refused now, or reported as an event, and nothing else breaks. */
	assert_int_equal(pipe(pipes), 0);
	ret = zcs_conn_send_file(b.app->conn, pipes[0], 0, 100, FILE_TOKEN + 2);
	if (ret == 0) {
		run_until(&b, &f, 1);
		assert_true(f.last.status < 0);
		assert_int_equal(f.last.bytes, 0);
	}
	if (!b.app->errors) {
		app_send_all(b.app, 100000, &(struct shape){ .len = 100000 });
		PUMP_UNTIL(&b.net, b.peer->rx_pos == 100000 && b.app->out == 0);
	}
	close(pipes[0]);
	close(pipes[1]);
	net_finish(&b.net);
}

/* A long file on one connection does not keep another waiting until it is through. */
static void file__is_fair(void **state)
{
	const size_t len = 256 * MIB;
	struct file_events f = { .nr = 0 };
	char name[] = "/tmp/zcsock-net-XXXXXX";
	int file = mkstemp(name);
	struct net_pair pair;
	struct peer *peer;
	struct app *app;
	struct bed b;

	bed_make(&b, *state);
	unlink(name);
	assert_int_equal(ftruncate(file, len), 0); /* a hole: quick to read */
	net_pair(&pair, NET_V6, NET_LO);
	app = app_open(&b.net, pair.near, NULL);
	peer = peer_open(&b.net, pair.far);
	app->tx_seed = peer->rx_seed = 3;
	b.peer->rx_plain = true;
	assert_int_equal(zcs_conn_send_file(b.app->conn, file, 0, len, FILE_TOKEN + 1), 0);
	b.peer->rx_pos = 0;
	app_send_all(app, 100000, &(struct shape){ .len = 100000 });
	while (peer->rx_pos < 100000) {
		struct pollfd fds[3] = { { .fd = zcs_ctx_fd(b.net.ctx), .events = POLLIN },
					 { .fd = b.peer->fd, .events = POLLIN },
					 { .fd = peer->fd, .events = POLLIN } };
		static char buf[MIB];
		ssize_t n;

		assert_true(poll(fds, 3, NET_MS) > 0);
		if (fds[0].revents)
			take(&b, &f);
		if (fds[1].revents && (n = recv(b.peer->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
			b.peer->rx_pos += n;
		if (fds[2].revents && (n = recv(peer->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
			peer->rx_pos += n;
	}
	assert_true(b.peer->rx_pos < len / 4);
	close(file);
	/* the rest is not worth the time */
	zcs_conn_abort(b.app->conn);
	while (f.nr < 1)
		take(&b, &f);
	net_finish(&b.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST_ON(file__whole_and_parts, NET_V4, NET_LO),
		NET_TEST_ON(file__whole_and_parts, NET_V6, NET_VETH),
		NET_TEST_ON(file__released_means_delivered, NET_V4, NET_LO),
		NET_TEST_ON(file__shorter_than_said, NET_V4, NET_LO),
		NET_TEST_ON(file__shrinks_under_way, NET_V4, NET_LO),
		NET_TEST_ON(file__peer_is_gone, NET_V4, NET_LO),
		NET_TEST_ON(file__bad_descriptors, NET_V4, NET_LO),
		NET_TEST_ON(file__is_fair, NET_V4, NET_LO),
	};

	return NET_MAIN(tests);
}
