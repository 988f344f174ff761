/* SPDX-License-Identifier: MIT */
/* setup.c - the other ends: the lab, peers on loopback, or a peer on another machine */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "mover.h"
#include "run.h"

#define AREA_LEAST (32ull << 20)
#define AREA_MOST  (256ull << 20)
#define AREA_HOT   (1ull << 20)

/*
 * Below what any receiver takes, so that each waits for data. Otherwise those that are about as
 * fast as the source wait or do not wait as chance will have it, and luck is what is compared.
 */
#define BARS_RATE 1000000000

#define PEER_MS	     5000 /* to connect */
#define PEER_TICK_MS 100

static bool is_v6(enum family family)
{
	return family == FAMILY_TCP6 || family == FAMILY_UDP6;
}

/* ---- processors and memory ------------------------------------------------------ */

/* What is measured has the first one, whoever is at the other end the last. */
static void choose_cpus(struct run *run)
{
	cpu_set_t set;

	run->cpu = -1;
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &set))
			continue;
		if (run->cpu < 0)
			run->cpu = cpu;
		run->far_cpu = cpu;
	}
}

static uint64_t choose_area(const struct bench_opts *opts)
{
	struct host host;
	uint64_t area;

	if (opts->area)
		return opts->area;
	if (opts->hot)
		return AREA_HOT;
	host_read(&host);
	area = 2 * host.cache;
	return area < AREA_LEAST ? AREA_LEAST : area > AREA_MOST ? AREA_MOST : area;
}

/* ---- time -------------------------------------------------------------------------- */

uint64_t run_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

bool is_late(const struct run *run)
{
	double patience = run->opts->patience_ms * run->share;

	return patience > 0 && (double)(run_now_ms() - run->started_ms) > patience;
}

/* What a socket can hold is moved between two samples, and would flatter the next one. */
static uint64_t socket_buffer(const char *path)
{
	unsigned long long least, usual, most = 0;
	FILE *file = fopen(path, "re");

	if (file && fscanf(file, "%llu %llu %llu", &least, &usual, &most) != 3)
		most = 0;
	if (file)
		fclose(file);
	return most;
}

/* ---- the other ends ----------------------------------------------------------------- */

static int start_lab(struct run *run, const struct bench_opts *opts, char *why, size_t len)
{
	struct lab_opts lab = { .mtu = opts->mtu, .cpu = run->far_cpu, .behave = opts->behave };

	return lab_start(&lab, &run->lab, why, len);
}

static int start_loopback(struct run *run, bool v6)
{
	struct sockaddr_storage addr = { .ss_family = v6 ? AF_INET6 : AF_INET };
	struct bench_peer_opts opts = {
		.cpu = run->far_cpu,
		.awake = run->far_cpu != run->cpu,
		.rate = run->opts->bars ? BARS_RATE : 0,
	};

	if (v6)
		((struct sockaddr_in6 *)&addr)->sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)&addr)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return bench_peer_start(&run->local[v6], &addr, &opts);
}

static bool needs_loopback(const struct plan *plan, bool v6)
{
	for (size_t i = 0; i < plan->nr; i++) {
		if (plan->scenarios[i].path == PATH_LOOPBACK &&
		    is_v6(plan->scenarios[i].family) == v6)
			return true;
	}
	return false;
}

bool bench_split(const char *text, char buf[BENCH_HOST], char **host, char **port)
{
	char *colon, *end;

	if (snprintf(buf, BENCH_HOST, "%s", text) >= BENCH_HOST)
		return false;
	*host = buf;
	*port = NULL;
	if (buf[0] == '[') {
		end = strchr(buf, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		*host = buf + 1;
		*port = end[1] ? end + 2 : NULL;
		*end = '\0';
	} else if ((colon = strchr(buf, ':')) && !strchr(colon + 1, ':')) {
		*colon = '\0';
		*port = colon + 1;
	}
	return **host && (!*port || bench_is_port(*port));
}

bool bench_is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits < 6 && !text[digits] && strtoul(text, NULL, 10) <= 65533;
}

/* ---- the peer on another machine ------------------------------------------------------ */

static int connect_in_time(int fd, const struct sockaddr *addr, socklen_t addr_len,
			   const struct bench_opts *opts)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };
	int r = connect(fd, addr, addr_len) < 0 ? errno : 0;
	socklen_t len = sizeof(r);

	for (int left = PEER_MS; r == EINPROGRESS; left -= PEER_TICK_MS) {
		if (opts->stop && opts->stop())
			return -EINTR;
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&pollfd, 1, PEER_TICK_MS) > 0 &&
		    getsockopt(fd, SOL_SOCKET, SO_ERROR, &r, &len) < 0)
			r = errno;
	}
	return -r;
}

/* Whether all three services answer; else the port that does not. */
static int try_peer(const struct addrinfo *at, const struct bench_opts *opts, unsigned *port_out)
{
	struct sockaddr_storage addr = { 0 };
	/* sin6_port lies at the same place */
	in_port_t *port = &((struct sockaddr_in *)&addr)->sin_port;
	unsigned first;
	int r = 0;

	memcpy(&addr, at->ai_addr, at->ai_addrlen);
	first = ntohs(*port);
	for (unsigned i = 0; i < 3 && r == 0; i++) {
		int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		*port = htons((uint16_t)(first + i));
		*port_out = first + i;
		r = fd < 0 ? -errno
			   : connect_in_time(fd, (struct sockaddr *)&addr, at->ai_addrlen, opts);
		if (fd >= 0)
			close(fd);
	}
	return r;
}

/* The first of its addresses that answers. */
static int find_peer(struct run *run, const char *text, char *why, size_t len)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	char buf[BENCH_HOST], *host, *port, service[16];
	unsigned missed = 0;
	int r;

	if (!bench_split(text, buf, &host, &port)) {
		snprintf(why, len, "--peer takes HOST or HOST:PORT, with a PORT up to 65533");
		return -EINVAL;
	}
	r = getaddrinfo(host, port ? port : BENCH_PORT, &hints, &found);
	if (r != 0) {
		snprintf(why, len, "%s: %s", host, gai_strerror(r));
		return -EHOSTUNREACH;
	}
	r = -EHOSTUNREACH;
	for (struct addrinfo *at = found; at && r < 0 && r != -EINTR; at = at->ai_next) {
		r = try_peer(at, run->opts, &missed);
		getnameinfo(at->ai_addr, at->ai_addrlen, run->peer_host, sizeof(run->peer_host),
			    service, sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV);
		run->peer_port = (unsigned)strtoul(service, NULL, 10);
	}
	freeaddrinfo(found);
	if (r == -EINTR)
		snprintf(why, len, "stopped");
	else if (r < 0)
		snprintf(why, len, "%s, port %u: %s; is zcsock bench --serve running there?",
			 run->peer_host, missed, strerror(-r));
	return r;
}

int run_open(struct run *run, const struct bench_opts *opts, const struct plan *plan,
	     struct results *results, char *why, size_t len)
{
	*run = (struct run){ .opts = opts, .area = choose_area(opts), .started_ms = run_now_ms() };
	run->buffer[DIR_TX] = socket_buffer("/proc/sys/net/ipv4/tcp_wmem");
	run->buffer[DIR_RX] = socket_buffer("/proc/sys/net/ipv4/tcp_rmem");
	run->buffer[DIR_RELAY] = run->buffer[DIR_RX];
	choose_cpus(run);
	if (opts->peer)
		return find_peer(run, opts->peer, why, len);
	if (plan_needs_lab(plan))
		run->have_lab = start_lab(run, opts, results->lab, sizeof(results->lab)) == 0;
	results->had_lab = run->have_lab;
	for (int v6 = 0; v6 < 2; v6++) {
		int r = needs_loopback(plan, v6) ? start_loopback(run, v6) : 0;

		/* A machine without IPv6 is one. */
		if (r < 0 && !(v6 && (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT))) {
			snprintf(why, len, "listening on loopback: %s", strerror(-r));
			run_close(run);
			return r;
		}
	}
	return 0;
}

void run_close(struct run *run)
{
	for (int v6 = 0; v6 < 2; v6++) {
		if (run->local[v6].pid > 0)
			bench_peer_stop(&run->local[v6]);
	}
	if (run->have_lab)
		lab_stop(&run->lab);
}

/* ---- who meets whom ------------------------------------------------------------------- */

bool can_run(const struct run *run, const struct scenario *s)
{
	switch (s->path) {
	case PATH_LOOPBACK:
		return run->local[is_v6(s->family)].pid > 0;
	case PATH_PEER:
		return is_v6(s->family) == (strchr(run->peer_host, ':') != NULL);
	default:
		return run->have_lab;
	}
}

static unsigned service_of(enum direction direction)
{
	static const unsigned services[NR_DIRECTIONS] = {
		[DIR_TX] = BENCH_DISCARD,
		[DIR_RX] = BENCH_CHARGEN,
		[DIR_PINGPONG] = BENCH_ECHO,
		[DIR_RELAY] = BENCH_CHARGEN,
	};

	return services[direction];
}

static void put_end(char *out, size_t len, const char *host, unsigned port)
{
	snprintf(out, len, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

void endpoints_of(const struct run *run, const struct scenario *s, struct endpoints *out)
{
	static const unsigned lab_ports[] = {
		[BENCH_DISCARD] = LAB_PORT_SINK,
		[BENCH_CHARGEN] = LAB_PORT_SOURCE,
		[BENCH_ECHO] = LAB_PORT_ECHO,
	};
	unsigned service = service_of(s->direction);
	const char *lab = is_v6(s->family) ? LAB_FAR6 : LAB_FAR4;

	*out = (struct endpoints){ 0 };
	if (s->path == PATH_PEER)
		put_end(out->to, sizeof(out->to), run->peer_host, run->peer_port + service);
	else if (s->path == PATH_LOOPBACK)
		put_end(out->to, sizeof(out->to), is_v6(s->family) ? "::1" : "127.0.0.1",
			run->local[is_v6(s->family)].port + service);
	else
		put_end(out->to, sizeof(out->to), lab, lab_ports[service]);
	if (s->direction == DIR_RELAY)
		put_end(out->onto, sizeof(out->onto), lab, LAB_PORT_SINK);
}

uint64_t area_of(const struct run *run, const struct scenario *s)
{
	return run->area < s->size ? s->size : run->area;
}

struct worker_opts worker_of(const struct run *run, const struct scenario *s,
			     const struct endpoints *ends)
{
	bool local = s->path == PATH_LOOPBACK || s->path == PATH_PEER;

	return (struct worker_opts){
		.direction = direction_names[s->direction],
		.to = ends->to,
		.onto = ends->onto[0] ? ends->onto : NULL,
		.lab = local ? NULL : &run->lab,
		.size = s->size,
		.area = area_of(run, s),
		.warm = run->buffer[s->direction],
		.cpu = run->cpu,
		.stop = run->opts->stop,
		.in_flight = run->opts->in_flight,
		.touch = run->opts->touch || s->touch,
		.tap = run->opts->tap,
		.udp = s->family == FAMILY_UDP4 || s->family == FAMILY_UDP6,
	};
}
