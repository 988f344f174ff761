/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "batch.h"

#define ENOUGH (4 << 20) /* bytes: a MiB costs 1.4 times as much, and more does not help */
#define STAGE  (ENOUGH + (1 << 20))
#define BLOCK  4096 /* of a file, and of memory */

/* Where `len` bytes for offset `pos` of the file can be in step with it; NULL: no room. */
static char *stage_room(struct batch *batch, uint64_t pos, size_t len)
{
	const struct zcs_span *last = batch->nr ? &batch->spans[batch->nr - 1] : NULL;
	size_t at = batch->staged;

	if (!batch->stage)
		batch->stage = aligned_alloc(BLOCK, STAGE);
	if (!batch->stage)
		return NULL;
	/* Right behind what is in front of it in the file, it is in step already. */
	if (!last || (const char *)last->base + last->len != batch->stage + at)
		at = (at + BLOCK - 1) / BLOCK * BLOCK + pos % BLOCK;
	if (at + len > STAGE)
		return NULL;
	batch->staged = at + len;
	return batch->stage + at;
}

void batch_add(struct batch *batch, struct zcs_ctx *ctx, const struct dest *dest,
	       const struct zcs_span *span)
{
	uint64_t pos = dest->size + batch->bytes;
	struct zcs_span *next = &batch->spans[batch->nr];
	char *copy = NULL;

	if (((uintptr_t)span->base - pos) % dest->align)
		copy = stage_room(batch, pos, span->len);
	batch->bytes += span->len;
	if (!copy) {
		*next = *span;
		batch->nr++;
		return;
	}
	memcpy(copy, span->base, span->len);
	if (batch->nr && (const char *)next[-1].base + next[-1].len == copy) {
		next[-1].len += span->len;
	} else {
		*next = (struct zcs_span){ .base = copy, .len = span->len };
		batch->nr++;
	}
	zcs_span_release(ctx, span, 1);
}

bool batch_is_full(const struct batch *batch, size_t more)
{
	return batch->bytes >= ENOUGH || batch->nr + more > BATCH_SPANS;
}

int batch_write(struct batch *batch, struct zcs_ctx *ctx, struct dest *dest)
{
	int r = dest_write_spans(dest, ctx, batch->spans, batch->nr);

	batch_drop(batch, ctx);
	return r;
}

void batch_drop(struct batch *batch, struct zcs_ctx *ctx)
{
	zcs_span_release(ctx, batch->spans, batch->nr);
	batch->nr = batch->staged = 0;
	batch->bytes = 0;
}

void batch_free(struct batch *batch)
{
	free(batch->stage);
	batch->stage = NULL;
}
