/* SPDX-License-Identifier: MIT */
/* sendfile.c - raw-sendfile: sendfile(2) from a file that is in memory */
#include <err.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "raw.h"

/* A file of what bench_piece walks round. */
static int make_file(const struct bench *b)
{
	int file = memfd_create("bench", MFD_CLOEXEC);
	char *pages;

	if (file < 0 || ftruncate(file, (off_t)b->area) < 0)
		err(1, "a file in memory");
	pages = mmap(NULL, b->area, PROT_WRITE, MAP_SHARED, file, 0);
	if (pages == MAP_FAILED)
		err(1, "a file in memory");
	memcpy(pages, b->mem, b->area);
	munmap(pages, b->area);
	return file;
}

void raw_sendfile(struct bench *b)
{
	int fd = bench_connect(b, &b->to), file;

	bench_source(b);
	file = make_file(b);
	while (bench_more(b)) {
		off_t from = bench_piece(b) - b->mem;
		ssize_t n = sendfile(fd, file, &from, b->size);

		if (n < 0)
			err(1, "sendfile");
		b->count.bytes += (size_t)n;
		b->count.calls++;
	}
}
