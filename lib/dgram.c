// SPDX-License-Identifier: MIT
/*
 * dgram.c - UDP: messages are datagrams, or as many as their segment size makes of them
 *
 * Datagrams leave in order, several per system call: those of one message by the kernel's own
 * segmentation (UDP_SEGMENT, udp(7)), those of messages behind one another by sendmmsg(2). None is
 * merged, sent twice, or made up; one that the kernel refuses is an error of its message, and not
 * of the socket.
 *
 * A flagged call that fails may have taken a number all the same (guard 20): the packet was built,
 * and dropped again (udp_send_skb, net/ipv4/udp.c). It is gone when the call returns, so its
 * notification is in the error queue then. sendmmsg of good, bad, good returns 1, having taken two,
 * and says no error (guard 23).
 */
#include "conn.h"
#include "pure/guard.h"
#include "sys.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

#define FRAGS	     17	   /* MAX_SKB_FRAGS: pages of a packet that is lent */
#define SEGMENTS     64	   /* UDP_MAX_SEGMENTS of older kernels */
#define PAYLOAD_IPV4 65507 /* 65,535 less the headers of IPv4 and UDP */
#define PAYLOAD_IPV6 65527 /* the header of IPv6 does not count */
#define PUSH_BYTES   (4u << 20)

#define PIECES_MAX   (GUARD(22) ? FRAGS : UINT32_MAX)
#define SEGMENTS_MAX (GUARD(25) ? SEGMENTS : UINT32_MAX)

/* What goes out with one system call. */
struct volley {
	struct zcs_conn *c;
	bool lend;
	unsigned nr, nr_vec;
	struct mmsghdr hdr[DGRAM_CALLS];
	uint32_t bytes[DGRAM_CALLS];
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(uint16_t))];
	} control[DGRAM_CALLS];
};

/* Where in a message the next datagram begins. */
struct place {
	uint32_t i; /* in the queue */
	uint32_t iov_i;
	size_t iov_off;
	uint64_t left;
};

static size_t dgram_max(const struct zcs_conn *c)
{
	return c->ipv6 ? PAYLOAD_IPV6 : PAYLOAD_IPV4;
}

/* Whether a message can be sent at all. */
int dgram_check(const struct zcs_conn *c, const struct zcs_msg *in, size_t len)
{
	size_t one = in->segment ? in->segment : len;

	if (in->dest_len > sizeof(struct sockaddr_storage) || !in->dest != !in->dest_len)
		return -EINVAL;
	if (one > dgram_max(c) || (!in->segment && in->nr_iov >= IOV_MAX))
		return -EMSGSIZE;
	return 0;
}

static void place_at(struct place *p, struct txq *q, uint32_t i)
{
	const struct msg *m = txq_at(q, i);

	*p = (struct place){ i, m->iov_i, m->iov_off, m->len - m->sent };
}

static void forward(const struct msg *m, struct place *p, size_t n)
{
	p->left -= n;
	p->iov_off += n;
	while (p->iov_i < m->nr_iov && p->iov_off >= M_IOV(m)[p->iov_i].iov_len) {
		p->iov_off -= M_IOV(m)[p->iov_i].iov_len;
		p->iov_i++;
	}
}

/* Appends max bytes from p on to vec, or as many as pages and iovecs allow; their number. */
static size_t gather(const struct msg *m, struct place p, struct iovec *vec, unsigned *nr,
		     size_t max, size_t pages)
{
	size_t n = 0;

	while (n < max && p.iov_i < m->nr_iov && *nr < IOV_MAX) {
		const struct iovec *v = &M_IOV(m)[p.iov_i];
		char *base = (char *)v->iov_base + p.iov_off;
		size_t off = (uintptr_t)base % ZCSI_PAGE;
		size_t len = min_u64(v->iov_len - p.iov_off, max - n);

		if (len && !pages)
			break;
		len = min_u64(len, pages * ZCSI_PAGE - off);
		if (len)
			vec[(*nr)++] = (struct iovec){ base, len };
		pages -= len ? (off + len + ZCSI_PAGE - 1) / ZCSI_PAGE : 0;
		n += len;
		forward(m, &p, len);
	}
	return n;
}

/* Takes n bytes back from the end of vec. */
static void ungather(struct iovec *vec, unsigned *nr, size_t n)
{
	while (n) {
		struct iovec *v = &vec[*nr - 1];
		size_t part = min_u64(n, v->iov_len);

		v->iov_len -= part;
		n -= part;
		if (!v->iov_len)
			(*nr)--;
	}
}

static void set_segment(struct volley *v, uint16_t segment)
{
	struct msghdr *mh = &v->hdr[v->nr].msg_hdr;
	struct cmsghdr *cm = &v->control[v->nr].align;

	mh->msg_control = cm;
	mh->msg_controllen = sizeof(v->control[v->nr]);
	cm->cmsg_level = SOL_UDP;
	cm->cmsg_type = UDP_SEGMENT;
	cm->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(cm), &segment, sizeof(segment));
}

/* An IPv6 socket may talk IPv4, and a train is one packet. */
static size_t most_segments(const struct zcs_conn *c, const struct msg *m)
{
	size_t most = min_u64(SEGMENTS_MAX, PAYLOAD_IPV4 / m->segment);

	return c->no_train || !most ? 1 : most;
}

/* The next datagrams of a message, as one packet. false: no whole datagram has room. */
static bool add(struct volley *v, struct place *p)
{
	struct zcs_conn *c = v->c;
	const struct msg *m = txq_at(c->q, p->i);
	struct iovec *vec = &c->ctx->vec[v->nr_vec];
	size_t want = p->left, got, cut;
	unsigned nr = v->nr_vec;

	if (m->segment)
		want = min_u64(want, most_segments(c, m) * m->segment);
	got = gather(m, *p, c->ctx->vec, &nr, want, v->lend ? PIECES_MAX : UINT32_MAX);
	cut = got == p->left ? 0 : m->segment ? got % m->segment : got;
	if (got == cut && p->left)
		return false;
	ungather(c->ctx->vec, &nr, cut);
	got -= cut;
	v->hdr[v->nr].msg_hdr = (struct msghdr){
		.msg_name = m->name_len ? msg_name(m) : NULL,
		.msg_namelen = m->name_len,
		.msg_iov = vec,
		.msg_iovlen = nr - v->nr_vec,
	};
	if (m->segment && got > m->segment)
		set_segment(v, m->segment);
	v->bytes[v->nr++] = (uint32_t)got;
	v->nr_vec = nr;
	forward(m, p, got);
	return true;
}

/* An empty datagram would take a number (guard 21). */
static bool wants_lending(const struct msg *m)
{
	return m->lend && (m->len || !GUARD(21));
}

/* Messages from the cursor on that go the same way, as many as one call takes. */
static void load(struct volley *v, unsigned max)
{
	struct txq *q = v->c->q;
	struct place p;

	for (uint32_t i = q->cursor; i != tx_end(v->c); i++) {
		const struct msg *m = txq_at(q, i);

		/* What is measured stands in front. */
		if (wants_lending(m) != v->lend || (m->measure && v->nr))
			return;
		place_at(&p, q, i);
		do {
			if (v->nr == max || !add(v, &p))
				return;
		} while (p.left);
	}
}

/* ---- what became of it ---------------------------------------------------------------------- */

/* The first entry is out, or the empty datagram at the cursor is. */
static void fired(struct zcs_conn *c, uint32_t bytes, bool lend)
{
	struct msg *m = txq_at(c->q, c->q->cursor);

	if (bytes) {
		tx_advance(c, bytes, lend);
		return;
	}
	m->how |= ZCS_COPIED;
	m->lo = m->hi = c->ledger.next;
	c->q->cursor++;
	tx_release_done(c, m);
}

/* The kernel does not take the message at the cursor, or what is left of it. */
static void refused(struct zcs_conn *c, int error)
{
	struct msg *m = txq_at(c->q, c->q->cursor);

	m->status = error;
	m->how |= ZCS_ABANDONED;
	c->stats.tx_refused++;
	if (m->lo == m->hi)
		m->lo = m->hi = c->ledger.next;
	c->q->cursor++;
	tx_release_done(c, m);
}

static bool doubt(struct zcs_conn *c)
{
	return GUARD(20) && reap_doubt(c);
}

/* No memory to lend with: this message is copied, and lending pauses. */
static void back_off(struct zcs_conn *c, struct msg *m)
{
	bool optmem = tx_count_enobufs(c);

	if (!ledger_out(&c->ledger) || !reap(c, UINT32_MAX))
		tx_back_off(c, optmem, ledger_out(&c->ledger));
	m->lend = false;
}

/*
 * What ICMP said of an earlier datagram is told by the next call, which sends nothing and takes no
 * number (sock_error in sock_alloc_send_pskb; the errors: icmp_err_convert, icmpv6_err_convert).
 */
static bool may_be_told_late(int error)
{
	switch (error) {
	case -EMSGSIZE: /* a smaller path MTU was found */
	case -ECONNREFUSED:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -EPROTO:
	case -ENOPROTOOPT:
	case -EACCES:
	case -EHOSTDOWN:
	case -ENONET:
		return true;
	}
	return false;
}

/* One datagram or train was tried alone, and failed. */
static int failed(struct zcs_conn *c, bool lend, int error, int *told)
{
	struct msg *m = txq_at(c->q, c->q->cursor);
	bool taken = lend && doubt(c);

	/* Guard 24: it may be of an earlier one. Told once more, it is of this one. */
	if (GUARD(24) && !taken && !*told && may_be_told_late(error)) {
		*told = error;
		return 0;
	}
	*told = 0;
	switch (error) {
	case -EAGAIN:
		return -EAGAIN;
	case -ENOBUFS:
		if (lend && !taken) {
			back_off(c, m);
			return 0;
		}
		break;
	case -EOPNOTSUPP:
		if (lend && !taken) {
			c->no_lend = ZCS_R_NO_SO_ZEROCOPY;
			return 0;
		}
		break;
	case -EIO: /* no device or tunnel there can cut trains: each datagram by itself */
		if (m->segment && !c->no_train) {
			c->no_train = true;
			return 0;
		}
		break;
	}
	refused(c, error);
	return 0;
}

/* ---- the gun -------------------------------------------------------------------------------- */

static int fire(struct volley *v)
{
	struct zcs_conn *c = v->c;
	struct msg *m = txq_at(c->q, c->q->cursor);
	int flags = MSG_DONTWAIT | (v->lend ? MSG_ZEROCOPY : 0);
	uint64_t from = m->measure ? zcsi_sys->cpu_ns() : 0;
	int n;

	c->stats.tx_calls++;
	if (v->nr > 1) {
		n = zcsi_sys->sendmmsg(c->fd, v->hdr, v->nr, flags);
	} else {
		ssize_t r = zcsi_sys->sendmsg(c->fd, &v->hdr[0].msg_hdr, flags);

		n = r < 0 ? (int)r : 1;
	}
	if (m->measure && n > 0)
		link_sent(conn_link(c), m->len, v->lend, (zcsi_sys->cpu_ns() - from) / (unsigned)n,
			  v->bytes[0]);
	m->measure = false;
	return n;
}

static bool lends(struct zcs_conn *c)
{
	const struct msg *m = txq_at(c->q, c->q->cursor);

	if (!wants_lending(m) || ((c->no_lend || c->pause_ns) && !tx_may_lend_now(c)))
		return false;
	while (c->ledger.nr_bits - ledger_out(&c->ledger) <= DGRAM_CALLS) {
		if (ledger_grow(&c->ledger) < 0)
			return false;
	}
	return true;
}

/* The first n of a volley are out. The one behind them was refused, and will say why alone. */
static int64_t hit(const struct volley *v, unsigned n)
{
	struct zcs_conn *c = v->c;
	int64_t bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		fired(c, v->bytes[i], v->lend);
		bytes += v->bytes[i];
	}
	if (v->lend) { /* each has a completion of its own */
		tx_lent_well(c);
		c->unreaped = (uint8_t)min_u64(c->unreaped + n - 1, UINT8_MAX);
	}
	if (n < v->nr && v->lend)
		doubt(c);
	reap_due(c);
	return bytes;
}

/* Bytes sent, or a negative errno that ends this turn. `most`: datagrams or trains to try. */
static int64_t push_some(struct zcs_conn *c, unsigned *most, int *told)
{
	struct volley v = { .c = c, .lend = lends(c) };
	int n;

	if (!v.lend)
		txq_at(c->q, c->q->cursor)->lend = false;
	load(&v, *most);
	if (!v.nr) { /* too many pieces to lend, or to send */
		if (!v.lend)
			refused(c, -EMSGSIZE);
		else
			txq_at(c->q, c->q->cursor)->lend = false;
		return 0;
	}
	n = fire(&v);
	if (!GUARD(23) && n > 0)
		n = (int)v.nr;
	*most = n == (int)v.nr ? DGRAM_CALLS : 1;
	if (n > 0) {
		if (*told) /* it was of an earlier one, whose message is over */
			conn_tell_icmp(c, *told);
		*told = 0;
		return hit(&v, (unsigned)n);
	}
	if (v.nr == 1 || n == -EAGAIN)
		return failed(c, v.lend, n, told);
	if (v.lend)
		doubt(c);
	return 0;
}

int dgram_push(struct zcs_conn *c)
{
	unsigned most = DGRAM_CALLS;
	int told = 0; /* what may be of an earlier datagram, and is asked for once more */
	uint64_t done = 0;

	while (c->q && c->q->cursor != tx_end(c)) {
		int64_t r;

		if (done >= PUSH_BYTES) {
			conn_schedule(c);
			break;
		}
		r = push_some(c, &most, &told);
		if (r == -EAGAIN) {
			conn_block(c);
			break;
		}
		done += (uint64_t)r;
	}
	tx_pop(c);
	return 0;
}
