/* SPDX-License-Identifier: MIT */
#include "line.h"

#include <stdlib.h>

static struct line_entry *slot(const struct line_queue *q, size_t n)
{
	return &q->at[(q->head + n) & (q->size - 1)];
}

static bool grow(struct line_queue *q)
{
	size_t size = q->size ? 2 * q->size : 256;
	struct line_entry *at = malloc(size * sizeof(*at));

	if (!at)
		return false;
	for (size_t i = 0; i < q->nr; i++)
		at[i] = *slot(q, i);
	free(q->at);
	*q = (struct line_queue){ .at = at, .size = size, .nr = q->nr };
	return true;
}

bool line_put(struct line *l, const struct lab_segment *segment, uint64_t due, bool late)
{
	struct line_queue *q = late ? &l->late : &l->usual;

	if (q->nr == q->size && !grow(q))
		return false;
	*slot(q, q->nr++) = (struct line_entry){ .due = due, .segment = *segment };
	return true;
}

static struct line_queue *first(const struct line *l)
{
	const struct line_queue *q = &l->usual;

	if (l->late.nr > 0 && (q->nr == 0 || slot(&l->late, 0)->due < slot(q, 0)->due))
		q = &l->late;
	return q->nr > 0 ? (struct line_queue *)(uintptr_t)q : NULL;
}

uint64_t line_next(const struct line *l)
{
	const struct line_queue *q = first(l);

	return q ? slot(q, 0)->due : UINT64_MAX;
}

bool line_take(struct line *l, uint64_t now, struct lab_segment *out)
{
	struct line_queue *q = first(l);

	if (!q || slot(q, 0)->due > now)
		return false;
	*out = slot(q, 0)->segment;
	q->head = (q->head + 1) & (q->size - 1);
	q->nr--;
	return true;
}

void line_free(struct line *l)
{
	free(l->usual.at);
	free(l->late.at);
	*l = (struct line){ 0 };
}
