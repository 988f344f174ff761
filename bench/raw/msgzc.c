/* SPDX-License-Identifier: MIT */
/*
 * msgzc.c - raw-msgzc: send(2) with MSG_ZEROCOPY
 *
 * A blocking socket never shows us that it is full, so we count in order to read the error queue in
 * time: notifications that nobody reads hold memory of the socket's (net.core.optmem_max).
 */
#include <err.h>
#include <errno.h>

#include "raw.h"

#define REAP_EVERY 32

ssize_t raw_send_zerocopy(struct bench *b, int fd, const void *buf, size_t len)
{
	ssize_t n = send(fd, buf, len, MSG_ZEROCOPY);

	b->count.calls++;
	if (n < 0 && errno == ENOBUFS) {
		/* With nothing out no notification would ever come: copy this one, do not wait. */
		b->count.enobufs++;
		b->count.calls++;
		bench_reap(b, fd);
		return send(fd, buf, len, 0);
	}
	if (n < 0)
		return n;
	b->count.flagged += (size_t)n;
	b->out++;
	if (++b->unread == REAP_EVERY)
		bench_reap(b, fd);
	return n;
}

void raw_msgzc_loop(struct bench *b, int fd)
{
	bench_zerocopy(b, fd);
	bench_source(b);
	while (bench_more(b)) {
		ssize_t n = raw_send_zerocopy(b, fd, bench_piece(b), b->size);

		if (n < 0)
			err(1, "send");
		b->count.bytes += (size_t)n;
		bench_settle(b, fd);
	}
}

void raw_msgzc(struct bench *b)
{
	raw_msgzc_loop(b, bench_connect(b, &b->to));
}
