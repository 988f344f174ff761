/* SPDX-License-Identifier: MIT */
/*
 * splice.c - raw-splice: splice(2) from one connection to another
 *
 * The pages go from socket to socket by way of a pipe, and never into this process. splice takes
 * what is there, be it one packet, and only poll heeds the low-water mark: so poll comes first.
 */
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "raw.h"

/* Of 1 MiB, or what else is in fs.pipe-max-size: each page takes a slot of the pipe. */
static void make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		err(1, "pipe");
	for (int size = 1 << 20; fcntl(ends[0], F_SETPIPE_SZ, size) < 0; size /= 2) {
		if (size < 65536)
			err(1, "F_SETPIPE_SZ");
	}
}

static void empty_into(struct bench *b, int pipe, int to, size_t len)
{
	while (len) {
		ssize_t n = splice(pipe, NULL, to, NULL, len, SPLICE_F_MOVE);

		if (n <= 0)
			err(1, "splice to a socket");
		len -= (size_t)n;
		b->count.calls++;
	}
}

void raw_splice(struct bench *b)
{
	struct pollfd from = { .fd = bench_connect(b, &b->to), .events = POLLIN };
	int to = bench_connect(b, &b->onto), pipe[2];

	make_pipe(pipe);
	bench_expect(from.fd, b->size);
	while (bench_more(b)) {
		ssize_t n;

		if (poll(&from, 1, -1) < 0)
			err(1, "poll");
		n = splice(from.fd, NULL, pipe[1], NULL, b->size, SPLICE_F_MOVE);

		if (n == 0)
			bench_ended();
		if (n < 0)
			err(1, "splice from a socket");
		empty_into(b, pipe[0], to, (size_t)n);
		b->count.bytes += (size_t)n;
		b->count.calls++;
	}
}
