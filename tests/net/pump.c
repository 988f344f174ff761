// SPDX-License-Identifier: MIT
/* The loop that drives a context together with plain sockets, as a program of its own would. */
#include "net.h"

#include <linux/errqueue.h>
#include <sys/mman.h>

#define EVENTS 7 /* few, so that taking them in batches is tried */

bool net_by_ring(void)
{
	return getenv("ZCS_NET_RING") != NULL;
}

void net_socket_only(void)
{
	if (net_by_ring())
		skip();
}

void net_start(struct net *n, const struct zcs_ctx_opts *opts)
{
	struct zcs_ctx_opts o = { .size = sizeof(o) };

	if (opts)
		o = *opts;
	o.ring = o.ring ? o.ring : net_by_ring() ? ZCS_RING_TRY : ZCS_RING_OFF;
	memset(n, 0, sizeof(*n));
	n->deadline = net_now_ms() + NET_MS;
	assert_int_equal(zcs_ctx_new(&o, &n->ctx), 0);
	assert_true(zcs_ctx_fd(n->ctx) >= 0);
}

static size_t open_apps(const struct net *n)
{
	size_t i, open = 0;

	for (i = 0; i < n->nr_apps; i++)
		open += n->apps[i]->conn != NULL;
	return open;
}

/* What was sent with MSG_ZEROCOPY must stay as it is: it is unmapped, never written again. */
static void peer_forget(struct peer *p)
{
	if (p->tx_mem)
		munmap(p->tx_mem, p->tx_len);
	p->tx_mem = NULL;
}

void net_finish(struct net *n)
{
	size_t i;

	for (i = 0; i < n->nr_apps; i++) {
		app_release_held(n->apps[i]);
		if (n->apps[i]->conn)
			zcs_conn_abort(n->apps[i]->conn);
	}
	PUMP_UNTIL(n, open_apps(n) == 0);
	assert_int_equal(zcs_ctx_free(n->ctx), 0);
	for (i = 0; i < n->nr_apps; i++) {
		free(n->apps[i]->loans);
		free(n->apps[i]);
	}
	for (i = 0; i < n->nr_peers; i++) {
		if (n->peers[i]->fd >= 0)
			close(n->peers[i]->fd);
		peer_forget(n->peers[i]);
		free(n->peers[i]);
	}
}

/* --- the plain side --- */

struct peer *peer_open(struct net *n, int fd)
{
	struct peer *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	assert_true(n->nr_peers < NET_MAX);
	n->peers[n->nr_peers++] = p;
	p->fd = fd;
	return p;
}

void peer_send(struct peer *p, size_t len)
{
	assert_true(p->tx_at == p->tx_len);
	peer_forget(p);
	p->tx_mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(p->tx_mem, MAP_FAILED);
	stream_fill(p->tx_seed, p->tx_pos, p->tx_mem, len);
	p->tx_pos += len;
	p->tx_len = len;
	p->tx_at = 0;
}

static void peer_read(struct peer *p)
{
	static char buf[256 * KIB];
	size_t want = p->rx_chunk && p->rx_chunk < sizeof(buf) ? p->rx_chunk : sizeof(buf);
	int turns;

	/* Some, not all: a sender as fast as this would keep it here for ever. */
	for (turns = 0; turns < (p->rx_chunk ? 1 : 8); turns++) {
		ssize_t n = recv(p->fd, buf, want, MSG_DONTWAIT);
		size_t good;

		if (n == 0)
			p->rx_eof = true;
		if (n < 0 && errno != EAGAIN)
			p->rx_error = -errno;
		if (n <= 0)
			return;
		good = p->rx_plain ? (size_t)n : stream_check(p->rx_seed, p->rx_pos, buf, n);
		if (good != (size_t)n)
			fail_msg("the peer got a wrong byte at %llu of the stream",
				 (unsigned long long)(p->rx_pos + good));
		p->rx_pos += n;
	}
}

static ssize_t peer_try(struct peer *p, size_t len, int flags)
{
	return send(p->fd, p->tx_mem + p->tx_at, len, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Locked memory is charged for all of a flagged call: not more than a piece at a time. */
static void peer_write(struct peer *p)
{
	ssize_t n = 1;

	while (p->tx_at < p->tx_len && n > 0) {
		size_t len = p->tx_len - p->tx_at;

		if (p->tx_flags & MSG_ZEROCOPY && len > MAP_PIECE)
			len = MAP_PIECE;
		n = peer_try(p, len, p->tx_flags);
		if (n < 0 && errno == ENOBUFS && !net_unacked(p->fd))
			n = peer_try(p, len, 0);
		if (n > 0)
			p->tx_at += n;
		else if (errno != EAGAIN && errno != ENOBUFS)
			p->tx_error = -errno;
	}
	if (p->tx_at == p->tx_len && p->tx_shut) {
		shutdown(p->fd, SHUT_WR);
		p->tx_shut = false;
	}
}

static void peer_notes(struct peer *p)
{
	char control[512];
	struct msghdr msg = { .msg_control = control };

	do
		msg.msg_controllen = sizeof(control);
	while (recvmsg(p->fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0);
}

static bool peer_reads(const struct peer *p)
{
	return !p->rx_paused && !p->rx_eof && !p->rx_error;
}

static bool peer_writes(const struct peer *p)
{
	return !p->tx_error && (p->tx_at < p->tx_len || p->tx_shut);
}

static void peer_turn(struct peer *p, short revents)
{
	if (revents & POLLERR)
		peer_notes(p);
	if ((revents & (POLLIN | POLLHUP | POLLERR)) && peer_reads(p))
		peer_read(p);
	if ((revents & POLLOUT) && peer_writes(p))
		peer_write(p);
}

/* --- the loop --- */

void net_take(struct net *n)
{
	struct zcs_event events[EVENTS];
	int i, nr;

	assert_true(zcs_ctx_process(n->ctx, 0) >= 0);
	do {
		nr = zcs_ctx_events(n->ctx, events, EVENTS);
		assert_in_range(nr, 0, EVENTS);
		for (i = 0; i < nr; i++) {
			if (events[i].type == ZCS_EV_POOL) {
				assert_null(events[i].conn);
				n->pool_events++;
			} else {
				app_event(events[i].user, &events[i]);
			}
		}
	} while (nr == EVENTS);
}

static void round_of(struct net *n, int timeout_ms)
{
	struct pollfd fds[1 + NET_MAX] = { { .fd = zcs_ctx_fd(n->ctx), .events = POLLIN } };
	size_t i;
	int nr;

	for (i = 0; i < n->nr_peers; i++) {
		struct peer *p = n->peers[i];

		fds[1 + i].fd = p->fd;
		fds[1 + i].events =
			(short)((peer_reads(p) ? POLLIN : 0) | (peer_writes(p) ? POLLOUT : 0));
		/* A dead socket that nobody reads would keep the loop spinning. */
		if ((p->rx_eof || p->rx_error || p->rx_paused) && !peer_writes(p))
			fds[1 + i].fd = -1;
	}
	nr = poll(fds, 1 + n->nr_peers, timeout_ms);
	assert_true(nr >= 0 || errno == EINTR);
	if (nr <= 0)
		return;
	n->steps++;
	assert_int_equal(fds[0].revents & ~POLLIN, 0);
	if (fds[0].revents)
		net_take(n);
	for (i = 0; i < n->nr_peers; i++)
		if (fds[1 + i].revents)
			peer_turn(n->peers[i], fds[1 + i].revents);
}

void net_step(struct net *n, const char *what)
{
	long left = n->deadline - net_now_ms();

	if (left <= 0)
		fail_msg("time is up, still waiting for: %s", what);
	round_of(n, (int)left);
}

void net_idle(struct net *n, long ms)
{
	long end = net_now_ms() + ms;
	long left;

	while ((left = end - net_now_ms()) > 0)
		round_of(n, (int)left);
}
