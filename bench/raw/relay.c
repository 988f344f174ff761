/* SPDX-License-Identifier: MIT */
/* relay.c - raw-relay: recv(2) and send(2), from one connection to another */
#include <err.h>

#include "raw.h"

void raw_relay(struct bench *b)
{
	char *buf = bench_memory(b->size, b->huge);
	int from = bench_connect(b, &b->to), to = bench_connect(b, &b->onto);

	bench_expect(from, b->size);
	while (bench_more(b)) {
		ssize_t n = recv(from, buf, b->size, 0);

		if (n == 0)
			bench_ended();
		if (n < 0 || send(to, buf, (size_t)n, 0) != n)
			err(1, "relay");
		b->count.bytes += (size_t)n;
		b->count.calls += 2;
	}
}
