/* SPDX-License-Identifier: MIT */
/*
 * send.c - raw-send: send(2), which copies
 *
 * The socket blocks: so the kernel cuts a large call into what fits, without coming back for it.
 */
#include <err.h>

#include "raw.h"

void raw_send_loop(struct bench *b, int fd)
{
	bench_source(b);
	while (bench_more(b)) {
		ssize_t n = send(fd, bench_piece(b), b->size, 0);

		if (n < 0)
			err(1, "send");
		b->count.bytes += (size_t)n;
		b->count.calls++;
	}
}

void raw_send(struct bench *b)
{
	raw_send_loop(b, bench_connect(b, &b->to));
}
