/* SPDX-License-Identifier: MIT */
/*
 * uring.c - raw-uring: io_uring's SEND_ZC, from memory that was registered once
 *
 * A chain of linked requests at a time: two that are not linked could overtake one another on a
 * stream. MSG_WAITALL makes the kernel go on where a socket was full, so that a request is all of
 * its bytes, and the chain holds. Each request is answered twice: when it is sent, and when its
 * memory is no longer in use.
 */
#include "raw.h"

#include <err.h>

#ifdef HAVE_LIBURING

#include <errno.h>
#include <liburing.h>

/* Newer than liburing 2.3 */
#ifndef IORING_SEND_ZC_REPORT_USAGE
#define IORING_SEND_ZC_REPORT_USAGE (1U << 3)
#endif
#ifndef IORING_NOTIF_USAGE_ZC_COPIED
#define IORING_NOTIF_USAGE_ZC_COPIED (1U << 31)
#endif

#define CHAIN_MAX   32
#define CHAIN_BYTES (1u << 20)
#define OUT_MAX	    1024 /* requests whose memory is in use; twice as many answers find room */

struct sender {
	struct io_uring ring;
	int fd;
	unsigned chain;	 /* requests of a chain */
	unsigned unsent; /* requests */
	unsigned out;	 /* requests whose memory is in use */
};

static void set_up(struct sender *s, const struct bench *b)
{
	struct iovec area = { b->mem, b->area };
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_CQSIZE,
		.cq_entries = 2 * OUT_MAX,
	};
	int r = io_uring_queue_init_params(CHAIN_MAX, &s->ring, &params);

	if (r == 0)
		r = io_uring_register_buffers(&s->ring, &area, 1);
	if (r < 0) {
		errno = -r;
		err(1, "io_uring");
	}
	s->chain = b->size < CHAIN_BYTES ? CHAIN_BYTES / b->size : 1;
	if (s->chain > CHAIN_MAX)
		s->chain = CHAIN_MAX;
}

/* ---- one chain ------------------------------------------------------------------------------ */

static void put_chain(struct sender *s, struct bench *b)
{
	for (unsigned i = 0; i < s->chain; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);

		io_uring_prep_send_zc_fixed(sqe, s->fd, bench_piece(b), b->size, MSG_WAITALL,
					    IORING_SEND_ZC_REPORT_USAGE, 0);
		if (i + 1 < s->chain)
			sqe->flags |= IOSQE_IO_LINK;
	}
	s->unsent += s->chain;
	s->out += s->chain;
	b->count.calls += s->chain;
}

static void take(struct sender *s, struct bench *b, const struct io_uring_cqe *cqe)
{
	if (cqe->flags & IORING_CQE_F_NOTIF) {
		s->out--;
		b->count.notes++;
		if (!((uint32_t)cqe->res & IORING_NOTIF_USAGE_ZC_COPIED))
			b->count.zerocopied += b->size;
		return;
	}
	s->unsent--;
	if (!(cqe->flags & IORING_CQE_F_MORE))
		s->out--;
	/* The chain broke at an earlier request, which says why, or the next chain will. */
	if (cqe->res == -ECANCELED)
		return;
	if (cqe->res < 0) {
		errno = -cqe->res;
		err(1, "SEND_ZC");
	}
	b->count.bytes += (uint32_t)cqe->res;
	b->count.flagged += (uint32_t)cqe->res;
}

/* Goes into the kernel once, until as many answers are there. */
static void enter(struct sender *s, struct bench *b, unsigned answers)
{
	struct io_uring_cqe *cqe;
	unsigned head, nr = 0;
	int r = io_uring_submit_and_wait(&s->ring, answers);

	if (r < 0 && r != -EINTR) {
		errno = -r;
		err(1, "io_uring_enter");
	}
	io_uring_for_each_cqe(&s->ring, head, cqe)
	{
		take(s, b, cqe);
		nr++;
	}
	io_uring_cq_advance(&s->ring, nr);
}

void raw_uring(struct bench *b)
{
	struct sender s = { .fd = bench_connect(b, &b->to) };

	b->lends = true;
	/*
	 * Pages of 4 KiB: of a huge one the socket is charged for all that lies before the piece as
	 * well (io_sg_from_iter, seen on 6.18), so that it is full with one or two pieces.
	 */
	b->mem = bench_memory(b->area, false);
	set_up(&s, b);
	while (bench_more(b)) {
		put_chain(&s, b);
		do {
			enter(&s, b, s.unsent ? s.unsent : 1);
		} while (s.unsent || s.out + s.chain > OUT_MAX);
	}
	io_uring_queue_exit(&s.ring);
}

#else

void raw_uring(struct bench *b)
{
	(void)b;
	errx(1, "raw-uring: built without liburing");
}

#endif
