// SPDX-License-Identifier: MIT
/*
 * file.c - file or pipe -> socket
 *
 * sendfile(2) queues the page cache's own pages, splice(2) those of a pipe, and nothing tells when
 * the kernel is through with them; until the peer has acknowledged them a change to them changes
 * what is sent. So the message is released when the stream position behind it is acknowledged
 * (SIOCOUTQ), looked up when the socket shows signs of life and by a timer.
 */
#include "conn.h"
#include "sys.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#define FILE_TURN (1u << 20) /* bytes per turn: then other connections have theirs */

static void end_file(struct zcs_conn *c, struct msg *m)
{
	m->file.end = c->stats.tx_bytes;
	m->lo = m->hi = c->ledger.next;
	c->q->cursor++;
	c->q->files++;
	conn_set_timer(c);
}

/* Trouble of the file's: it ends the message, not the connection. */
static bool is_file_error(ssize_t r)
{
	return r == -EBADF || r == -EINVAL || r == -EIO || r == -EISDIR || r == -EOVERFLOW ||
	       r == -ESPIPE || r == -EACCES || r == -EPERM || r == -ENXIO || r == -ENOMEM;
}

void file_nonblock(struct zcs_conn *c)
{
	if (c->nonblock_set)
		return;
	c->nonblock_set = true;
	c->was_blocking = zcsi_sys->set_nonblock(c->fd, true) > 0;
}

/*
 * What splice says of a pipe that is empty it says of a full socket, too: so it is asked for no
 * more than is there.
 */
static ssize_t from_pipe(struct zcs_conn *c, struct msg *m, size_t len)
{
	int there = zcsi_sys->pipe_bytes(m->file.fd);
	ssize_t r;

	if (there <= 0)
		return there;
	r = zcsi_sys->splice(m->file.fd, c->fd, min_u64(len, (unsigned)there));
	/* Unless somebody else was faster. */
	return r == -EAGAIN && zcsi_sys->pipe_bytes(m->file.fd) == 0 ? 0 : r;
}

ssize_t file_push(struct zcs_conn *c, struct msg *m)
{
	size_t len = min_u64(m->len - m->sent, FILE_TURN);
	ssize_t r;

	file_nonblock(c);
	r = m->file.is_pipe ? from_pipe(c, m, len)
			    : zcsi_sys->sendfile(c->fd, m->file.fd, &m->file.off, len);
	c->stats.tx_calls++;
	if (r > 0) {
		m->sent += r;
		c->stats.tx_bytes += r;
		c->stats.tx_bytes_file += r;
	} else if (r == 0) {
		m->status = -ENODATA; /* it ends before the message does */
	} else if (is_file_error(r)) {
		m->status = (int)r;
	} else {
		return r;
	}
	if (m->status || m->sent == m->len)
		end_file(c, m);
	else
		conn_schedule(c);
	/* A full turn ends here: as much as a push may do at once. */
	return r > 0 ? (ssize_t)(4u << 20) : 0;
}

void file_acked(struct zcs_conn *c)
{
	struct txq *q = c->q;
	uint64_t acked;
	int unacked = 0;

	if (!q || !q->files)
		return;
	if (zcsi_sys->ioctl(c->fd, SIOCOUTQ, &unacked) < 0)
		unacked = 0; /* not TCP: the socket has taken it, that is all there is to know */
	acked = c->stats.tx_bytes - min_u64(unacked, c->stats.tx_bytes);
	for (uint32_t i = q->head; i != q->cursor; i++) {
		struct msg *m = txq_at(q, i);

		if (m->kind != M_FILE || m->file.end > acked)
			continue;
		if (m->sent != m->len)
			m->how |= ZCS_ABANDONED;
		q->files--;
		tx_release(c, m, ZCS_EV_RELEASED);
	}
	tx_pop(c);
}
