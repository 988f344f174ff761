/* SPDX-License-Identifier: MIT */
/*
 * event.h - the events of a context, until the caller takes them
 *
 * Two kinds. An event with a token waits in a ring whose slot was reserved when its message was
 * accepted, so that reporting cannot fail for lack of memory. Events that a connection can have
 * only one of (READABLE, ERROR ...) are bits in the connection, which is linked into a list
 * meanwhile; they are handed out after the ring, so that CLOSED is the last of its connection.
 */
#ifndef ZCSI_EVENT_H
#define ZCSI_EVENT_H

#include "internal.h"
#include "zcsock.h"

#include <errno.h>

struct evq {
	struct zcs_event *ring;
	uint32_t cap; /* power of two, or 0 */
	uint32_t head;
	uint32_t nr;
	uint32_t reserved;
};

int evq_grow(struct evq *q); /* 0, -ENOMEM */

static inline int evq_reserve(struct evq *q)
{
	if (q->nr + q->reserved == q->cap && evq_grow(q) < 0)
		return -ENOMEM;
	q->reserved++;
	return 0;
}

static inline void evq_unreserve(struct evq *q)
{
	q->reserved--;
}

/* The next slot, which was reserved: to be filled. */
static inline struct zcs_event *evq_push(struct evq *q)
{
	q->reserved--;
	return &q->ring[(q->head + q->nr++) & (q->cap - 1)];
}

void evq_fini(struct evq *q);

/* Bits of zcs_conn.events: 1 << enum zcs_event_type. */
void event_raise(struct zcs_conn *c, enum zcs_event_type type);
void event_drop(struct zcs_conn *c, enum zcs_event_type type);
/* zcs_ctx_events, but nothing is looked for. */
int event_take(struct zcs_ctx *ctx, struct zcs_event *events, size_t max);
bool event_is_waiting(const struct zcs_ctx *ctx);

#endif
