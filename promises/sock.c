// SPDX-License-Identifier: MIT
/*
 * Sockets for the promises: pairs over loopback, a silent peer, and waiting. Waiting is always for
 * a condition, with a deadline; nothing is ordered by time.
 */
#include "kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int promise_set_zerocopy(int fd)
{
	int one = 1;

	return setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one));
}

static socklen_t loopback(struct sockaddr_storage *ss, int family)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	ss->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*v4);
	}
	v6->sin6_addr = in6addr_loopback;
	return sizeof(*v6);
}

int promise_listen(int family, bool zerocopy)
{
	struct sockaddr_storage ss;
	socklen_t len = loopback(&ss, family);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (zerocopy && promise_set_zerocopy(fd) < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 1) < 0)
		return -1;
	return fd;
}

int promise_connect(int listener)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int fd;

	if (getsockname(listener, (struct sockaddr *)&ss, &len) < 0)
		return -1;
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	return connect(fd, (struct sockaddr *)&ss, len) < 0 ? -1 : fd;
}

int promise_tcp_pair(struct promise_pair *p, int family)
{
	int listener = promise_listen(family, false);
	int one = 1;

	if (listener < 0)
		return -1;
	p->tx = promise_connect(listener);
	if (p->tx < 0)
		return -1;
	p->rx = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (p->rx < 0)
		return -1;
	close(listener);
	return setsockopt(p->tx, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

int promise_zc_pair(struct promise_pair *p, int family)
{
	if (promise_tcp_pair(p, family) < 0)
		return -1;
	return promise_set_zerocopy(p->tx);
}

int promise_mapped_pair(struct promise_pair *p)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4;
	socklen_t len = sizeof(v4);
	int listener = promise_listen(AF_INET, false);

	if (listener < 0 || getsockname(listener, (struct sockaddr *)&v4, &len) < 0)
		return -1;
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &to.sin6_addr);
	to.sin6_port = v4.sin_port;
	p->tx = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->tx < 0 || connect(p->tx, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	p->rx = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return p->rx < 0 ? -1 : promise_set_zerocopy(p->tx);
}

int promise_udp_zc(struct promise_pair *p)
{
	struct sockaddr_storage ss;
	socklen_t len = loopback(&ss, AF_INET);

	p->rx = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	p->tx = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (p->rx < 0 || p->tx < 0 || bind(p->rx, (struct sockaddr *)&ss, len) < 0)
		return -1;
	if (getsockname(p->rx, (struct sockaddr *)&ss, &len) < 0)
		return -1;
	if (connect(p->tx, (struct sockaddr *)&ss, len) < 0)
		return -1;
	return promise_set_zerocopy(p->tx);
}

int promise_small_buffers(const struct promise_pair *p)
{
	int size = 32768;

	if (setsockopt(p->tx, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0)
		return -1;
	return setsockopt(p->rx, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

ssize_t promise_zc_send(int fd, const void *buf, size_t len)
{
	return send(fd, buf, len, MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL);
}

int promise_fill_queue(int fd, const void *buf, size_t len)
{
	int nr = 0;

	while (promise_zc_send(fd, buf, len) > 0)
		nr++;
	return nr;
}

int promise_silence(int fd)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { .len = 1, .filter = &drop };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

int promise_unsilence(int fd)
{
	int zero = 0;

	return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &zero, sizeof(zero));
}

size_t promise_drain(int fd)
{
	char buf[65536];
	size_t sum = 0;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		sum += (size_t)n;
	return sum;
}

int promise_wait_event(int fd, short events, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int n = poll(&pfd, 1, timeout_ms);

	return n > 0 ? pfd.revents : n;
}

int promise_read_all(int fd, void *buf, size_t len)
{
	char *at = buf;
	ssize_t n;

	while (len) {
		if (promise_wait_event(fd, POLLIN, PROMISE_WAIT_MS) <= 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		n = recv(fd, at, len, MSG_DONTWAIT);
		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Neither "acknowledged" nor "so much is queued" is a poll event: look again every millisecond. */
static int wait_count(int fd, unsigned long request, bool at_most, int bound)
{
	long end = now_ms() + PROMISE_WAIT_MS;
	int count = 0;

	for (;;) {
		if (ioctl(fd, request, &count) < 0)
			return -1;
		if (at_most ? count <= bound : count >= bound)
			return 0;
		if (now_ms() > end)
			break;
		poll(NULL, 0, 1);
	}
	errno = ETIMEDOUT;
	return -1;
}

int promise_wait_acked(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return -1;
	if (info.tcpi_state == TCP_CLOSE)
		return 0; /* after a disconnect SIOCOUTQ shows a difference that means nothing */
	if (wait_count(fd, SIOCOUTQ, true, 0) < 0)
		return -1;
	/*
	 * SIOCOUTQ reads without the socket lock and can run ahead of the processing of the very
	 * acknowledgement; TCP_INFO takes the lock and so waits for that to end.
	 */
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
}

int promise_wait_queued(int fd, size_t len)
{
	return wait_count(fd, FIONREAD, false, (int)len);
}
