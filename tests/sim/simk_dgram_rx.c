/* SPDX-License-Identifier: MIT */
/*
 * simk_dgram_rx.c - UDP, receiving: recvmmsg, and what the peer sends
 */
#include "simk_int.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define PORT_V4 htons(7)

void sim_peer_datagram(struct sim_tcp *s, size_t len, uint16_t segment)
{
	struct seg *g = calloc(1, sizeof(*g));

	sim_trace("  socket %d: %zu bytes arrive, cut at %u", s->id, len, segment);
	*g = (struct seg){ .pos = s->rx_end, .len = len, .segment = segment };
	list_add_tail(&s->segs, &g->list);
	s->rx_end += len;
	ktcp_wake(s, EPOLLIN);
}

void sim_peer_unreachable(struct sim_tcp *s)
{
	s->err = ECONNREFUSED;
	ktcp_wake(s, EPOLLERR);
}

static void put_name(struct msghdr *msg)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = PORT_V4 };

	if (msg->msg_namelen < sizeof(name))
		sim_fail("no room for the source");
	memcpy(msg->msg_name, &name, sizeof(name));
	msg->msg_namelen = sizeof(name);
}

/* A train without UDP_GRO comes as the datagrams that it is of. */
static size_t one_of(const struct sim_tcp *s, const struct seg *g)
{
	return g->segment && !s->gro && g->len > g->segment ? g->segment : g->len;
}

static ssize_t receive(struct sim_tcp *s, struct msghdr *msg)
{
	int err = ktcp_take_error(s), segment;
	struct seg *g;
	size_t used = 0, len, n;

	if (err)
		return err;
	if (list_is_empty(&s->segs))
		return -EAGAIN;
	g = container_of(s->segs.next, struct seg, list);
	len = one_of(s, g);
	n = len < msg->msg_iov[0].iov_len ? len : msg->msg_iov[0].iov_len;
	segment = g->segment;
	msg->msg_flags = n < len ? MSG_TRUNC : 0;
	put_name(msg);
	sim_fill(msg->msg_iov[0].iov_base, n, sim_rx_key(s), g->pos);
	if (s->gro && segment)
		sim_put_cmsg(msg, &used, SOL_UDP, UDP_GRO, &segment, sizeof(segment));
	msg->msg_controllen = used;
	s->rx_pos = g->pos += len;
	g->len -= len;
	if (g->len)
		return (ssize_t)n;
	list_del(&g->list);
	free(g);
	return (ssize_t)n;
}

/* An error behind the first one is kept for the next call. */
int sim_sys_recvmmsg(int fd, struct mmsghdr *msgs, unsigned nr, int flags)
{
	struct sim_tcp *s;
	unsigned n;
	int err;

	sim_enter("recvmmsg", fd);
	s = ktcp_of(fd, &err);
	if (!s)
		return err;
	if (!(flags & MSG_DONTWAIT))
		sim_fail("a recvmmsg that may block");
	for (n = 0; n < nr; n++) {
		ssize_t r = receive(s, &msgs[n].msg_hdr);

		sim_trace("  datagram %u: %zd", n, r);
		if (r < 0 && n && r != -EAGAIN)
			s->err = (int)-r;
		if (r < 0)
			return n ? (int)n : (int)r;
		msgs[n].msg_len = (unsigned)r;
		if (n + 1 < nr && sim_pct(s->k.unreachable_pct)) /* while it receives */
			s->err = ECONNREFUSED;
	}
	return (int)n;
}
