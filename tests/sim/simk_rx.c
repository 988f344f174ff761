/* SPDX-License-Identifier: MIT */
/*
 * simk_rx.c - receiving by copy, and what the peer sends
 */
#include "simk_int.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

uint32_t sim_rx_key(const struct sim_tcp *s)
{
	return 1000000u + (uint32_t)s->id;
}

struct seg *krx_seg(const struct sim_tcp *s, uint64_t pos)
{
	for (struct list *e = s->segs.next; e != &s->segs; e = e->next) {
		struct seg *g = container_of(e, struct seg, list);

		if (pos >= g->pos && pos < g->pos + g->len)
			return g;
	}
	return NULL;
}

/* ---- how much -------------------------------------------------------------------------------- */

static bool at_mark(const struct sim_tcp *s)
{
	return s->urg && !s->oobinline && s->urg_pos == s->rx_pos;
}

/* tcp_inq: what FIONREAD shows. */
uint64_t krx_inq(const struct sim_tcp *s)
{
	if (s->urg && !s->oobinline && s->urg_pos >= s->rx_pos && s->urg_pos < s->rx_end)
		return s->urg_pos - s->rx_pos;
	return s->rx_end - s->rx_pos;
}

uint32_t krx_inq_hint(const struct sim_tcp *s)
{
	return (uint32_t)(s->rx_end - s->rx_pos) + (s->fin_in ? 1 : 0);
}

uint64_t sim_tcp_unread(const struct sim_tcp *s)
{
	return s->rx_end - s->rx_pos;
}

int sim_tcp_lowat(const struct sim_tcp *s)
{
	return s->lowat;
}

bool krx_readable(const struct sim_tcp *s)
{
	uint64_t have = s->rx_end - s->rx_pos, target = (uint64_t)s->lowat;

	if (s->k.dgram)
		return !list_is_empty(&s->segs);
	if (at_mark(s))
		target++;
	return have >= target || (have && s->early);
}

void krx_ready(struct sim_tcp *s)
{
	if (krx_readable(s) || s->fin_in)
		ktcp_wake(s, EPOLLIN);
}

/* ---- the peer sends -------------------------------------------------------------------------- */

static void arrive(struct sim_tcp *s, size_t len, enum sim_layout layout, size_t head)
{
	struct seg *g;

	if (!s->file || s->state == TCP_CLOSE || s->fin_in || !len)
		return;
	sim_trace("  socket %d: %zu bytes arrive", s->id, len);
	g = calloc(1, sizeof(*g));
	*g = (struct seg){ .pos = s->rx_end, .len = len, .layout = layout, .head = head };
	list_add_tail(&s->segs, &g->list);
	s->rx_end += len;
	if (sim_pct(s->k.early_wake_pct))
		s->early = true;
}

void sim_peer_send(struct sim_tcp *s, size_t len, enum sim_layout layout, size_t head)
{
	arrive(s, len, layout, layout == SIM_HEAD ? head : 0);
	krx_ready(s);
}

void sim_peer_send_early(struct sim_tcp *s, size_t len)
{
	arrive(s, len, SIM_PAGES, 0);
	s->early = true;
	krx_ready(s);
}

void sim_peer_urgent(struct sim_tcp *s)
{
	arrive(s, 1, SIM_UNMAPPED, 0);
	s->urg = URG_VALID;
	s->urg_pos = s->rx_end - 1;
	ktcp_wake(s, EPOLLIN | EPOLLPRI);
}

void sim_peer_fin(struct sim_tcp *s)
{
	if (s->state == TCP_CLOSE || s->fin_in)
		return;
	sim_trace("  socket %d: FIN arrives", s->id);
	s->fin_in = true;
	s->rd_shut = true;
	if (s->state == TCP_ESTABLISHED)
		s->state = TCP_CLOSE_WAIT;
	else if (s->state == TCP_FIN_WAIT2)
		s->state = TCP_CLOSE;
	else
		s->state = TCP_CLOSING;
	ktcp_wake(s, 0);
}

void sim_peer_reset(struct sim_tcp *s)
{
	if (s->state == TCP_CLOSE || s->peer_reset_seen)
		return;
	sim_trace("  socket %d: RST arrives", s->id);
	s->err = s->state == TCP_CLOSE_WAIT ? EPIPE : ECONNRESET;
	s->state = TCP_CLOSE;
	s->peer_reset_seen = true; /* the peer is done with this connection */
	s->wr_shut = s->rd_shut = true;
	ktx_purge(s);
	s->end = s->sent = s->acked = s->delivered;
	ktcp_wake(s, EPOLLERR);
	ktcp_wake(s, 0);
}

/* ---- recvmsg --------------------------------------------------------------------------------- */

void krx_consume(struct sim_tcp *s, uint64_t len)
{
	s->rx_pos += len;
	while (!list_is_empty(&s->segs)) {
		struct seg *g = container_of(s->segs.next, struct seg, list);

		if (g->pos + g->len > s->rx_pos)
			break;
		list_del(&g->list);
		free(g);
	}
	if (s->rx_pos == s->rx_end)
		s->early = false;
	if (s->urg && s->rx_pos > s->urg_pos)
		s->urg = URG_NONE;
}

void krx_purge(struct sim_tcp *s)
{
	while (!list_is_empty(&s->segs)) {
		struct seg *g = container_of(s->segs.next, struct seg, list);

		list_del(&g->list);
		free(g);
	}
	s->rx_pos = s->rx_end;
	s->urg = URG_NONE;
}

static ssize_t nothing(struct sim_tcp *s)
{
	int err;

	if (s->fin_in)
		return 0;
	err = ktcp_take_error(s);
	if (err)
		return err;
	if (s->rd_shut)
		return 0;
	if (s->state == TCP_CLOSE)
		return -ENOTCONN;
	return -EAGAIN;
}

/*
 * At most len bytes into buf (NULL: they are dropped); crosses the urgent mark only to begin
 * with.
 */
ssize_t krx_copy(struct sim_tcp *s, char *buf, size_t len, int flags)
{
	uint64_t from = s->rx_pos, n;

	if (at_mark(s) && s->rx_end > s->rx_pos && len)
		from++;
	n = s->rx_end - from;
	if (s->urg && !s->oobinline && s->urg_pos >= from)
		n = s->urg_pos - from;
	if (n > len)
		n = len;
	if (!n) {
		if (from > s->rx_pos && !(flags & MSG_PEEK))
			krx_consume(s, 1);
		return len ? nothing(s) : 0;
	}
	if (buf && kmem_readable(buf, n) < n)
		return -EFAULT;
	if (buf)
		sim_fill(buf, n, sim_rx_key(s), from);
	if (!(flags & MSG_PEEK))
		krx_consume(s, from - s->rx_pos + n);
	return (ssize_t)n;
}

static ssize_t recv_oob(struct sim_tcp *s, struct msghdr *msg, int flags)
{
	if (s->oobinline || s->urg == URG_NONE || s->urg == URG_READ)
		return -EINVAL;
	if (!msg->msg_iovlen || !msg->msg_iov[0].iov_len)
		return 0;
	sim_fill(msg->msg_iov[0].iov_base, 1, sim_rx_key(s), s->urg_pos);
	msg->msg_flags = MSG_OOB;
	if (!(flags & MSG_PEEK))
		s->urg = URG_READ;
	return 1;
}

static ssize_t recv_iov(struct sim_tcp *s, struct msghdr *msg, int flags)
{
	uint64_t mark = s->urg ? s->urg_pos : 0;
	ssize_t done = 0, n;

	if (flags & MSG_PEEK && msg->msg_iovlen > 1)
		sim_fail("a peek into several pieces is not simulated");
	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		char *base = msg->msg_iov[i].iov_base;
		size_t len = msg->msg_iov[i].iov_len;

		if (!len)
			continue;
		if (done && (s->rx_pos == s->rx_end || (s->urg && s->rx_pos == mark)))
			break;
		n = krx_copy(s, flags & MSG_TRUNC ? NULL : base, len, flags);
		if (n <= 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < len)
			break;
	}
	return done;
}

ssize_t sim_sys_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct sim_tcp *s;
	size_t used = 0;
	ssize_t n;
	int err;

	sim_enter(flags & MSG_ERRQUEUE ? "recvmsg errqueue" : "recvmsg", fd);
	s = ktcp_of(fd, &err);
	if (!s)
		return err;
	if (flags & MSG_ERRQUEUE)
		return kerrq_recv(s, msg);
	if (!s->file->nonblock && !(flags & MSG_DONTWAIT))
		sim_fail("a recvmsg that may block");
	msg->msg_flags = 0;
	if (flags & MSG_OOB)
		return recv_oob(s, msg, flags);
	if (s->state == TCP_SYN_SENT)
		return -EAGAIN;
	n = recv_iov(s, msg, flags);
	if (n >= 0 && s->inq_cmsg) {
		int inq = (int)krx_inq_hint(s);

		sim_put_cmsg(msg, &used, SOL_TCP, TCP_CM_INQ, &inq, sizeof(inq));
	}
	if (n >= 0)
		msg->msg_controllen = used;
	msg->msg_namelen = 0;
	sim_trace("  %zd, at %llu of %llu", n, (unsigned long long)s->rx_pos,
		  (unsigned long long)s->rx_end);
	return n;
}

ssize_t sim_sys_recv(int fd, void *buf, size_t len, int flags)
{
	struct iovec v = { buf, len };
	struct msghdr msg = { .msg_iov = &v, .msg_iovlen = 1 };

	return sim_sys_recvmsg(fd, &msg, flags);
}

/* ---- splice ---------------------------------------------------------------------------------- */

/* Into a real pipe, as much as has room there. */
static ssize_t to_pipe(struct sim_tcp *s, int pipe, size_t len)
{
	char buf[4096]; /* no more than what a pipe takes wholly or not at all */
	struct pollfd room = { pipe, POLLOUT, 0 };
	size_t done = 0;
	ssize_t n = 1;

	if (poll(&room, 1, 0) == 0) /* looked at first, also before the end of the stream */
		return -EAGAIN;
	while (done < len) {
		n = krx_copy(s, buf, len - done < sizeof(buf) ? len - done : sizeof(buf), MSG_PEEK);
		if (n <= 0)
			break;
		if (write(pipe, buf, (size_t)n) < 0) {
			n = -errno;
			break;
		}
		krx_consume(s, (uint64_t)n);
		done += (size_t)n;
	}
	return done ? (ssize_t)done : n;
}

ssize_t sim_sys_splice(int in, int out, size_t len)
{
	struct sim_tcp *s;
	int err;

	sim_enter("splice", out);
	s = ktcp_of(out, &err);
	if (s)
		return ksend_pipe(s, in, len);
	s = ktcp_of(in, &err);
	if (!s)
		return err;
	if (!s->file->nonblock)
		sim_fail("a splice that may block");
	return to_pipe(s, out, len);
}

int sim_sys_pipe_bytes(int fd)
{
	return zcsi_sys_kernel.pipe_bytes(fd);
}

int sim_sys_pipe_room(int fd)
{
	return zcsi_sys_kernel.pipe_room(fd);
}
