// SPDX-License-Identifier: MIT
/* How a stream ends, and what lies across it: FIN, reset, half-close, urgent data. */
#include "net.h"

struct bed {
	struct net net;
	struct net_pair pair;
	struct app *app;
	struct peer *peer;
};

static void bed_make(struct bed *b, uint32_t recv_way)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .trust = ZCS_TRUST_PEER,
				      .recv_way = recv_way };

	net_lo_mtu(MTU_MAPS);
	net_start(&b->net, NULL);
	net_pair(&b->pair, NET_V4, NET_LO);
	b->app = app_open(&b->net, b->pair.near, &opts);
	b->peer = peer_open(&b->net, b->pair.far);
	if (recv_way == ZCS_WAY_ZEROCOPY) {
		net_set(b->pair.far, SOL_SOCKET, SO_ZEROCOPY, 1);
		b->peer->tx_flags = MSG_ZEROCOPY;
	}
	b->app->rx_seed = b->peer->tx_seed = 41;
	b->app->tx_seed = b->peer->rx_seed = 42;
}

static const uint32_t map = ZCS_WAY_ZEROCOPY, copy = ZCS_WAY_COPY, adapt = ZCS_WAY_ADAPT;

#define WAY(state) (*(const uint32_t *)*(state))

static void eof__after_all_data(void **state)
{
	struct zcs_span span;
	struct bed b;

	bed_make(&b, WAY(state));
	b.peer->tx_shut = true;
	peer_send(b.peer, 1 * MIB + 100);
	PUMP_UNTIL(&b.net, b.app->rx_eof);
	assert_int_equal(b.app->rx_pos, 1 * MIB + 100);
	assert_int_equal(zcs_conn_recv(b.app->conn, &span, 1, 0), 0); /* and again */
	/* Half-closed: we may still send. */
	app_send_all(b.app, 5 * MIB, &(struct shape){ .len = 300000 });
	PUMP_UNTIL(&b.net, b.peer->rx_pos == 5 * MIB && b.app->out == 0);
	assert_int_equal(b.app->errors, 0);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed && b.peer->rx_eof);
	assert_int_equal(b.app->closed_status, 0);
	net_finish(&b.net);
}

static void eof__with_nothing_before_it(void **state)
{
	struct bed b;

	bed_make(&b, WAY(state));
	shutdown(b.pair.far, SHUT_WR);
	PUMP_UNTIL(&b.net, b.app->rx_eof);
	assert_int_equal(b.app->rx_pos, 0);
	net_finish(&b.net);
}

static void shutdown__half_closes(void **state)
{
	struct bed b;

	bed_make(&b, WAY(state));
	app_send_all(b.app, 5 * MIB, &(struct shape){ .len = 1 * MIB });
	assert_int_equal(zcs_conn_shutdown(b.app->conn), 0);
	assert_int_equal(app_send(b.app, &(struct shape){ .len = 1 }), -EPIPE);
	PUMP_UNTIL(&b.net, b.peer->rx_eof && b.app->out == 0);
	assert_int_equal(b.peer->rx_pos, 5 * MIB);
	peer_send(b.peer, 3 * MIB);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 3 * MIB);
	b.peer->tx_shut = true;
	peer_send(b.peer, 100);
	PUMP_UNTIL(&b.net, b.app->rx_eof);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, 0);
	net_finish(&b.net);
}

/* As much as is taken in without anybody reading; all of it is there afterwards. */
static void fill_queue(struct bed *b)
{
	peer_send(b->peer, 14 * 4096 + 3000);
	PUMP_UNTIL(&b->net, b->peer->tx_at == b->peer->tx_len && b->app->readable);
	while (net_queued(b->app->fd) < b->peer->tx_len)
		net_idle(&b->net, 1);
}

/* A reset behind data: all data, then the error, exactly once in that order, and no EOF. */
static void reset__after_data(void **state)
{
	struct zcs_span span;
	struct bed b;
	int n;

	bed_make(&b, WAY(state));
	b.app->rx_manual = true;
	fill_queue(&b);
	net_reset(b.pair.far);
	b.peer->fd = -1;
	while ((n = zcs_conn_recv(b.app->conn, &span, 1, 0)) > 0 || n == -EAGAIN) {
		if (n == -EAGAIN) {
			net_step(&b.net, "the error");
			continue;
		}
		assert_int_equal(stream_check(41, b.app->rx_pos, span.base, span.len), span.len);
		b.app->rx_pos += span.len;
		zcs_span_release(b.net.ctx, &span, 1);
	}
	assert_int_equal(n, -ECONNRESET);
	assert_int_equal(b.app->rx_pos, b.peer->tx_len);
	assert_int_equal(zcs_conn_recv(b.app->conn, &span, 1, 0), -ECONNRESET);
	PUMP_UNTIL(&b.net, b.app->errors);
	assert_int_equal(b.app->status, -ECONNRESET);
	net_finish(&b.net);
}

/* As above, but the program only follows events; the reset is known before it reads. */
static void reset__seen_before_the_data(void **state)
{
	struct bed b;

	bed_make(&b, WAY(state));
	b.app->rx_manual = true;
	fill_queue(&b);
	net_reset(b.pair.far);
	b.peer->fd = -1;
	PUMP_UNTIL(&b.net, b.app->errors);
	assert_int_equal(app_drain(b.app), -ECONNRESET);
	assert_int_equal(b.app->rx_pos, b.peer->tx_len);
	assert_int_equal(b.app->status, -ECONNRESET);
	assert_int_equal(b.app->errors, 1);
	net_finish(&b.net);
}

static void reset__with_nothing_before_it(void **state)
{
	struct bed b;

	bed_make(&b, WAY(state));
	net_reset(b.pair.far);
	b.peer->fd = -1;
	PUMP_UNTIL(&b.net, b.app->errors && b.app->rx_error);
	assert_int_equal(b.app->status, -ECONNRESET);
	assert_int_equal(b.app->rx_error, -ECONNRESET);
	assert_false(b.app->rx_eof);
	net_finish(&b.net);
}

/* --- urgent data --- */

struct urgent {
	char text[65536];
	size_t len, nr_urgent;
	char urgent;
	size_t urgent_at; /* bytes received before it */
};

static void receive_urgent(struct bed *b, struct urgent *u, size_t len)
{
	struct zcs_span span;
	int n;

	while (u->len + u->nr_urgent < len) {
		n = zcs_conn_recv(b->app->conn, &span, 1, 0);
		if (n == -EAGAIN) {
			net_step(&b->net, "urgent data");
			continue;
		}
		assert_int_equal(n, 1);
		if (span.flags & ZCS_SPAN_URGENT) {
			assert_int_equal(span.len, 1);
			u->urgent = *(const char *)span.base;
			u->urgent_at = u->len;
			u->nr_urgent++;
		} else {
			assert_true(u->len + span.len <= sizeof(u->text));
			memcpy(u->text + u->len, span.base, span.len);
			u->len += span.len;
		}
		zcs_span_release(b->net.ctx, &span, 1);
	}
}

static void send_urgent(struct bed *b, size_t before, size_t after)
{
	char text[32768];

	assert_true(before <= sizeof(text) && after <= sizeof(text));
	memset(text, 'a', sizeof(text));
	assert_int_equal(send(b->pair.far, text, before, 0), before);
	assert_int_equal(send(b->pair.far, "!", 1, MSG_OOB), 1);
	memset(text, 'z', sizeof(text));
	assert_int_equal(send(b->pair.far, text, after, 0), after);
}

static void check_text(const struct urgent *u, size_t before, size_t after, bool in_line)
{
	size_t i;

	assert_int_equal(u->len, before + after + in_line);
	for (i = 0; i < before; i++)
		assert_int_equal(u->text[i], 'a');
	if (in_line)
		assert_int_equal(u->text[before], '!');
	for (i = before + in_line; i < u->len; i++)
		assert_int_equal(u->text[i], 'z');
}

static void urgent__out_of_line(void **state)
{
	static const size_t sizes[][2] = { { 10, 10 }, { 20000, 20000 }, { 1, 32768 }, { 0, 5 } };
	static struct urgent u;
	struct bed b;
	size_t i;

	for (i = 0; i < 4; i++) {
		memset(&u, 0, sizeof(u));
		bed_make(&b, WAY(state));
		b.app->rx_manual = true;
		send_urgent(&b, sizes[i][0], sizes[i][1]);
		/* As with recv(2), who reads on before looking at poll loses the byte. */
		PUMP_UNTIL(&b.net, b.app->readable);
		receive_urgent(&b, &u, sizes[i][0] + sizes[i][1] + 1);
		assert_int_equal(u.nr_urgent, 1);
		assert_int_equal(u.urgent, '!');
		check_text(&u, sizes[i][0], sizes[i][1], false);
		shutdown(b.pair.far, SHUT_WR);
		b.app->rx_manual = false;
		app_drain(b.app);
		PUMP_UNTIL(&b.net, b.app->rx_eof);
		net_finish(&b.net);
	}
}

/* All of it is there before the program reads; so it is before the library was told. */
static void urgent__in_line(void **state)
{
	static struct urgent u;
	struct bed b;

	memset(&u, 0, sizeof(u));
	bed_make(&b, WAY(state));
	net_set(b.app->fd, SOL_SOCKET, SO_OOBINLINE, 1);
	b.app->rx_manual = true;
	send_urgent(&b, 20000, 20000);
	receive_urgent(&b, &u, 40001);
	assert_int_equal(u.nr_urgent, 0);
	check_text(&u, 20000, 20000, true);
	net_finish(&b.net);
}

/* Mapped data before and after: the stream stays in order. */
static void urgent__between_pages(void **state)
{
	struct zcs_stats st;
	struct bed b;
	struct urgent u = { .len = 0 };

	bed_make(&b, WAY(state));
	peer_send(b.peer, 2 * MIB);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 2 * MIB);
	b.app->rx_manual = true;
	assert_int_equal(send(b.pair.far, "!", 1, MSG_OOB), 1);
	receive_urgent(&b, &u, 1);
	assert_int_equal(u.nr_urgent, 1);
	b.app->rx_manual = false;
	app_drain(b.app);
	peer_send(b.peer, 2 * MIB);
	PUMP_UNTIL(&b.net, b.app->rx_pos == 4 * MIB);
	app_stats(b.app, &st);
	if (WAY(state) == ZCS_WAY_ZEROCOPY)
		assert_int_equal(st.rx_reason, ZCS_R_URGENT);
	net_finish(&b.net);
}

#define ON(f, way)                                                                                 \
	{                                                                                          \
#f " " #way, f, net_setup, net_teardown, (void *)&way                              \
	}
#define EACH(f) ON(f, map), ON(f, copy), ON(f, adapt)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(eof__after_all_data),	   EACH(eof__with_nothing_before_it),
		EACH(shutdown__half_closes),	   EACH(reset__after_data),
		EACH(reset__seen_before_the_data), EACH(reset__with_nothing_before_it),
		EACH(urgent__out_of_line),	   EACH(urgent__in_line),
		EACH(urgent__between_pages),
	};

	return NET_MAIN(tests);
}
