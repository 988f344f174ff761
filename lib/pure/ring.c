// SPDX-License-Identifier: MIT
#include "ring.h"

#include <errno.h>
#include <stdlib.h>

static void set_bit(uint64_t *map, uint32_t i)
{
	map[i / 64] |= (uint64_t)1 << (i % 64);
}

static void clear_bit(uint64_t *map, uint32_t i)
{
	map[i / 64] &= ~((uint64_t)1 << (i % 64));
}

static bool test_bit(const uint64_t *map, uint32_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}

/* The first bit at or after i that is set, RING_SEG_PAGES if none is. */
static uint32_t find_bit(const uint64_t *map, uint32_t i)
{
	uint64_t bits = map[i / 64] >> (i % 64);

	if (bits)
		return i + (uint32_t)__builtin_ctzll(bits);
	for (i = (i | 63) + 1; i < RING_SEG_PAGES; i += 64) {
		if (map[i / 64])
			return i + (uint32_t)__builtin_ctzll(map[i / 64]);
	}
	return RING_SEG_PAGES;
}

static bool is_dirty(const struct ring *r, uint32_t seg)
{
	const struct ring_seg *s = &r->segs[seg];

	return s->used > 0 && s->live == 0 && (seg != r->cur || s->used == RING_SEG_PAGES);
}

int ring_init(struct ring *r, uint32_t nr_segs)
{
	*r = (struct ring){ .nr_segs = 0 };
	if (nr_segs == 0)
		return 0;
	if (nr_segs > UINT32_MAX / RING_SEG_PAGES) /* a page is counted in 32 bits */
		return -ENOMEM;
	r->segs = calloc(nr_segs, sizeof(*r->segs));
	if (!r->segs)
		return -ENOMEM;
	r->nr_segs = nr_segs;
	return 0;
}

void ring_fini(struct ring *r)
{
	free(r->segs);
	*r = (struct ring){ .nr_segs = 0 };
}

/* Makes a segment with room the current one, in the order of addresses from the one before. */
static bool find_room(struct ring *r)
{
	uint32_t seg = r->cur;
	uint32_t i;

	if (r->nr_segs == 0)
		return false;
	if (r->segs[seg].used < RING_SEG_PAGES)
		return true;
	for (i = 1; i < r->nr_segs; i++) {
		seg = seg + 1 < r->nr_segs ? seg + 1 : 0;
		if (r->segs[seg].used == 0) {
			r->cur = seg;
			return true;
		}
	}
	return false;
}

struct ring_run ring_room(struct ring *r, uint32_t want)
{
	struct ring_run run = { .nr = 0 };
	uint32_t used;

	if (!find_room(r))
		return run;
	used = r->segs[r->cur].used;
	run.page = r->cur * RING_SEG_PAGES + used;
	run.nr = want < RING_SEG_PAGES - used ? want : RING_SEG_PAGES - used;
	return run;
}

void ring_commit(struct ring *r, uint32_t page, uint32_t nr)
{
	struct ring_seg *s = &r->segs[r->cur];
	uint32_t first = page % RING_SEG_PAGES;

	if (nr == 0)
		return;
	set_bit(s->heads, first);
	set_bit(s->tails, first + nr - 1);
	s->used += nr;
	s->live += nr;
	r->live += nr;
}

bool ring_release(struct ring *r, uint32_t page, uint32_t nr)
{
	uint32_t seg = page / RING_SEG_PAGES;
	uint32_t first = page % RING_SEG_PAGES;
	struct ring_seg *s;

	if (seg >= r->nr_segs)
		return false;
	s = &r->segs[seg];
	/* Spans do not overlap: the next tail from a head on is of the same span. */
	if (!test_bit(s->heads, first) || find_bit(s->tails, first) != first + nr - 1)
		return false;
	clear_bit(s->heads, first);
	clear_bit(s->tails, first + nr - 1);
	s->live -= nr;
	r->live -= nr;
	r->nr_dirty += is_dirty(r, seg);
	return true;
}

struct ring_run ring_dirty(const struct ring *r)
{
	struct ring_run run = { .nr = 0 };
	uint32_t seg;

	for (seg = 0; r->nr_dirty > 0 && seg < r->nr_segs; seg++) {
		if (is_dirty(r, seg)) {
			run.page = seg * RING_SEG_PAGES;
			run.nr = r->segs[seg].used;
			break;
		}
	}
	return run;
}

void ring_cleaned(struct ring *r, uint32_t page)
{
	uint32_t seg = page / RING_SEG_PAGES;

	if (seg >= r->nr_segs || !is_dirty(r, seg))
		return;
	r->segs[seg].used = 0; /* heads and tails: no span is left */
	r->nr_dirty--;
}
