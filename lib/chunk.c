// SPDX-License-Identifier: MIT
/*
 * chunk.c - pool memory in small pieces
 *
 * Pieces are laid one after the other. Those of the current chunk are only counted; when it is
 * replaced each of them gets a reference to its buffer, which so lives until the last one is back.
 * When all pieces of the current chunk are back it begins anew: the memory that was used last is
 * the memory that is still in the cache.
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

void chunk_drop(struct zcs_ctx *ctx, struct chunk *ch)
{
	if (ch->base) {
		pool_ref(&ctx->pool, ch->base, ch->live);
		pool_unref(&ctx->pool, ch->base);
	}
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

void chunk_take(struct chunk *ch, size_t len)
{
	ch->used += (len + PIECE_ALIGN - 1) & ~(size_t)(PIECE_ALIGN - 1);
	if (ch->used > ch->len)
		ch->used = ch->len;
	ch->live++;
}

void chunk_give(struct zcs_ctx *ctx, struct chunk *ch, const void *piece)
{
	if (!chunk_has(ch, piece))
		pool_unref(&ctx->pool, piece);
	else if (ch->live && --ch->live == 0)
		ch->used = 0;
}

void *chunk_alloc(struct zcs_ctx *ctx, struct chunk *ch, size_t chunk_len, size_t len)
{
	size_t room;
	char *p = chunk_room(ctx, ch, chunk_len, len, &room);

	if (p)
		chunk_take(ch, len);
	return p;
}

void chunk_condemn(struct zcs_ctx *ctx, struct chunk *ch, const void *piece)
{
	pool_condemn(&ctx->pool, piece);
	/* What is left of it is not handed out either. */
	if (chunk_has(ch, piece))
		chunk_drop(ctx, ch);
}
