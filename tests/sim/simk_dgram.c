/* SPDX-License-Identifier: MIT */
/*
 * simk_dgram.c - UDP: datagrams, trains of them (UDP_SEGMENT), and numbers of what failed
 */
#include "simk_int.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#define MAX_SEGMENTS 64
#define MAX_FRAGS    17

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static uint16_t segment_of(const struct msghdr *msg)
{
	uint16_t segment = 0;

	for (struct cmsghdr *cm = CMSG_FIRSTHDR(msg); cm;
	     cm = CMSG_NXTHDR((struct msghdr *)msg, cm)) {
		if (cm->cmsg_level == SOL_UDP && cm->cmsg_type == UDP_SEGMENT)
			memcpy(&segment, CMSG_DATA(cm), sizeof(segment));
	}
	return segment;
}

static size_t frags(const struct msghdr *msg)
{
	size_t n = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		n += ((uintptr_t)msg->msg_iov[i].iov_base % 4096 + msg->msg_iov[i].iov_len + 4095) /
		     4096;
	return n;
}

static void note_lengths(struct sim_tcp *s, uint64_t size, uint16_t segment)
{
	do {
		uint64_t n = segment && segment < size ? segment : size;

		if (s->nr_dgrams == s->max_dgrams) {
			s->max_dgrams = 2 * s->max_dgrams + 64;
			s->dgrams = realloc(s->dgrams, s->max_dgrams * sizeof(*s->dgrams));
		}
		s->dgrams[s->nr_dgrams++] = (uint32_t)n;
		size -= n;
	} while (size);
}

size_t sim_peer_datagrams(const struct sim_tcp *s, const uint32_t **lens_out)
{
	*lens_out = s->dgrams;
	return s->nr_dgrams;
}

void sim_expect_segments(struct sim_tcp *s, uint32_t segment)
{
	s->expects[s->nr_expects - 1].segment = segment;
}

/* The message that is due. */
static struct expect *due(struct sim_tcp *s)
{
	size_t i = s->nr_expects;

	while (i > 0 && s->expects[i - 1].at > s->end)
		i--;
	if (i == 0 || s->expects[i - 1].at + s->expects[i - 1].len <= s->end)
		sim_fail("socket %d: nothing is due at %llu", s->id, (unsigned long long)s->end);
	return &s->expects[i - 1];
}

/* Whole datagrams of one message, of its size. */
static void check_boundaries(struct sim_tcp *s, uint64_t size, uint16_t segment)
{
	const struct expect *x = due(s);
	uint64_t one = x->segment ? x->segment : x->len, at = s->end - x->at;

	if (at % one || size > x->len - at || (size % one && size != x->len - at) ||
	    (size > one && segment != one))
		sim_fail("socket %d: %llu bytes as datagrams of %u are not what is due", s->id,
			 (unsigned long long)size, segment);
}

/* The rest of the message that is due will never be sent. */
static void drop_expected(struct sim_tcp *s)
{
	struct expect *x = due(s), *end = s->expects + s->nr_expects;
	uint64_t rest = x->at + x->len - s->end;

	s->dropped_last = x + 1 == end;
	s->nr_dropped++;
	x->len -= rest;
	if (!x->len) {
		memmove(x, x + 1, (size_t)(end - x - 1) * sizeof(*x));
		s->nr_expects--;
		x--;
	}
	for (x++; x < s->expects + s->nr_expects; x++)
		x->at -= rest;
}

uint64_t sim_dropped(const struct sim_tcp *s)
{
	return s->nr_dropped;
}

bool sim_dropped_last(struct sim_tcp *s)
{
	bool was = s->dropped_last;

	s->dropped_last = false;
	return was;
}

/* Errors that an earlier datagram's ICMP leaves as well, for the next call to tell. */
static int some_icmp(void)
{
	static const int errors[] = { ECONNREFUSED, EMSGSIZE, EHOSTUNREACH, EPROTO, EACCES };

	return errors[sim_rnd(5)];
}

static bool may_be_icmp(int err)
{
	return err == EMSGSIZE || err == EACCES;
}

/*
 * What a caller who has tried one alone believes of it: an error that may be an earlier one's when
 * it is told twice.
 */
static bool believes(struct sim_tcp *s, bool took_number, int err)
{
	bool told = s->told_at == s->end + 1;

	s->told_at = s->end + 1;
	return took_number || told || !may_be_icmp(err);
}

/* The packet was built, and is dropped: its number, if it has one, is notified at once. */
static void take_number(struct sim_tcp *s, struct zobj *obj)
{
	if (!obj)
		return;
	obj->len = obj->refs = 1;
	s->zckey++;
	kobj_put(obj);
}

static ssize_t fail_built(struct sim_tcp *s, struct zobj *obj, bool alone, int err)
{
	take_number(s, obj);
	s->bad_at = s->end + 1;
	if (alone && believes(s, obj, err)) {
		drop_expected(s);
		s->bad_at = s->told_at = 0;
	}
	return -err;
}

static bool has_no_room(struct sim_tcp *s)
{
	if (s->end - s->acked < s->k.sndbuf && (s->end == s->acked || !sim_pct(s->k.again_pct)))
		return false;
	s->nospace = true;
	s->told_at = 0; /* it comes back later, and begins anew */
	return true;
}

/* The packet is built: what becomes of it. */
static ssize_t send_built(struct sim_tcp *s, const struct msghdr *msg, struct zobj *obj,
			  uint64_t size, bool alone)
{
	uint16_t segment = segment_of(msg);

	if (s->k.no_trains && segment && size > segment) {
		take_number(s, obj);
		s->told_at = 0;
		return -EIO;
	}
	if (segment && size > (uint64_t)segment * MAX_SEGMENTS)
		return fail_built(s, obj, alone, EINVAL);
	if (size && (s->bad_at == s->end + 1 || sim_pct(s->k.fail_pct)))
		return fail_built(s, obj, alone, s->k.fail_errno);
	s->told_at = s->bad_at = 0;
	note_lengths(s, size, segment);
	if (!size) {
		take_number(s, obj);
		return 0;
	}
	check_boundaries(s, size, segment);
	ksend_take(s, msg, size, obj);
	s->pushed = s->end;
	ktx_kick(s);
	return (ssize_t)size;
}

static uint64_t max_payload(const struct sim_tcp *s)
{
	return s->k.family == AF_INET6 && !s->k.v4mapped ? 65527 : 65507;
}

/* alone: the caller is told the error, and believes it; of several, it asks once more. */
ssize_t kdgram_send(struct sim_tcp *s, const struct msghdr *msg, int flags, uint64_t size,
		    bool alone)
{
	bool flagged = flags & MSG_ZEROCOPY && s->zerocopy;
	struct zobj *obj = NULL;

	if (size > max_payload(s)) {
		if (segment_of(msg))
			sim_fail("socket %d: %llu bytes are too many for a train", s->id,
				 (unsigned long long)size);
		if (alone && believes(s, false, EMSGSIZE))
			drop_expected(s);
		return -EMSGSIZE;
	}
	/* told once, and not between the two times that a failure is */
	s->icmp = !s->icmp && s->bad_at != s->end + 1 && sim_pct(s->k.icmp_pct);
	if (s->icmp) {
		s->told_at = alone ? s->end + 1 : s->told_at;
		return -some_icmp();
	}
	if (flagged && !(obj = kobj_get(s, size))) {
		s->told_at = 0;
		return -ENOBUFS;
	}
	if (ksend_readable(msg, size) != size) {
		kobj_abort(s, obj, size);
		return -EFAULT;
	}
	if (has_no_room(s)) {
		kobj_abort(s, obj, size);
		return -EAGAIN;
	}
	if (flagged && frags(msg) > MAX_FRAGS) {
		kobj_abort(s, obj, size);
		return -EMSGSIZE;
	}
	return send_built(s, msg, obj, size, alone);
}

int sim_sys_sendmmsg(int fd, struct mmsghdr *msgs, unsigned nr, int flags)
{
	struct sim_tcp *s;
	ssize_t bytes = 0;
	unsigned n;
	int err;

	sim_enter("sendmmsg", fd);
	s = ktcp_of(fd, &err);
	if (!s)
		return err;
	for (n = 0; n < nr; n++) {
		const struct msghdr *msg = &msgs[n].msg_hdr;
		uint64_t size = 0;
		ssize_t r;

		for (size_t i = 0; i < msg->msg_iovlen; i++)
			size += msg->msg_iov[i].iov_len;
		r = kdgram_send(s, msg, flags, size, false);
		sim_trace("  datagram %u: %zd, next number %u", n, r, s->zckey);
		if (r < 0) {
			err = (int)r;
			break;
		}
		bytes += r;
	}
	ksend_pay(flags, bytes);
	return n ? (int)n : err;
}
