// SPDX-License-Identifier: MIT
/*
 * Being polled: the context's descriptor in loops of others, connections that the caller polls
 * himself, and that neither ever spins or goes silent.
 */
#include "net.h"

#include <sys/epoll.h>

/* --- the context's descriptor --- */

static short ctx_ready(const struct net *n, int timeout_ms)
{
	struct pollfd p = { .fd = zcs_ctx_fd(n->ctx), .events = POLLIN | POLLPRI };

	assert_true(poll(&p, 1, timeout_ms) >= 0);
	return p.revents;
}

/* Whatever is still under way comes to its end. */
static void settle(struct net *n)
{
	do
		net_idle(n, 5);
	while (ctx_ready(n, 20));
}

struct bed {
	struct net net;
	struct net_pair pair;
	struct app *app;
	struct peer *peer;
};

static void bed_make(struct bed *b, const struct zcs_conn_opts *opts)
{
	net_start(&b->net, NULL);
	net_pair(&b->pair, NET_V4, NET_LO);
	b->app = app_open(&b->net, b->pair.near, opts);
	b->peer = peer_open(&b->net, b->pair.far);
	b->app->tx_seed = b->peer->rx_seed = 1;
	b->app->rx_seed = b->peer->tx_seed = 2;
}

/* Notifications, an error and a hangup: inside all of these are EPOLLERR. */
static void ctx_fd__never_shows_an_error(void **state)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct bed b;
	int outer = epoll_create1(EPOLL_CLOEXEC), turns;

	(void)state;
	bed_make(&b, NULL);
	assert_int_equal(epoll_ctl(outer, EPOLL_CTL_ADD, zcs_ctx_fd(b.net.ctx), &ev), 0);
	for (turns = 0; turns < 200; turns++) {
		if (turns < 150)
			app_send(b.app, &(struct shape){ .len = 300000, .flags = ZCS_ZEROCOPY });
		else if (turns == 150)
			net_reset(b.peer->fd);
		if (turns >= 150)
			b.peer->fd = -1;
		if (epoll_wait(outer, &ev, 1, 5) == 1)
			assert_int_equal(ev.events, EPOLLIN);
		assert_int_equal(ctx_ready(&b.net, 0) & ~POLLIN, 0);
		net_idle(&b.net, 1);
		if (b.app->errors && b.app->out == 0)
			break;
	}
	assert_int_equal(b.app->errors, 1);
	close(outer);
	net_finish(&b.net);
}

/* With nothing to do it is quiet: after data, after a FIN, with loans out. */
static void ctx_fd__is_quiet_when_idle(void **state)
{
	struct bed b;

	(void)state;
	bed_make(&b, NULL);
	net_idle(&b.net, 5);
	assert_int_equal(ctx_ready(&b.net, 0), 0);
	peer_send(b.peer, 3 * MIB);
	b.peer->tx_shut = true;
	app_send_all(b.app, 3 * MIB, &(struct shape){ .len = 500000 });
	PUMP_UNTIL(&b.net, b.app->rx_eof && b.app->out == 0 && b.peer->rx_pos == 3 * MIB);
	net_idle(&b.net, 50);
	b.net.steps = 0;
	net_idle(&b.net, 200);
	assert_in_range(b.net.steps, 0, 3);
	assert_int_equal(ctx_ready(&b.net, 0), 0);
	b.peer->rx_paused = true;
	app_send(b.app, &(struct shape){ .len = 9 * MIB, .flags = ZCS_ZEROCOPY });
	net_idle(&b.net, 50 * (long)slowness()); /* until the queues of both ends are full */
	b.net.steps = 0;
	net_idle(&b.net, 200);
	assert_in_range(b.net.steps, 0, 8); /* now and then a segment is tried again */
	net_finish(&b.net);
}

static uint64_t borrowed(const struct app *a)
{
	struct zcs_stats st;

	app_stats(a, &st);
	return st.borrowed;
}

/* Events made by the caller's own calls are told of as well. */
static void ctx_fd__own_calls_make_it_readable(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .borrowed_max = 64 * KIB,
				      .drain_ms = ZCS_NONE };
	struct bed b;
	void *pool[3];
	struct zcs_ctx_opts small = { .size = sizeof(small), .pool_max = 4 * MIB };

	(void)state;
	bed_make(&b, &opts);
	/* a release that lets a stopped receiver go on */
	b.app->rx_hold = true;
	peer_send(b.peer, 2 * MIB);
	PUMP_UNTIL(&b.net, borrowed(b.app) >= opts.borrowed_max);
	settle(&b.net);
	assert_int_equal(ctx_ready(&b.net, 0), 0);
	app_release_held(b.app);
	assert_int_equal(ctx_ready(&b.net, 0), POLLIN);
	b.app->rx_hold = false;
	PUMP_UNTIL(&b.net, b.app->rx_pos == 2 * MIB);
	settle(&b.net);

	/* room in the pool */
	assert_int_equal(zcs_ctx_limits(b.net.ctx, &small), 0);
	pool[0] = zcs_buf_alloc(b.net.ctx, 2 * MIB, NULL);
	pool[1] = zcs_buf_alloc(b.net.ctx, 2 * MIB, NULL);
	pool[2] = zcs_buf_alloc(b.net.ctx, 2 * MIB, NULL);
	assert_non_null(pool[0]);
	assert_null(pool[2]);
	assert_int_equal(ctx_ready(&b.net, 0), 0);
	zcs_buf_free(b.net.ctx, pool[0]);
	assert_int_equal(ctx_ready(&b.net, 0), POLLIN);
	net_take(&b.net);
	assert_int_equal(b.net.pool_events, 1);
	zcs_buf_free(b.net.ctx, pool[1]);

	/* a close */
	settle(&b.net);
	assert_int_equal(ctx_ready(&b.net, 0), 0);
	zcs_conn_abort(b.app->conn);
	assert_int_equal(ctx_ready(&b.net, 0), POLLIN);
	PUMP_UNTIL(&b.net, b.app->closed);
	net_finish(&b.net);
}

/* Many connections, little work per call: the descriptor is readable until all had their turn. */
static void process__is_bounded(void **state)
{
	struct net_pair pair[20];
	struct app *app[20];
	struct net net;
	unsigned calls, i, done = 0;

	(void)state;
	net_start(&net, NULL);
	for (i = 0; i < 20; i++) {
		net_pair(&pair[i], NET_V4, NET_LO);
		app[i] = app_open(&net, pair[i].near, NULL);
		app[i]->rx_plain = true;
	}
	net_idle(&net, 5);
	for (i = 0; i < 20; i++)
		assert_int_equal(send(pair[i].far, "hello", 5, 0), 5);
	for (calls = 0; done < 20; calls++) {
		struct zcs_event ev[64];
		int n;

		assert_true(calls < 1000);
		assert_int_equal(ctx_ready(&net, 1000), POLLIN);
		assert_true(zcs_ctx_process(net.ctx, 1) >= 0);
		while ((n = zcs_ctx_events(net.ctx, ev, 64)) > 0)
			while (n-- > 0)
				app_event(ev[n].user, &ev[n]);
		for (i = done = 0; i < 20; i++)
			done += app[i]->rx_pos == 5;
	}
	assert_in_range(calls, 10, 100);
	for (i = 0; i < 20; i++)
		close(pair[i].far);
	net_finish(&net);
}

/* A ring that was closed shortly before may interrupt a wait although there is no signal. */
static int wait_at_most(struct bed *b, struct zcs_event *ev, int ms)
{
	int r;

	do
		r = zcs_ctx_wait(b->net.ctx, ev, 1, ms);
	while (r == -EINTR && net_by_ring());
	return r;
}

static void wait__returns_when_time_is_up(void **state)
{
	struct zcs_event ev;
	struct bed b;
	long start;

	(void)state;
	bed_make(&b, NULL);
	start = net_now_ms();
	assert_int_equal(zcs_ctx_wait(b.net.ctx, &ev, 1, 0), 0);
	assert_int_equal(wait_at_most(&b, &ev, 100), 0);
	assert_in_range(net_now_ms() - start, 95, 1000l * slowness());
	assert_int_equal(send(b.pair.far, "hello", 5, 0), 5);
	assert_int_equal(wait_at_most(&b, &ev, -1), 1);
	assert_int_equal(ev.type, ZCS_EV_READABLE);
	b.app->rx_plain = true;
	app_event(ev.user, &ev);
	net_finish(&b.net);
}

/* --- connections that the caller polls --- */

struct server {
	struct bed b;
	int epoll;
	uint32_t interest; /* what the library last asked for */
	bool edge;
	unsigned turns;
};

static void server_make(struct server *s, bool edge)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .poll_self = 1 };
	struct epoll_event ev = { .events = EPOLLIN };

	memset(s, 0, sizeof(*s));
	s->edge = edge;
	bed_make(&s->b, &opts);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	ev.data.fd = zcs_ctx_fd(s->b.net.ctx);
	assert_int_equal(epoll_ctl(s->epoll, EPOLL_CTL_ADD, ev.data.fd, &ev), 0);
	ev.data.fd = s->b.app->fd;
	s->interest = (uint32_t)zcs_conn_ready(s->b.app->conn, 0);
	ev.events = edge ? EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET : s->interest;
	assert_int_equal(epoll_ctl(s->epoll, EPOLL_CTL_ADD, ev.data.fd, &ev), 0);
	ev.data.fd = s->b.peer->fd;
	ev.events = EPOLLIN | EPOLLOUT | EPOLLET; /* the peer just has its turn every time */
	assert_int_equal(epoll_ctl(s->epoll, EPOLL_CTL_ADD, ev.data.fd, &ev), 0);
}

static void server_interest(struct server *s)
{
	uint32_t want;
	struct epoll_event ev;

	if (!s->b.app->conn)
		return;
	want = (uint32_t)zcs_conn_ready(s->b.app->conn, 0);
	assert_int_equal(want & ~(EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLERR | EPOLLHUP),
			 0);
	if (s->edge || want == s->interest)
		return;
	ev.events = s->interest = want;
	ev.data.fd = s->b.app->fd;
	assert_int_equal(epoll_ctl(s->epoll, EPOLL_CTL_MOD, ev.data.fd, &ev), 0);
}

/* One turn of the server's loop, and of its peer. */
static void server_turn(struct server *s, int timeout_ms)
{
	struct epoll_event ev[4];
	struct peer *p = s->b.peer;
	int i, n;

	server_interest(s);
	n = epoll_wait(s->epoll, ev, 4, timeout_ms);
	assert_true(n >= 0);
	for (i = 0; i < n; i++) {
		if (s->b.app->conn && ev[i].data.fd == s->b.app->fd) {
			s->turns++;
			server_interest(s);
			(void)!zcs_conn_ready(s->b.app->conn, ev[i].events);
			net_take(&s->b.net);
		} else if (ev[i].data.fd == zcs_ctx_fd(s->b.net.ctx)) {
			s->turns++;
			net_take(&s->b.net);
		}
	}
	/* the plain side, without waiting */
	if (p->fd >= 0) {
		struct net alone = { .ctx = s->b.net.ctx, .peers = { p }, .nr_peers = 1 };
		struct pollfd pfd = { .fd = p->fd, .events = POLLIN | POLLOUT };
		long now = net_now_ms();

		if (poll(&pfd, 1, 0) > 0 &&
		    (pfd.revents & (POLLIN | POLLERR) || p->tx_at < p->tx_len))
			net_idle(&alone, net_now_ms() - now + 1);
	}
}

#define SERVE_UNTIL(s, condition)                                                                  \
	do {                                                                                       \
		long end_ = net_now_ms() + NET_MS;                                                 \
		while (!(condition)) {                                                             \
			server_turn(s, 5);                                                         \
			if (net_now_ms() > end_)                                                   \
				fail_msg("time is up, still waiting for: " #condition);            \
		}                                                                                  \
	} while (0)

static void serve(bool edge)
{
	struct server s;
	uint64_t end;
	unsigned i;

	server_make(&s, edge);
	s.b.peer->rx_chunk = 50000;
	for (i = 0; i < 8; i++) {
		int ret = app_send(s.b.app, &(struct shape){ .len = 1 * MIB });

		assert_true(ret >= 0 || ret == -EAGAIN);
	}
	peer_send(s.b.peer, 5 * MIB);
	end = s.b.app->tx_pos;
	SERVE_UNTIL(&s, s.b.peer->rx_pos == end && s.b.app->rx_pos == 5 * MIB);
	SERVE_UNTIL(&s, s.b.app->out == 0);
	/* idle: it does not spin */
	server_turn(&s, 20);
	s.turns = 0;
	for (i = 0; i < 20; i++)
		server_turn(&s, 5);
	assert_in_range(s.turns, 0, 2);
	/* the context takes the closing over */
	s.b.peer->rx_paused = true;
	for (i = 0; i < 8; i++)
		app_send(s.b.app, &(struct shape){ .len = 1 * MIB, .flags = ZCS_ZEROCOPY });
	epoll_ctl(s.epoll, EPOLL_CTL_DEL, s.b.app->fd, NULL);
	zcs_conn_close(s.b.app->conn);
	s.b.peer->rx_paused = false;
	s.b.peer->rx_chunk = 0;
	PUMP_UNTIL(&s.b.net, s.b.peer->rx_eof);
	assert_int_equal(s.b.peer->rx_pos, s.b.app->tx_pos);
	close(s.b.peer->fd);
	s.b.peer->fd = -1;
	PUMP_UNTIL(&s.b.net, s.b.app->closed);
	close(s.epoll);
	net_finish(&s.b.net);
}

static void poll_self__level_triggered(void **state)
{
	(void)state;
	serve(false);
}

static void poll_self__edge_triggered(void **state)
{
	(void)state;
	serve(true);
}

static void poll_self__error(void **state)
{
	struct server s;

	(void)state;
	server_make(&s, false);
	s.b.peer->rx_paused = true;
	app_send(s.b.app, &(struct shape){ .len = 8 * MIB, .flags = ZCS_ZEROCOPY });
	server_turn(&s, 5);
	net_reset(s.b.peer->fd);
	s.b.peer->fd = -1;
	SERVE_UNTIL(&s, s.b.app->errors && s.b.app->out == 0);
	assert_int_equal(s.b.app->errors, 1);
	epoll_ctl(s.epoll, EPOLL_CTL_DEL, s.b.app->fd, NULL);
	close(s.epoll);
	net_finish(&s.b.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(ctx_fd__never_shows_an_error),	      NET_TEST(ctx_fd__is_quiet_when_idle),
		NET_TEST(ctx_fd__own_calls_make_it_readable), NET_TEST(process__is_bounded),
		NET_TEST(wait__returns_when_time_is_up),      NET_TEST(poll_self__level_triggered),
		NET_TEST(poll_self__edge_triggered),	      NET_TEST(poll_self__error),
	};

	return NET_MAIN(tests);
}
