/* SPDX-License-Identifier: MIT */
/*
 * simk_sock.c - TCP sockets: their life, and the table of system calls
 */
#include "simk_int.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/ioctl.h>

static int nr_socks;

/* ---- life ------------------------------------------------------------------------------------ */

struct sim_tcp *ktcp_create(struct file *f)
{
	struct sim_tcp *s = calloc(1, sizeof(*s));

	if (list_is_empty(&sim_socks))
		nr_socks = 0;
	s->k = sim_default;
	s->file = f;
	s->id = nr_socks++;
	s->state = TCP_CLOSE;
	s->zckey = s->k.zc_start;
	s->lowat = 1;
	list_init(&s->pieces);
	list_init(&s->held);
	list_init(&s->errq);
	list_init(&s->segs);
	list_add_tail(&sim_socks, &s->list);
	f->tcp = s;
	return s;
}

struct sim_tcp *sim_tcp_new(int *fd_out)
{
	struct file *f = kfile_new(FILE_TCP);
	struct sim_tcp *s = ktcp_create(f);

	s->state = TCP_ESTABLISHED;
	*fd_out = f->fd;
	return s;
}

static void established(void *arg)
{
	struct sim_tcp *s = arg;

	if (s->state != TCP_SYN_SENT)
		return;
	s->state = TCP_ESTABLISHED;
	ktcp_wake(s, 0);
	ktcp_wake(s, EPOLLOUT);
}

static void refused(void *arg)
{
	struct sim_tcp *s = arg;

	if (s->state != TCP_SYN_SENT)
		return;
	s->state = TCP_CLOSE;
	s->err = ECONNREFUSED;
	s->wr_shut = s->rd_shut = true;
	ktcp_wake(s, EPOLLERR);
	ktcp_wake(s, 0);
}

struct sim_tcp *sim_tcp_connecting(int *fd_out, uint64_t after_ns, int err)
{
	struct sim_tcp *s = sim_tcp_new(fd_out);

	s->state = TCP_SYN_SENT;
	sim_at(after_ns, err ? refused : established, s);
	return s;
}

struct sim_knobs *sim_knobs(struct sim_tcp *s)
{
	return &s->k;
}

bool sim_tcp_pinned(const struct sim_tcp *s)
{
	return s->pins > 0;
}

bool sim_peer_saw_fin(const struct sim_tcp *s)
{
	return s->peer_fin_seen;
}

bool sim_peer_saw_reset(const struct sim_tcp *s)
{
	return s->peer_reset_seen;
}

struct sim_tcp *ktcp_of(int fd, int *err)
{
	struct file *f = kfile_get(fd);

	*err = fd < 0 ? -EBADF : -ENOTSOCK;
	return f ? f->tcp : NULL;
}

void ktcp_wake(struct sim_tcp *s, uint32_t mask)
{
	kfile_wake(s->file, mask);
	kring_wake(s);
}

int ktcp_take_error(struct sim_tcp *s)
{
	int err = s->err;

	s->err = 0;
	return -err;
}

uint32_t ktcp_poll(struct sim_tcp *s)
{
	uint32_t up = 0;

	if ((s->wr_shut && s->rd_shut) || s->state == TCP_CLOSE)
		up |= EPOLLHUP;
	if (s->rd_shut)
		up |= EPOLLIN | EPOLLRDHUP;
	if (s->state != TCP_SYN_SENT) {
		if (krx_readable(s))
			up |= EPOLLIN;
		if (s->wr_shut || ktx_writable(s))
			up |= EPOLLOUT;
		else
			s->nospace = true;
		if (s->urg == URG_VALID)
			up |= EPOLLPRI;
	}
	if (s->err || !list_is_empty(&s->errq))
		up |= EPOLLERR;
	return up;
}

/* What the peer gets is a RST: nothing that is queued goes out any more. */
static void kill_tx(struct sim_tcp *s)
{
	s->peer_reset_seen = true;
	ktx_purge(s);
	s->end = s->sent = s->acked = s->delivered;
	s->fin_queued = false;
}

void ktcp_close(struct sim_tcp *s)
{
	bool unread = s->rx_end > s->rx_pos;

	if (s->ring_reqs)
		sim_fail("socket %d is closed with %u requests on it", s->id, s->ring_reqs);
	if (s->pins)
		return;
	krx_purge(s);
	kerrq_free(s);
	if (s->state == TCP_CLOSE)
		return;
	if (unread || s->linger0 || s->state == TCP_SYN_SENT) {
		kill_tx(s);
		s->state = TCP_CLOSE;
		return;
	}
	/* an orphan: what is queued still goes out, but nobody is told of it */
	s->wr_shut = s->fin_queued = true;
	ktx_kick(s);
}

/* A mapping went; the last one lets a closed socket end. */
void ktcp_unpin(struct sim_tcp *s)
{
	if (!--s->pins && !s->file)
		ktcp_close(s);
}

static int tcp_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct sim_tcp *s;
	int err;

	sim_enter("connect", fd);
	s = ktcp_of(fd, &err);
	if (!s)
		return err;
	if (len < sizeof(addr->sa_family) || addr->sa_family != AF_UNSPEC)
		return -EINVAL;
	if (s->k.family == AF_VSOCK || s->k.dgram)
		sim_fail("socket %d: a disconnect brings nothing back here", s->id);
	if (s->state == TCP_CLOSE)
		return 0;
	s->err = ECONNRESET;
	s->state = TCP_CLOSE;
	kill_tx(s);
	krx_purge(s);
	s->wr_shut = s->rd_shut = s->fin_in = false;
	ktcp_wake(s, EPOLLERR);
	return 0;
}

static int tcp_shutdown(int fd, int how)
{
	struct sim_tcp *s;
	int err;

	sim_enter("shutdown", fd);
	s = ktcp_of(fd, &err);
	if (!s)
		return err;
	if (s->state == TCP_CLOSE || s->state == TCP_SYN_SENT)
		return -ENOTCONN;
	if (how != SHUT_WR)
		s->rd_shut = true;
	if (how != SHUT_RD && !s->wr_shut) {
		s->wr_shut = s->fin_queued = true;
		s->corked = false;
		s->state = s->state == TCP_CLOSE_WAIT ? TCP_LAST_ACK : TCP_FIN_WAIT1;
		ktx_kick(s);
	}
	ktcp_wake(s, 0);
	return 0;
}

static int sys_socket(int domain, int type, int protocol)
{
	struct file *f;

	(void)protocol;
	sim_enter("socket", domain);
	if ((domain != AF_INET && domain != AF_INET6) || (type & 0xf) != SOCK_STREAM)
		return -EAFNOSUPPORT;
	f = kfile_new(FILE_TCP);
	ktcp_create(f)->k.family = domain;
	return f->fd;
}

/* ---- names ----------------------------------------------------------------------------------- */

static int sys_ioctl(int fd, unsigned long request, void *arg)
{
	struct sim_tcp *s;
	int err;

	sim_enter("ioctl", fd);
	s = ktcp_of(fd, &err);
	if (!s)
		return err;
	if (s->k.family == AF_VSOCK)
		return -EOPNOTSUPP;
	switch (request) {
	case SIOCOUTQ:
		*(int *)arg = (int)(s->end - s->acked) + (s->fin_queued && !s->fin_acked);
		return 0;
	case SIOCOUTQNSD:
		*(int *)arg = (int)(s->end - s->sent);
		return 0;
	case SIOCINQ:
		*(int *)arg = (int)krx_inq(s);
		return 0;
	}
	return -ENOTTY;
}

static int put(void *val, socklen_t *len, const void *from, size_t size)
{
	memcpy(val, from, *len < size ? *len : size);
	*len = (socklen_t)size;
	return 0;
}

static int put_name(struct sim_tcp *s, struct sockaddr *addr, socklen_t *len, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	struct sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_port = port, .svm_cid = port };

	if (s->k.family == AF_VSOCK)
		return put(addr, len, &vm, sizeof(vm));
	inet_pton(AF_INET, port == 80 ? "192.0.2.9" : "192.0.2.1", &v4.sin_addr);
	inet_pton(AF_INET6, s->k.v4mapped ? "::ffff:192.0.2.9" : "2001:db8::9", &v6.sin6_addr);
	if (s->k.family == AF_INET6)
		return put(addr, len, &v6, sizeof(v6));
	return put(addr, len, &v4, sizeof(v4));
}

static int sys_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct sim_tcp *s;
	int err;

	sim_enter("getsockname", fd);
	s = ktcp_of(fd, &err);
	return s ? put_name(s, addr, len, 4000) : err;
}

static int sys_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct sim_tcp *s;
	int err;

	sim_enter("getpeername", fd);
	s = ktcp_of(fd, &err);
	if (!s)
		return err;
	if (s->state == TCP_CLOSE || s->state == TCP_SYN_SENT)
		return -ENOTCONN;
	return put_name(s, addr, len, 80);
}

static int sys_set_nonblock(int fd, bool on)
{
	struct file *f;
	bool was;

	sim_enter("set_nonblock", fd);
	f = kfile_get(fd);
	if (!f)
		return -EBADF;
	was = f->nonblock;
	f->nonblock = on;
	return was != on;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static uint64_t sys_clock_ns(bool coarse)
{
	return coarse ? sim.now - sim.now % (4 * SIM_MS) : sim.now;
}

/* A measured call is one between two readings, with nothing else; each belongs to one call only. */
static uint64_t sys_cpu_ns(void)
{
	static uint64_t calls, sends;
	bool timed = sim.calls == calls + 1 && sim.sendmsg_calls == sends + 1;

	sim.timed_sends += timed;
	calls = timed ? 0 : sim.calls;
	sends = sim.sendmsg_calls;
	return sim.cpu_ns;
}

static ssize_t sys_read_file(const char *path, char *buf, size_t len)
{
	sim_enter("read_file", -1);
	if (strcmp(path, "/proc/sys/net/core/optmem_max") != 0 || len < 16)
		return -ENOENT;
	return snprintf(buf, len, "%u\n", sim.optmem_max);
}

static uint64_t sys_memlock_limit(void)
{
	return sim.memlock;
}

const struct zcsi_sys sim_table = {
	.socket = sys_socket,
	.close = sim_sys_close,
	.connect = tcp_connect,
	.shutdown = tcp_shutdown,
	.send = sim_sys_send,
	.recv = sim_sys_recv,
	.sendmsg = sim_sys_sendmsg,
	.sendmmsg = sim_sys_sendmmsg,
	.recvmsg = sim_sys_recvmsg,
	.recvmmsg = sim_sys_recvmmsg,
	.sendfile = sim_sys_sendfile,
	.splice = sim_sys_splice,
	.pipe_bytes = sim_sys_pipe_bytes,
	.pipe_room = sim_sys_pipe_room,
	.getsockopt = sim_sys_getsockopt,
	.setsockopt = sim_sys_setsockopt,
	.getsockname = sys_getsockname,
	.getpeername = sys_getpeername,
	.ioctl = sys_ioctl,
	.set_nonblock = sys_set_nonblock,
	.pwritev = sim_sys_pwritev,
	.fcntl = sim_sys_fcntl,
	.dio_align = sim_sys_dio_align,
	.mmap = sim_sys_mmap,
	.munmap = sim_sys_munmap,
	.madvise = sim_sys_madvise,
	.epoll_create = sim_sys_epoll_create,
	.epoll_ctl = sim_sys_epoll_ctl,
	.epoll_wait = sim_sys_epoll_wait,
	.eventfd = sim_sys_eventfd,
	.timerfd = sim_sys_timerfd,
	.timer_set = sim_sys_timer_set,
	.read = sim_sys_read,
	.write = sim_sys_write,
	.clock_ns = sys_clock_ns,
	.cpu_ns = sys_cpu_ns,
	.read_file = sys_read_file,
	.memlock_limit = sys_memlock_limit,
	.ring = &sim_ring,
};
