/* SPDX-License-Identifier: MIT */
/*
 * idle.c - what an idle connection costs in memory of the library
 *
 * Over loopback, in a process of its own; the other ends are in one more, as each end takes a
 * descriptor. What a context has once, however many connections, is there before it is measured.
 */
#include <zcsock.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bars.h"

#define NR	4000  /* connections */
#define LEAST	500   /* fewer tell too little of each */
#define SPARE	64    /* descriptors that are something else */
#define LEN	40000 /* of a message: one that is lent if anything is */
#define WAIT_MS 5000
#define LIMIT_S 30 /* then a signal ends it */
#define FIGURE	"bytes="

struct idle {
	struct zcs_ctx *ctx;
	struct zcs_conn *conns[NR];
	uint64_t received;
	unsigned released;
};

static char payload[LEN];

static int must(int r, const char *call)
{
	if (r < 0)
		errx(1, "%s: %s", call, strerror(-r));
	return r;
}

/* Everything the library has: from malloc, mapped by malloc, and mapped for its pool. */
static uint64_t memory(const struct idle *idle)
{
	struct zcs_stats stats = { .size = sizeof(stats) };
	struct mallinfo2 m = mallinfo2();

	must(zcs_ctx_stats(idle->ctx, &stats), "zcs_ctx_stats");
	return m.uordblks + m.hblkhd + stats.pool_bytes;
}

/* ---- the other ends ------------------------------------------------------------------- */

static int take_one(int listener)
{
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		_exit(1);
	return fd;
}

static void serve_one(int fd)
{
	static char drop[LEN];

	if (recv(fd, drop, LEN, MSG_WAITALL) != LEN || send(fd, payload, LEN, MSG_NOSIGNAL) != LEN)
		_exit(1);
}

/*
 * Each gives back as much as it got, in the order in which they were accepted; the first one before
 * there is any other.
 */
static void be_the_others(int listener, unsigned nr, pid_t parent)
{
	static int fds[NR];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	serve_one(take_one(listener));
	for (unsigned i = 1; i < nr; i++)
		fds[i] = take_one(listener);
	for (unsigned i = 1; i < nr; i++)
		serve_one(fds[i]);
	pause(); /* until whoever has the other ends is gone */
	_exit(0);
}

static void start_the_others(struct sockaddr_in *to, unsigned nr)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*to);
	pid_t parent = getpid();

	*to = (struct sockaddr_in){ .sin_family = AF_INET };
	to->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (listener < 0 || bind(listener, (struct sockaddr *)to, len) < 0 ||
	    listen(listener, NR) < 0 || getsockname(listener, (struct sockaddr *)to, &len) < 0)
		err(1, "listening");
	if (fork() == 0)
		be_the_others(listener, nr, parent);
	close(listener);
}

/* ---- this end -------------------------------------------------------------------------- */

static void work(struct idle *idle)
{
	struct zcs_event events[64];
	struct zcs_span span;
	int nr = must(zcs_ctx_wait(idle->ctx, events, 64, WAIT_MS), "zcs_ctx_wait");

	if (nr == 0)
		errx(1, "nothing came for %d s", WAIT_MS / 1000);
	for (int i = 0; i < nr; i++) {
		idle->released += events[i].type == ZCS_EV_RELEASED;
		while (events[i].type == ZCS_EV_READABLE &&
		       zcs_conn_recv(events[i].conn, &span, 1, 0) > 0) {
			idle->received += span.len;
			zcs_span_release(idle->ctx, &span, 1);
		}
	}
}

/* A message there and one back. */
static void exchange(struct idle *idle, struct zcs_conn *conn)
{
	struct iovec iov = { payload, LEN };
	struct zcs_msg msg = { .size = sizeof(msg), .iov = &iov, .nr_iov = 1 };
	uint64_t until = idle->received + LEN;

	idle->released += must(zcs_conn_send(conn, &msg), "zcs_conn_send") == 1;
	while (idle->received < until)
		work(idle);
}

static struct zcs_conn *open_one(struct idle *idle, const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct zcs_conn *conn;

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		err(1, "connecting");
	must(zcs_conn_open(idle->ctx, fd, NULL, &conn), "zcs_conn_open");
	return conn;
}

/* What a context has once is there when the first one was used: that one does not count. */
static double bytes_each(struct idle *idle, unsigned nr)
{
	struct sockaddr_in to;
	double before, fresh, used;

	must(zcs_ctx_new(NULL, &idle->ctx), "zcs_ctx_new");
	start_the_others(&to, nr);
	idle->conns[0] = open_one(idle, &to);
	exchange(idle, idle->conns[0]);
	before = (double)memory(idle);
	for (unsigned i = 1; i < nr; i++)
		idle->conns[i] = open_one(idle, &to);
	fresh = (double)memory(idle) - before;
	for (unsigned i = 1; i < nr; i++)
		exchange(idle, idle->conns[i]);
	must(zcs_ctx_process(idle->ctx, 0), "zcs_ctx_process"); /* what is put away lazily */
	used = (double)memory(idle) - before;
	return (used > fresh ? used : fresh) / (nr - 1);
}

/* How many connections there may be. */
static unsigned make_room(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		err(1, "RLIMIT_NOFILE");
	files.rlim_cur = files.rlim_max < NR + SPARE ? files.rlim_max : NR + SPARE;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		err(1, "RLIMIT_NOFILE");
	if (files.rlim_cur < LEAST + SPARE)
		errx(1, "no %d descriptors (ulimit -n)", LEAST + SPARE);
	return (unsigned)files.rlim_cur - SPARE;
}

static void be_idle(int out, pid_t parent)
{
	static struct idle idle;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(out, STDERR_FILENO) < 0)
		_exit(1);
	alarm(LIMIT_S);
	dprintf(out, FIGURE "%.6f\n", bytes_each(&idle, make_room()));
	_exit(0);
}

int idle_measure(double *bytes_out, char *why, size_t len)
{
	char line[256] = "its process ended";
	pid_t parent = getpid(), pid;
	FILE *in = NULL;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return snprintf(why, len, "%s", strerror(errno)), -EMFILE;
	pid = fork();
	if (pid == 0)
		be_idle(fds[1], parent);
	close(fds[1]);
	in = fdopen(fds[0], "r");
	if (in && fgets(line, sizeof(line), in))
		line[strcspn(line, "\n")] = '\0';
	if (in)
		fclose(in);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (strncmp(line, FIGURE, strlen(FIGURE)) != 0)
		return snprintf(why, len, "%s", line), -EPROTO;
	*bytes_out = strtod(line + strlen(FIGURE), NULL);
	return 0;
}
