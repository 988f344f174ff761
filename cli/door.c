/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth.h"
#include "door.h"
#include "net.h"
#include "stop.h"
#include "text.h"

#define LINES_MAX 20 /* about strangers: a scan of ports must not fill a log */

struct stranger {
	struct auth auth;
	uint64_t until_ms;
	char text[NET_TEXT];
};

/* One receiver waits once per process: static, so that a flood costs no memory. */
static struct stranger strangers[DOOR_MAX];
static unsigned nr_strangers;
static unsigned nr_lines;

static void drop(unsigned i, const char *why)
{
	if (nr_lines < LINES_MAX)
		say("%s was turned away: %s", strangers[i].text, why);
	else if (nr_lines == LINES_MAX)
		say("more are turned away; no more lines about it");
	nr_lines++;
	close(strangers[i].auth.fd);
	nr_strangers--;
	memmove(&strangers[i], &strangers[i + 1], (nr_strangers - i) * sizeof(strangers[0]));
}

static int admit(int listener, const struct key *key, int handshake_ms)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct stranger *stranger;
	int fd, on = 1;

	fd = accept4(listener, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		switch (errno) {
		case EMFILE:
		case ENFILE:
		case ENOBUFS:
		case ENOMEM:
			poll(NULL, 0, STOP_TICK_MS); /* the strangers inside may leave meanwhile */
			return 0;
		case EBADF:
		case EINVAL:
		case ENOTSOCK:
			return -errno;
		default: /* that one connection broke before it was accepted */
			return 0;
		}
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (nr_strangers == DOOR_MAX)
		drop(randombytes_uniform(DOOR_MAX), "too many strangers at once");
	stranger = &strangers[nr_strangers++];
	net_text((struct sockaddr *)&addr, len, stranger->text);
	stranger->until_ms = now_ms() + (uint64_t)handshake_ms;
	return auth_start(&stranger->auth, fd, false, key);
}

/* The socket of one who proved it, or 0. Backwards, because drop() moves those behind. */
static int hear(const struct pollfd *pollfds)
{
	for (unsigned i = nr_strangers; i-- > 0;) {
		int r = 0;

		if (pollfds[i].revents)
			r = auth_step(&strangers[i].auth);
		if (r == 0 && now_ms() >= strangers[i].until_ms)
			r = -ETIMEDOUT;
		if (r < 0)
			drop(i, auth_text(r));
		if (r > 0) {
			int fd = strangers[i].auth.fd;

			strangers[i].auth.fd = -1;
			return fd;
		}
	}
	return 0;
}

static void close_all(void)
{
	for (unsigned i = 0; i < nr_strangers; i++) {
		if (strangers[i].auth.fd >= 0)
			close(strangers[i].auth.fd);
	}
	nr_strangers = 0;
}

int door_wait(int listener, const struct key *key, int handshake_ms)
{
	struct pollfd pollfds[DOOR_MAX + 1];
	int r = 0;

	while (r == 0) {
		unsigned n = nr_strangers;

		if (stop_asked()) {
			r = -EINTR;
			break;
		}
		for (unsigned i = 0; i < n; i++)
			pollfds[i] = (struct pollfd){ strangers[i].auth.fd, POLLIN, 0 };
		pollfds[n] = (struct pollfd){ listener, POLLIN, 0 };
		if (poll(pollfds, n + 1, STOP_TICK_MS) < 0 && errno != EINTR)
			r = -errno;
		else
			r = hear(pollfds);
		/* After hearing: a newcomer may push out one whose proof just came. */
		if (r == 0 && pollfds[n].revents)
			r = admit(listener, key, handshake_ms);
	}
	close_all();
	return r;
}
