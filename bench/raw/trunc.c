/* SPDX-License-Identifier: MIT */
/*
 * trunc.c - raw-trunc: drops what comes in without looking at it (MSG_TRUNC, tcp(7))
 *
 * No way of receiving can be cheaper: this is the floor under all others.
 */
#include <err.h>

#include "raw.h"

void raw_trunc(struct bench *b)
{
	int fd = bench_connect(b, &b->to);

	bench_expect(fd, b->size);
	while (bench_more(b)) {
		ssize_t n = recv(fd, NULL, b->size, MSG_TRUNC);

		if (n < 0)
			err(1, "recv");
		if (n == 0)
			bench_ended();
		b->count.bytes += (size_t)n;
		b->count.calls++;
	}
}
