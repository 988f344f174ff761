// SPDX-License-Identifier: MIT
/*
 * poll.c - what the context's epoll is asked about a connection
 */
#include "conn.h"
#include "sys.h"

#include <sys/epoll.h>

#define OUT_IDLE 16 /* times that EPOLLOUT came and nobody waited: no more of it */

/*
 * EPOLLOUT is asked for only where a send waits for it. A socket that is writable would show it
 * beside everything else, also at wake-ups that end in nothing without it (below SO_RCVLOWAT).
 */
static int poll_ctl(struct zcs_conn *c, int op, bool out)
{
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLET | (out ? EPOLLOUT : 0),
		.data.ptr = c,
	};

	c->out_on = out;
	c->out_idle = 0;
	return zcsi_sys->epoll_ctl(c->ctx->ep, op, c->fd, &ev);
}

int conn_poll_on(struct zcs_conn *c)
{
	int r = poll_ctl(c, EPOLL_CTL_ADD, c->blocked || c->connecting);

	c->polled = r == 0;
	return r;
}

void conn_block(struct zcs_conn *c)
{
	c->blocked = true;
	c->out_idle = 0;
	if (c->polled && !c->out_on)
		poll_ctl(c, EPOLL_CTL_MOD, true);
}

void conn_unblock(struct zcs_conn *c)
{
	if (c->blocked)
		c->blocked = false;
	else if (c->out_on && c->polled && ++c->out_idle >= OUT_IDLE)
		poll_ctl(c, EPOLL_CTL_MOD, false);
}
