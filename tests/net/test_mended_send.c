// SPDX-License-Identifier: MIT
/* Sending: what once went wrong at the edges, one test for each. */
#include "net.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "sys.h"

struct bed {
	struct net net;
	struct net_pair pair;
	struct app *app;
	struct peer *peer;
};

static void bed_make(struct bed *b, const struct zcs_conn_opts *opts,
		     const struct zcs_ctx_opts *ctx_opts)
{
	net_start(&b->net, ctx_opts);
	net_pair(&b->pair, NET_V4, NET_LO);
	b->app = app_open(&b->net, b->pair.near, opts);
	b->peer = peer_open(&b->net, b->pair.far);
	b->app->tx_seed = b->peer->rx_seed = 1;
	b->app->rx_seed = b->peer->tx_seed = 2;
}

static int send_mem(struct app *a, const void *mem, size_t len, uint32_t flags)
{
	struct iovec iov = { (void *)mem, len };
	struct zcs_msg msg = { .size = sizeof(msg), .iov = &iov, .nr_iov = 1, .flags = flags };

	return zcs_conn_send(a->conn, &msg);
}

static const struct shape lend = { .len = 64 * KIB, .flags = ZCS_ZEROCOPY };

/* --- memory that is given --- */

/* It is the library's from then on, also when it was copied at once; and who waits is told. */
static void give__pool_event_follows(void **state)
{
	struct zcs_ctx_opts opts = { .size = sizeof(opts), .pool_max = 4096 };
	struct bed b;
	char *mem;

	(void)state;
	bed_make(&b, NULL, &opts);
	mem = zcs_buf_alloc(b.net.ctx, 4096, NULL);
	assert_non_null(mem);
	assert_null(zcs_buf_alloc(b.net.ctx, 4096, NULL));
	stream_fill(1, 0, mem, 4096);
	assert_int_equal(send_mem(b.app, mem, 4096, ZCS_GIVE), 0);
	PUMP_UNTIL(&b.net, b.net.pool_events);
	mem = zcs_buf_alloc(b.net.ctx, 4096, NULL);
	assert_non_null(mem);
	zcs_buf_free(b.net.ctx, mem);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == 4096);
	assert_int_equal(b.net.pool_events, 1);
	net_finish(&b.net);
}

/* A received span lies in pool memory too, but not of the caller's. */
static void give__of_library_memory_refused(void **state)
{
	struct zcs_stats st;
	struct bed b;

	(void)state;
	bed_make(&b, NULL, NULL);
	b.app->rx_hold = true;
	peer_send(b.peer, 100);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 100);
	assert_int_equal(send_mem(b.app, b.app->held[0].base, 100, ZCS_GIVE), -EINVAL);
	app_check_held(b.app);
	app_release_held(b.app);
	app_stats(b.app, &st);
	assert_int_equal(st.borrowed, 0);
	assert_int_equal(st.tx_msgs, 0);
	net_finish(&b.net);
}

/* --- bad memory --- */

/* Behind a message that waits in the same call. */
static void bad_pointer(size_t len, uint32_t flags)
{
	void *bad = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct shape good = { .len = len, .flags = flags | ZCS_MORE };
	struct bed b;

	assert_true(bad != MAP_FAILED);
	bed_make(&b, NULL, NULL);
	assert_int_equal(app_send(b.app, &good), 0);
	assert_int_equal(send_mem(b.app, bad, len, flags), -EFAULT);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == len && b.app->out == 0);
	assert_int_equal(b.app->released_status, 0);
	assert_false(b.app->how & ZCS_ABANDONED);
	app_send_all(b.app, 1 * MIB, &lend);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);
	assert_int_equal(b.app->errors, 0);
	net_finish(&b.net);
	munmap(bad, len);
}

static void send__bad_pointer_is_blamed_on_its_message(void **state)
{
	(void)state;
	net_socket_only();
	bad_pointer(100, 0);
}

static void send__bad_pointer_is_blamed_on_its_message_lent(void **state)
{
	(void)state;
	net_socket_only();
	bad_pointer(64 * KIB, ZCS_ZEROCOPY);
}

/* More than one call, and the second finds a page that is not there: no event is owed. */
static void copy__broken_midway_reports(void **state)
{
	const size_t len = 3 * MIB, at = 1 * MIB + 64 * KIB;
	char *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct bed b;

	(void)state;
	net_socket_only();
	assert_true(mem != MAP_FAILED);
	bed_make(&b, NULL, NULL);
	net_set(b.pair.near, SOL_SOCKET, SO_SNDBUFFORCE, 8 * MIB);
	stream_fill(1, 0, mem, at);
	assert_int_equal(mprotect(mem + at, 4096, PROT_NONE), 0);
	assert_int_equal(send_mem(b.app, mem, len, ZCS_COPY), 1);
	munmap(mem, len);
	PUMP_UNTIL(&b.net, b.app->errors);
	assert_int_equal(b.app->status, -EFAULT);
	net_finish(&b.net);
}

static int reset_after_call = -1;

static ssize_t send_then_reset(int fd, const struct iovec *v, int flags)
{
	ssize_t n = zcsi_sys_kernel.send(fd, v, flags);

	if (n > 0 && reset_after_call >= 0)
		net_reset(reset_after_call);
	reset_after_call = -1;
	return n;
}

/* The peer goes away between two calls of one message: all the same. */
static void copy__peer_resets_midway(void **state)
{
	static struct zcsi_sys sys;
	struct shape s = { .len = 3 * MIB, .flags = ZCS_COPY };
	struct bed b;
	int ret;

	(void)state;
	net_socket_only();
	bed_make(&b, NULL, NULL);
	net_set(b.pair.near, SOL_SOCKET, SO_SNDBUFFORCE, 8 * MIB);
	sys = zcsi_sys_kernel;
	sys.send = send_then_reset;
	reset_after_call = b.pair.far;
	b.peer->fd = -1;
	zcsi_sys = &sys;
	ret = app_send(b.app, &s);
	zcsi_sys = &zcsi_sys_kernel;
	assert_int_equal(ret, 1);
	PUMP_UNTIL(&b.net, b.app->errors);
	assert_int_equal(b.app->out, 0);
	net_finish(&b.net);
}

/* --- limits --- */

/* One connection's stuck loans fill most of the common budget: another's room is still told. */
static void budget__stuck_peers_starve_nobody(void **state)
{
	struct zcs_ctx_opts ctx_opts = { .size = sizeof(ctx_opts), .lent_max = 1 * MIB };
	struct zcs_conn_opts opts = { .size = sizeof(opts), .lent_max = 64 * KIB };
	struct net_pair pair;
	struct app *slow;
	struct bed b;

	(void)state;
	bed_make(&b, &opts, &ctx_opts);
	net_pair(&pair, NET_V6, NET_LO);
	slow = app_open(&b.net, pair.near, NULL);
	net_silence(pair.far);
	net_silence(b.pair.far);
	assert_int_equal(app_send(slow, &(struct shape){ .len = 600 * KIB, .flags = ZCS_ZEROCOPY }),
			 0);
	assert_int_equal(app_send(b.app, &lend), 0);
	assert_int_equal(app_send(b.app, &lend), -EAGAIN);
	net_unsilence(b.pair.far);
	PUMP_UNTIL(&b.net, b.app->writable);
	app_send_all(b.app, 1 * MIB, &lend);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos);
	assert_int_equal(slow->out, 1);
	net_finish(&b.net);
	close(pair.far);
}

/* No limit is no limit, of a loan and of a drain. */
static void loan_age__unlimited(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .loan_age_ms = ZCS_UNLIMITED,
				      .drain_ms = ZCS_UNLIMITED };
	struct bed b;

	(void)state;
	bed_make(&b, &opts, NULL);
	net_silence(b.pair.far);
	assert_int_equal(app_send(b.app, &lend), 0);
	net_idle(&b.net, 60);
	assert_int_equal(b.app->errors, 0);
	assert_int_equal(zcs_conn_limits(b.app->conn, &opts), 0);
	zcs_conn_close(b.app->conn);
	net_idle(&b.net, 120);
	assert_int_equal(b.app->closed, 0);
	net_unsilence(b.pair.far);
	PUMP_UNTIL(&b.net, b.peer->rx_eof && b.app->closed);
	assert_int_equal(b.app->released_status, 0);
	assert_int_equal(b.app->closed_status, 0);
	assert_int_equal(b.peer->rx_pos, b.app->tx_pos);
	net_finish(&b.net);
}

/* --- files --- */

static uint64_t now_ns;

static uint64_t clock_by_hand(bool coarse)
{
	(void)coarse;
	return now_ns;
}

/* Sending goes on all the time; a file that is acknowledged is reported nevertheless. */
static void file__release_is_not_put_off(void **state)
{
	static struct zcsi_sys sys;
	struct shape byte = { .len = 1, .flags = ZCS_COPY };
	int file = memfd_create("file", MFD_CLOEXEC);
	size_t sent = 0, late = 0; /* rounds since it was acknowledged */
	struct bed b;

	(void)state;
	sys = zcsi_sys_kernel;
	sys.clock_ns = clock_by_hand;
	now_ns = zcsi_sys_kernel.clock_ns(true);
	zcsi_sys = &sys;
	assert_int_equal(ftruncate(file, 100), 0);
	bed_make(&b, NULL, NULL);
	b.peer->rx_plain = true;
	net_silence(b.pair.far); /* not at the first look */
	assert_int_equal(zcs_conn_send_file(b.app->conn, file, 0, 100, app_expect_token(b.app)), 0);
	net_take(&b.net);
	assert_int_equal(net_unacked(b.pair.near), 100);
	net_unsilence(b.pair.far);
	while (b.app->out && late < 100) {
		assert_int_equal(app_send(b.app, &byte), 1);
		sent++;
		net_idle(&b.net, 1);
		now_ns += 1000000; /* never ahead of the kernel's, whose timer is late then */
		late += net_unacked(b.pair.near) <= sent;
	}
	zcsi_sys = &zcsi_sys_kernel;
	assert_int_equal(b.app->out, 0);
	net_finish(&b.net);
	close(file);
}

/* Nothing promises that a file has a byte: what is in front of it goes out by itself. */
static void file__empty_one_holds_nothing_back(void **state)
{
	int file = memfd_create("file", MFD_CLOEXEC), unsent = -1;
	struct bed b;

	(void)state;
	bed_make(&b, NULL, NULL);
	assert_int_equal(app_send(b.app, &(struct shape){ .len = 100, .flags = ZCS_MORE }), 0);
	assert_int_equal(zcs_conn_send_file(b.app->conn, file, 0, 100, app_expect_token(b.app)), 0);
	net_take(&b.net);
	assert_int_equal(ioctl(b.pair.near, SIOCOUTQNSD, &unsent), 0);
	assert_int_equal(unsent, 0);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == 100 && b.app->out == 0);
	assert_int_equal(b.app->released_status, -ENODATA);
	assert_int_equal(b.app->errors, 0);
	net_finish(&b.net);
	close(file);
}

/* --- another owner, before and after --- */

static void wait_until_all_is_back(struct app *a)
{
	struct pollfd pf = { .fd = zcs_ctx_fd(a->net->ctx), .events = POLLIN };
	struct zcs_stats st;

	for (app_stats(a, &st); st.lent; app_stats(a, &st)) {
		assert_int_equal(poll(&pf, 1, 5000), 1);
		assert_true(zcs_ctx_process(a->net->ctx, 0) >= 0);
	}
}

/* The event names the connection: it must not be freed before the event is taken. */
static void detach__busy_while_an_event_waits(void **state)
{
	static char buf[64 * KIB];
	struct bed b;

	(void)state;
	bed_make(&b, NULL, NULL);
	assert_int_equal(app_send(b.app, &lend), 0);
	assert_int_equal(zcs_conn_flush(b.app->conn), 0);
	assert_int_equal(recv(b.pair.far, buf, sizeof(buf), MSG_WAITALL), sizeof(buf));
	wait_until_all_is_back(b.app);
	assert_int_equal(zcs_conn_detach(b.app->conn, NULL), -EBUSY);
	net_take(&b.net);
	assert_int_equal(b.app->out, 0);
	assert_int_equal(zcs_conn_detach(b.app->conn, NULL), b.pair.near);
	b.app->conn = NULL;
	net_finish(&b.net);
	close(b.pair.near);
}

/* Others' sends, and the option off again: it does not say that the numbers begin at 0. */
static void adopt__option_switched_off_again(void **state)
{
	struct shape s = { .len = 512 * KIB, .flags = ZCS_ZEROCOPY };
	static char foreign[8192];
	struct zcs_stats st;
	struct bed b;
	int i;

	(void)state;
	net_start(&b.net, NULL);
	net_pair(&b.pair, NET_V4, NET_LO);
	net_set(b.pair.far, SOL_SOCKET, SO_RCVBUF, 64 * KIB);
	net_set(b.pair.near, SOL_SOCKET, SO_ZEROCOPY, 1);
	stream_fill(1, 0, foreign, sizeof(foreign));
	for (i = 0; i < 2; i++)
		assert_int_equal(send(b.pair.near, foreign + 4096 * i, 4096, MSG_ZEROCOPY), 4096);
	net_set(b.pair.near, SOL_SOCKET, SO_ZEROCOPY, 0);
	b.app = app_open(&b.net, b.pair.near, NULL);
	b.peer = peer_open(&b.net, b.pair.far);
	b.app->tx_seed = b.peer->rx_seed = 1;
	b.app->tx_pos = sizeof(foreign);
	b.peer->rx_paused = true;
	for (i = 0; i < 4; i++)
		assert_true(app_send(b.app, &s) >= 0);
	net_idle(&b.net, 30); /* what came back is overwritten */
	app_stats(b.app, &st);
	/* on a line that is never quiet all of it was copied, and so free at once */
	if (st.tx_bytes_lent)
		assert_true(b.app->bytes_released <= st.tx_bytes - net_unacked(b.pair.near));
	b.peer->rx_paused = false;
	do {
		app_send_all(b.app, 1 * MIB, &s);
		PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);
		app_stats(b.app, &st);
	} while (!st.tx_bytes_lent);
	assert_int_equal(st.unknown_notifications, 0);
	net_finish(&b.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(give__pool_event_follows),
		NET_TEST(give__of_library_memory_refused),
		NET_TEST(send__bad_pointer_is_blamed_on_its_message),
		NET_TEST(send__bad_pointer_is_blamed_on_its_message_lent),
		NET_TEST(copy__broken_midway_reports),
		NET_TEST(copy__peer_resets_midway),
		NET_TEST(budget__stuck_peers_starve_nobody),
		NET_TEST(loan_age__unlimited),
		NET_TEST(file__release_is_not_put_off),
		NET_TEST(file__empty_one_holds_nothing_back),
		NET_TEST(detach__busy_while_an_event_waits),
		NET_TEST(adopt__option_switched_off_again),
	};

	return NET_MAIN(tests);
}
