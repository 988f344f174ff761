// SPDX-License-Identifier: MIT
/*
 * What may be mapped. A process on this host can keep pages that it sent and write to them later;
 * so pages of others are shown only to who asked for it.
 */
#include "net.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGES 14 /* one packet at MTU_MAPS */

struct bed {
	struct net net;
	struct net_pair pair;
	struct app *app;
	struct peer *peer;
};

static void bed_make(struct bed *b, const struct net_where *w, uint32_t trust)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .trust = trust,
				      .recv_way = ZCS_WAY_ZEROCOPY };

	if (w->path == NET_VETH && net_has_veth())
		net_veth_mtu(MTU_MAPS);
	net_lo_mtu(MTU_MAPS);
	net_start(&b->net, NULL);
	net_pair(&b->pair, w->family, w->path);
	b->app = app_open(&b->net, b->pair.near, &opts);
	b->peer = peer_open(&b->net, b->pair.far);
	b->peer->tx_flags = MSG_ZEROCOPY;
	net_set(b->pair.far, SOL_SOCKET, SO_ZEROCOPY, 1);
	b->app->rx_seed = b->peer->tx_seed = 6;
}

/* --- a peer that cheats --- */

/*
 * A page of the kernel's that this process can write at any time: the submission queue of an
 * io_uring. Its mapping is NULL, as that of a page that a card received into.
 */
static char *ring_page(void)
{
	struct io_uring_params params = { 0 };
	int ring = (int)syscall(__NR_io_uring_setup, 64, &params);
	char *page;

	if (ring < 0) {
		print_message("no io_uring: %s\n", strerror(errno));
		skip();
	}
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
		    IORING_OFF_SQES);
	close(ring);
	if (page == MAP_FAILED)
		skip();
	return page;
}

/* Sends the page itself, nr times, without a copy. */
static void send_page(int fd, char *page, unsigned nr)
{
	struct iovec iov = { page, 4096 };
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	net_set(fd, IPPROTO_TCP, TCP_CORK, 1);
	while (nr--) {
		assert_int_equal(vmsplice(pipes[1], &iov, 1, 0), 4096);
		assert_int_equal(splice(pipes[0], NULL, fd, NULL, 4096, SPLICE_F_MORE), 4096);
	}
	net_set(fd, IPPROTO_TCP, TCP_CORK, 0);
	close(pipes[0]);
	close(pipes[1]);
}

/* 0: what was received did not change when the peer wrote to its page; else how many bytes did. */
static size_t cheat(struct bed *b, bool stabilize)
{
	char *page = ring_page();
	size_t i, j, changed = 0;

	b->app->rx_hold = b->app->rx_plain = true;
	memset(page, 'a', 4096);
	send_page(b->pair.far, page, PAGES);
	PUMP_UNTIL(&b->net, b->app->rx_pos == PAGES * 4096);
	for (i = 0; stabilize && i < b->app->nr_held; i++)
		assert_int_equal(zcs_span_stabilize(b->net.ctx, &b->app->held[i]), 0);
	memset(page, 'b', 4096);
	for (i = 0; i < b->app->nr_held; i++)
		for (j = 0; j < b->app->held[i].len; j++)
			changed += ((const char *)b->app->held[i].base)[j] != 'a';
	munmap(page, 4096);
	return changed;
}

static void trust__by_default_not_a_local_peer(void **state)
{
	struct zcs_stats st;
	struct bed b;

	bed_make(&b, *state, 0);
	assert_int_equal(cheat(&b, false), 0);
	app_stats(b.app, &st);
	assert_int_equal(st.rx_bytes_mapped, 0);
	assert_int_equal(st.rx_reason, ZCS_R_UNTRUSTED);
	net_finish(&b.net);
}

static void trust__shows_what_a_peer_changes(void **state)
{
	struct bed b;
	size_t changed;

	bed_make(&b, *state, ZCS_TRUST_PEER);
	changed = cheat(&b, false);
	assert_int_equal(changed, b.app->rx_mapped);
	assert_true(b.app->rx_mapped > 0);
	net_finish(&b.net);
}

static void stabilize__keeps_a_peer_out(void **state)
{
	struct bed b;

	bed_make(&b, *state, ZCS_TRUST_PEER);
	assert_int_equal(cheat(&b, true), 0);
	assert_true(b.app->rx_mapped > 0);
	net_finish(&b.net);
}

static void trust__none_never_maps(void **state)
{
	struct bed b;

	bed_make(&b, *state, ZCS_TRUST_NONE);
	assert_int_equal(cheat(&b, false), 0);
	assert_int_equal(b.app->rx_mapped, 0);
	net_finish(&b.net);
}

/* --- how much --- */

static void send_much(struct bed *b, uint64_t total)
{
	uint64_t at;

	for (at = 0; at < total; at += 2 * MIB) {
		peer_send(b->peer, 2 * MIB);
		PUMP_UNTIL(&b->net, b->app->rx_pos == b->peer->tx_pos);
	}
}

static void recv__most_is_mapped(void **state)
{
	struct zcs_stats st;
	struct bed b;

	bed_make(&b, *state, ZCS_TRUST_PEER);
	send_much(&b, 64 * MIB);
	app_stats(b.app, &st);
	assert_int_equal(st.rx_bytes, 64 * MIB);
	assert_int_equal(st.rx_bytes_mapped, b.app->rx_mapped);
	if (st.rx_bytes_mapped < 64 * MIB / 100 * 90)
		fail_msg("only %u %% mapped", (unsigned)(st.rx_bytes_mapped * 100 / (64 * MIB)));
	net_finish(&b.net);
}

static void recv__nothing_is_mapped_by_default(void **state)
{
	struct zcs_stats st;
	struct bed b;

	bed_make(&b, *state, 0);
	send_much(&b, 16 * MIB);
	app_stats(b.app, &st);
	assert_int_equal(st.rx_bytes_mapped, 0);
	assert_int_equal(b.app->rx_mapped, 0);
	assert_int_equal(st.rx_reason, ZCS_R_UNTRUSTED);
	app_says(b.app, "trust");
	net_finish(&b.net);
}

/* A sender whose data do not come in pages of their own: copied, and explain says why. */
static void recv__unmappable(void **state)
{
	struct zcs_stats st;
	struct bed b;

	bed_make(&b, *state, ZCS_TRUST_PEER);
	b.peer->tx_flags = 0;
	send_much(&b, 16 * MIB);
	app_stats(b.app, &st);
	assert_int_equal(st.rx_bytes_mapped, 0);
	/* of the last copied byte: the end of a piece may have been a small one */
	assert_true(st.rx_reason == ZCS_R_UNMAPPABLE || st.rx_reason == ZCS_R_SMALL);
	app_says(b.app, "page");
	/* When it becomes mappable that is found out. */
	b.peer->tx_flags = MSG_ZEROCOPY;
	do {
		send_much(&b, 4 * MIB);
	} while (!b.app->rx_mapped);
	net_finish(&b.net);
}

static void recv__pinned_to_copy(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .recv_way = ZCS_WAY_COPY };
	struct zcs_stats st;
	struct bed b;

	bed_make(&b, *state, ZCS_TRUST_PEER);
	assert_int_equal(zcs_conn_limits(b.app->conn, &opts), 0);
	send_much(&b, 8 * MIB);
	app_stats(b.app, &st);
	assert_int_equal(st.rx_bytes_mapped, 0);
	assert_int_equal(st.rx_reason, ZCS_R_PINNED);
	net_finish(&b.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST_ON(trust__by_default_not_a_local_peer, NET_V4, NET_LO),
		NET_TEST_ON(trust__by_default_not_a_local_peer, NET_V6, NET_LO),
		NET_TEST_ON(trust__by_default_not_a_local_peer, NET_MAPPED, NET_LO),
		NET_TEST_ON(trust__by_default_not_a_local_peer, NET_V4, NET_VETH),
		NET_TEST_ON(trust__by_default_not_a_local_peer, NET_V6, NET_VETH),
		NET_TEST_ON(trust__by_default_not_a_local_peer, NET_MAPPED, NET_VETH),
		NET_TEST_ON(trust__shows_what_a_peer_changes, NET_V4, NET_LO),
		NET_TEST_ON(trust__shows_what_a_peer_changes, NET_V4, NET_VETH),
		NET_TEST_ON(stabilize__keeps_a_peer_out, NET_V4, NET_LO),
		NET_TEST_ON(trust__none_never_maps, NET_V4, NET_LO),
		NET_TEST_ON(recv__most_is_mapped, NET_V4, NET_LO),
		NET_TEST_ON(recv__most_is_mapped, NET_V4, NET_VETH),
		NET_TEST_ON(recv__nothing_is_mapped_by_default, NET_V4, NET_LO),
		NET_TEST_ON(recv__nothing_is_mapped_by_default, NET_V6, NET_VETH),
		NET_TEST_ON(recv__unmappable, NET_V4, NET_LO),
		NET_TEST_ON(recv__pinned_to_copy, NET_V4, NET_LO),
	};

	return NET_MAIN(tests);
}
