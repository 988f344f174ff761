// SPDX-License-Identifier: MIT
/* ringkit.c - io_uring by its system calls alone */
#include "ringkit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif
#define OP_SEND_ZC 47 /* not in older headers */

static char *map(int fd, size_t len, off_t what)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);

	return mem == MAP_FAILED ? NULL : mem;
}

int promise_ring_open(struct promise_ring *r)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
	};
	uint32_t *array;
	char *rings;

	memset(r, 0, sizeof(*r));
	r->fd = (int)syscall(SYS_io_uring_setup, PROMISE_RING_ENTRIES, &p);
	if (r->fd < 0)
		return -1;
	rings = map(r->fd, p.cq_off.cqes + p.cq_entries * sizeof(*r->cqes), IORING_OFF_SQ_RING);
	r->sqes = (void *)map(r->fd, p.sq_entries * sizeof(*r->sqes), IORING_OFF_SQES);
	if (!rings || !r->sqes)
		return -1;
	r->sq_tail = (void *)(rings + p.sq_off.tail);
	r->sq_flags = (void *)(rings + p.sq_off.flags);
	r->cq_head = (void *)(rings + p.cq_off.head);
	r->cq_tail = (void *)(rings + p.cq_off.tail);
	r->cqes = (void *)(rings + p.cq_off.cqes);
	r->cq_mask = p.cq_entries - 1;
	array = (void *)(rings + p.sq_off.array);
	for (uint32_t i = 0; i < p.sq_entries; i++)
		array[i] = i;
	return 0;
}

enum promise_verdict promise_ring_lacks(char *why, size_t len)
{
	return promise_unsure(why, len, "no io_uring with deferred work here: %s", strerror(errno));
}

struct io_uring_sqe *promise_ring_send(struct promise_ring *r, int fd, const void *buf, size_t len,
				       uint64_t tag)
{
	struct io_uring_sqe *sqe = &r->sqes[r->tail++ % PROMISE_RING_ENTRIES];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = OP_SEND_ZC;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)buf;
	sqe->len = (uint32_t)len;
	sqe->msg_flags = MSG_WAITALL | MSG_NOSIGNAL;
	sqe->user_data = tag;
	return sqe;
}

int promise_ring_enter(struct promise_ring *r)
{
	uint32_t nr = r->tail - *r->sq_tail;

	__atomic_store_n(r->sq_tail, r->tail, __ATOMIC_RELEASE);
	return (int)syscall(SYS_io_uring_enter, r->fd, nr, 0, IORING_ENTER_GETEVENTS, NULL, 0);
}

bool promise_ring_peek(struct promise_ring *r, struct io_uring_cqe *out)
{
	uint32_t head = *r->cq_head;

	if (head == __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE))
		return false;
	*out = r->cqes[head & r->cq_mask];
	__atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
	return true;
}

bool promise_ring_wait(struct promise_ring *r, struct io_uring_cqe *out)
{
	struct timespec ms = { 0, 1000000 };

	for (int i = 0; i < PROMISE_WAIT_MS; i++) {
		if (promise_ring_peek(r, out))
			return true;
		if (promise_ring_enter(r) < 0)
			return false;
		if (promise_ring_peek(r, out))
			return true;
		nanosleep(&ms, NULL);
	}
	return false;
}

int promise_ring_register(struct promise_ring *r, unsigned int op, void *arg, unsigned int nr)
{
	return (int)syscall(SYS_io_uring_register, r->fd, op, arg, nr);
}
