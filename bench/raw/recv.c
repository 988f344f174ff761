/* SPDX-License-Identifier: MIT */
/*
 * recv.c - raw-recv: recv(2) into one buffer after the other, as for a program that keeps the data
 *
 * The low-water mark makes a call return with a full buffer rather than with each packet. That is
 * safe only as long as the peer goes on sending: the end of a message may be less than the mark.
 */
#include <err.h>

#include "raw.h"

void raw_recv(struct bench *b)
{
	int fd = bench_connect(b, &b->to);

	bench_source(b);
	bench_expect(fd, b->size);
	while (bench_more(b)) {
		char *buf = bench_piece(b);
		ssize_t n = recv(fd, buf, b->size, 0);

		if (n < 0)
			err(1, "recv");
		if (n == 0)
			bench_ended();
		bench_touch(b, buf, (size_t)n);
		b->count.bytes += (size_t)n;
		b->count.calls++;
	}
}
