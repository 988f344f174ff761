// SPDX-License-Identifier: MIT
/*
 * What an idle connection costs in memory of the library: 10,000 of them over loopback, in a
 * network namespace of their own, before and after each has sent and received something. Their
 * other ends are in a process of their own, for want of so many descriptors in one.
 */
#include <zcsock.h>

#include "sysctl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define NR    10000
#define LIMIT 512 /* bytes per connection */
#define LEN   40000

static struct zcs_conn *conns[NR];
static char payload[LEN];

static void skip(const char *why)
{
	printf("skipped: %s: %s\n", why, strerror(errno));
	exit(77);
}

static void fail(const char *what)
{
	printf("%s failed: %s\n", what, strerror(errno));
	exit(1);
}

static void prepare(void)
{
	struct rlimit files;
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = NR + 64;
	if (files.rlim_max < files.rlim_cur)
		files.rlim_max = files.rlim_cur;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		skip("no 10,064 descriptors");
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		skip("no network namespace of our own");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		skip("no loopback");
	close(fd);
	if (net_sysctl("core/somaxconn", "20000") < 0)
		printf("the backlog stays short: this takes longer\n");
}

/* Everything the library has: from malloc, mapped by malloc, and mapped for its pool. */
static uint64_t memory(struct zcs_ctx *ctx)
{
	struct zcs_stats st = { .size = sizeof(st) };
	struct mallinfo2 m = mallinfo2();

	if (zcs_ctx_stats(ctx, &st) < 0)
		fail("zcs_ctx_stats");
	return m.uordblks + m.hblkhd + st.pool_bytes;
}

/* The other ends: each gives back as much as it got, in the order in which they were accepted. */
static void be_the_peers(int listener)
{
	static int fds[NR];
	static char drop[LEN];
	int i;

	for (i = 0; i < NR; i++) {
		fds[i] = accept(listener, NULL, NULL);
		if (fds[i] < 0)
			_exit(1);
	}
	for (i = 0; i < NR; i++)
		if (recv(fds[i], drop, LEN, MSG_WAITALL) != LEN ||
		    send(fds[i], payload, LEN, MSG_NOSIGNAL) != LEN)
			_exit(1);
	/* until the first one is closed */
	_exit(recv(fds[0], drop, 1, 0) > 0);
}

static void connect_all(struct zcs_ctx *ctx)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	socklen_t len = sizeof(to);
	int listener = socket(AF_INET, SOCK_STREAM, 0), i, fd;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&to, len) < 0 || listen(listener, NR) < 0 ||
	    getsockname(listener, (struct sockaddr *)&to, &len) < 0)
		fail("listen");
	fflush(stdout);
	if (fork() == 0)
		be_the_peers(listener);
	close(listener);
	for (i = 0; i < NR; i++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (fd < 0 || connect(fd, (struct sockaddr *)&to, len) < 0)
			fail("connect");
		if (zcs_conn_open(ctx, fd, NULL, &conns[i]) < 0)
			fail("zcs_conn_open");
	}
}

/* Takes what there is; returns how many bytes were received and messages released. */
static void work(struct zcs_ctx *ctx, uint64_t *received, unsigned *released)
{
	struct zcs_event ev[64];
	struct zcs_span span;
	int i, n = zcs_ctx_wait(ctx, ev, 64, 5000);

	if (n <= 0)
		fail("zcs_ctx_wait: nothing for 5 s");
	for (i = 0; i < n; i++) {
		if (ev[i].type == ZCS_EV_RELEASED)
			++*released;
		while (ev[i].type == ZCS_EV_READABLE &&
		       zcs_conn_recv(ev[i].conn, &span, 1, 0) > 0) {
			*received += span.len;
			zcs_span_release(ctx, &span, 1);
		}
	}
}

/* Each connection sends a lent message and receives as much. */
static void exchange(struct zcs_ctx *ctx)
{
	struct iovec iov = { payload, LEN };
	struct zcs_msg msg = { .size = sizeof(msg), .iov = &iov, .nr_iov = 1 };
	uint64_t received = 0;
	unsigned released = 0, at_once = 0;
	int i, ret;

	for (i = 0; i < NR; i++) {
		ret = zcs_conn_send(conns[i], &msg);
		if (ret < 0)
			fail("zcs_conn_send");
		at_once += ret == 1;
		while (received < (uint64_t)(i + 1) * LEN)
			work(ctx, &received, &released);
	}
	while (released + at_once < NR)
		work(ctx, &received, &released);
	/* one more turn: what is put away lazily is put away now */
	if (zcs_ctx_process(ctx, 0) < 0)
		fail("zcs_ctx_process");
}

/* What a context has once, however many connections: its receive memory is there after this. */
static void warm_up(struct zcs_ctx *ctx)
{
	uint64_t received = 0;
	unsigned released = 0;
	struct zcs_event ev = { 0 };
	struct zcs_conn *conn;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 ||
	    zcs_conn_open(ctx, fds[0], NULL, &conn) < 0)
		fail("warming up");
	if (send(fds[1], payload, LEN, 0) != LEN)
		fail("send");
	while (received < LEN)
		work(ctx, &received, &released);
	zcs_conn_abort(conn);
	while (ev.type != ZCS_EV_CLOSED)
		if (zcs_ctx_wait(ctx, &ev, 1, 5000) != 1)
			fail("zcs_ctx_wait");
	close(fds[1]);
}

int main(void)
{
	struct zcs_ctx *ctx;
	uint64_t before;
	double fresh, used;

	prepare();
	if (zcs_ctx_new(NULL, &ctx) < 0)
		fail("zcs_ctx_new");
	warm_up(ctx);
	printf("%d connections\n", NR);
	before = memory(ctx);
	connect_all(ctx);
	fresh = (double)(memory(ctx) - before) / NR;
	exchange(ctx);
	used = (double)(memory(ctx) - before) / NR;
	printf("new:           %6.0f bytes each\nafter traffic: %6.0f bytes each (limit %d)\n",
	       fresh, used, LIMIT);
	zcs_ctx_abandon(ctx);
	if (fresh > LIMIT || used > LIMIT) {
		printf("too much\n");
		return 1;
	}
	return 0;
}
