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
	uint64_t lo, hi; /* numbers of its flagged calls; lo == hi: none */
	uint64_t at_ns;	 /* accepted */
	int32_t status;
	uint8_t kind; /* enum msg_kind */
	uint8_t how;  /* ZCS_LENT ..., as it becomes known */
	bool measure; /* the policy wants to know what sending it costs */
	bool lend;    /* the policy's choice */
	bool event;   /* ends in an event */
	bool pooled;  /* `one` lies in the pool and holds a reference */
	bool own;     /* record is malloc'ed: the copied bytes of a ZCS_COPY message */
	bool sync;    /* zcs_conn_send is on the stack: it reports what can be said at once */
	bool mapped;  /* of a span: it is one */
	bool chosen;  /* `lend` is what the policy said */
	union {
		struct {
			const struct iovec *iov; /* NULL: `one` */
			struct iovec one;
			uint32_t nr_iov;
			uint32_t iov_i; /* the next byte to send is at iov[iov_i] + iov_off */
			size_t iov_off;
			union {
				struct {
					/* iovecs, head and marks, in the arena; or `own` */
					void *record;
					/* when there is one, the first iovec is the head */
					uint16_t head_len;
					uint8_t name_len; /* of the datagrams' address */
					uint32_t segment; /* bytes of each of them; 0: one */
				};
				uint64_t span_priv[2];
			};
		};
		struct {
			int fd;
			uint64_t off;
			uint64_t end; /* stream position behind its last byte, once sent */
			bool is_pipe;
		} file;
	};
} __attribute__((__aligned__(64)));

_Static_assert(sizeof(struct msg) == 128, "two cache lines, and a shift instead of a product");

struct txq {
	struct txq *next_free; /* in the context's cache */
	struct msg *ring;
	uint32_t cap;		     /* power of two */
	uint32_t head, cursor, tail; /* free running */
	uint32_t hold;		     /* first message held back by ZCS_MORE, if conn->held */
	uint32_t files;		     /* sent and not acknowledged */
};

/* A queue for a connection that has none; NULL: no memory. */
struct txq *txq_make(struct zcs_conn *c);
/* Gives the queue back when nothing is in it. */
void txq_put(struct zcs_conn *c);
bool txq_grow(struct txq *q); /* false: no memory */
void txq_free_cache(struct zcs_ctx *ctx);

static inline struct msg *txq_at(struct txq *q, uint32_t i)
{
	return &q->ring[i & (q->cap - 1)];
}

/* By member: as a whole, gcc makes a "rep stos" of it, which takes longer than all that follows. */
static inline void msg_clear(struct msg *m)
{
	m->token = m->len = m->sent = m->lent = 0;
	m->lo = m->hi = m->at_ns = 0;
	m->status = 0;
	m->kind = m->how = 0;
	m->lend = m->measure = m->event = m->pooled = m->own = m->sync = m->mapped = m->chosen =
		false;
	m->iov = NULL;
	m->one = (struct iovec){ NULL, 0 };
	m->nr_iov = m->iov_i = 0;
	m->iov_off = 0;
	m->span_priv[0] = m->span_priv[1] = 0; /* record, head_len ... */
}

/*
 * An empty message at the tail, not yet part of the queue: txq_commit makes it so. NULL: no memory.
 */
static inline struct msg *txq_next(struct txq *q)
{
	struct msg *m;

	if (q->tail - q->head == q->cap && !txq_grow(q))
		return NULL;
	m = txq_at(q, q->tail);
	msg_clear(m);
	return m;
}

static inline void txq_commit(struct txq *q)
{
	q->tail++;
}

/* What it takes of lent_max until it is released: files and spans are no memory of the caller's. */
static inline uint64_t msg_charge(const struct msg *m)
{
	return m->kind == M_DATA ? m->len : 0;
}

/* The first message at or behind the head with a number above `number`; may be the cursor's. */
uint32_t txq_find(struct txq *q, uint64_t number);

#endif
