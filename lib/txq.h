/* SPDX-License-Identifier: MIT */
/*
 * txq.h - the messages of a connection, from acceptance until their memory is free
 *
 * A ring of messages in the order of acceptance:
 *
 *	head ... cursor ... tail
 *	sent, waiting for notifications | not (wholly) given to the kernel yet
 *
 * Messages are freed in any order and leave the ring from its head. Their numbers [lo, hi) never
 * decrease along the ring, freed ones included, so that a notification finds its messages by binary
 * search. A connection with nothing queued and nothing lent has no queue: an idle one costs
 *nothing.
 */
#ifndef ZCSI_TXQ_H
#define ZCSI_TXQ_H

#include "internal.h"
#include "zcsock.h"

enum msg_kind {
	M_FREE, /* released; its slot waits for those before it */
	M_DATA,
	M_SPAN, /* a forwarded span: ends without an event */
	M_FILE,
};

struct msg {
	uint64_t token;
	uint64_t len;	 /* bytes in all, head included */
	uint64_t sent;	 /* of them accepted by the kernel */
	uint64_t lent;	 /* of those flagged */
	uint64_t charge; /* against lent_max, until release */
	uint64_t lo, hi; /* numbers of its flagged calls; lo == hi: none */
	uint64_t at_ns;	 /* accepted */
	uint8_t kind;	 /* enum msg_kind */
	uint8_t how;	 /* ZCS_LENT ..., as it becomes known */
	bool lend;	 /* the policy's choice */
	bool event;	 /* ends in an event */
	bool pooled;	 /* `one` lies in the pool and holds a reference */
	bool own;	 /* record is malloc'ed: the copied bytes of a ZCS_COPY message */
	bool sync;	 /* zcs_conn_send is on the stack: it reports what can be said at once */
	int status;
	uint32_t head_len; /* of nr_iov, the first is the head when there is one */
	uint32_t nr_iov;
	uint32_t iov_i; /* the next byte to send is at iov[iov_i] + iov_off */
	size_t iov_off;
	const struct iovec *iov; /* NULL: `one` */
	struct iovec one;
	void *record; /* iovecs, head and marks, in the arena; or `own`; NULL: none */
	union {
		struct {
			int fd;
			uint64_t off;
			uint64_t end; /* stream position behind its last byte, once sent */
		} file;
		struct zcs_span span;
	};
};

struct txq {
	struct txq *next_free; /* in the context's cache */
	struct msg *ring;
	uint32_t cap;		     /* power of two */
	uint32_t head, cursor, tail; /* free running */
	uint32_t hold;		     /* first message held back by ZCS_MORE, if conn->held */
	uint32_t files;		     /* sent and not acknowledged */
};

/* The queue of a connection, made when it has none; NULL: no memory. */
struct txq *txq_get(struct zcs_conn *c);
/* Gives the queue back when nothing is in it. */
void txq_put(struct zcs_conn *c);
/*
 * An empty message at the tail, not yet part of the queue: txq_commit makes it so. NULL: no memory.
 */
struct msg *txq_next(struct txq *q);
void txq_commit(struct txq *q);
void txq_free_cache(struct zcs_ctx *ctx);

static inline struct msg *txq_at(struct txq *q, uint32_t i)
{
	return &q->ring[i & (q->cap - 1)];
}

/* The first message at or behind the head with a number above `number`; may be the cursor's. */
uint32_t txq_find(struct txq *q, uint64_t number);

#endif
