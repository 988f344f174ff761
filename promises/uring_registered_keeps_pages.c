// SPDX-License-Identifier: MIT
/* Why memory that was unmapped is registered again before it is sent from. */
#include "ringkit.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

static enum promise_verdict run(char *why, size_t len)
{
	char *buf = promise_pages(1), got[100];
	struct io_uring_sqe *sqe;
	struct io_uring_cqe cqe;
	struct promise_ring r;
	struct promise_pair p;
	struct iovec v = { buf, promise_page() };

	if (!buf || promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_ring_open(&r) < 0)
		return promise_ring_lacks(why, len);
	memset(buf, 'o', v.iov_len);
	if (promise_ring_register(&r, IORING_REGISTER_BUFFERS, &v, 1) < 0)
		return promise_failed(why, len, "registering a page");
	if (mmap(buf, v.iov_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) != buf)
		return promise_lacks(why, len, "mmap");
	memset(buf, 'n', v.iov_len);
	sqe = promise_ring_send(&r, p.tx, buf, sizeof(got), 1);
	sqe->ioprio = 1U << 2; /* IORING_RECVSEND_FIXED_BUF */
	if (!promise_ring_wait(&r, &cqe) || cqe.res != (int)sizeof(got))
		return promise_broken(why, len, "the result is %d", cqe.res);
	if (promise_read_all(p.rx, got, sizeof(got)) < 0)
		return promise_failed(why, len, "recv");
	return got[0] == 'o' ? PROMISE_HOLDS
			     : promise_broken(why, len, "it sent from what is mapped there now");
}

const struct promise promise_uring_registered_keeps_pages = {
	.id = "uring_registered_keeps_pages",
	.sentence = "A registered buffer keeps the pages that were there when it was registered: "
		    "after munmap and mmap at the same address it sends the old bytes.",
	.source = "io_uring_register(2); io_uring/rsrc.c io_sqe_buffer_register",
	.otherwise = "Nothing would be lost: memory is registered again when a slab is "
		     "replaced.",
	.run = run,
};
