// SPDX-License-Identifier: MIT
/* Limits: ages, budgets, the pool, what detach asks for; and releases from other threads. */
#include "net.h"

#include <pthread.h>

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
	net_lo_mtu(MTU_MAPS);
	net_pair(&b->pair, NET_V4, NET_LO);
	b->app = app_open(&b->net, b->pair.near, opts);
	b->peer = peer_open(&b->net, b->pair.far);
	b->app->tx_seed = b->peer->rx_seed = 1;
	b->app->rx_seed = b->peer->tx_seed = 2;
	net_set(b->pair.far, SOL_SOCKET, SO_ZEROCOPY, 1);
	b->peer->tx_flags = MSG_ZEROCOPY;
}

static const struct shape lend = { .len = 1 * MIB, .flags = ZCS_ZEROCOPY };

/* --- age --- */

static void loan_age__limit_breaks_the_connection(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .loan_age_ms = 200, .drain_ms = 500 };
	struct bed b;
	long start;

	(void)state;
	bed_make(&b, &opts, NULL);
	net_silence(b.pair.far);
	start = net_now_ms();
	assert_int_equal(app_send(b.app, &lend), 0);
	PUMP_UNTIL(&b.net, b.app->errors);
	assert_in_range(net_now_ms() - start, 150, 2000l * slowness());
	assert_int_equal(b.app->status, -ETIMEDOUT);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->released + b.app->condemned, 1);
	net_finish(&b.net);
}

static void loan_age__not_while_it_moves(void **state)
{
	/* Little is out at a time, so that the oldest is young however busy this machine is. */
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .loan_age_ms = 500,
				      .lent_max = 1 * MIB };
	struct bed b;
	long start = net_now_ms();

	(void)state;
	if (net_line_is_bad()) /* what is lost twice is out for longer */
		opts.loan_age_ms = 20000;
	bed_make(&b, &opts, NULL);
	while (net_now_ms() - start < 1000)
		app_send_all(b.app, 2 * MIB, &lend);
	PUMP_UNTIL(&b.net, b.app->out == 0);
	net_idle(&b.net, 600);
	assert_int_equal(b.app->errors, 0);
	net_finish(&b.net);
}

static void oldest_loan_ms__grows(void **state)
{
	struct zcs_stats st;
	struct bed b;

	(void)state;
	bed_make(&b, NULL, NULL);
	app_stats(b.app, &st);
	assert_int_equal(st.oldest_loan_ms, 0);
	net_silence(b.pair.far);
	assert_int_equal(app_send(b.app, &lend), 0);
	app_stats(b.app, &st);
	assert_int_equal(st.lent, 1 * MIB);
	net_idle(&b.net, 120);
	assert_int_equal(app_send(b.app, &lend), 0);
	app_stats(b.app, &st);
	assert_in_range(st.oldest_loan_ms, 100, 2000 * slowness());
	assert_int_equal(st.lent, 2 * MIB);
	net_unsilence(b.pair.far);
	PUMP_UNTIL(&b.net, b.app->out == 0);
	app_stats(b.app, &st);
	assert_int_equal(st.oldest_loan_ms, 0);
	assert_int_equal(st.lent, 0);
	net_finish(&b.net);
}

/* --- budgets --- */

/* The context's budget is shared; a connection that was refused is told when there is room. */
static void lent_max__of_the_context(void **state)
{
	struct zcs_ctx_opts ctx_opts = { .size = sizeof(ctx_opts), .lent_max = 2 * MIB };
	struct zcs_stats st = { .size = sizeof(st) };
	struct net_pair pair;
	struct peer *peer;
	struct app *other;
	struct bed b;

	(void)state;
	bed_make(&b, NULL, &ctx_opts);
	net_pair(&pair, NET_V6, NET_LO);
	other = app_open(&b.net, pair.near, NULL);
	peer = peer_open(&b.net, pair.far);
	other->tx_seed = peer->rx_seed = 9;
	net_silence(b.pair.far);
	assert_int_equal(app_send(b.app, &lend), 0);
	assert_int_equal(app_send(b.app, &lend), 0);
	assert_int_equal(app_send(other, &lend), -EAGAIN);
	assert_int_equal(other->writable, 0);
	assert_int_equal(zcs_ctx_stats(b.net.ctx, &st), 0);
	assert_int_equal(st.lent, 2 * MIB);
	net_unsilence(b.pair.far);
	PUMP_UNTIL(&b.net, other->writable);
	app_send_all(other, 20 * MIB, &lend);
	app_send_all(b.app, 20 * MIB, &lend);
	PUMP_UNTIL(&b.net, b.app->out == 0 && other->out == 0);
	assert_int_equal(other->rx_error, 0);
	net_finish(&b.net);
}

/* The memory is given back by a connection that breaks: the other one is told then, too. */
static void lent_max__room_from_a_broken_connection(void **state)
{
	struct zcs_ctx_opts ctx_opts = { .size = sizeof(ctx_opts), .lent_max = 2 * MIB };
	struct net_pair pair;
	struct app *other;
	struct bed b;

	(void)state;
	bed_make(&b, NULL, &ctx_opts);
	net_pair(&pair, NET_V6, NET_LO);
	other = app_open(&b.net, pair.near, NULL);
	net_silence(b.pair.far);
	assert_int_equal(app_send(b.app, &lend), 0);
	assert_int_equal(app_send(b.app, &lend), 0);
	assert_int_equal(app_send(other, &lend), -EAGAIN);
	zcs_conn_abort(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed && other->writable);
	close(pair.far);
	net_finish(&b.net);
}

static void writable_at__is_respected(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .lent_max = 4 * MIB,
				      .writable_at = 1 * MIB };
	struct zcs_stats st;
	struct bed b;
	int i;

	(void)state;
	bed_make(&b, &opts, NULL);
	b.peer->rx_paused = true;
	b.peer->rx_chunk = 100000;
	for (i = 0; i < 4; i++)
		assert_int_equal(app_send(b.app, &lend), 0);
	assert_int_equal(app_send(b.app, &lend), -EAGAIN);
	b.peer->rx_paused = false;
	PUMP_UNTIL(&b.net, b.app->writable);
	app_stats(b.app, &st);
	assert_true(st.lent <= 1 * MIB);
	assert_int_equal(b.app->writable, 1);
	PUMP_UNTIL(&b.net, b.app->out == 0);
	net_idle(&b.net, 10);
	assert_int_equal(b.app->writable, 1); /* once */
	net_finish(&b.net);
}

static void limits__change_while_in_use(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .lent_max = 1 * MIB };
	struct zcs_conn_opts wide = { .size = sizeof(wide), .lent_max = ZCS_UNLIMITED };
	struct zcs_stats st;
	struct bed b;
	int i;

	(void)state;
	bed_make(&b, &opts, NULL);
	net_silence(b.pair.far);
	assert_int_equal(app_send(b.app, &lend), 0);
	assert_int_equal(app_send(b.app, &lend), -EAGAIN);
	assert_int_equal(zcs_conn_limits(b.app->conn, &wide), 0);
	PUMP_UNTIL(&b.net, b.app->writable);
	for (i = 0; i < 40; i++)
		assert_int_equal(app_send(b.app, &lend), 0);
	assert_int_equal(zcs_conn_limits(b.app->conn, &opts), 0);
	assert_int_equal(app_send(b.app, &lend), -EAGAIN);
	app_stats(b.app, &st);
	assert_int_equal(st.lent, 41 * MIB);
	net_unsilence(b.pair.far);
	PUMP_UNTIL(&b.net, b.app->out == 0 && b.app->writable == 2);
	net_finish(&b.net);
}

/* --- pool --- */

static bool nothing_is_lent(const struct net *n)
{
	struct zcs_stats st = { .size = sizeof(st) };

	return zcs_ctx_stats(n->ctx, &st) == 0 && st.lent == 0;
}

static void pool__full_then_room(void **state)
{
	struct zcs_ctx_opts ctx_opts = { .size = sizeof(ctx_opts), .pool_max = 4 * MIB };
	struct shape give = { .len = 1 * MIB, .flags = ZCS_GIVE | ZCS_ZEROCOPY };
	struct zcs_stats st = { .size = sizeof(st) };
	struct bed b;
	void *mem[64];
	size_t got;
	int n;

	(void)state;
	bed_make(&b, NULL, &ctx_opts);
	for (n = 0; n < 64 && (mem[n] = zcs_buf_alloc(b.net.ctx, 1 * MIB, &got)); n++) {
		assert_true(got >= 1 * MIB);
		assert_int_equal((uintptr_t)mem[n] % 4096, 0);
		memset(mem[n], 1, got);
	}
	assert_in_range(n, 3, 4);
	net_idle(&b.net, 5);
	assert_int_equal(b.net.pool_events, 0);
	while (n)
		zcs_buf_free(b.net.ctx, mem[--n]);
	net_take(&b.net);
	assert_int_equal(b.net.pool_events, 1);
	b.net.pool_events = 0;

	/* Given away: it is in use until the peer's kernel has it. */
	net_silence(b.pair.far);
	while (app_send(b.app, &give) == 0)
		;
	assert_in_range(b.app->given, 3, 4);
	net_idle(&b.net, 5);
	assert_int_equal(b.net.pool_events, 0);
	net_unsilence(b.pair.far);
	PUMP_UNTIL(&b.net, b.net.pool_events);
	PUMP_UNTIL(&b.net, b.peer->rx_pos == b.app->tx_pos && nothing_is_lent(&b.net));
	assert_int_equal(zcs_ctx_stats(b.net.ctx, &st), 0);
	assert_true(st.pool_page == 4096 || st.pool_page == 2 * MIB);
	net_finish(&b.net);
}

/* Freed by the caller while lent: nobody else gets it before its release. */
static void pool__freed_while_lent(void **state)
{
	struct zcs_ctx_opts ctx_opts = { .size = sizeof(ctx_opts), .pool_max = 2 * MIB };
	struct iovec iov = { .iov_len = 2 * MIB };
	struct zcs_msg msg = {
		.size = sizeof(msg), .iov = &iov, .nr_iov = 1, .flags = ZCS_ZEROCOPY
	};
	struct bed b;
	struct loan *l;
	char *again;

	(void)state;
	bed_make(&b, NULL, &ctx_opts);
	b.peer->rx_paused = true;
	iov.iov_base = zcs_buf_alloc(b.net.ctx, 2 * MIB, NULL);
	assert_non_null(iov.iov_base);
	stream_fill(1, 0, iov.iov_base, 2 * MIB);
	/* as app_send would note it, with memory of its own to scribble over */
	b.app->loans = l = calloc(1, sizeof(*l));
	b.app->nr_loans = b.app->out = 1;
	*l = (struct loan){
		.mem = aligned_alloc(4096, 4096), .len = 1, .token = 1 << 20, .out = true
	};
	b.app->free_loan = 1;
	msg.token = l->token;
	assert_int_equal(zcs_conn_send(b.app->conn, &msg), 0);
	zcs_buf_free(b.net.ctx, iov.iov_base);
	assert_null(zcs_buf_alloc(b.net.ctx, 2 * MIB, NULL));
	net_idle(&b.net, 20);
	assert_null(zcs_buf_alloc(b.net.ctx, 2 * MIB, NULL));
	b.peer->rx_paused = false;
	PUMP_UNTIL(&b.net, b.peer->rx_pos == 2 * MIB && b.app->out == 0);
	PUMP_UNTIL(&b.net, b.net.pool_events);
	again = zcs_buf_alloc(b.net.ctx, 2 * MIB, NULL);
	assert_non_null(again);
	zcs_buf_free(b.net.ctx, again);
	net_finish(&b.net);
}

/* --- detach --- */

static void detach__is_busy_with_anything(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .trust = ZCS_TRUST_PEER,
				      .recv_way = ZCS_WAY_ZEROCOPY };
	struct bed b;
	int fd;

	(void)state;
	bed_make(&b, &opts, NULL);
	net_silence(b.pair.far);
	assert_int_equal(app_send(b.app, &lend), 0);
	assert_int_equal(zcs_conn_detach(b.app->conn, NULL), -EBUSY); /* lent */
	net_unsilence(b.pair.far);
	PUMP_UNTIL(&b.net, b.app->out == 0);
	b.app->rx_hold = true;
	peer_send(b.peer, 200000);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 200000);
	assert_int_equal(zcs_conn_detach(b.app->conn, NULL), -EBUSY); /* borrowed */
	app_release_held(b.app);
	net_idle(&b.net, 10);
	fd = zcs_conn_detach(b.app->conn, NULL);
	assert_int_equal(fd, b.pair.near);
	b.app->conn = NULL;
	/* An ordinary socket again. */
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	b.peer->rx_plain = true;
	PUMP_UNTIL(&b.net, b.peer->rx_eof);
	close(fd);
	net_finish(&b.net);
}

/* --- other threads --- */

struct poster {
	struct app *app;
	pthread_t thread;
	size_t from, nr;
};

static void *post(void *arg)
{
	struct poster *p = arg;
	size_t i;

	for (i = 0; i < p->nr; i++) {
		const struct zcs_span *s = &p->app->held[p->from + i];

		if (stream_check(p->app->rx_seed, p->app->held_pos[p->from + i], s->base, s->len) !=
		    s->len)
			return (void *)"wrong bytes";
		if (zcs_ctx_post_release(p->app->net->ctx, s, 1) != 0)
			return (void *)"zcs_ctx_post_release";
	}
	return NULL;
}

static void post_release__from_other_threads(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .trust = ZCS_TRUST_PEER,
				      .borrowed_max = 2 * MIB };
	struct poster posters[4];
	struct zcs_stats st = { .size = sizeof(st) };
	struct bed b;
	unsigned rounds, i;
	void *failed;

	(void)state;
	bed_make(&b, &opts, NULL);
	b.app->rx_hold = true;
	b.app->rx_max = 20000;
	peer_send(b.peer, 40 * MIB);
	for (rounds = 0; b.app->rx_pos < 40 * MIB; rounds++) {
		uint64_t before = b.app->rx_pos;

		PUMP_UNTIL(&b.net, b.app->nr_held);
		for (i = 0; i < 4; i++) {
			posters[i].app = b.app;
			posters[i].from = b.app->nr_held * i / 4;
			posters[i].nr = b.app->nr_held * (i + 1) / 4 - posters[i].from;
			assert_int_equal(
				pthread_create(&posters[i].thread, NULL, post, &posters[i]), 0);
		}
		for (i = 0; i < 4; i++) {
			pthread_join(posters[i].thread, &failed);
			assert_null(failed);
		}
		b.app->nr_held = 0;
		/* The post itself wakes the loop: nothing else may. */
		PUMP_UNTIL(&b.net, b.app->rx_pos > before || b.app->rx_pos == 40 * MIB);
	}
	assert_true(rounds > 3);
	zcs_span_release(b.net.ctx, b.app->held, b.app->nr_held);
	b.app->nr_held = 0;
	net_take(&b.net);
	assert_int_equal(zcs_ctx_stats(b.net.ctx, &st), 0);
	assert_int_equal(st.borrowed, 0);
	net_finish(&b.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(loan_age__limit_breaks_the_connection),
		NET_TEST(loan_age__not_while_it_moves),
		NET_TEST(oldest_loan_ms__grows),
		NET_TEST(lent_max__of_the_context),
		NET_TEST(lent_max__room_from_a_broken_connection),
		NET_TEST(writable_at__is_respected),
		NET_TEST(limits__change_while_in_use),
		NET_TEST(pool__full_then_room),
		NET_TEST(pool__freed_while_lent),
		NET_TEST(detach__is_busy_with_anything),
		NET_TEST(post_release__from_other_threads),
	};

	return NET_MAIN(tests);
}
