/* SPDX-License-Identifier: MIT */
/*
 * uring.h - the io_uring way to send
 *
 *	zcs_conn_send -> txq -> uring_queued		only queues
 *	uring_turn -> chains of requests -> sys_ring	for all connections together
 *		   -> results			-> the cursor of txq
 *		   -> notifications		-> ledger -> release.c -> event
 *
 * uring.c: may it be used, memory, words. uring_tx.c: chains. uring_done.c: results.
 */
#ifndef ZCSI_URING_H
#define ZCSI_URING_H

#include "internal.h"
#include "sys.h"

#include <sys/uio.h>

struct zcs_ctx;
struct zcs_conn;

#define URING_CHAIN_REQS  32
#define URING_CHAIN_BYTES (2u << 20)
#define URING_CHAIN_VECS  1024

/* Why a connection sends by its socket; 0: nobody asked for a ring, or it has one. */
enum uring_why {
	URING_NOT_ASKED,
	URING_NOT_TCP,
	URING_PAST,	 /* somebody else may have sent on it: adopt.c needs the socket's numbers */
	URING_NO_KERNEL, /* zcs_ctx.ring_error says why */
	URING_LOST,	 /* the context's ring cannot be entered any more */
};

/*
 * A request that the kernel is not through with. Its index and turn are its tag: the kernel may
 * tell of one that is over (guard 15).
 */
struct uring_req {
	struct uring_conn *u; /* NULL: none */
	uint64_t number;      /* of the connection's ledger */
	uint32_t len;
	uint32_t turn; /* which request in this place */
	uint32_t next; /* of the free ones */
	bool lent;
	bool report;   /* it asked for what RING_COPIED says */
	bool taken;    /* lent bytes went out, and are not back */
	bool answered; /* its result came ... */
	bool noted;    /* ... its notification came, or none will */
	bool copied;   /* which says that the kernel copied */
};

/* What a connection needs for it; outlives the connection while a request names it. */
struct uring_conn {
	struct zcs_conn *c;  /* NULL: gone */
	struct list pending; /* it has something to submit */
	uint32_t out;	     /* requests that the kernel is not through with */
	uint32_t unsent;     /* of the one chain, those without a result ... */
	uint64_t left;	     /* ... and their bytes */
	struct list moving;  /* its chain went on, and may go on further */
	uint32_t nr_waiting; /* messages and bytes since a chain was last made */
	uint64_t waiting;
	uint64_t prior; /* of the socket's own counter, which is not used here */
	uint32_t loans; /* requests whose lent bytes are out */
	bool refused;	/* the kernel had no memory for it: the timer tries again */
	bool cut_short; /* its last request ended short, and may have eaten the socket's error */
	bool no_bufs;	/* nor for lending, in this chain */
	bool scarce;	/* nor was there once: what is registered needs none */
};

/* Of a context. */
struct uring {
	struct zcs_ctx *ctx;
	struct sys_ring *k;
	bool lost;	     /* it cannot be entered any more */
	struct list pending; /* struct uring_conn */
	struct list moving;
	struct uring_req *reqs;
	uint32_t nr_reqs, free;		 /* free: index of the first + 1 */
	bool no_report;			 /* Linux 6.1: it does not know RING_REPORT */
	bool no_areas;			 /* registering failed once: locked memory */
	uint64_t areas[RING_AREAS / 64]; /* in use */
	/* Scratch. */
	uint32_t nr_batch, nr_vec;
	uint32_t expect; /* of the batch, requests that will have their result at once */
	struct ring_req batch[RING_BATCH];
	struct iovec vec[2 * URING_CHAIN_VECS];
};

/* uring.c */
/* Opens c by the ring if it may be; otherwise it stays with its socket, and c->no_ring says why. */
void uring_join(struct zcs_conn *c, bool has_past);
void uring_leave(struct zcs_conn *c); /* c is about to be freed */
void uring_free(struct zcs_ctx *ctx);
/* The registered memory that [base, base + len) lies in; -1: none. */
int uring_area(struct zcs_ctx *ctx, const void *base, size_t len);
/*
 * The kernel did not let us in, for this reason. Unless it may pass, it never will again: every
 * connection of the ring breaks. What is lent then cannot come back, and waits for its close.
 */
void uring_refused(struct uring *r, int err);
bool uring_is_lost(const struct zcs_conn *c);	   /* c waits for what never comes */
void uring_put(struct uring_conn *u);		   /* a request less names it */
const char *uring_words(const struct zcs_conn *c); /* how it sends and why; NULL: not asked for */

static inline struct uring_req *uring_req(struct uring *r, uint64_t tag)
{
	return &r->reqs[(uint32_t)tag];
}

/* uring_done.c */
void uring_result(struct uring *r, const struct ring_res *res);
/* Takes what came; if the kernel was not entered just now it is, where that can bring something. */
void uring_take(struct uring *r, bool enter);

/* uring_tx.c */
/* Of the unfinished chain, requests that the socket has room for. */
unsigned uring_fits(struct zcs_conn *c);
/* A message was queued. */
void uring_queued(struct zcs_conn *c, uint64_t len);
/* From tx_push: a message that is no file is next, or a chain is unfinished. -EINPROGRESS. */
int uring_want(struct zcs_conn *c);
/* Submits what is pending and takes what came, for which the kernel is entered if it must be. */
void uring_turn(struct zcs_ctx *ctx, bool enter);
bool uring_is_due(const struct zcs_ctx *ctx); /* another turn would find something to do */
/* After the connection was aborted: every request ends now, and is read. */
void uring_cancel(struct zcs_conn *c);

#endif
