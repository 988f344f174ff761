// SPDX-License-Identifier: MIT
/*
 * msg.c - the record of a message: its iovecs, its head, what it holds of the pool
 *
 * One iovec without a head, as nearly all messages have, is kept in the message itself. What needs
 * more has a record in the arena, which is lent with it, for the head is sent from there.
 */
#include "conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_CHUNK (64u << 10)

/* Behind the iovecs: the head, then one mark per iovec that holds a pool reference. */
static unsigned char *msg_marks(const struct msg *m)
{
	return (unsigned char *)m->record + m->nr_iov * sizeof(struct iovec) + m->head_len;
}

/* Behind the marks, or behind the bytes of `own`. */
void *msg_name(const struct msg *m)
{
	return m->own ? (char *)m->record + m->one.iov_len : (void *)(msg_marks(m) + m->nr_iov);
}

bool msg_ref_pool(struct zcs_conn *c, const struct iovec *v)
{
	struct pool *p = &c->ctx->pool;

	if (!v->iov_len || !pool_owns(p, v->iov_base, v->iov_len))
		return false;
	pool_ref(p, v->iov_base, 1);
	return true;
}

int msg_record(struct zcs_conn *c, struct msg *m, const struct zcs_msg *in)
{
	uint32_t skip = in->head_len ? 1 : 0;
	struct iovec *v;

	m->nr_iov = in->nr_iov + skip;
	m->head_len = (uint16_t)in->head_len;
	m->name_len = (uint8_t)in->dest_len;
	m->record = chunk_alloc(c->ctx, &c->ctx->arena, ARENA_CHUNK,
				m->nr_iov * (sizeof(*v) + 1) + m->head_len + m->name_len);
	if (!m->record)
		return -ENOMEM;
	if (m->name_len)
		memcpy(msg_name(m), in->dest, m->name_len);
	m->iov = v = m->record;
	if (skip) {
		v[0].iov_base = &v[m->nr_iov];
		v[0].iov_len = m->head_len;
		memcpy(v[0].iov_base, in->head, m->head_len);
		msg_marks(m)[0] = 0;
	}
	for (uint32_t i = skip; i < m->nr_iov; i++) {
		v[i] = in->iov[i - skip];
		msg_marks(m)[i] = msg_ref_pool(c, &v[i]);
	}
	return 0;
}

typedef void pool_fn(struct pool *p, const void *addr);

static void each_pooled(struct zcs_conn *c, struct msg *m, pool_fn *fn)
{
	if (!m->iov) {
		if (m->pooled)
			fn(&c->ctx->pool, m->one.iov_base);
		return;
	}
	for (uint32_t i = 0; !m->own && i < m->nr_iov; i++) {
		if (msg_marks(m)[i])
			fn(&c->ctx->pool, m->iov[i].iov_base);
	}
}

void msg_drop(struct zcs_conn *c, struct msg *m)
{
	if (m->kind != M_DATA || (!m->record && !m->pooled))
		return;
	each_pooled(c, m, pool_unref);
	if (m->own)
		free(m->record);
	else if (m->record)
		chunk_give(c->ctx, &c->ctx->arena, m->record);
	m->record = NULL;
	m->pooled = false;
	ctx_pool_back(c->ctx);
}

void msg_condemn(struct zcs_conn *c, struct msg *m)
{
	if (m->kind == M_SPAN)
		chunk_condemn(c->ctx, &c->ctx->rx, m->one.iov_base);
	if (m->kind != M_DATA)
		return;
	each_pooled(c, m, pool_condemn);
	if (m->record && !m->own)
		chunk_condemn(c->ctx, &c->ctx->arena, m->record);
}

int msg_keep_copy(struct zcs_conn *c, struct msg *m)
{
	size_t left = m->len - m->sent, n = 0;
	char *own = malloc(left + m->name_len);

	if (!own)
		return -ENOMEM;
	if (m->name_len)
		memcpy(own + left, msg_name(m), m->name_len);
	for (uint32_t i = m->iov_i; i < m->nr_iov; i++) {
		const struct iovec *v = &M_IOV(m)[i];
		size_t off = i == m->iov_i ? m->iov_off : 0;

		memcpy(own + n, (char *)v->iov_base + off, v->iov_len - off);
		n += v->iov_len - off;
	}
	msg_drop(c, m);
	m->own = true;
	m->record = own;
	m->iov = NULL;
	m->one = (struct iovec){ own, left };
	m->nr_iov = 1;
	m->head_len = 0;
	m->iov_i = 0;
	m->iov_off = 0;
	return 0;
}
