// SPDX-License-Identifier: MIT
/* A program that forks while memory is lent and borrowed: the child has no part in either. */
#include "net.h"

#include <sys/wait.h>

struct bed {
	struct net net;
	struct net_pair pair;
	struct app *app;
	struct peer *peer;
};

static void bed_make(struct bed *b)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .trust = ZCS_TRUST_PEER,
				      .recv_way = ZCS_WAY_ZEROCOPY };

	net_lo_mtu(MTU_MAPS);
	net_start(&b->net, NULL);
	net_pair(&b->pair, NET_V4, NET_LO);
	b->app = app_open(&b->net, b->pair.near, &opts);
	b->peer = peer_open(&b->net, b->pair.far);
	b->peer->tx_flags = MSG_ZEROCOPY;
	net_set(b->pair.far, SOL_SOCKET, SO_ZEROCOPY, 1);
	b->app->tx_seed = b->peer->rx_seed = 1;
	b->app->rx_seed = b->peer->tx_seed = 2;
	b->app->rx_hold = true;
	peer_send(b->peer, 1 * MIB);
	PUMP_UNTIL(&b->net, b->app->rx_pos == 1 * MIB);
	assert_true(b->app->rx_mapped > 0);
	b->peer->rx_paused = true;
	/* Unaligned, so that pages are shared with what this program writes to all the time. */
	for (int i = 0; i < 8; i++)
		app_send(b->app,
			 &(struct shape){ .len = 1 * MIB, .flags = ZCS_ZEROCOPY, .misalign = 100 });
	net_idle(&b->net, 5);
	assert_true(b->app->out > 0);
}

static void check_and_finish(struct bed *b)
{
	app_check_held(b->app);
	b->peer->rx_paused = false;
	PUMP_UNTIL(&b->net, b->peer->rx_pos == b->app->tx_pos && b->app->out == 0);
	app_release_held(b->app);
	b->app->rx_hold = false;
	peer_send(b->peer, 8 * MIB);
	PUMP_UNTIL(&b->net, b->app->rx_pos == 9 * MIB);
	net_finish(&b->net);
}

static void fork__child_just_ends(void **state)
{
	struct bed b;
	int status;
	pid_t pid;

	(void)state;
	bed_make(&b);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	check_and_finish(&b);
}

/* The child lives on beside us, and writes over all memory that it has a copy of. */
static void fork__child_lives_and_writes(void **state)
{
	int go[2], status;
	struct bed b;
	size_t i;
	pid_t pid;
	char c;

	(void)state;
	bed_make(&b);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(go[1]);
		for (i = 0; i < b.app->nr_loans; i++)
			if (b.app->loans[i].out)
				memset(b.app->loans[i].mem, 0x55, b.app->loans[i].len);
		_exit(read(go[0], &c, 1) != 0);
	}
	close(go[0]);
	check_and_finish(&b); /* while it lives: its copies of the descriptors hold nothing up */
	close(go[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/*
 * A child keeps a copy of every descriptor; the FIN of a close must go out although the kernel's
 * socket still has a user there.
 */
static void fork__close_still_ends_the_stream(void **state)
{
	int go[2], status;
	struct bed b;
	pid_t pid;
	char c;

	(void)state;
	bed_make(&b);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(go[1]);
		_exit(read(go[0], &c, 1) != 0);
	}
	close(go[0]);
	zcs_conn_close(b.app->conn);
	b.peer->rx_paused = false;
	PUMP_UNTIL(&b.net, b.peer->rx_eof);
	assert_int_equal(b.peer->rx_pos, b.app->tx_pos);
	shutdown(b.peer->fd, SHUT_WR);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, 0);
	app_check_held(b.app);
	close(go[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	net_finish(&b.net);
}

/* The window is not inherited: the child's copy would keep the kernel's pages. */
static void span_in_child(void)
{
	int pipes[2], status;
	struct bed b;
	pid_t pid;

	bed_make(&b);
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		size_t i;

		for (i = 0; i < b.app->nr_held; i++)
			if ((b.app->held[i].flags & ZCS_SPAN_MAPPED) &&
			    write(pipes[1], b.app->held[i].base, 1) >= 0)
				_exit(1); /* it could be read */
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	check_and_finish(&b);
}

static void fork__window_stays_here(void **state)
{
	(void)state;
	net_in_child(span_in_child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(fork__child_just_ends),
		NET_TEST(fork__child_lives_and_writes),
		NET_TEST(fork__close_still_ends_the_stream),
		NET_TEST(fork__window_stays_here),
	};

	return NET_MAIN(tests);
}
