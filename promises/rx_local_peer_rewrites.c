// SPDX-License-Identifier: MIT
/*
 * Why mapping is off by default for peers on the same machine: memory that the kernel shares with
 * the sender, here the submission entries of an io_uring, can be sent without a copy, mapped by
 * the receiver, and rewritten by the sender afterwards. No right is needed for it.
 */
#include "rxkit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef __NR_io_uring_setup
#define __NR_io_uring_setup 425
#endif
#define SQES_OFFSET 0x10000000 /* IORING_OFF_SQES */
#define SQE_BYTES   64

/* A page that we can write and that has no owner in the eyes of the kernel; NULL with errno */
static char *shared_page(size_t page)
{
	unsigned char params[256] __attribute__((aligned(8))) = { 0 }; /* struct io_uring_params */
	int ring = (int)syscall(__NR_io_uring_setup, page / SQE_BYTES, params);
	void *mem;

	if (ring < 0)
		return NULL;
	mem = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, ring, SQES_OFFSET);
	return mem == MAP_FAILED ? NULL : mem;
}

static int send_by_splice(int fd, char *mem, size_t size)
{
	struct iovec iov = { .iov_base = mem, .iov_len = size };
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	if (vmsplice(ends[1], &iov, 1, 0) != (ssize_t)size)
		return -1;
	return splice(ends[0], NULL, fd, NULL, size, 0) == (ssize_t)size ? 0 : -1;
}

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_rx r;
	enum promise_verdict v = promise_rx_open(&r, why, len);
	char *mem;

	if (v != PROMISE_HOLDS)
		return v;
	mem = shared_page(r.page);
	if (!mem)
		return promise_lacks(why, len, "io_uring");
	promise_fill(mem, r.page, 1);
	if (send_by_splice(r.p.tx, mem, r.page) < 0 || promise_wait_queued(r.p.rx, r.page) < 0)
		return promise_lacks(why, len, "splice of a page of io_uring");
	if (promise_rx_map(&r, 0, 1, 0) != 1)
		return promise_unsure(why, len, "the page was not mapped");
	if (!promise_filled(r.win, r.page, 1))
		return promise_unsure(why, len, "the page holds other bytes");
	promise_fill(mem, r.page, 2);
	if (!promise_filled(r.win, r.page, 2))
		return promise_unsure(why, len, "the rewriting did not show");
	return PROMISE_HOLDS;
}

const struct promise promise_rx_local_peer_rewrites = {
	.id = "rx_local_peer_rewrites",
	.sentence =
		"A sender on the same machine can change bytes that the receiver has already mapped.",
	.source = "net/ipv4/tcp.c can_map_frag; vmsplice(2)",
	.otherwise = "Pages of an untrusted peer on this host are not handed out (guard "
		     "12), which is right either way.",
	.run = run,
};
