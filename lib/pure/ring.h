/* SPDX-License-Identifier: MIT */
/*
 * ring.h - the addresses of the receive window
 *
 * A window is a row of segments of RING_SEG_PAGES pages. Spans are laid one after the other into
 * the current segment, and released in any order. Pages are never filled twice without having been
 * unmapped in between, so that every mapping call may promise a clean range; unmapping is done for
 * a whole segment at once, when its last span has come back. A segment that still holds a span is
 * passed over; when none is free there is no room, and data is copied instead.
 *
 *	CLEAN	used == 0
 *	CURRENT	the one being filled, until it is full: not DIRTY even with nothing live, as the
 *		rest of it is still clean and unmapping a little at a time is dear
 *	HELD	used > 0, live > 0	passed over
 *	DIRTY	used > 0, live == 0	to be unmapped, then CLEAN
 */
#ifndef ZCSI_RING_H
#define ZCSI_RING_H

#include <stdbool.h>
#include <stdint.h>

#define RING_SEG_PAGES 512 /* 2 MiB of 4 KiB pages: one page table */

struct ring_seg {
	uint32_t used; /* pages filled since it was last clean, from the start */
	uint32_t live; /* of them, in spans that are not released */
	uint64_t heads[RING_SEG_PAGES / 64]; /* first page of each such span */
	uint64_t tails[RING_SEG_PAGES / 64]; /* last page of each: a wrong length is noticed */
};

struct ring {
	struct ring_seg *segs;
	uint32_t nr_segs;
	uint32_t cur;	   /* CURRENT; when it is full it is HELD or DIRTY */
	uint32_t nr_dirty; /* DIRTY segments: how much unmapping is due */
	uint32_t live;	   /* pages in unreleased spans, all segments */
};

/* A run of pages: the first, counted from the start of the window, and how many (0: none). */
struct ring_run {
	uint32_t page;
	uint32_t nr;
};

int ring_init(struct ring *r, uint32_t nr_segs); /* 0, -ENOMEM; none: there is never room */
void ring_fini(struct ring *r);
/*
 * Clean pages to fill next: at most `want`, fewer at the end of a segment. Moves to the next clean
 * segment when the current one is full. nr == 0: every segment is held (or dirty: purge, and try
 * again).
 */
struct ring_run ring_room(struct ring *r, uint32_t want);
/* The first `nr` pages of the run that ring_room gave last are now one span; 0: no change. */
void ring_commit(struct ring *r, uint32_t page, uint32_t nr);
/* A span as committed came back, whole. false: there is none such (released twice, or made up). */
bool ring_release(struct ring *r, uint32_t page, uint32_t nr);
/* One dirty segment to unmap, as the run of its used pages; nr == 0: none. */
struct ring_run ring_dirty(const struct ring *r);
/* That segment was unmapped. Ignored where there is no dirty one. */
void ring_cleaned(struct ring *r, uint32_t page);

#endif
