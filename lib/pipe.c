// SPDX-License-Identifier: MIT
/*
 * pipe.c - socket -> pipe: splice(2)
 *
 * What is in the socket's packets moves to the pipe by reference, mappable or not, and no budget is
 * needed. splice tells with one error of an empty socket and of a full pipe; so the pipe is asked
 * first, which only we fill. And with another one of a broken connection and of a pipe that nobody
 * reads; of these the connection's is told once.
 */
#include "rx.h"
#include "sys.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

static ssize_t splice_once(struct zcs_conn *c, int pipe, size_t len)
{
	c->stats.rx_calls++;
	c->rx_fresh = false;
	return zcsi_sys->splice(c->fd, pipe, len);
}

/* splice stops at the urgent mark, and says that it moved nothing. */
static bool is_at_mark(const struct zcs_conn *c)
{
	int at = 0;

	return zcsi_sys->ioctl(c->fd, SIOCATMARK, &at) == 0 && at;
}

static int moved(struct zcs_conn *c, size_t n)
{
	c->rx_skip -= min_u64(c->rx_skip, n);
	c->rx_inq -= min_u64(c->rx_inq, n);
	c->expect -= min_u64(c->expect, n);
	c->rx_pos += (uint32_t)n;
	c->stats.rx_bytes += n;
	c->waits.received = true;
	return (int)n;
}

static int read_to_pipe(struct zcs_conn *c, int pipe, size_t len)
{
	ssize_t r = splice_once(c, pipe, len);

	if (r == -EPIPE) {
		r = splice_once(c, pipe, len);
		if (r == -EPIPE)
			return -EPIPE; /* the pipe's */
		if (r == 0)
			r = -EPIPE;
	}
	if (r == 0 && is_at_mark(c))
		return -EOPNOTSUPP;
	if (r == -EINVAL) /* VSOCK before Linux 6.5 */
		return -EOPNOTSUPP;
	if (r == -EBADF || r == -EOPNOTSUPP || r == -ENOMEM) /* not the connection's */
		return (int)r;
	return r > 0 ? moved(c, (size_t)r) : rx_at_end(c, r);
}

ZCS_EXPORT int zcs_conn_recv_pipe(struct zcs_conn *c, int pipe, size_t max_bytes)
{
	int r = zcsi_sys->pipe_room(pipe);

	if (r < 0 && r != -EPIPE)
		return r;
	if (c->dgram || c->rx_urgent)
		return -EOPNOTSUPP;
	if (c->closing || r < 0)
		return -EPIPE;
	if (c->connecting)
		return -EAGAIN;
	if (c->rx_eof)
		return 0;
	file_nonblock(c);
	list_del(&c->stalled); /* no budget stops this way */
	if (!c->rx_maybe)
		r = c->error ? c->error : -EAGAIN;
	else if (r == 0)
		r = -ENOSPC;
	else
		r = read_to_pipe(c, pipe, max_bytes && max_bytes < INT_MAX ? max_bytes : INT_MAX);
	if (r == -EAGAIN)
		rx_rest(c);
	return r;
}
