/* SPDX-License-Identifier: MIT */
/*
 * batch.h - received spans, gathered until a write past the page cache is worth its round trip
 *
 * What is out of step with the file's blocks the disk cannot read where it lies: it is copied into
 * memory that is in step, and the span goes back at once.
 */
#ifndef ZCSOCK_BATCH_H
#define ZCSOCK_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zcsock.h>

#include "dest.h"

#define BATCH_SPANS 1024

struct batch {
	struct zcs_span spans[BATCH_SPANS];
	size_t nr;
	uint64_t bytes;
	char *stage; /* memory of our own; NULL: none yet */
	size_t staged;
};

/* The span is the batch's. */
void batch_add(struct batch *batch, struct zcs_ctx *ctx, const struct dest *dest,
	       const struct zcs_span *span);
/* Time to write: a receive of up to `more` spans may not fit any more, or there is enough. */
bool batch_is_full(const struct batch *batch, size_t more);
/* To the end of the file, and back to the library. 0 or a negative errno. */
int batch_write(struct batch *batch, struct zcs_ctx *ctx, struct dest *dest);
/* Only back to the library. */
void batch_drop(struct batch *batch, struct zcs_ctx *ctx);
void batch_free(struct batch *batch);

#endif
