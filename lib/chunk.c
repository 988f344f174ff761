// SPDX-License-Identifier: MIT
/*
 * chunk.c - pool memory in small pieces
 *
 * Pieces are laid one after the other and each holds a reference to its buffer, so that a chunk
 * that was replaced lives until its last piece is back. When all pieces of the current chunk are
 * back it begins anew: the memory that was used last is the memory that is still in the cache.
 */
#include "ctx.h"

/* ---- what the caller allocates -------------------------------------------------------------- */

ZCS_EXPORT void *zcs_buf_alloc(struct zcs_ctx *ctx, size_t len, size_t *got_out)
{
	return len ? pool_alloc(&ctx->pool, len, got_out, POOL_CALLER) : NULL;
}

ZCS_EXPORT void zcs_buf_free(struct zcs_ctx *ctx, void *buf)
{
	if (!pool_is_start(&ctx->pool, buf) || !pool_is_callers(&ctx->pool, buf))
		return;
	pool_unref(&ctx->pool, buf);
	ctx_pool_back(ctx);
}

/* ---- pieces --------------------------------------------------------------------------------- */

#define PIECE_ALIGN 64u

static bool chunk_has(const struct chunk *ch, const void *piece)
{
	const char *p = piece;

	return ch->base && p >= ch->base && p < ch->base + ch->len;
}

void chunk_drop(struct zcs_ctx *ctx, struct chunk *ch)
{
	if (ch->base)
		pool_unref(&ctx->pool, ch->base);
	*ch = (struct chunk){ 0 };
}

char *chunk_room(struct zcs_ctx *ctx, struct chunk *ch, size_t chunk_len, size_t want, size_t *room)
{
	if (!ch->base || ch->len - ch->used < want) {
		chunk_drop(ctx, ch);
		ch->base = pool_alloc(&ctx->pool, want > chunk_len ? want : chunk_len, &ch->len,
				      POOL_INTERNAL);
		if (!ch->base)
			return NULL;
	}
	*room = ch->len - ch->used;
	return ch->base + ch->used;
}

void chunk_take(struct zcs_ctx *ctx, struct chunk *ch, size_t len)
{
	pool_ref(&ctx->pool, ch->base);
	ch->used += (len + PIECE_ALIGN - 1) & ~(size_t)(PIECE_ALIGN - 1);
	if (ch->used > ch->len)
		ch->used = ch->len;
	ch->live++;
}

void chunk_give(struct zcs_ctx *ctx, struct chunk *ch, const void *piece)
{
	if (chunk_has(ch, piece) && --ch->live == 0)
		ch->used = 0;
	pool_unref(&ctx->pool, piece);
}

void *chunk_alloc(struct zcs_ctx *ctx, struct chunk *ch, size_t chunk_len, size_t len)
{
	size_t room;
	char *p = chunk_room(ctx, ch, chunk_len, len, &room);

	if (p)
		chunk_take(ctx, ch, len);
	return p;
}

void chunk_condemn(struct zcs_ctx *ctx, struct chunk *ch, const void *piece)
{
	pool_condemn(&ctx->pool, piece);
	/* What is left of it is not handed out either. */
	if (chunk_has(ch, piece))
		chunk_drop(ctx, ch);
}
