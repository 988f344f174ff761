/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "partner.h"

/* epoll's data: a client's number, or one of these */
enum { AT_LISTENER = CONTROL_CLIENTS, AT_PARENT, AT_RING };

static int watch(struct control *c, int fd, uint32_t what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = what };

	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int control_open(struct control *c, struct partner *p, int parent, int listener, int ring)
{
	int r;

	*c = (struct control){ .partner = p, .listener = listener, .parent = parent };
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		c->clients[i].fd = -1;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll < 0)
		return -errno;
	r = watch(c, listener, AT_LISTENER);
	if (r == 0)
		r = watch(c, parent, AT_PARENT);
	return r < 0 ? r : watch(c, ring, AT_RING);
}

static void hang_up(struct control_client *client)
{
	close(client->fd);
	client->fd = -1;
}

static void let_in(struct control *c)
{
	int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (unsigned i = 0; fd >= 0 && i < CONTROL_CLIENTS; i++) {
		struct control_client *client = &c->clients[i];

		if (client->fd >= 0)
			continue;
		client->fd = fd;
		client->len = 0;
		if (watch(c, fd, i) < 0)
			hang_up(client);
		return;
	}
	if (fd >= 0)
		close(fd);
}

static void obey(struct partner *p, char *line, char *answer, size_t len)
{
	struct behave behave = p->world.behave;
	char *value = strchr(line, ' ');
	char why[200];

	if (value)
		*value++ = '\0';
	if (value && (strcmp(line, "stats") == 0 || strcmp(line, "reset") == 0)) {
		snprintf(answer, len, "error: %s takes no value", line);
	} else if (strcmp(line, "stats") == 0) {
		memcpy(answer, "ok ", 3);
		partner_stats(p, answer + 3, len - 3);
	} else if (strcmp(line, "reset") == 0) {
		partner_reset_all(p);
		snprintf(answer, len, "ok");
	} else if (behave_set_or_say(&behave, line, value, why, sizeof(why)) < 0) {
		snprintf(answer, len, "error: %s", why);
	} else {
		partner_behave(p, &behave);
		snprintf(answer, len, "ok");
	}
}

static void one_line(struct control *c, struct control_client *client)
{
	char answer[1024];
	size_t len;

	obey(c->partner, client->line, answer, sizeof(answer) - 1);
	len = strlen(answer);
	answer[len++] = '\n';
	if (send(client->fd, answer, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		hang_up(client);
}

static void listen_to(struct control *c, struct control_client *client)
{
	ssize_t n = recv(client->fd, client->line + client->len,
			 sizeof(client->line) - 1 - client->len, 0);
	char *end;

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			hang_up(client);
		return;
	}
	client->len += (size_t)n;
	client->line[client->len] = '\0';
	while (client->fd >= 0 && (end = strchr(client->line, '\n'))) {
		size_t used = (size_t)(end + 1 - client->line);

		*end = '\0';
		one_line(c, client);
		client->len -= used;
		memmove(client->line, client->line + used, client->len + 1);
	}
	if (client->len == sizeof(client->line) - 1 && client->fd >= 0)
		hang_up(client); /* no command is that long */
}

void control_wait(struct control *c, const struct timespec *timeout)
{
	struct epoll_event events[8];
	int nr = epoll_pwait2(c->epoll, events, 8, timeout, NULL);

	for (int i = 0; i < nr; i++) {
		uint32_t what = events[i].data.u32;

		if (what == AT_LISTENER)
			let_in(c);
		else if (what == AT_PARENT)
			c->parent_gone = true;
		else if (what < CONTROL_CLIENTS)
			listen_to(c, &c->clients[what]);
	}
}
