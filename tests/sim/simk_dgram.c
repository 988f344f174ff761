/* SPDX-License-Identifier: MIT */
/*
 * simk_dgram.c - UDP: datagrams, trains of them (UDP_SEGMENT), and numbers of what failed
 */
#include "simk_int.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#define MAX_PAYLOAD  65507
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

/* The message that begins where the stream ends will never be sent. */
static void drop_expected(struct sim_tcp *s, uint64_t len)
{
	size_t i = 0;

	while (i < s->nr_expects && s->expects[i].at < s->end)
		i++;
	if (i == s->nr_expects || s->expects[i].at != s->end || s->expects[i].len != len)
		sim_fail("socket %d: %llu bytes at %llu are no message", s->id,
			 (unsigned long long)len, (unsigned long long)s->end);
	s->dropped_last = i + 1 == s->nr_expects;
	memmove(&s->expects[i], &s->expects[i + 1], (--s->nr_expects - i) * sizeof(*s->expects));
	for (; i < s->nr_expects; i++)
		s->expects[i].at -= len;
}

bool sim_dropped_last(struct sim_tcp *s)
{
	bool was = s->dropped_last;

	s->dropped_last = false;
	return was;
}

/* The packet was built, and is dropped: its number, if it has one, is notified at once. */
static ssize_t fail_built(struct sim_tcp *s, struct zobj *obj, uint64_t size, bool alone, int err)
{
	if (obj) {
		obj->len = obj->refs = 1;
		s->zckey++;
		kobj_put(obj);
	}
	if (alone && size)
		drop_expected(s, size);
	return -err;
}

/* alone: the caller is told the error, and believes it; of several, it asks once more. */
ssize_t kdgram_send(struct sim_tcp *s, const struct msghdr *msg, int flags, uint64_t size,
		    bool alone)
{
	bool flagged = flags & MSG_ZEROCOPY && s->zerocopy;
	uint16_t segment = segment_of(msg);
	struct zobj *obj = NULL;

	if (size > MAX_PAYLOAD || (segment && size > (uint64_t)segment * MAX_SEGMENTS))
		sim_fail("socket %d: %llu bytes are too many for a packet", s->id,
			 (unsigned long long)size);
	if (flagged && (!size || frags(msg) > MAX_FRAGS))
		sim_fail("socket %d: %zu fragments are lent", s->id, frags(msg));
	s->icmp = !s->icmp && sim_pct(s->k.icmp_pct); /* told once */
	if (s->icmp)
		return -ECONNREFUSED;
	if (flagged && !(obj = kobj_get(s, size)))
		return -ENOBUFS;
	if (ksend_readable(msg, size) != size) {
		kobj_abort(s, obj, size);
		return -EFAULT;
	}
	if (s->end - s->acked >= s->k.sndbuf || (s->end > s->acked && sim_pct(s->k.again_pct))) {
		s->nospace = true;
		kobj_abort(s, obj, size);
		return -EAGAIN;
	}
	if (s->k.no_trains && segment && size > segment)
		return fail_built(s, obj, 0, alone, EIO);
	if (sim_pct(s->k.fail_pct))
		return fail_built(s, obj, size, alone, s->k.fail_errno);
	note_lengths(s, size, segment);
	ksend_take(s, msg, size, obj);
	s->pushed = s->end;
	ktx_kick(s);
	return (ssize_t)size;
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
