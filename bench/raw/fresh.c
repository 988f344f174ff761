/* SPDX-License-Identifier: MIT */
/*
 * fresh.c - raw-fresh: recv(2) into memory that is new each time, as for a program that keeps what
 * it receives
 *
 * malloc(3) gives such memory for anything large. The kernel clears each page and enters it into
 * the page table when it is first written: that is what mapping, which brings pages, replaces.
 */
#include <err.h>
#include <sys/mman.h>

#include "raw.h"

void raw_fresh(struct bench *b)
{
	int fd = bench_connect(b, &b->to);

	bench_expect(fd, b->size);
	while (bench_more(b)) {
		char *buf = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				 -1, 0);
		ssize_t n = buf == MAP_FAILED ? -1 : recv(fd, buf, b->size, 0);

		if (n < 0)
			err(1, "recv");
		if (n == 0)
			bench_ended();
		bench_touch(b, buf, (size_t)n);
		munmap(buf, b->size);
		b->count.bytes += (size_t)n;
		b->count.calls++;
	}
}
