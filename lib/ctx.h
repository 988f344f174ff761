/* SPDX-License-Identifier: MIT */
/*
 * ctx.h - a context: what the connections of a thread share
 */
#ifndef ZCSI_CTX_H
#define ZCSI_CTX_H

#include "event.h"
#include "internal.h"
#include "pool.h"
#include "pure/errq.h"
#include "pure/policy.h"
#include "window.h"
#include "zcsock.h"

#include <limits.h>
#include <stdatomic.h>

struct txq;
struct post;
struct uring;

/*
 * A chunk of pool memory that is handed out piece by piece; begins anew when all pieces are back.
 */
struct chunk {
	char *base; /* NULL: none */
	size_t len;
	size_t used;
	uint32_t live; /* pieces that are out */
};

struct zcs_ctx {
	int ep; /* what zcs_ctx_fd gives: sockets (edge triggered), timer, wake */
	int wake;
	int timer;
	bool exported;	/* zcs_ctx_fd was called: work of the caller's making must show there */
	bool woken;	/* wake is readable */
	bool working;	/* inside zcs_ctx_process: no need to wake */
	bool no_window; /* the window could not be opened; not tried again */
	bool pool_event;
	bool ring_wanted;  /* zcs_ctx_opts.ring */
	bool forfeited;	   /* zcs_ctx_abandon: spans that are out are nobody's */
	uint64_t timer_ns; /* when the timer will fire, 0: not set */
	uint32_t in_vain;  /* times that the caller asked for events and there was none */
	uint64_t now_ns;   /* as of the last look at the clock; good enough for ages */

	struct list conns;   /* all, also closed ones whose spans are still out */
	struct list ready;   /* with something to do */
	struct list flagged; /* with events in their bits */
	struct list timed;   /* with a deadline */
	struct list waiting; /* refused by a budget: WRITABLE is due */
	struct list stalled; /* stopped reading by a budget: READABLE is due */
	struct list dead;    /* CLOSED was taken: freed at the next zcs_ctx_events */
	uint32_t nr_open;

	struct evq evq;
	uint64_t lent, lent_max;
	uint64_t borrowed, borrowed_max;
	uint64_t condemned;
	struct pool pool;
	struct uring *ring; /* NULL: not made yet, or ... */
	int ring_error;	    /* ... why it could not be */
	uint32_t huge;	    /* of the options: what the pool uses when it turns out so */
	struct window window;
	struct policy policy;
	struct chunk arena; /* heads and iovecs of messages: lent with them, never moved */
	struct chunk rx;    /* what was received by copy */
	struct txq *txq_cache;
	int sync_result;	 /* what zcs_conn_send can say at once about its message ... */
	bool sync_done;		 /* ... when it was released before the call returns */
	struct zcs_stats closed; /* sums of connections that are gone */
	_Atomic(struct post *) posted;

	/* Scratch of the one thread. */
	struct iovec vec[IOV_MAX];
	char control[ERRQ_CONTROL_LEN] __attribute__((__aligned__(16)));
	char payload[2048];
};

/* Monotonic time, to 4 ms: for ages, deadlines and the policy. */
uint64_t ctx_now(void);
/* Monotonic time, to the microsecond; wraps. */
uint32_t ctx_now_us(void);
/* Looks at the clock; ctx->now_ns is that time until it looks again: each turn of the loop does. */
void ctx_look_at_clock(struct zcs_ctx *ctx);
/* Something of the caller's making waits: make zcs_ctx_fd readable. */
void ctx_wake(struct zcs_ctx *ctx);
/* The window, opened when first needed; NULL: none to be had. data_fd: see window_open. */
struct window *ctx_window(struct zcs_ctx *ctx, int data_fd);
/* Conn c wants to be looked at, at the latest at this time (0: never mind). */
void ctx_set_timer(struct zcs_conn *c, uint64_t at_ns);
/* Memory or budget came back: wake those that wait for it. */
void ctx_lent_back(struct zcs_ctx *ctx);
void ctx_pool_back(struct zcs_ctx *ctx);
/* Reads a caller's option struct of any age: -E2BIG for an unknown tail that is not zero. */
int opts_copy(void *dst, size_t dst_size, const void *src);

/* Where the next piece of at least `want` bytes may go, *room bytes at most; NULL: no memory. */
char *chunk_room(struct zcs_ctx *ctx, struct chunk *ch, size_t chunk_len, size_t want,
		 size_t *room);
static inline bool chunk_has(const struct chunk *ch, const void *piece)
{
	return (uintptr_t)piece - (uintptr_t)ch->base < ch->len;
}

/* The first len bytes of that room are a piece now. */
void chunk_take(struct chunk *ch, size_t len);
void *chunk_alloc(struct zcs_ctx *ctx, struct chunk *ch, size_t chunk_len,
		  size_t len); /* both at once */
void chunk_give(struct zcs_ctx *ctx, struct chunk *ch, const void *piece);
void chunk_condemn(struct zcs_ctx *ctx, struct chunk *ch, const void *piece);
void chunk_drop(struct zcs_ctx *ctx, struct chunk *ch);

void post_drain(struct zcs_ctx *ctx); /* releases what other threads handed back */

#endif
