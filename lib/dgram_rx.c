// SPDX-License-Identifier: MIT
/*
 * dgram_rx.c - UDP: datagrams come several per system call, and trains of them in one piece
 *
 * recvmmsg(2) with UDP_GRO (udp(7)) into pool memory: no kernel maps what comes by UDP. A train has
 * up to 64 KiB, so there is a slot of that much for each; what came short of it is moved together,
 * or else few bytes would hold much memory. In front of its bytes each has what recvmsg(2) said of
 * it: zcs_span_msg.
 */
#include "rx.h"
#include "sys.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define CALLS	    16
#define BYTES_MAX   (64u << 10) /* of a train: no IP packet is longer */
#define CONTROL_LEN 384		/* all that udp(7), ip(7) and ipv6(7) tell but IP options */
#define HEAD_LEN    128		/* struct head, rounded up */
#define HEAD_MAX    (HEAD_LEN + CONTROL_LEN)
#define SLOT	    (HEAD_MAX + BYTES_MAX + 2048) /* 2 KiB: or all begin in the same cache lines */
#define MOVE_MAX    (16u << 10)			  /* what is longer stays where it came ... */
#define HOLE_MAX    4 /* ... unless it keeps so many times its length from use */
#define ALIGN	    64u

/* What stands right before the bytes; the control messages stand before it. */
struct head {
	struct msghdr msg;
	struct sockaddr_in6 from; /* or of IPv4 */
};

_Static_assert(sizeof(struct head) <= HEAD_LEN, "a head has no room");

/* What one system call brings. */
struct catch
{
	struct mmsghdr hdr[CALLS];
	struct iovec vec[CALLS];
	struct sockaddr_in6 from[CALLS];
	char control[CALLS][CONTROL_LEN] __attribute__((__aligned__(16)));
};

static size_t align_up(size_t n)
{
	return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

ZCS_EXPORT const struct msghdr *zcs_span_msg(const struct zcs_span *s)
{
	const char *start = span_copy_start(s);

	if (!(s->flags & ZCS_SPAN_DATAGRAM))
		return NULL;
	return &((const struct head *)start - 1)->msg;
}

/* How long the datagrams of a train are; 0: it is one. */
static uint32_t segment_of(struct msghdr *mh, size_t len)
{
	int segment = 0;

	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		if (cm->cmsg_level == SOL_UDP && cm->cmsg_type == UDP_GRO &&
		    cm->cmsg_len >= CMSG_LEN(sizeof(segment)))
			memcpy(&segment, CMSG_DATA(cm), sizeof(segment));
	}
	return segment > 0 && (size_t)segment < len ? (uint32_t)segment : 0;
}

/* Writes the head before `bytes`. */
static void put_head(char *bytes, const struct msghdr *mh)
{
	struct head *head = (struct head *)bytes - 1;
	char *control = (char *)head - align_up(mh->msg_controllen);

	memcpy(control, mh->msg_control, mh->msg_controllen);
	head->from = *(const struct sockaddr_in6 *)mh->msg_name;
	head->msg = (struct msghdr){
		.msg_name = &head->from,
		.msg_namelen = mh->msg_namelen,
		.msg_control = mh->msg_controllen ? control : NULL,
		.msg_controllen = mh->msg_controllen,
		.msg_flags = mh->msg_flags,
	};
}

/* Where the bytes of one are to be: behind the last piece, if it is worth to move them. */
static char *place(const struct chunk *ch, char *came, size_t len, const struct msghdr *mh)
{
	char *next = ch->base + ch->used + HEAD_LEN + align_up(mh->msg_controllen);
	bool stays = len > MOVE_MAX && (size_t)(came - next) <= HOLE_MAX * len;

	return stays ? came : memmove(next, came, len);
}

static void keep(struct rx *rx, const struct mmsghdr *hdr)
{
	struct chunk *ch = &rx->c->ctx->rx;
	struct msghdr mh = hdr->msg_hdr;
	size_t len = min_u64(hdr->msg_len, BYTES_MAX);
	uint32_t flags = ZCS_SPAN_DATAGRAM | (mh.msg_flags & MSG_TRUNC ? ZCS_SPAN_TRUNCATED : 0);
	char *bytes = place(ch, mh.msg_iov->iov_base, len, &mh);
	char *from = ch->base + ch->used;
	struct zcs_span *s = &rx->spans[rx->got];

	put_head(bytes, &mh);
	chunk_take(ch, (size_t)(bytes + len - from));
	rx->stamp_ns = rx->c->stamped ? rx_find_stamp(mh.msg_control, mh.msg_controllen) : 0;
	rx_add_span(rx, bytes, len, flags);
	s->segment = segment_of(&mh, len);
	/* And for what it keeps from use. */
	span_charge_more(rx->c, s, ch->base + ch->used - from - len);
}

static void prepare(struct catch *k, char *buf, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		k->vec[i] = (struct iovec){ buf + i * SLOT + HEAD_MAX, BYTES_MAX };
		k->hdr[i].msg_hdr = (struct msghdr){
			.msg_name = &k->from[i],
			.msg_namelen = sizeof(k->from[i]),
			.msg_iov = &k->vec[i],
			.msg_iovlen = 1,
			.msg_control = k->control[i],
			.msg_controllen = CONTROL_LEN,
		};
	}
}

/* Trains are asked for only now: somebody who reads without the library would take them for one. */
static void ask_for_trains(struct zcs_conn *c)
{
	int on = 1;

	if (!c->gro_asked)
		zcsi_sys->setsockopt(c->fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
	c->gro_asked = true;
}

int dgram_receive(struct rx *rx)
{
	struct zcs_conn *c = rx->c;
	uint64_t most = rx->budget < SLOT ? 1 : min_u64(rx->budget / SLOT, min_u64(rx->nr, CALLS));
	struct catch k;
	size_t room;
	char *buf = chunk_room(c->ctx, &c->ctx->rx, CALLS * SLOT, SLOT, &room);
	unsigned nr;
	int n;

	if (!buf)
		return -ENOMEM;
	ask_for_trains(c);
	c->rx_reason = c->no_map;
	nr = (unsigned)min_u64(most, room / SLOT);
	prepare(&k, buf, nr);
	c->stats.rx_calls++;
	n = zcsi_sys->recvmmsg(c->fd, k.hdr, nr, MSG_DONTWAIT);
	/* A short count need not mean that there are no more: an error may have come between. */
	if (n == -EAGAIN) {
		c->rx_maybe = false;
		n = c->error ? c->error : n;
	}
	for (int i = 0; i < n; i++)
		keep(rx, &k.hdr[i]);
	return n;
}
