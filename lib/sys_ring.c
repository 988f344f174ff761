// SPDX-License-Identifier: MIT
/*
 * sys_ring.c - the real io_uring behind the table of sys.h
 *
 * The only file that knows liburing. It decides nothing but how a request looks to the kernel:
 * which messages are in it and what becomes of its results is in uring.c.
 *
 * Deferred task work (Linux 6.1): nothing happens behind the back of the one thread, and the kernel
 * says in the ring's flags when there is something that only a system call can bring. A poll of the
 * ring itself does not wake for that, an eventfd does; it is silent while we are in the kernel
 * ourselves, because what is deferred then is looked for afterwards.
 */
#include "sys.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Newer than liburing 2.3 */
#ifndef IORING_SEND_ZC_REPORT_USAGE
#define IORING_SEND_ZC_REPORT_USAGE (1U << 3)
#endif
#ifndef IORING_NOTIF_USAGE_ZC_COPIED
#define IORING_NOTIF_USAGE_ZC_COPIED (1U << 31)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif
/* Names of liburing's enumeration cannot be asked for by the preprocessor. */
#define OP_SEND_ZC    47
#define OP_SENDMSG_ZC 48

/* What is not read in time waits in the kernel: a larger one is only quicker. */
#define RESULTS 4096
#define END_MS	100

struct sys_ring {
	struct io_uring ring;
	int event; /* never read: edges do not need it */
	struct msghdr msgs[RING_BATCH];
};

/* ---- life ----------------------------------------------------------------------------------- */

static bool knows_ops(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool knows = probe && io_uring_opcode_supported(probe, OP_SEND_ZC) &&
		     io_uring_opcode_supported(probe, OP_SENDMSG_ZC);

	free(probe);
	return knows;
}

static int open_ring(struct io_uring *ring)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
		.cq_entries = RESULTS,
	};
	int r = io_uring_queue_init_params(RING_BATCH, ring, &params);

	if (r < 0)
		return r == -EINVAL ? -EOPNOTSUPP : r;
	r = knows_ops(ring) ? io_uring_register_buffers_sparse(ring, RING_AREAS) : -EOPNOTSUPP;
	if (r < 0) {
		io_uring_queue_exit(ring);
		return r;
	}
	/* We fill it ourselves: slot by slot, whatever liburing would do. */
	for (unsigned i = 0; i < RING_BATCH; i++)
		ring->sq.array[i] = i;
	return 0;
}

static int open_event(struct sys_ring *r)
{
	int ret;

	r->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->event < 0)
		return -errno;
	ret = io_uring_register_eventfd(&r->ring, r->event);
	if (ret < 0)
		close(r->event);
	return ret;
}

static int kernel_open(struct sys_ring **out)
{
	struct sys_ring *r = calloc(1, sizeof(*r));
	int saved = errno;
	int ret = r ? open_ring(&r->ring) : -ENOMEM;

	if (!ret) {
		ret = open_event(r);
		if (ret < 0)
			io_uring_queue_exit(&r->ring);
	}
	errno = saved;
	if (ret < 0)
		free(r);
	else
		*out = r;
	return ret < 0 ? ret : 0;
}

/*
 * The kernel tells this thread of the end of a ring by something like a signal, which interrupts
 * what the program does then (EINTR). Better here, if it comes soon: epoll_wait shows it.
 */
static void wait_for_the_end(void)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev;

	if (ep < 0)
		return;
	(void)epoll_wait(ep, &ev, 1, END_MS);
	close(ep);
}

/* The kernel lets go by itself of what is still in use. */
static void kernel_close(struct sys_ring *r)
{
	int saved = errno;

	io_uring_queue_exit(&r->ring);
	wait_for_the_end();
	close(r->event);
	free(r);
	errno = saved;
}

static int kernel_fd(const struct sys_ring *r)
{
	return r->event;
}

static int kernel_map(struct sys_ring *r, unsigned area, void *base, size_t len)
{
	struct iovec v = { base, base ? len : 0 };
	__u64 tag = 0;
	int saved = errno;
	int ret = io_uring_register_buffers_update_tag(&r->ring, area, &v, &tag, 1);

	errno = saved;
	return ret < 0 ? ret : 0;
}

/* ---- requests ------------------------------------------------------------------------------- */

static void fill(struct io_uring_sqe *sqe, const struct ring_req *q, struct msghdr *mh)
{
	bool lend = q->flags & RING_LEND;

	memset(sqe, 0, sizeof(*sqe));
	sqe->fd = q->fd;
	sqe->user_data = q->tag;
	sqe->msg_flags = MSG_WAITALL | MSG_NOSIGNAL | (q->flags & RING_MORE ? MSG_MORE : 0);
	sqe->flags = q->flags & RING_LINK ? IOSQE_IO_LINK : 0;
	if (q->nr_vec) {
		*mh = (struct msghdr){ .msg_iov = (struct iovec *)q->vec, .msg_iovlen = q->nr_vec };
		sqe->opcode = lend ? OP_SENDMSG_ZC : IORING_OP_SENDMSG;
		sqe->addr = (uintptr_t)mh;
		sqe->len = 1;
	} else {
		sqe->opcode = lend ? OP_SEND_ZC : IORING_OP_SEND;
		sqe->addr = (uintptr_t)q->base;
		sqe->len = (uint32_t)q->len;
	}
	if (lend && q->flags & RING_REPORT)
		sqe->ioprio |= IORING_SEND_ZC_REPORT_USAGE;
	if (lend && q->area >= 0) {
		sqe->ioprio |= IORING_RECVSEND_FIXED_BUF;
		sqe->buf_index = (uint16_t)q->area;
	}
}

/*
 * What the kernel did not take is taken back: it would go out with the next call, after what was to
 * follow it.
 */
static void take_back(struct io_uring *ring)
{
	unsigned head = __atomic_load_n(ring->sq.khead, __ATOMIC_ACQUIRE);

	ring->sq.sqe_head = ring->sq.sqe_tail = head;
	__atomic_store_n(ring->sq.ktail, head, __ATOMIC_RELEASE);
}

/* What comes after the silence makes an edge, or has_work sees it: hence a full barrier. */
static void set_silent(struct io_uring *ring, bool silent)
{
	unsigned flags = *ring->cq.kflags & ~IORING_CQ_EVENTFD_DISABLED;

	__atomic_store_n(ring->cq.kflags, flags | (silent ? IORING_CQ_EVENTFD_DISABLED : 0),
			 __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/*
 * The flag that there is deferred work is taken away before the call that does it: the kernel may
 * leave it set although there is none any more (7.3 does when some came during the call), and then
 * it would have us enter without end. What comes later sets it again. A call that gave up before it
 * did the work leaves the flag as it was.
 */
static bool take_flag(struct io_uring *ring)
{
	if (!(__atomic_load_n(ring->sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN))
		return false;
	__atomic_fetch_and(ring->sq.kflags, ~IORING_SQ_TASKRUN, __ATOMIC_SEQ_CST);
	return true;
}

static void put_flag_back(struct io_uring *ring)
{
	__atomic_fetch_or(ring->sq.kflags, IORING_SQ_TASKRUN, __ATOMIC_SEQ_CST);
}

/*
 * Deferred work is done by this call, in rounds, until there is none or `expect` of it was done.
 * Where there is less the kernel would wait, so it is given no time for that: but to find out that
 * there is none costs it some microseconds.
 */
static int enter(struct sys_ring *r, unsigned nr, unsigned expect)
{
	static const struct __kernel_timespec no_time;
	struct io_uring_getevents_arg arg = { .ts = (uintptr_t)&no_time };
	bool flagged;
	int ret;

	set_silent(&r->ring, true);
	flagged = take_flag(&r->ring);
	if (expect)
		ret = io_uring_enter2(r->ring.ring_fd, nr, expect,
				      IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
				      (sigset_t *)&arg, sizeof(arg));
	else
		ret = io_uring_enter(r->ring.ring_fd, nr, 0, IORING_ENTER_GETEVENTS, NULL);
	if (flagged && ret != (int)nr && ret != -ETIME)
		put_flag_back(&r->ring);
	set_silent(&r->ring, false);
	return ret;
}

static int kernel_submit(struct sys_ring *r, const struct ring_req *reqs, unsigned nr,
			 unsigned expect)
{
	struct io_uring_sq *sq = &r->ring.sq;
	int saved = errno, ret;

	for (unsigned i = 0; i < nr; i++)
		fill(&sq->sqes[sq->sqe_tail++ & (RING_BATCH - 1)], &reqs[i], &r->msgs[i]);
	sq->sqe_head = sq->sqe_tail;
	__atomic_store_n(sq->ktail, sq->sqe_tail, __ATOMIC_RELEASE);
	do
		ret = enter(r, nr, expect);
	while (ret == -EINTR);
	errno = saved;
	if (ret != (int)nr)
		take_back(&r->ring);
	return ret;
}

static bool kernel_has_work(const struct sys_ring *r)
{
	unsigned flags = __atomic_load_n(r->ring.sq.kflags, __ATOMIC_RELAXED);

	return flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static int kernel_enter(struct sys_ring *r, unsigned expect)
{
	int saved = errno;
	int ret = enter(r, 0, expect);

	errno = saved;
	/* Less came than was expected. */
	return ret == -ETIME || ret > 0 ? 0 : ret;
}

static void kernel_cancel(struct sys_ring *r, int fd)
{
	struct io_uring_sync_cancel_reg reg = {
		.fd = fd,
		.flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL,
		.timeout = { .tv_sec = 1 },
	};
	int saved = errno;

	(void)io_uring_register_sync_cancel(&r->ring, &reg);
	errno = saved;
}

/* ---- results -------------------------------------------------------------------------------- */

static unsigned kernel_take(struct sys_ring *r, struct ring_res *out, unsigned max)
{
	struct io_uring_cq *cq = &r->ring.cq;
	unsigned head = *cq->khead, n = 0;
	unsigned tail = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);

	for (; head != tail && n < max; head++) {
		const struct io_uring_cqe *cqe = &cq->cqes[head & (RESULTS - 1)];
		struct ring_res *res = &out[n++];

		*res = (struct ring_res){ .tag = cqe->user_data, .res = cqe->res };
		if (cqe->flags & IORING_CQE_F_MORE)
			res->flags |= RING_TO_COME;
		if (cqe->flags & IORING_CQE_F_NOTIF) {
			res->flags |= RING_NOTE;
			if ((uint32_t)cqe->res & IORING_NOTIF_USAGE_ZC_COPIED)
				res->flags |= RING_COPIED;
		}
	}
	if (n)
		__atomic_store_n(cq->khead, head, __ATOMIC_RELEASE);
	return n;
}

const struct ring_ops zcsi_ring_kernel = {
	.open = kernel_open,
	.close = kernel_close,
	.fd = kernel_fd,
	.map = kernel_map,
	.submit = kernel_submit,
	.has_work = kernel_has_work,
	.enter = kernel_enter,
	.take = kernel_take,
	.cancel = kernel_cancel,
};
