// SPDX-License-Identifier: MIT
/* What the promises about receiving share. */
#include "rxkit.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEGMENT_BYTES                                                                              \
	57344		/* 14 pages of 4 KiB: even, and below the largest MTU of old loopbacks */
#define HEADER_BYTES 52 /* IPv4, TCP, timestamps */

void *promise_rx_window(size_t nr)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	void *win;

	if (fd < 0)
		return NULL;
	win = mmap(NULL, nr * promise_page(), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return win == MAP_FAILED ? NULL : win;
}

enum promise_verdict promise_rx_open(struct promise_rx *r, char *why, size_t len)
{
	memset(r, 0, sizeof(*r));
	r->page = promise_page();
	if (r->page > SEGMENT_BYTES)
		return promise_unsure(why, len, "pages of %zu bytes do not fit a segment", r->page);
	if (!promise_net_is_private())
		return promise_unsure(why, len, "no network namespace of our own");
	if (promise_lo_mtu((unsigned int)(SEGMENT_BYTES / r->page * r->page + HEADER_BYTES)) < 0)
		return promise_lacks(why, len, "MTU of the loopback device");
	if (promise_zc_pair(&r->p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	r->src = promise_pages(PROMISE_RX_PAGES);
	r->copy = promise_pages(PROMISE_RX_PAGES);
	r->win = promise_rx_window(PROMISE_RX_PAGES);
	if (!r->src || !r->copy || !r->win)
		return promise_lacks(why, len, "memory and a window");
	return PROMISE_HOLDS;
}

int promise_rx_feed(struct promise_rx *r, size_t nr, unsigned int seed)
{
	size_t size = nr * r->page;

	promise_fill(r->src, size, seed);
	if (promise_zc_send(r->p.tx, r->src, size) != (ssize_t)size)
		return -1;
	/* what is queued at the peer was copied from src, which is free again with that */
	return promise_wait_queued(r->p.rx, size);
}

int promise_zc_receive(int fd, struct promise_zc *z)
{
	socklen_t len = sizeof(*z);

	return getsockopt(fd, IPPROTO_TCP, PROMISE_ZC_RECEIVE, z, &len);
}

int promise_rx_map(struct promise_rx *r, size_t at, size_t nr, uint32_t flags)
{
	struct promise_zc z = {
		.address = (uintptr_t)(r->win + at * r->page),
		.length = (uint32_t)(nr * r->page),
		.flags = flags,
	};

	if (promise_zc_receive(r->p.rx, &z) < 0)
		return -1;
	return (int)(z.length / r->page);
}

enum promise_verdict promise_rx_filled(struct promise_rx *r, size_t nr, unsigned int seed,
				       char *why, size_t len)
{
	int got;

	if (promise_rx_feed(r, nr, seed) < 0)
		return promise_lacks(why, len, "data to map");
	got = promise_rx_map(r, 0, nr, 0);
	if (got < 0)
		return promise_lacks(why, len, "TCP_ZEROCOPY_RECEIVE");
	if ((size_t)got != nr)
		return promise_unsure(why, len, "%d of %zu pages could be mapped", got, nr);
	return PROMISE_HOLDS;
}
