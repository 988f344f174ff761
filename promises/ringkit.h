/* SPDX-License-Identifier: MIT */
/* ringkit.h - io_uring by its system calls alone, for the promises about it */
#ifndef ZCS_PROMISES_RINGKIT_H
#define ZCS_PROMISES_RINGKIT_H

#include "kit.h"

#include <linux/io_uring.h>

struct promise_ring {
	int fd;
	uint32_t *sq_tail, *sq_flags, *cq_head, *cq_tail;
	uint32_t cq_mask;
	uint32_t tail; /* of the requests made, of which nobody knows before promise_ring_enter */
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

#define PROMISE_RING_ENTRIES 16

/* One thread, deferred task work. 0 or -1 with errno. */
int promise_ring_open(struct promise_ring *r);
/* The verdict for one that could not be opened. */
enum promise_verdict promise_ring_lacks(char *why, size_t len);
/* A request to send all of it (MSG_WAITALL), lent; more may be set before the next call. */
struct io_uring_sqe *promise_ring_send(struct promise_ring *r, int fd, const void *buf, size_t len,
				       uint64_t tag);
int promise_ring_enter(struct promise_ring *r); /* submits, and does what is deferred */
/* The next result that comes within PROMISE_WAIT_MS; false: none. */
bool promise_ring_wait(struct promise_ring *r, struct io_uring_cqe *out);
bool promise_ring_peek(struct promise_ring *r, struct io_uring_cqe *out); /* without a call */
int promise_ring_register(struct promise_ring *r, unsigned int op, void *arg, unsigned int nr);

#endif
