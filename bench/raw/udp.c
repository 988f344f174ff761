/* SPDX-License-Identifier: MIT */
/*
 * udp.c - raw-udp, raw-udp-msgzc: as raw-send and raw-msgzc, but datagrams
 *
 * A call hands the kernel many datagrams of equal size, to be cut apart as late as possible
 * (UDP_SEGMENT). Zero copy would otherwise be limited to what one packet holds.
 */
#include <err.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include "raw.h"

static int connect_segmented(const struct bench *b)
{
	int fd = bench_connect(b, &b->to);
	int segment = (int)b->segment;

	if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)) < 0)
		err(1, "UDP_SEGMENT");
	return fd;
}

void raw_udp(struct bench *b)
{
	raw_send_loop(b, connect_segmented(b));
}

void raw_udp_msgzc(struct bench *b)
{
	raw_msgzc_loop(b, connect_segmented(b));
}
