/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "stop.h"
#include "text.h"
#include "vsock.h"

void net_text(const struct sockaddr *addr, socklen_t len, char out[NET_TEXT])
{
	char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
	const char *plain = host;

	if (addr->sa_family == AF_VSOCK) {
		vsock_text((const struct sockaddr_vm *)addr, out);
		return;
	}
	(void)getnameinfo(addr, len, host, sizeof(host), port, sizeof(port),
			  NI_NUMERICHOST | NI_NUMERICSERV);
	if (strncmp(host, "::ffff:", 7) == 0 && strchr(host, '.'))
		plain += 7; /* IPv4 on a socket that takes both */
	snprintf(out, NET_TEXT, strchr(plain, ':') ? "[%.255s]:%.31s" : "%.255s:%.31s", plain,
		 port);
}

static int wait_connected(int fd, uint64_t until)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0;

	for (;;) {
		uint64_t now = now_ms();

		if (stop_asked())
			return -EINTR;
		if (now >= until)
			return -ETIMEDOUT;
		if (poll(&pollfd, 1,
			 until - now < STOP_TICK_MS ? (int)(until - now) : STOP_TICK_MS) > 0)
			break;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return -err;
}

static int connect_one(const struct addrinfo *info, uint64_t until)
{
	int fd, r = 0, on = 1;

	fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, info->ai_addr, info->ai_addrlen) < 0)
		r = errno == EINPROGRESS ? wait_connected(fd, until) : -errno;
	if (r) {
		close(fd);
		return r;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* The resolver has time limits of its own, and goes on after a signal. */
static int look_up(const struct url *url, const char *host, struct addrinfo **list_out)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	int r;

	r = getaddrinfo(url->host, url->port, &hints, list_out);
	if ((r == EAI_NONAME || r == EAI_ADDRFAMILY) && !stop_asked()) {
		/* AI_ADDRCONFIG does not count loopback: without it, a lone ::1 still works. */
		hints.ai_flags = 0;
		r = getaddrinfo(url->host, url->port, &hints, list_out);
	}
	if (stop_asked()) {
		if (r == 0)
			freeaddrinfo(*list_out);
		say("stopped");
		return -EINTR;
	}
	if (r) {
		say("cannot look up %s: %s", host,
		    r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
		return -EADDRNOTAVAIL;
	}
	return 0;
}

/* A silent address must not use up the time of those behind it: each gets an equal share. */
static int connect_any(const struct addrinfo *list, uint64_t until)
{
	int fd = -EADDRNOTAVAIL;
	unsigned left = 0;

	for (const struct addrinfo *i = list; i; i = i->ai_next)
		left++;
	for (const struct addrinfo *i = list; i && fd < 0 && fd != -EINTR; i = i->ai_next) {
		uint64_t now = now_ms();

		fd = connect_one(i, now < until ? now + (until - now) / left : now);
		left--;
	}
	return fd;
}

static int connect_vsock(const struct url *url, uint64_t until)
{
	struct sockaddr_vm addr;
	struct addrinfo one = {
		.ai_family = AF_VSOCK,
		.ai_addr = (struct sockaddr *)&addr,
		.ai_addrlen = sizeof(addr),
	};

	vsock_address(url, &addr);
	return connect_one(&one, until);
}

int net_connect(const struct url *url, int timeout_ms)
{
	struct addrinfo *list;
	char host[SAFE_NAME];
	int fd;

	text_safe(url->host, host, sizeof(host));
	if (vsock_is(url)) {
		fd = connect_vsock(url, now_ms() + (uint64_t)timeout_ms);
	} else {
		fd = look_up(url, host, &list);
		if (fd < 0)
			return fd;
		fd = connect_any(list, now_ms() + (uint64_t)timeout_ms);
		freeaddrinfo(list);
	}
	if (fd == -EINTR)
		say("stopped");
	else if (fd < 0)
		say("cannot connect to %s port %s: %s", host, url->port, strerror(-fd));
	return fd;
}

static int listen_on(const struct sockaddr *addr, socklen_t len)
{
	int fd, on = 1, off = 0, r;

	fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (addr->sa_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, addr, len) < 0 || listen(fd, SOMAXCONN) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int listen_any(void)
{
	struct sockaddr_in6 both = { .sin6_family = AF_INET6, .sin6_addr = in6addr_any };
	struct sockaddr_in four = { .sin_family = AF_INET };
	int fd;

	fd = listen_on((struct sockaddr *)&both, sizeof(both));
	if (fd < 0)
		fd = listen_on((struct sockaddr *)&four, sizeof(four));
	if (fd < 0)
		say("cannot listen: %s", strerror(-fd));
	return fd;
}

static int listen_vsock(const struct url *url)
{
	struct sockaddr_vm addr;

	vsock_address(url, &addr);
	return listen_on((struct sockaddr *)&addr, sizeof(addr));
}

static int listen_inet(const struct url *url, const char *place)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *list;
	int fd, r = getaddrinfo(url->host[0] ? url->host : "::", url->port, &hints, &list);

	if (r) {
		say("cannot listen on %s: %s", place, gai_strerror(r));
		return -EADDRNOTAVAIL;
	}
	fd = listen_on(list->ai_addr, list->ai_addrlen);
	freeaddrinfo(list);
	if (fd < 0)
		say("cannot listen on %s: %s", place, strerror(-fd));
	return fd;
}

int net_listen(const char *place)
{
	struct url url;
	int fd;

	if (!place)
		return listen_any();
	if (!url_host_port(place, strlen(place), &url)) {
		say("--listen takes ADDR:PORT, an IPv6 address in brackets, or vsock:CID:PORT");
		return -EINVAL;
	}
	if (!vsock_is(&url))
		return listen_inet(&url, place);
	fd = listen_vsock(&url);
	if (fd < 0)
		say("cannot listen on %s: %s", place, strerror(-fd));
	return fd;
}

bool net_is_local(int fd)
{
	struct sockaddr_storage ends[2] = { 0 };
	socklen_t len[2] = { sizeof(ends[0]), sizeof(ends[1]) };

	if (getsockname(fd, (struct sockaddr *)&ends[0], &len[0]) < 0 ||
	    getpeername(fd, (struct sockaddr *)&ends[1], &len[1]) < 0)
		return false;
	if (ends[0].ss_family == AF_VSOCK)
		return vsock_is_local((struct sockaddr_vm *)&ends[1]);
	if (ends[0].ss_family == AF_INET)
		return ((struct sockaddr_in *)&ends[0])->sin_addr.s_addr ==
		       ((struct sockaddr_in *)&ends[1])->sin_addr.s_addr;
	return IN6_ARE_ADDR_EQUAL(&((struct sockaddr_in6 *)&ends[0])->sin6_addr,
				  &((struct sockaddr_in6 *)&ends[1])->sin6_addr);
}

/* The address that packets to everywhere else leave with; nothing is sent. */
static bool source_towards(int family, const char *far, struct sockaddr_storage *addr)
{
	struct sockaddr_in *four = (struct sockaddr_in *)addr;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)addr;
	socklen_t len = sizeof(*addr);
	bool ok;
	int fd;

	memset(addr, 0, sizeof(*addr));
	addr->ss_family = (sa_family_t)family;
	four->sin_port = htons(9); /* the same place in both */
	inet_pton(family, far, family == AF_INET ? (void *)&four->sin_addr : &six->sin6_addr);
	fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	ok = connect(fd, (struct sockaddr *)addr,
		     family == AF_INET ? sizeof(*four) : sizeof(*six)) == 0 &&
	     getsockname(fd, (struct sockaddr *)addr, &len) == 0;
	close(fd);
	return ok;
}

/* Without a default route: the first IPv4 address of an interface that is up and not loopback. */
static bool first_address(struct sockaddr_storage *addr)
{
	struct ifaddrs *list;
	bool found = false;

	if (getifaddrs(&list) < 0)
		return false;
	for (const struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET ||
		    (i->ifa_flags & IFF_LOOPBACK) || !(i->ifa_flags & IFF_UP))
			continue;
		memset(addr, 0, sizeof(*addr));
		memcpy(addr, i->ifa_addr, sizeof(struct sockaddr_in));
		found = true;
	}
	freeifaddrs(list);
	return found;
}

static bool is_any(const struct sockaddr_storage *addr)
{
	if (addr->ss_family == AF_INET)
		return ((const struct sockaddr_in *)addr)->sin_addr.s_addr == INADDR_ANY;
	return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)addr)->sin6_addr);
}

/* 192.0.2.1 and 2001:db8::1 are addresses of nobody, for documents: they take the default route. */
void net_reachable(int listener, char out[NET_TEXT])
{
	struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(addr);
	bool both;
	in_port_t port;

	(void)getsockname(listener, (struct sockaddr *)&addr, &len);
	if (addr.ss_family == AF_VSOCK) {
		vsock_reachable((struct sockaddr_vm *)&addr);
		vsock_text((struct sockaddr_vm *)&addr, out);
		return;
	}
	port = ((struct sockaddr_in *)&addr)->sin_port;
	if (is_any(&addr)) {
		both = addr.ss_family == AF_INET6;
		if (!source_towards(AF_INET, "192.0.2.1", &addr) &&
		    !(both && source_towards(AF_INET6, "2001:db8::1", &addr)) &&
		    !first_address(&addr)) {
			struct sockaddr_in *four = (struct sockaddr_in *)&addr;

			memset(&addr, 0, sizeof(addr));
			four->sin_family = AF_INET;
			four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		}
		((struct sockaddr_in *)&addr)->sin_port = port;
	}
	net_text((struct sockaddr *)&addr,
		 addr.ss_family == AF_INET ? sizeof(struct sockaddr_in)
					   : sizeof(struct sockaddr_in6),
		 out);
}
