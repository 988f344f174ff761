/* SPDX-License-Identifier: MIT */
/*
 * simk_errq.c - the error queue: notifications, and what else may be in it
 */
#include "simk_int.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <time.h>

/* put_cmsg of the kernel: what does not fit is cut off, and MSG_CTRUNC says so. */
void sim_put_cmsg(struct msghdr *msg, size_t *used, int level, int type, const void *data,
		  size_t len)
{
	struct cmsghdr h = { .cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type };
	size_t room = msg->msg_control ? msg->msg_controllen - *used : 0;
	char *at = (char *)msg->msg_control + *used;

	if (room < sizeof(h)) {
		msg->msg_flags |= MSG_CTRUNC;
		return;
	}
	if (room < h.cmsg_len) {
		msg->msg_flags |= MSG_CTRUNC;
		h.cmsg_len = room;
	}
	memcpy(at, &h, sizeof(h));
	memcpy(at + sizeof(h), data, h.cmsg_len - sizeof(h));
	*used += CMSG_SPACE(len) < room ? CMSG_SPACE(len) : room;
}

/* Every report is an edge, also when it was only merged into an entry that is queued already. */
static void queue(struct sim_tcp *s, struct note *n)
{
	list_add_tail(&s->errq, &n->list);
	ktcp_wake(s, EPOLLERR);
}

static struct note *note_new(enum note_kind kind, uint32_t lo, uint32_t hi, bool copied)
{
	struct note *n = calloc(1, sizeof(*n));

	n->kind = kind;
	n->lo = lo;
	n->hi = hi;
	n->copied = copied;
	return n;
}

static bool merged(struct sim_tcp *s, uint32_t lo, uint32_t hi)
{
	struct note *tail = container_of(s->errq.prev, struct note, list);

	if (list_is_empty(&s->errq) || tail->kind != NOTE_ZEROCOPY || tail->hi + 1 != lo ||
	    !sim_pct(s->k.merge_pct))
		return false;
	tail->hi = hi; /* what hi says about copying is lost */
	return true;
}

void kerrq_complete(struct sim_tcp *s, struct zobj *obj)
{
	uint32_t lo = obj->id, hi = obj->id + obj->len - 1;
	struct note *n;

	sim_trace("  socket %d: %u..%u complete%s", s->id, lo, hi, obj->copied ? ", copied" : "");
	if (merged(s, lo, hi)) {
		s->optmem -= SIM_OPT_SIZE;
		ktcp_wake(s, EPOLLERR);
		return;
	}
	if (lo != hi && sim_pct(s->k.split_pct)) {
		uint32_t mid = lo + sim_rnd(hi - lo);

		queue(s, note_new(NOTE_ZEROCOPY, lo, mid, obj->copied));
		lo = mid + 1;
	}
	n = note_new(NOTE_ZEROCOPY, lo, hi, obj->copied);
	n->charge = SIM_OPT_SIZE;
	queue(s, n);
	if (sim_pct(s->k.dup_pct))
		queue(s, note_new(NOTE_ZEROCOPY, lo, hi, obj->copied));
}

void sim_note(struct sim_tcp *s, uint32_t lo, uint32_t hi, bool copied)
{
	queue(s, note_new(NOTE_ZEROCOPY, lo, hi, copied));
}

void sim_note_timestamp(struct sim_tcp *s, size_t payload)
{
	struct note *n = note_new(NOTE_TIMESTAMP, 0, 0, false);

	n->payload = payload;
	queue(s, n);
}

void sim_note_icmp(struct sim_tcp *s, size_t payload)
{
	struct note *n = note_new(NOTE_ICMP, 0, 0, false);

	n->payload = payload;
	queue(s, n);
}

unsigned sim_notes(const struct sim_tcp *s)
{
	unsigned n = 0;

	for (struct list *e = s->errq.next; e != &s->errq; e = e->next)
		n++;
	return n;
}

static void put_err(struct sim_tcp *s, struct msghdr *msg, size_t *used,
		    const struct sock_extended_err *ee)
{
	struct {
		struct sock_extended_err ee;
		struct sockaddr_in offender;
	} v4 = { .ee = *ee };
	struct {
		struct sock_extended_err ee;
		struct sockaddr_in6 offender;
	} v6 = { .ee = *ee };

	/* the level follows the socket's family; 44 = 16 + 28 and no padding behind */
	if (s->k.family == AF_VSOCK) /* SOL_VSOCK, VSOCK_RECVERR */
		sim_put_cmsg(msg, used, 287, 1, ee, sizeof(*ee));
	else if (s->k.family == AF_INET6)
		sim_put_cmsg(msg, used, SOL_IPV6, IPV6_RECVERR, &v6, 44);
	else
		sim_put_cmsg(msg, used, SOL_IP, IP_RECVERR, &v4, 32);
}

static struct sock_extended_err meaning(const struct note *n)
{
	struct sock_extended_err ee = { 0 };

	if (n->kind == NOTE_ZEROCOPY) {
		ee.ee_origin = SO_EE_ORIGIN_ZEROCOPY;
		ee.ee_code = n->copied ? SO_EE_CODE_ZEROCOPY_COPIED : 0;
		ee.ee_info = n->lo;
		ee.ee_data = n->hi;
	} else if (n->kind == NOTE_TIMESTAMP) {
		ee.ee_origin = SO_EE_ORIGIN_TIMESTAMPING;
		ee.ee_errno = ENOMSG;
	} else {
		ee.ee_origin = SO_EE_ORIGIN_ICMP;
		ee.ee_errno = EHOSTUNREACH;
		ee.ee_type = 3;
		ee.ee_code = 1;
	}
	return ee;
}

static ssize_t put_payload(struct msghdr *msg, size_t len)
{
	size_t done = 0;

	for (size_t i = 0; i < msg->msg_iovlen && done < len; i++) {
		size_t n = msg->msg_iov[i].iov_len;

		if (n > len - done)
			n = len - done;
		memset(msg->msg_iov[i].iov_base, 0x5a, n);
		done += n;
	}
	if (done < len)
		msg->msg_flags |= MSG_TRUNC;
	return (ssize_t)done;
}

/* recvmsg with MSG_ERRQUEUE; takes the entry off in any case, MSG_PEEK or not. */
ssize_t kerrq_recv(struct sim_tcp *s, struct msghdr *msg)
{
	struct timespec stamps[3] = { { 1, 1 }, { 0, 0 }, { 0, 0 } };
	struct sock_extended_err ee;
	size_t used = 0;
	struct note *n;
	ssize_t ret;

	sim.errq_reads++;
	if (list_is_empty(&s->errq))
		return -EAGAIN;
	n = container_of(s->errq.next, struct note, list);
	list_del(&n->list);
	s->optmem -= n->charge;
	msg->msg_flags = MSG_ERRQUEUE;
	msg->msg_namelen = 0;
	if (n->kind == NOTE_TIMESTAMP)
		sim_put_cmsg(msg, &used, SOL_SOCKET, SCM_TIMESTAMPING, stamps, sizeof(stamps));
	ee = meaning(n);
	put_err(s, msg, &used, &ee);
	msg->msg_controllen = used;
	ret = put_payload(msg, n->payload);
	sim_trace("  kind %d: %u..%u%s", n->kind, n->lo, n->hi,
		  msg->msg_flags & MSG_CTRUNC ? ", cut off" : "");
	free(n);
	if (!list_is_empty(&s->errq))
		ktcp_wake(s, EPOLLERR);
	return ret;
}

void kerrq_free(struct sim_tcp *s)
{
	while (!list_is_empty(&s->errq)) {
		struct note *n = container_of(s->errq.next, struct note, list);

		list_del(&n->list);
		s->optmem -= n->charge;
		free(n);
	}
}
