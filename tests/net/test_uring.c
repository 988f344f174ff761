// SPDX-License-Identifier: MIT
/* The io_uring way to send: that it is in use, and processes that may not use it. */
#include "net.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

struct bed {
	struct net net;
	struct net_pair pair;
	struct app *app;
	struct peer *peer;
};

static void bed_make(struct bed *b, const struct zcs_conn_opts *opts)
{
	struct zcs_ctx_opts o = { .size = sizeof(o), .ring = ZCS_RING_TRY };

	net_start(&b->net, &o);
	net_pair(&b->pair, NET_V4, NET_LO);
	b->app = app_open(&b->net, b->pair.near, opts);
	b->peer = peer_open(&b->net, b->pair.far);
	b->app->tx_seed = b->peer->rx_seed = 1;
	b->app->rx_seed = b->peer->tx_seed = 2;
}

static bool explains(struct bed *b, const char *what)
{
	char text[2048];

	app_explain(b->app, text, sizeof(text));
	return strstr(text, what);
}

static void send_and_finish(struct bed *b)
{
	struct shape lend = { .len = 64 * KIB, .flags = ZCS_ZEROCOPY };
	struct shape copy = { .len = 1000, .flags = ZCS_COPY };
	struct zcs_stats st;

	for (int i = 0; i < 20; i++) {
		app_send_all(b->app, 1 * MIB, &lend);
		app_send_all(b->app, 3000, &copy);
	}
	PUMP_UNTIL(&b->net, b->peer->rx_pos == b->app->tx_pos && b->app->out == 0);
	assert_true(b->app->how & ZCS_LENT);
	app_stats(b->app, &st);
	assert_int_equal(st.tx_bytes_lent, 20 * MIB);
	net_finish(&b->net);
}

static void skip_without_ring(struct bed *b)
{
	if (explains(b, "sent by io_uring"))
		return;
	net_finish(&b->net);
	skip();
}

static void ring__is_used(void **state)
{
	struct bed b;

	(void)state;
	bed_make(&b, NULL);
	skip_without_ring(&b);
	send_and_finish(&b);
}

/* Small loans share requests; each is scribbled over as soon as it is said to be back. */
static void ring__small_loans(void **state)
{
	struct shape lend = { .flags = ZCS_ZEROCOPY }, pool = { .flags = ZCS_ZEROCOPY | ZCS_GIVE };
	uint64_t seed = 1;
	struct zcs_stats st;
	struct bed b;

	(void)state;
	bed_make(&b, NULL);
	skip_without_ring(&b);
	for (int i = 0; i < 500; i++) {
		lend.len = 1 + net_random(&seed) % (12 * KIB);
		lend.head = i % 7 ? 0 : 20;
		lend.nr_iov = i % 5 ? 1 : 3;
		lend.misalign = net_random(&seed) % 100;
		app_send_all(b.app, 40 * KIB, &lend);
		pool.len = lend.len;
		app_send_all(b.app, 40 * KIB, &pool);
	}
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && b.app->out == 0);
	app_stats(b.app, &st);
	assert_int_equal(st.tx_bytes_lent, b.app->tx_pos);
	assert_true(st.tx_notifications > 0);
	assert_true(st.tx_notifications < st.tx_msgs / 4);
	net_finish(&b.net);
}

/* From memory of the pool, of which slabs go and come. */
static void ring__pool_memory(void **state)
{
	struct shape give = { .len = 700000, .flags = ZCS_GIVE | ZCS_ZEROCOPY };
	struct zcs_ctx_opts shrink = { .size = sizeof(shrink), .pool_retain = ZCS_NONE };
	struct bed b;

	(void)state;
	bed_make(&b, NULL);
	skip_without_ring(&b);
	assert_int_equal(zcs_ctx_limits(b.net.ctx, &shrink), 0);
	for (int i = 0; i < 10; i++) {
		app_send_all(b.app, 7 * MIB, &give);
		PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos);
	}
	net_finish(&b.net);
}

/* Chains wait for room, and the peer never gives any: all is back at the deadline. */
static void ring__deadline_with_a_chain(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .drain_ms = 100 };
	struct shape lend = { .len = 512 * KIB, .flags = ZCS_ZEROCOPY };
	struct bed b;

	(void)state;
	bed_make(&b, &opts);
	skip_without_ring(&b);
	net_silence(b.pair.far);
	for (int i = 0; i < 20; i++)
		assert_int_equal(app_send(b.app, &lend), 0);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, -ETIMEDOUT);
	assert_int_equal(b.app->released + b.app->condemned, 20);
	net_finish(&b.net);
}

/* ---- another thread ------------------------------------------------------------------------- */

/* What one thread did, and how far another, that did not open the connections, comes. */
struct stranger {
	struct zcs_ctx *ctx;
	struct zcs_conn *conn;
	char *mem;
	unsigned nr[ZCS_EV_CLOSED + 1];
	int error, sent;
};

static void take_events(struct stranger *s, int timeout_ms)
{
	struct zcs_event evs[16];
	int n;

	while ((n = zcs_ctx_wait(s->ctx, evs, 16, timeout_ms)) > 0) {
		for (int i = 0; i < n; i++) {
			s->nr[evs[i].type]++;
			if (evs[i].type == ZCS_EV_ERROR)
				s->error = evs[i].status;
		}
	}
}

static int send_some(struct stranger *s)
{
	struct iovec v = { s->mem, 256 * KIB };
	struct zcs_msg m = { .size = sizeof(m), .iov = &v, .nr_iov = 1, .token = 1 };

	m.flags = ZCS_ZEROCOPY;
	return zcs_conn_send(s->conn, &m);
}

static void *be_strange(void *arg)
{
	struct stranger *s = arg;

	s->sent = send_some(s);
	take_events(s, 300);
	return NULL;
}

/* It was tried again and again: no error, no event, and no end of a wait for one. */
static void ring__of_another_thread(void **state)
{
	struct zcs_ctx_opts co = { .size = sizeof(co), .ring = ZCS_RING_TRY };
	struct zcs_conn_opts o = { .size = sizeof(o), .prior_sends = ZCS_NONE };
	struct stranger s = { .mem = calloc(1, 256 * KIB) };
	struct net_pair pair;
	pthread_t thread;
	char text[2048];

	(void)state;
	net_pair(&pair, NET_V4, NET_LO);
	net_silence(pair.far);
	assert_int_equal(zcs_ctx_new(&co, &s.ctx), 0);
	assert_int_equal(zcs_conn_open(s.ctx, pair.near, &o, &s.conn), 0);
	assert_true(zcs_conn_explain(s.conn, text, sizeof(text)) > 0);
	if (strstr(text, "sent by io_uring")) {
		assert_int_equal(send_some(&s), 0);
		assert_int_equal(zcs_conn_flush(s.conn), 0);
		assert_int_equal(pthread_create(&thread, NULL, be_strange, &s), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_int_equal(s.sent, 0);
		assert_int_equal(s.error, -ENOTRECOVERABLE);
		assert_int_equal(s.nr[ZCS_EV_RELEASED], 1); /* its own, which never went out */
	}
	zcs_conn_close(s.conn);
	while (!s.nr[ZCS_EV_CLOSED])
		take_events(&s, 10);
	assert_int_equal(s.nr[ZCS_EV_CONDEMNED], s.sent == 0 && s.error ? 1 : 0);
	assert_int_equal(zcs_ctx_free(s.ctx), 0);
	close(pair.far);
	free(s.mem);
	if (!s.error)
		skip();
}

/* ---- forbidden ------------------------------------------------------------------------------ */

/* As containers do it. */
static bool forbid_io_uring(int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(filter) / sizeof(filter[0]), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

static void forbidden(int error, const char *why)
{
	struct bed b;

	if (!forbid_io_uring(error))
		exit(77);
	bed_make(&b, NULL);
	if (explains(&b, "built without liburing"))
		exit(77);
	assert_true(explains(&b, "sent by the socket"));
	assert_true(explains(&b, why));
	send_and_finish(&b);
}

static void with_enosys(void)
{
	forbidden(ENOSYS, "not in this kernel");
}

static void with_eperm(void)
{
	forbidden(EPERM, "io_uring_disabled");
}

static void with_eacces(void)
{
	forbidden(EACCES, "forbidden to this process");
}

static void forbidden__enosys(void **state)
{
	(void)state;
	net_in_child(with_enosys);
}

static void forbidden__eperm(void **state)
{
	(void)state;
	net_in_child(with_eperm);
}

static void forbidden__eacces(void **state)
{
	(void)state;
	net_in_child(with_eacces);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(ring__is_used),	   NET_TEST(ring__small_loans),
		NET_TEST(ring__pool_memory),	   NET_TEST(ring__deadline_with_a_chain),
		NET_TEST(ring__of_another_thread), NET_TEST(forbidden__enosys),
		NET_TEST(forbidden__eperm),	   NET_TEST(forbidden__eacces),
	};

	return NET_MAIN(tests);
}
