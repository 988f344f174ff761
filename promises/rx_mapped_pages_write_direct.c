// SPDX-License-Identifier: MIT
/* From a socket to a disk without a copy and without the page cache. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_DIRECT */
#endif
#include "rxkit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGES 8

static int open_direct(void)
{
	const char *dir = getenv("TMPDIR");
	int fd = open(dir ? dir : "/var/tmp", O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);

	return fd;
}

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_rx r;
	enum promise_verdict v = promise_rx_open(&r, why, len);
	int file = open_direct();
	ssize_t size, n;

	if (v != PROMISE_HOLDS)
		return v;
	if (file < 0)
		return promise_lacks(why, len, "a file with O_DIRECT");
	size = (ssize_t)(PAGES * r.page);
	if (pwrite(file, r.src, (size_t)size, 0) != size)
		return promise_lacks(why, len, "O_DIRECT from plain memory");
	v = promise_rx_filled(&r, PAGES, 1, why, len);
	if (v != PROMISE_HOLDS)
		return v;
	n = pwrite(file, r.win, (size_t)size, 0);
	if (n != size)
		return promise_broken(why, len, "wrote %zd: %s", n,
				      n < 0 ? strerror(errno) : "short");
	if (pread(file, r.copy, (size_t)size, 0) != size ||
	    !promise_filled(r.copy, (size_t)size, 1))
		return promise_broken(why, len, "the file holds other bytes");
	return PROMISE_HOLDS;
}

const struct promise promise_rx_mapped_pages_write_direct = {
	.id = "rx_mapped_pages_write_direct",
	.sentence =
		"Mapped pages can be written to a file with O_DIRECT, as memory of the program's own.",
	.source = "open(2) O_DIRECT; mm/gup.c",
	.otherwise =
		"Relied upon by zcs_span_write, which writes through the page cache when it is refused.",
	.run = run,
};
