/* SPDX-License-Identifier: MIT */
/* serve.c - zcsock bench --serve: the other end, for a bench that runs on another machine */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "peer.h"

static int fail(char *why, size_t len, const char *text, const char *error, int r)
{
	snprintf(why, len, "%s: %s", text, error);
	return r;
}

static bool has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/*
 * PORT, ADDRESS:PORT or [ADDRESS]:PORT; a port alone is one of every address. 0: any that are free.
 */
static int find(const char *text, struct sockaddr_storage *out, char *why, size_t len)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
	char buf[BENCH_HOST], *host = NULL, *port;
	int r;

	if (bench_is_port(text)) {
		snprintf(buf, sizeof(buf), "%s", text);
		port = buf;
		hints.ai_family = has_ipv6() ? AF_INET6 : AF_INET; /* IPv6 takes IPv4 as well */
	} else if (!bench_split(text, buf, &host, &port) || !port) {
		snprintf(why, len, "--serve takes PORT or ADDRESS:PORT, with a PORT up to 65533");
		return -EINVAL;
	}
	r = getaddrinfo(host, port, &hints, &found);
	if (r != 0)
		return fail(why, len, text, gai_strerror(r), -EADDRNOTAVAIL);
	memcpy(out, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return 0;
}

int bench_serve(const char *text, char *why, size_t len)
{
	struct sockaddr_storage addr = { 0 };
	struct bench_peer peer;
	int r = find(text, &addr, why, len);

	if (r < 0)
		return r;
	r = bench_peer_open(&peer, &addr);
	if (r < 0)
		return fail(why, len, text, strerror(-r), r);
	printf("serving on port %u (takes in and drops; UDP too), %u (sends), %u (echoes)\n",
	       peer.port, peer.port + 1, peer.port + 2);
	fflush(stdout);
	bench_peer_serve(&peer);
}
