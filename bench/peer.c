/* SPDX-License-Identifier: MIT */
/* peer.c - the other end of what is measured on this machine, or from another one */
#include "peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mover.h"
#include "raw/raw.h"

#define PIECE	    ((size_t)1 << 20)
#define AREA	    (2 * PIECE)
#define ECHO_BUFFER ((size_t)256 << 10)
#define BACKLOG	    16
#define PORT_TRIES  100
#define AWAKE_NS    300000 /* so long after the last data */

/* ---- listening ------------------------------------------------------------------------------ */

static void set_port(struct sockaddr_storage *addr, unsigned port)
{
	if (addr->ss_family == AF_INET6)
		((struct sockaddr_in6 *)addr)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)addr)->sin_port = htons((uint16_t)port);
}

static unsigned get_port(const struct sockaddr_storage *addr)
{
	if (addr->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)addr)->sin6_port);
	return ntohs(((const struct sockaddr_in *)addr)->sin_port);
}

/*
 * A receiver can map whole pages only, so a packet must hold nothing else: 7 of them, and 12 bytes
 * of timestamps, which count here.
 */
static int make_mappable(int fd)
{
	int mss = 7 * 4096 + 12;

	return setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss));
}

static int listen_on(enum bench_service service, const struct sockaddr_storage *addr)
{
	socklen_t len = addr->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						    : sizeof(struct sockaddr_in);
	bool udp = service == BENCH_DISCARD_UDP;
	int fd = socket(addr->ss_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	int on = 1, off = 0, r;

	if (fd < 0)
		return -errno;
	if (addr->ss_family == AF_INET6) /* :: takes IPv4 as well, whatever the system's default */
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (udp) /* what was sent in one call comes in one, where the path allows it */
		(void)setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on));
	else
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if ((service == BENCH_CHARGEN && make_mappable(fd) < 0) ||
	    bind(fd, (const struct sockaddr *)addr, len) < 0 || (!udp && listen(fd, BACKLOG) < 0)) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static void close_all(struct bench_peer *peer)
{
	for (int i = 0; i < BENCH_SERVICES; i++) {
		if (peer->fds[i] >= 0)
			close(peer->fds[i]);
		peer->fds[i] = -1;
	}
}

/* The first service says which port it is, the others follow it. */
static int open_all(struct bench_peer *peer, struct sockaddr_storage addr)
{
	socklen_t len = sizeof(addr);
	int i;

	for (i = 0; i < BENCH_SERVICES; i++) {
		if (i > 0)
			set_port(&addr, peer->port + (i == BENCH_DISCARD_UDP ? 0 : (unsigned)i));
		peer->fds[i] = listen_on((enum bench_service)i, &addr);
		if (peer->fds[i] < 0)
			break;
		if (i == 0 && getsockname(peer->fds[0], (struct sockaddr *)&addr, &len) == 0)
			peer->port = get_port(&addr);
	}
	if (i < BENCH_SERVICES) {
		int r = peer->fds[i];

		close_all(peer);
		return r;
	}
	return 0;
}

int bench_peer_open(struct bench_peer *peer, const struct sockaddr_storage *addr)
{
	int tries = get_port(addr) ? 1 : PORT_TRIES, r;

	*peer = (struct bench_peer){ .opts.cpu = -1, .fds = { -1, -1, -1, -1 }, .pid = -1 };
	peer->moved = mmap(NULL, BENCH_SERVICES * sizeof(*peer->moved), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (peer->moved == MAP_FAILED)
		return -ENOMEM;
	do {
		r = open_all(peer, *addr);
	} while (r == -EADDRINUSE && --tries > 0);
	if (r < 0)
		munmap(peer->moved, BENCH_SERVICES * sizeof(*peer->moved));
	return r;
}

/* ---- services, until the peer is gone ------------------------------------------------------- */

static void moved(uint64_t *count, ssize_t n)
{
	if (n > 0)
		__atomic_fetch_add(count, (uint64_t)n, __ATOMIC_RELAXED);
}

/*
 * TCP drops as many bytes as it is asked for, UDP whole datagrams. One of those may be empty, and
 * an error is about an earlier one.
 */
static void discard(int fd, bool udp, uint64_t *count)
{
	ssize_t n;

	while ((n = recv(fd, NULL, udp ? 0 : PIECE, MSG_TRUNC)) > 0 || udp)
		moved(count, n);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/*
 * A receiver that sleeps is woken by the sender. That costs the sender as much again as a send of
 * 64 KiB, and makes it so slow that the receiver sleeps again; one that is a little behind never
 * sleeps. Which of the two happens is chance, and lasts for tenths of a second.
 */
static void discard_awake(int fd, uint64_t *count)
{
	uint64_t last = now_ns();

	for (;;) {
		bool sleeps = now_ns() - last > AWAKE_NS;
		ssize_t n = recv(fd, NULL, PIECE, MSG_TRUNC | (sleeps ? 0 : MSG_DONTWAIT));

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return;
		if (n < 0)
			continue;
		moved(count, n);
		last = now_ns();
	}
}

/* Flagged, as it is then copied into whole pages on its way to a receiver on this host. */
static void chargen(int fd, struct bench *source, uint64_t rate, uint64_t *count)
{
	ssize_t n;

	/* Fails for no socket of TCP; without it the source is only faster. */
	if (rate)
		(void)setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate));
	bench_zerocopy(source, fd);
	while ((n = raw_send_zerocopy(source, fd, bench_piece(source), PIECE)) > 0)
		moved(count, n);
}

static void echo(int fd, uint64_t *count)
{
	char *buf = bench_memory(ECHO_BUFFER, true);
	int on = 1;
	ssize_t n;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	while ((n = recv(fd, buf, ECHO_BUFFER, 0)) > 0 && send(fd, buf, (size_t)n, 0) == n)
		moved(count, n);
}

/* ---- processes ------------------------------------------------------------------------------ */

/* As fork, but what is started does not outlive us. */
static pid_t fork_bound(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

static void serve_one(struct bench_peer *peer, enum bench_service service, int fd,
		      struct bench *source)
{
	uint64_t *count = &peer->moved[service];

	if (fork_bound() != 0)
		return;
	fd = dup(fd); /* may be one of those that are closed now */
	close_all(peer);
	switch (service) {
	case BENCH_CHARGEN:
		chargen(fd, source, peer->opts.rate, count);
		break;
	case BENCH_ECHO:
		echo(fd, count);
		break;
	case BENCH_DISCARD:
		if (peer->opts.awake)
			discard_awake(fd, count);
		/* fall through */
	default:
		discard(fd, service == BENCH_DISCARD_UDP, count);
	}
	_exit(0);
}

void bench_peer_serve(struct bench_peer *peer)
{
	struct bench source = { .size = PIECE, .area = AREA, .huge = true };
	struct pollfd polls[BENCH_DISCARD_UDP];

	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN); /* nobody waits for them */
	bench_source(&source);
	serve_one(peer, BENCH_DISCARD_UDP, peer->fds[BENCH_DISCARD_UDP], NULL);
	for (int i = 0; i < BENCH_DISCARD_UDP; i++)
		polls[i] = (struct pollfd){ .fd = peer->fds[i], .events = POLLIN };
	for (;;) {
		poll(polls, BENCH_DISCARD_UDP, -1);
		for (int i = 0; i < BENCH_DISCARD_UDP; i++) {
			int fd = polls[i].revents & POLLIN ? accept(polls[i].fd, NULL, NULL) : -1;

			if (fd < 0)
				continue;
			serve_one(peer, (enum bench_service)i, fd, &source);
			close(fd);
		}
	}
}

void bench_peer_stop(struct bench_peer *peer)
{
	if (peer->pid > 0) {
		kill(peer->pid, SIGTERM);
		while (waitpid(peer->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close_all(peer);
	munmap(peer->moved, BENCH_SERVICES * sizeof(*peer->moved));
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

int bench_peer_start(struct bench_peer *peer, const struct sockaddr_storage *addr,
		     const struct bench_peer_opts *opts)
{
	int r = bench_peer_open(peer, addr);

	if (r < 0)
		return r;
	peer->opts = *opts;
	peer->pid = fork_bound();
	if (peer->pid == 0) {
		if (opts->cpu >= 0)
			pin(opts->cpu);
		bench_peer_serve(peer);
	}
	if (peer->pid < 0) {
		r = -errno;
		bench_peer_stop(peer);
		return r;
	}
	close_all(peer);
	return 0;
}
