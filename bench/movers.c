/* SPDX-License-Identifier: MIT */
/* movers.c - the table of movers, and the command line that starts one of them */
#include <err.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zcsock.h>

#include "mover.h"
#include "raw/raw.h"

#define SIZE_LIMIT (1u << 30)

static const struct bench_mover movers[] = {
	{ "tx", "copy", lib_tx, ZCS_WAY_COPY },
	{ "tx", "zerocopy", lib_tx, ZCS_WAY_ZEROCOPY },
	{ "tx", "adaptive", lib_tx, ZCS_WAY_ADAPT },
	{ "tx", "uring", lib_uring, ZCS_WAY_ZEROCOPY },
	{ "tx", "raw-send", raw_send, 0 },
	{ "tx", "raw-msgzc", raw_msgzc, 0 },
	{ "tx", "raw-uring", raw_uring, 0 },
	{ "tx", "raw-sendfile", raw_sendfile, 0 },
	{ "tx", "raw-udp", raw_udp, 0 },
	{ "tx", "raw-udp-msgzc", raw_udp_msgzc, 0 },
	{ "rx", "copy", lib_rx, ZCS_WAY_COPY },
	{ "rx", "zerocopy", lib_rx, ZCS_WAY_ZEROCOPY },
	{ "rx", "adaptive", lib_rx, ZCS_WAY_ADAPT },
	{ "rx", "raw-recv", raw_recv, 0 },
	{ "rx", "raw-fresh", raw_fresh, 0 },
	{ "rx", "raw-map", raw_map, 0 },
	{ "rx", "raw-trunc", raw_trunc, 0 },
	{ "pingpong", "copy", lib_pingpong, ZCS_WAY_COPY },
	{ "pingpong", "zerocopy", lib_pingpong, ZCS_WAY_ZEROCOPY },
	{ "pingpong", "adaptive", lib_pingpong, ZCS_WAY_ADAPT },
	{ "pingpong", "raw-epoll", raw_epoll, 0 },
	{ "relay", "copy", lib_relay, ZCS_WAY_COPY },
	{ "relay", "zerocopy", lib_relay, ZCS_WAY_ZEROCOPY },
	{ "relay", "adaptive", lib_relay, ZCS_WAY_ADAPT },
	{ "relay", "raw-relay", raw_relay, 0 },
	{ "relay", "raw-splice", raw_splice, 0 },
};

static const struct bench_mover *find(const char *direction, const char *name)
{
	for (size_t i = 0; i < sizeof(movers) / sizeof(movers[0]); i++) {
		if (strcmp(movers[i].name, name) == 0 &&
		    strcmp(movers[i].direction, direction) == 0)
			return &movers[i];
	}
	errx(1, "no mover %s for direction %s", name, direction);
}

/* ---- the command line ----------------------------------------------------------------------- */

enum {
	OPT_AREA = 256,
	OPT_BUFFER,
	OPT_BYTES,
	OPT_CPU,
	OPT_DIRECTION,
	OPT_HUGE,
	OPT_IN_FLIGHT,
	OPT_NO_TRUST,
	OPT_ONTO,
	OPT_SAMPLES,
	OPT_SEGMENT,
	OPT_SIZE,
	OPT_TAP,
	OPT_TO,
	OPT_TOUCH,
	OPT_UDP,
	OPT_WARM,
};

static const struct option options[] = {
	{ "area", required_argument, NULL, OPT_AREA },
	{ "buffer", required_argument, NULL, OPT_BUFFER },
	{ "bytes", required_argument, NULL, OPT_BYTES },
	{ "cpu", required_argument, NULL, OPT_CPU },
	{ "direction", required_argument, NULL, OPT_DIRECTION },
	{ "huge", required_argument, NULL, OPT_HUGE },
	{ "in-flight", required_argument, NULL, OPT_IN_FLIGHT },
	{ "no-trust", no_argument, NULL, OPT_NO_TRUST },
	{ "onto", required_argument, NULL, OPT_ONTO },
	{ "samples", required_argument, NULL, OPT_SAMPLES },
	{ "segment", required_argument, NULL, OPT_SEGMENT },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "tap", no_argument, NULL, OPT_TAP },
	{ "to", required_argument, NULL, OPT_TO },
	{ "touch", no_argument, NULL, OPT_TOUCH },
	{ "udp", no_argument, NULL, OPT_UDP },
	{ "warm", required_argument, NULL, OPT_WARM },
	{ NULL, 0, NULL, 0 },
};

/* Numbers only: 127.0.0.1:9, [::1]:9 */
static void parse_place(const char *text, struct bench_place *out)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV }, *found;
	char host[64] = "", port[8] = "";

	if (sscanf(text, "[%63[^]]]:%7s", host, port) != 2 &&
	    sscanf(text, "%63[^:]:%7s", host, port) != 2)
		errx(1, "%s: not ADDRESS:PORT", text);
	if (getaddrinfo(host, port, &hints, &found) != 0)
		errx(1, "%s: not ADDRESS:PORT", text);
	memcpy(&out->addr, found->ai_addr, found->ai_addrlen);
	out->len = found->ai_addrlen;
	freeaddrinfo(found);
}

static uint64_t parse_number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end)
		errx(1, "%s: not a number", text);
	return value;
}

static bool parse_yes(const char *text)
{
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		errx(1, "%s: neither yes nor no", text);
	return text[0] == 'y';
}

static void pin(uint64_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		err(1, "cpu %" PRIu64, cpu);
}

/* What it is given is dropped for want of room, but only after the kernel copied it. */
static void open_tap(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)), least = 1;

	if (fd < 0)
		err(1, "--tap");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
}

/* false: that option takes no number. */
static bool take_number(struct bench *b, int option)
{
	switch (option) {
	case OPT_AREA:
		b->area = parse_number(optarg);
		return true;
	case OPT_BUFFER:
		b->buffer = parse_number(optarg);
		return true;
	case OPT_BYTES:
		b->sample_bytes = parse_number(optarg);
		return true;
	case OPT_CPU:
		pin(parse_number(optarg));
		return true;
	case OPT_IN_FLIGHT:
		b->in_flight = (unsigned)parse_number(optarg);
		return true;
	case OPT_SAMPLES:
		b->samples = parse_number(optarg);
		b->by_hand = true;
		return true;
	case OPT_SEGMENT:
		b->segment = parse_number(optarg);
		return true;
	case OPT_SIZE:
		b->size = parse_number(optarg);
		return true;
	case OPT_WARM:
		b->warm = parse_number(optarg);
		return true;
	}
	return false;
}

static void take_option(struct bench *b, int option, const char **direction)
{
	switch (option) {
	case OPT_DIRECTION:
		*direction = optarg;
		break;
	case OPT_HUGE:
		b->huge = parse_yes(optarg);
		break;
	case OPT_NO_TRUST:
		b->trust = false;
		break;
	case OPT_ONTO:
		parse_place(optarg, &b->onto);
		break;
	case OPT_TAP:
		open_tap();
		break;
	case OPT_TO:
		parse_place(optarg, &b->to);
		break;
	case OPT_TOUCH:
		b->touch = true;
		break;
	case OPT_UDP:
		b->udp = true;
		break;
	default:
		exit(1); /* getopt said why */
	}
}

static void check(struct bench *b)
{
	if (!b->to.len || (strcmp(b->mover->direction, "relay") == 0 && !b->onto.len))
		errx(1, "no address to connect to");
	if (!b->size || b->size > SIZE_LIMIT)
		errx(1, "--size: 1 to %u", SIZE_LIMIT);
	if (b->buffer > SIZE_LIMIT)
		errx(1, "--buffer: 0 to %u", SIZE_LIMIT);
	if (b->by_hand && !b->sample_bytes)
		errx(1, "--samples needs --bytes");
	if (b->in_flight && b->mover->run == raw_uring)
		errx(1, "it knows no --in-flight");
	if (b->area < b->size)
		b->area = b->size;
}

int bench_worker(int argc, char **argv)
{
	struct bench b = {
		.size = 64 << 10,
		.area = 64 << 20,
		.segment = 1400,
		.huge = true,
		.trust = true,
	};
	const char *direction = "tx";
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!take_number(&b, option))
			take_option(&b, option, &direction);
	}
	if (optind != argc)
		errx(1, "%s: not an option", argv[optind]);
	b.mover = find(direction, argv[0]);
	check(&b);
	signal(SIGPIPE, SIG_IGN); /* splice and sendfile know no other way */
	b.mover->run(&b);
	free(b.rounds);
	return 0;
}
