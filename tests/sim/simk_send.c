/* SPDX-License-Identifier: MIT */
/*
 * simk_send.c - send, sendmsg and sendfile
 */
#include "simk_int.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <unistd.h>

/* tcp_sendmsg before it looks at the data: 0, or why nothing can be sent. */
static int may_not_send(struct sim_tcp *s)
{
	int err;

	if (s->state == TCP_SYN_SENT)
		return -EAGAIN;
	if (s->err || s->wr_shut || (s->state != TCP_ESTABLISHED && s->state != TCP_CLOSE_WAIT)) {
		err = ktcp_take_error(s);
		return err ? err : -EPIPE;
	}
	return 0;
}

static bool charge_pages(struct zobj *obj, uint64_t size)
{
	uint64_t pages = (size >> 12) + 2;

	if (sim.memlock != UINT64_MAX && sim.locked_pages + pages > sim.memlock >> 12)
		return false;
	sim.locked_pages += pages;
	obj->pages += pages;
	return true;
}

/* The object of the tail of the write queue, if this call may share it. */
static struct zobj *shared_obj(struct sim_tcp *s, uint64_t size)
{
	struct zobj *obj = s->tail_obj;

	if (!obj || s->sent == s->end || obj->id + obj->len != s->zckey ||
	    obj->bytes + size > s->k.share_bytes || !sim_pct(s->k.share_pct))
		return NULL;
	return obj;
}

static struct zobj *new_obj(struct sim_tcp *s)
{
	struct zobj *obj;

	if (s->optmem + SIM_OPT_SIZE > sim.optmem_max)
		return NULL;
	obj = calloc(1, sizeof(*obj));
	obj->s = s;
	obj->id = s->zckey;
	s->optmem += SIM_OPT_SIZE;
	return obj;
}

/* msg_zerocopy_realloc. Charged is the whole request; what is not accepted stays charged, too. */
struct zobj *kobj_get(struct sim_tcp *s, uint64_t size)
{
	struct zobj *obj = shared_obj(s, size), *fresh = NULL;

	if (!obj)
		obj = fresh = new_obj(s);
	if (!obj)
		return NULL;
	if (!charge_pages(obj, size)) {
		if (fresh)
			s->optmem -= SIM_OPT_SIZE;
		free(fresh);
		return NULL;
	}
	return obj;
}

/* Nothing was accepted: no number is taken. */
void kobj_abort(struct sim_tcp *s, struct zobj *obj, uint64_t size)
{
	uint64_t pages = (size >> 12) + 2;

	if (!obj)
		return;
	if (obj->len)
		return; /* shared; its pages stay charged until it is complete */
	sim.locked_pages -= pages;
	s->optmem -= SIM_OPT_SIZE;
	free(obj);
}

/* How much would be accepted now, of size. */
static uint64_t room(struct sim_tcp *s, uint64_t size)
{
	uint64_t n, used = s->end - s->acked;

	if (!ktx_writable(s))
		return 0;
	n = s->k.sndbuf - used;
	if (n > size)
		n = size;
	if (sim_pct(s->k.again_pct) && used)
		return 0;
	if (n > 1 && sim_pct(s->k.partial_pct))
		n = 1 + sim_rnd((uint32_t)n - 1);
	return n;
}

/* The bytes of msg that can be read, at most n, as the kernel would take them. */
uint64_t ksend_readable(const struct msghdr *msg, uint64_t n)
{
	uint64_t at = 0;

	for (size_t i = 0; i < msg->msg_iovlen && at < n; i++) {
		size_t len = msg->msg_iov[i].iov_len, want = len < n - at ? len : n - at;
		size_t ok = kmem_readable(msg->msg_iov[i].iov_base, want);

		at += ok;
		if (ok < want)
			return at - at % 65536; /* a packet is taken whole or not */
	}
	return at;
}

static void add_refs(struct piece *p, const struct msghdr *msg)
{
	uint64_t left = p->len;

	p->refs = calloc(msg->msg_iovlen, sizeof(*p->refs));
	for (size_t i = 0; i < msg->msg_iovlen && left; i++) {
		size_t len = msg->msg_iov[i].iov_len;

		if (len > left)
			len = left;
		if (len)
			p->refs[p->nr_refs++] = (struct ref){ msg->msg_iov[i].iov_base, len, NULL };
		left -= len;
	}
}

static struct piece *piece_new(struct sim_tcp *s, uint64_t len)
{
	struct piece *p = calloc(1, sizeof(*p));

	p->s = s;
	p->pos = s->end;
	p->len = len;
	p->file = -1;
	list_add_tail(&s->pieces, &p->list);
	s->end += len;
	return p;
}

static void set_hold(struct piece *p)
{
	struct sim_tcp *s = p->s;

	p->hold = sim_pct(s->k.hold_pct);
	p->hold_until = s->k.hold_ns ? sim.now + sim_rnd((uint32_t)s->k.hold_ns) : UINT64_MAX;
}

void ksend_take(struct sim_tcp *s, const struct msghdr *msg, uint64_t n, struct zobj *obj)
{
	struct piece *p = piece_new(s, n);

	add_refs(p, msg);
	if (obj && obj->copied) {
		kpiece_read(p, p->pos, p->pos + n, "copied");
		p->nr_refs = 0;
	}
	if (obj) {
		p->obj = obj;
		obj->refs++;
		obj->len++;
		obj->bytes += n;
		s->zckey += !obj->req;
		s->tail_obj = obj->req ? NULL : obj;
		set_hold(p);
	} else {
		kpiece_read(p, p->pos, p->pos + n, "copied");
		p->nr_refs = 0;
		s->tail_obj = NULL;
	}
}

static void pushed(struct sim_tcp *s, int flags)
{
	if (flags & MSG_MORE || s->corked_opt) {
		if (!s->corked)
			s->cork_until = sim.now + 200 * SIM_MS;
		s->corked = true;
	} else {
		s->corked = false;
		s->pushed = s->end;
	}
	ktx_kick(s);
}

/*
 * virtio_transport_send_pkt_info, for one packet: without credit for all of it copied, with a
 * number of its own in any case. 0, or -ENOMEM.
 */
static int vsock_begin(struct sim_tcp *s, const struct msghdr *msg, uint64_t size,
		       struct zobj **obj_out)
{
	size_t pages = 0;
	struct zobj *obj;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		pages += ((uintptr_t)msg->msg_iov[i].iov_base % 4096 + msg->msg_iov[i].iov_len +
			  4095) /
			 4096;
	if (size > 65536 || pages > 17)
		sim_fail("socket %d: %llu bytes of %zu pages are more than a packet", s->id,
			 (unsigned long long)size, pages);
	obj = kobj_get(s, size);
	if (!obj)
		return -ENOMEM;
	if (!sim_pct(s->k.nomem_pct)) {
		*obj_out = obj;
		return 0;
	}
	if (!sim_pct(s->k.nomem_takes_pct)) {
		kobj_abort(s, obj, size);
		return s->k.nomem_errno ? -s->k.nomem_errno : -ENOMEM;
	}
	obj->len = obj->refs = 1;
	s->zckey++;
	kobj_put(obj);
	return s->k.nomem_errno ? -s->k.nomem_errno : -ENOMEM;
}

static ssize_t tcp_send(struct sim_tcp *s, const struct msghdr *msg, int flags, uint64_t size)
{
	bool flagged = (flags & MSG_ZEROCOPY) && s->zerocopy && size;
	struct zobj *obj = NULL;
	uint64_t n = 0, ok;
	int err;

	bool vsock = s->k.family == AF_VSOCK;

	if (flagged && s->k.send_refuse)
		return -s->k.send_refuse;
	if (flagged && !vsock && !(obj = kobj_get(s, size)))
		return -ENOBUFS;
	err = may_not_send(s);
	if (flagged && vsock && !err && room(s, 1))
		err = vsock_begin(s, msg, size, &obj);
	if (!err && size) {
		n = room(s, size);
		if (n < size)
			s->nospace = true;
		ok = ksend_readable(msg, n);
		if (n && !ok)
			err = vsock ? -ENOMEM : -EFAULT;
		else if (!n)
			err = -EAGAIN;
		n = ok;
	}
	if (err || !n) {
		kobj_abort(s, obj, size);
		return err;
	}
	if (obj && vsock && n < size)
		obj->copied = true;
	ksend_take(s, msg, n, obj);
	pushed(s, flags);
	return (ssize_t)n;
}

void ksend_pay(int flags, ssize_t bytes)
{
	const struct sim_price *price = flags & MSG_ZEROCOPY ? &sim.flag_price : &sim.copy_price;
	uint64_t ns = price->call_ns + (uint64_t)(bytes > 0 ? bytes : 0) * price->kib_ns / 1024;

	if (sim.noise_pct)
		ns = ns * (100 - sim.noise_pct + sim_rnd(2 * sim.noise_pct + 1)) / 100;
	sim.cpu_ns += ns;
}

/* More of a request; 0 never. */
ssize_t ksend_some(struct sim_tcp *s, const struct msghdr *msg, uint64_t size, struct zobj *obj,
		   int flags)
{
	int err = may_not_send(s);
	uint64_t n = err ? 0 : room(s, size);

	if (err)
		return err;
	if (n < size)
		s->nospace = true;
	if (!n)
		return -EAGAIN;
	n = ksend_readable(msg, n);
	if (!n)
		return -EFAULT;
	ksend_take(s, msg, n, obj);
	pushed(s, flags);
	return (ssize_t)n;
}

static void check_beside(const struct sim_tcp *s, int flags)
{
	if (s->ring_reqs)
		sim_fail("socket %d: sent to beside %u requests", s->id, s->ring_reqs);
	if (s->by_ring && flags & MSG_ZEROCOPY)
		sim_fail("socket %d: lent to by a call and by a ring", s->id);
}

ssize_t sim_sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	uint64_t size = 0;
	struct sim_tcp *s;
	ssize_t n;
	int err;

	sim_enter("sendmsg", fd);
	sim.sendmsg_calls++;
	s = ktcp_of(fd, &err);
	if (!s)
		return err;
	check_beside(s, flags);
	if (msg->msg_iovlen > 1024)
		return -EMSGSIZE;
	if (!s->file->nonblock && !(flags & MSG_DONTWAIT))
		sim_fail("a sendmsg that may block");
	for (size_t i = 0; i < msg->msg_iovlen; i++)
		size += msg->msg_iov[i].iov_len;
	n = s->k.dgram ? kdgram_send(s, msg, flags, size, true) : tcp_send(s, msg, flags, size);
	ksend_pay(flags, n);
	sim_trace("  %zd of %llu%s%s, next number %u", n, (unsigned long long)size,
		  flags & MSG_ZEROCOPY ? " zerocopy" : "", flags & MSG_MORE ? " more" : "",
		  s->zckey);
	return n;
}

ssize_t sim_sys_send(int fd, const struct iovec *v, int flags)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)v, .msg_iovlen = 1 };

	return sim_sys_sendmsg(fd, &msg, flags);
}

ssize_t sim_sys_sendfile(int sock, int file, uint64_t *off, size_t len)
{
	struct sim_tcp *s;
	struct piece *p;
	char probe[4096];
	uint64_t n, have = 0;
	ssize_t got;
	int err;

	sim_enter("sendfile", sock);
	s = ktcp_of(sock, &err);
	if (!s)
		return err;
	check_beside(s, 0);
	err = may_not_send(s);
	if (err)
		return err;
	n = room(s, len);
	if (n < len)
		s->nospace = true;
	if (len && !n)
		return -EAGAIN;
	for (; have < n; have += (uint64_t)got) {
		got = pread(file, probe, sizeof(probe), (off_t)(*off + have));
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
	}
	if (have < n)
		n = have;
	sim_trace("  %llu of %zu from %llu", (unsigned long long)n, len, (unsigned long long)*off);
	if (!n)
		return 0;
	p = piece_new(s, n);
	p->file = dup(file);
	p->file_off = *off;
	s->tail_obj = NULL;
	*off += n;
	pushed(s, 0);
	return (ssize_t)n;
}

/* A real pipe; what it had is kept in a file until the peer has it. */
ssize_t ksend_pipe(struct sim_tcp *s, int pipe, size_t len)
{
	uint64_t n = room(s, len), have = 0;
	struct piece *p;
	int file, err = may_not_send(s);

	check_beside(s, 0);
	if (err)
		return err;
	if (n < len)
		s->nospace = true;
	if (!n)
		return -EAGAIN;
	file = memfd_create("pipe", MFD_CLOEXEC);
	while (have < n) {
		ssize_t got = splice(pipe, NULL, file, NULL, n - have, SPLICE_F_NONBLOCK);

		if (got <= 0)
			break;
		have += (uint64_t)got;
	}
	sim_trace("  %llu of %zu from a pipe", (unsigned long long)have, len);
	if (!have) {
		close(file);
		return -EAGAIN;
	}
	p = piece_new(s, have);
	p->file = file;
	p->file_off = 0;
	s->tail_obj = NULL;
	pushed(s, 0);
	return (ssize_t)have;
}

uint64_t sim_tcp_end(const struct sim_tcp *s)
{
	return s->end;
}

uint64_t sim_peer_got(const struct sim_tcp *s)
{
	return s->delivered;
}

uint32_t sim_tcp_next_number(const struct sim_tcp *s)
{
	return s->zckey;
}
