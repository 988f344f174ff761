// SPDX-License-Identifier: MIT
/* Receiving, spans and the context: what once went wrong at the edges, one test for each. */
#include "net.h"

#include <pthread.h>

#include "sys.h"

struct bed {
	struct net net;
	struct app *app;
	struct peer *peer;
};

/* A connection that receives by mapping, if it is told to, or by copying. */
static void bed_make(struct bed *b, bool mapped, const struct zcs_ctx_opts *ctx_opts)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .trust = ZCS_TRUST_PEER,
				      .recv_way = mapped ? ZCS_WAY_ZEROCOPY : ZCS_WAY_COPY };
	struct net_pair pair;

	net_lo_mtu(MTU_MAPS);
	net_start(&b->net, ctx_opts);
	net_pair(&pair, NET_V4, NET_LO);
	b->app = app_open(&b->net, pair.near, &opts);
	b->peer = peer_open(&b->net, pair.far);
	if (mapped) {
		net_set(pair.far, SOL_SOCKET, SO_ZEROCOPY, 1);
		b->peer->tx_flags = MSG_ZEROCOPY;
	}
	b->app->rx_seed = b->peer->tx_seed = 71;
}

static uint64_t borrowed(const struct net *n)
{
	struct zcs_stats st = { .size = sizeof(st) };

	assert_int_equal(zcs_ctx_stats(n->ctx, &st), 0);
	return st.borrowed;
}

static void hold(struct bed *b, size_t len)
{
	b->app->rx_hold = true;
	peer_send(b->peer, len);
	PUMP_UNTIL(&b->net, b->app->rx_pos == len);
}

/* --- budgets of the receiver --- */

/* Forwarded spans can be gone before the reader meets -EAGAIN: it must be told all the same. */
static void relay__forwarded_spans_wake_the_reader(void **state)
{
	struct zcs_conn_opts small = { .size = sizeof(small), .borrowed_max = 64 * KIB };
	struct net_pair pair;
	struct peer *to;
	struct bed b;

	(void)state;
	bed_make(&b, false, NULL);
	assert_int_equal(zcs_conn_limits(b.app->conn, &small), 0);
	net_pair(&pair, NET_V6, NET_LO);
	net_set(pair.near, SOL_SOCKET, SO_SNDBUF, 8192);
	b.app->relay_to = app_open(&b.net, pair.near, NULL);
	to = peer_open(&b.net, pair.far);
	to->rx_seed = 71;
	peer_send(b.peer, 1 * MIB);
	PUMP_UNTIL(&b.net, to->rx_pos == 1 * MIB);
	PUMP_UNTIL(&b.net, borrowed(&b.net) == 0);
	net_finish(&b.net);
}

static void ctx_limits__raised_budget_wakes_reader(void **state)
{
	struct zcs_ctx_opts opts = { .size = sizeof(opts), .borrowed_max = 4096 };
	struct bed b;

	(void)state;
	bed_make(&b, false, &opts);
	b.app->rx_hold = true;
	peer_send(b.peer, 20000);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 4096);
	net_idle(&b.net, 20);
	assert_int_equal(b.app->rx_pos, 4096);
	opts.borrowed_max = 1 * MIB;
	assert_int_equal(zcs_ctx_limits(b.net.ctx, &opts), 0);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 20000);
	app_check_held(b.app);
	net_finish(&b.net);
}

/* --- spans posted from another thread --- */

static void *post(void *arg)
{
	struct app *a = arg;
	int ret = zcs_ctx_post_release(a->net->ctx, a->held, a->nr_held);

	a->nr_held = 0;
	return ret ? "zcs_ctx_post_release" : NULL;
}

static void post_from_a_thread(struct app *a)
{
	pthread_t thread;
	void *failed;

	assert_int_equal(pthread_create(&thread, NULL, post, a), 0);
	pthread_join(thread, &failed);
	assert_null(failed);
}

/* The library woke its descriptor itself a moment before: the post must not go under in that. */
static void post_release__not_swallowed(void **state)
{
	struct net_pair pair;
	struct app *other;
	struct bed b;

	(void)state;
	bed_make(&b, false, NULL);
	net_pair(&pair, NET_V6, NET_LO);
	other = app_open(&b.net, pair.near, NULL);
	hold(&b, 100);
	assert_int_equal(borrowed(&b.net), 100);
	zcs_conn_abort(other->conn); /* leaves an event */
	post_from_a_thread(b.app);
	net_take(&b.net);
	assert_int_equal(borrowed(&b.net), 0);
	net_finish(&b.net);
	close(pair.far);
}

/* Posted, and not yet looked at when all is abandoned. */
static void post_then_abandon(void **state)
{
	struct bed b;

	(void)state;
	bed_make(&b, true, NULL);
	hold(&b, 1 * MIB);
	post_from_a_thread(b.app);
	zcs_ctx_abandon(b.net.ctx);
	net_take(&b.net);
	assert_int_equal(b.app->closed, 1);
	assert_int_equal(zcs_ctx_free(b.net.ctx), 0);
	assert_int_equal(zcs_ctx_new(NULL, &b.net.ctx), 0);
	net_finish(&b.net);
}

/* Posted afterwards by a thread that does not know yet: spans are forfeited, no harm is done. */
static void abandon_then_post(void **state)
{
	struct bed b;

	(void)state;
	bed_make(&b, true, NULL);
	hold(&b, 1 * MIB);
	zcs_ctx_abandon(b.net.ctx);
	net_take(&b.net);
	net_take(&b.net); /* the connection is forgotten */
	post_from_a_thread(b.app);
	assert_int_equal(zcs_ctx_process(b.net.ctx, 0), 0);
	assert_int_equal(borrowed(&b.net), 0);
	assert_int_equal(zcs_ctx_free(b.net.ctx), 0);
	assert_int_equal(zcs_ctx_new(NULL, &b.net.ctx), 0);
	net_finish(&b.net);
}

/* --- spans that the caller changed --- */

/* Headers and trailers stripped; every page and every byte of the budget comes back. */
static void narrowed(bool mapped)
{
	struct bed b;
	size_t i;

	bed_make(&b, mapped, NULL);
	hold(&b, 1 * MIB);
	assert_int_equal(b.app->rx_mapped > 0, mapped);
	for (i = 0; i < b.app->nr_held; i++) {
		struct zcs_span *s = &b.app->held[i];
		size_t cut = s->len > 10000 ? 5000 : s->len > 2 ? 1 : 0;

		s->base = (const char *)s->base + cut;
		s->len -= 2 * cut;
		b.app->held_pos[i] += cut;
	}
	app_check_held(b.app);
	app_release_held(b.app);
	assert_int_equal(borrowed(&b.net), 0);
	b.app->rx_hold = false;
	b.peer->tx_flags = 0;
	peer_send(b.peer, 1 * MIB);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 2 * MIB);
	net_finish(&b.net);
}

static void span__narrowed_and_released(void **state)
{
	(void)state;
	narrowed(true);
}

static void span__narrowed_and_released_copied(void **state)
{
	(void)state;
	narrowed(false);
}

/* All of it was header: nothing is left, behind the last byte. */
static void eaten_up(bool mapped)
{
	struct bed b;
	size_t i, kept = 0;

	bed_make(&b, mapped, NULL);
	net_set(b.app->fd, SOL_SOCKET, SO_RCVBUFFORCE, 4 * MIB);
	b.app->rx_hold = b.app->rx_manual = true;
	peer_send(b.peer, 1 * MIB);
	while (net_queued(b.app->fd) < 256 * KIB) /* a read that fills its memory to the end */
		net_step(&b.net, "a full read");
	b.app->rx_manual = false;
	app_drain(b.app);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 1 * MIB);
	for (i = 0; i < b.app->nr_held; i++) {
		struct zcs_span s = b.app->held[i];

		if (i % 2) {
			b.app->held_pos[kept] = b.app->held_pos[i];
			b.app->held[kept++] = s;
			continue;
		}
		s.base = (const char *)s.base + s.len;
		s.len = 0;
		zcs_span_release(b.net.ctx, &s, 1);
	}
	b.app->nr_held = kept;
	b.peer->tx_flags = 0;
	peer_send(b.peer, 1 * MIB);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 2 * MIB);
	app_check_held(b.app); /* no neighbour was released in its place */
	app_release_held(b.app);
	assert_int_equal(borrowed(&b.net), 0);
	net_finish(&b.net);
}

static void span__eaten_up_and_released(void **state)
{
	(void)state;
	eaten_up(true);
}

static void span__eaten_up_and_released_copied(void **state)
{
	(void)state;
	eaten_up(false);
}

/* Enough to go round the window: behind its last byte is nothing of ours at all. */
static void span__eaten_up_at_the_end_of_the_window(void **state)
{
	const size_t len = 80 * MIB;
	struct zcs_ctx_opts opts = { .size = sizeof(opts), .borrowed_max = 1 * MIB };
	struct bed b;
	size_t i;

	(void)state;
	bed_make(&b, true, &opts);
	b.app->rx_hold = true;
	peer_send(b.peer, len);
	while (b.app->rx_pos < len || b.app->nr_held) {
		PUMP_UNTIL(&b.net, b.app->nr_held);
		for (i = 0; i < b.app->nr_held; i++) {
			struct zcs_span *s = &b.app->held[i];

			s->base = (const char *)s->base + s->len;
			s->len = 0;
		}
		app_release_held(b.app);
	}
	assert_true(b.app->rx_mapped > 40 * MIB);
	assert_int_equal(borrowed(&b.net), 0);
	net_finish(&b.net);
}

/* Stripped of a header and handed on. */
static void span__narrowed_and_forwarded(void **state)
{
	struct net_pair pair;
	struct peer *to;
	struct app *out;
	struct bed b;
	size_t i, len = 0;

	(void)state;
	bed_make(&b, true, NULL);
	net_pair(&pair, NET_V6, NET_LO);
	out = app_open(&b.net, pair.near, NULL);
	to = peer_open(&b.net, pair.far);
	to->rx_plain = true;
	hold(&b, 500000);
	for (i = 0; i < b.app->nr_held; i++) {
		struct zcs_span *s = &b.app->held[i];

		s->base = (const char *)s->base + s->len / 3;
		s->len -= s->len / 3;
		len += s->len;
		assert_int_equal(zcs_conn_send_span(out->conn, s, 0), 0);
	}
	b.app->nr_held = 0;
	PUMP_UNTIL(&b.net, to->rx_pos == len && borrowed(&b.net) == 0);
	net_finish(&b.net);
}

static void send_span__of_another_context_refused(void **state)
{
	struct zcs_span none = { .base = &none, .len = 1 };
	struct bed b, other;

	(void)state;
	bed_make(&b, true, NULL);
	bed_make(&other, true, NULL);
	hold(&b, 100000);
	assert_int_equal(zcs_conn_send_span(other.app->conn, &b.app->held[0], 0), -EINVAL);
	assert_int_equal(zcs_conn_send_span(other.app->conn, &none, 0), -EINVAL);
	app_check_held(b.app);
	app_release_held(b.app);
	assert_int_equal(borrowed(&b.net), 0);
	assert_int_equal(other.app->errors, 0);
	net_finish(&other.net);
	net_finish(&b.net);
}

/* --- the context --- */

static void ctx_wait__no_room_is_einval(void **state)
{
	struct zcs_event e;
	struct bed b;

	(void)state;
	bed_make(&b, false, NULL);
	zcs_conn_abort(b.app->conn); /* an event waits: it cannot be taken into nothing */
	assert_int_equal(zcs_ctx_wait(b.net.ctx, &e, 0, -1), -EINVAL);
	assert_int_equal(zcs_ctx_wait(b.net.ctx, NULL, 0, 0), -EINVAL);
	net_finish(&b.net);
}

/* An idle connection that is closed last does not make the sums forget why bytes were copied. */
static void ctx_stats__keep_the_reason(void **state)
{
	struct zcs_stats st = { .size = sizeof(st) };
	struct net_pair pair;
	struct app *idle;
	struct bed b;

	(void)state;
	bed_make(&b, false, NULL);
	net_pair(&pair, NET_V6, NET_LO);
	idle = app_open(&b.net, pair.near, NULL);
	b.peer->rx_plain = true;
	assert_int_equal(app_send(b.app, &(struct shape){ .len = 100, .flags = ZCS_COPY }), 1);
	zcs_conn_abort(b.app->conn);
	zcs_conn_abort(idle->conn);
	PUMP_UNTIL(&b.net, b.app->closed && idle->closed);
	assert_int_equal(zcs_ctx_stats(b.net.ctx, &st), 0);
	assert_int_equal(st.tx_reason, ZCS_R_PINNED);
	net_finish(&b.net);
	close(pair.far);
}

static unsigned sockets_made;

static int count_socket(int domain, int type, int protocol)
{
	sockets_made++;
	return zcsi_sys_kernel.socket(domain, type, protocol);
}

static uint64_t even_clock(bool coarse)
{
	return zcsi_sys_kernel.clock_ns(coarse) / 2000000 * 2000000;
}

/* Asking for the route takes calls of its own: not before each read. */
static void recv__route_is_not_asked_each_time(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .trust = ZCS_TRUST_ROUTE };
	static struct zcsi_sys sys;
	struct bed b;

	(void)state;
	bed_make(&b, true, NULL);
	assert_int_equal(zcs_conn_limits(b.app->conn, &opts), 0);
	b.app->rx_max = 1000;
	sockets_made = 0;
	sys = zcsi_sys_kernel;
	sys.socket = count_socket;
	sys.clock_ns = even_clock;
	zcsi_sys = &sys;
	peer_send(b.peer, 1 * MIB);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 1 * MIB);
	zcsi_sys = &zcsi_sys_kernel;
	assert_in_range(sockets_made, 1, 40); /* of a thousand reads */
	assert_int_equal(b.app->rx_mapped, 0);
	net_finish(&b.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(relay__forwarded_spans_wake_the_reader),
		NET_TEST(ctx_limits__raised_budget_wakes_reader),
		NET_TEST(post_release__not_swallowed),
		NET_TEST(post_then_abandon),
		NET_TEST(abandon_then_post),
		NET_TEST(span__narrowed_and_released),
		NET_TEST(span__narrowed_and_released_copied),
		NET_TEST(span__eaten_up_and_released),
		NET_TEST(span__eaten_up_and_released_copied),
		NET_TEST(span__eaten_up_at_the_end_of_the_window),
		NET_TEST(span__narrowed_and_forwarded),
		NET_TEST(send_span__of_another_context_refused),
		NET_TEST(ctx_wait__no_room_is_einval),
		NET_TEST(ctx_stats__keep_the_reason),
		NET_TEST(recv__route_is_not_asked_each_time),
	};

	return NET_MAIN(tests);
}
