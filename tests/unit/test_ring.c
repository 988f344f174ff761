/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "pure/ring.h"

#include <errno.h>
#include <string.h>

#define SEG RING_SEG_PAGES

/* ---- helpers --------------------------------------------------------------------------------- */

static struct ring ring_of(uint32_t nr_segs)
{
	struct ring r;

	assert_int_equal(ring_init(&r, nr_segs), 0);
	return r;
}

/* Lays a span of nr pages, which must find room at page. */
static void lay(struct ring *r, uint32_t page, uint32_t nr)
{
	struct ring_run run = ring_room(r, nr);

	assert_int_equal(run.page, page);
	assert_int_equal(run.nr, nr);
	ring_commit(r, page, nr);
}

static void dirty_is(const struct ring *r, uint32_t page, uint32_t nr)
{
	struct ring_run run = ring_dirty(r);

	assert_int_equal(run.nr, nr);
	if (nr)
		assert_int_equal(run.page, page);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void ring_init__without_segments_there_is_no_room(void **state)
{
	struct ring r = ring_of(0);

	(void)state;
	assert_int_equal(ring_room(&r, 1).nr, 0);
	assert_false(ring_release(&r, 0, 1));
	dirty_is(&r, 0, 0);
	ring_cleaned(&r, 0);
	ring_fini(&r);
}

static void ring_init__too_many(void **state)
{
	struct ring r;

	(void)state;
	assert_int_equal(ring_init(&r, UINT32_MAX), -ENOMEM);
	ring_fini(&r);
}

static void ring_fini__may_be_repeated(void **state)
{
	struct ring r = ring_of(2);

	(void)state;
	ring_fini(&r);
	ring_fini(&r);
	assert_int_equal(ring_room(&r, 1).nr, 0);
}

static void ring_room__does_not_take(void **state)
{
	struct ring r = ring_of(1);

	(void)state;
	assert_int_equal(ring_room(&r, 100).nr, 100);
	assert_int_equal(ring_room(&r, 7).page, 0);
	ring_commit(&r, 0, 0);
	assert_int_equal(ring_room(&r, 0).nr, 0);
	lay(&r, 0, 7);
	assert_int_equal(r.live, 7);
	ring_fini(&r);
}

static void ring_room__fewer_at_the_end_of_a_segment(void **state)
{
	struct ring r = ring_of(2);
	struct ring_run run;

	(void)state;
	lay(&r, 0, SEG - 3);
	run = ring_room(&r, 10);
	assert_int_equal(run.page, SEG - 3);
	assert_int_equal(run.nr, 3);
	ring_commit(&r, run.page, 3);
	run = ring_room(&r, SEG + 1);
	assert_int_equal(run.page, SEG);
	assert_int_equal(run.nr, SEG);
	ring_fini(&r);
}

static void ring_room__passes_over_what_is_held(void **state)
{
	struct ring r = ring_of(3);

	(void)state;
	lay(&r, 0, SEG - 1);
	lay(&r, SEG - 1, 1); /* will be held */
	lay(&r, SEG, SEG);
	lay(&r, 2 * SEG, SEG);
	assert_int_equal(ring_room(&r, 1).nr, 0);
	assert_true(ring_release(&r, 0, SEG - 1));
	dirty_is(&r, 0, 0);
	assert_true(ring_release(&r, SEG, SEG));
	assert_int_equal(ring_room(&r, 1).nr, 0); /* not before it is clean */
	dirty_is(&r, SEG, SEG);
	ring_cleaned(&r, SEG);
	lay(&r, SEG, 1);
	ring_fini(&r);
}

static void ring_room__one_segment_again_and_again(void **state)
{
	struct ring r = ring_of(1);
	int round;

	(void)state;
	for (round = 0; round < 3; round++) {
		lay(&r, 0, SEG);
		assert_int_equal(ring_room(&r, 1).nr, 0);
		assert_true(ring_release(&r, 0, SEG));
		dirty_is(&r, 0, SEG);
		ring_cleaned(&r, 0);
	}
	ring_fini(&r);
}

static void ring_release__in_any_order(void **state)
{
	struct ring r = ring_of(1);

	(void)state;
	lay(&r, 0, 4);
	lay(&r, 4, 100);
	lay(&r, 104, 1);
	assert_true(ring_release(&r, 4, 100));
	assert_true(ring_release(&r, 104, 1));
	assert_true(ring_release(&r, 0, 4));
	assert_int_equal(r.live, 0);
	ring_fini(&r);
}

static void ring_release__refuses_what_is_no_span(void **state)
{
	struct ring r = ring_of(2);

	(void)state;
	lay(&r, 0, 4);
	lay(&r, 4, 100);
	lay(&r, 104, 2);
	assert_true(ring_release(&r, 4, 100));
	assert_false(ring_release(&r, 4, 100));	       /* twice */
	assert_false(ring_release(&r, 0, 3));	       /* shorter */
	assert_false(ring_release(&r, 0, 104));	       /* longer */
	assert_false(ring_release(&r, 0, 106));	       /* two, with a released one between */
	assert_false(ring_release(&r, 1, 3));	       /* begins within */
	assert_false(ring_release(&r, 0, 0));	       /* nothing */
	assert_false(ring_release(&r, 106, 1));	       /* never filled */
	assert_false(ring_release(&r, SEG, 1));	       /* a clean segment */
	assert_false(ring_release(&r, 104, SEG));      /* past the segment */
	assert_false(ring_release(&r, 2 * SEG, 1));    /* past the window */
	assert_false(ring_release(&r, 0, UINT32_MAX)); /* past everything */
	assert_false(ring_release(&r, UINT32_MAX, 1));
	assert_int_equal(r.live, 6);
	ring_fini(&r);
}

static void ring_dirty__not_while_the_segment_is_being_filled(void **state)
{
	struct ring r = ring_of(2);

	(void)state;
	lay(&r, 0, 10);
	assert_true(ring_release(&r, 0, 10));
	dirty_is(&r, 0, 0);
	lay(&r, 10, SEG - 10); /* not over the released one: it was not unmapped */
	assert_true(ring_release(&r, 10, SEG - 10));
	assert_int_equal(r.nr_dirty, 1);
	dirty_is(&r, 0, SEG);
	lay(&r, SEG, 1);
	dirty_is(&r, 0, SEG);
	ring_fini(&r);
}

static void ring_cleaned__ignores_what_is_not_dirty(void **state)
{
	struct ring r = ring_of(2);

	(void)state;
	lay(&r, 0, 10);
	ring_cleaned(&r, 0);
	ring_cleaned(&r, SEG);
	ring_cleaned(&r, 2 * SEG);
	ring_cleaned(&r, UINT32_MAX);
	assert_int_equal(r.nr_dirty, 0);
	assert_int_equal(r.live, 10);
	lay(&r, 10, 1);
	ring_fini(&r);
}

/* ---- random operations against the owner of every page --------------------------------------- */

#define NR_SEEDS  250
#define NR_OPS	  2000
#define MAX_SEGS  5
#define MAX_SPANS 4096

#define CLEAN 0
#define STALE (-1)

struct span {
	uint32_t page;
	uint32_t nr;
};

struct model {
	uint32_t nr_segs;
	uint32_t cur;
	uint32_t live;
	int owner[MAX_SEGS *
		  SEG]; /* CLEAN, STALE (released, not unmapped), or 1 + index of the span */
	uint32_t nr_spans;
	struct span spans[MAX_SPANS];
};

static bool all_are(const struct model *m, uint32_t page, uint32_t nr, int owner)
{
	uint32_t i;

	for (i = page; i < page + nr; i++) {
		if (m->owner[i] != owner)
			return false;
	}
	return true;
}

static void set_all(struct model *m, uint32_t page, uint32_t nr, int owner)
{
	while (nr--)
		m->owner[page++] = owner;
}

static void random_lay(struct ring *r, struct model *m, struct rng *rng)
{
	uint32_t want = (uint32_t)rng_between(rng, 1, rng_percent(rng, 20) ? SEG + 10 : 64);
	struct ring_run run = ring_room(r, want);
	uint32_t seg;
	uint32_t nr;

	if (run.nr == 0) { /* no segment is clean, and the current one is full */
		for (seg = 0; seg < m->nr_segs; seg++)
			assert_int_not_equal(m->owner[seg * SEG], CLEAN);
		assert_int_not_equal(m->owner[m->cur * SEG + SEG - 1], CLEAN);
		return;
	}
	assert_true(run.nr <= want);
	assert_true(run.page + run.nr <= m->nr_segs * SEG);
	assert_true(run.page / SEG == (run.page + run.nr - 1) / SEG);
	assert_true(run.nr == want || (run.page + run.nr) % SEG == 0);
	assert_true(all_are(m, run.page, run.nr, CLEAN));
	m->cur = run.page / SEG;
	nr = (uint32_t)rng_between(rng, 0, run.nr);
	if (rng_percent(rng, 50))
		nr = run.nr;
	if (m->nr_spans == MAX_SPANS || nr == 0)
		return;
	ring_commit(r, run.page, nr);
	m->spans[m->nr_spans++] = (struct span){ run.page, nr };
	set_all(m, run.page, nr, (int)m->nr_spans);
	m->live += nr;
}

static void random_release(struct ring *r, struct model *m, struct rng *rng)
{
	uint32_t i = (uint32_t)rng_between(rng, 0, m->nr_spans ? m->nr_spans - 1 : 0);
	struct span span = m->spans[i];

	if (m->nr_spans == 0)
		return;
	assert_true(ring_release(r, span.page, span.nr));
	assert_false(ring_release(r, span.page, span.nr));
	set_all(m, span.page, span.nr, STALE);
	m->live -= span.nr;
	m->spans[i] = m->spans[--m->nr_spans];
	if (i < m->nr_spans)
		set_all(m, m->spans[i].page, m->spans[i].nr, (int)i + 1);
}

/* Near a span there is, so that some of its ends are right. */
static void random_made_up(struct ring *r, struct model *m, struct rng *rng)
{
	uint32_t i = (uint32_t)rng_between(rng, 0, m->nr_spans ? m->nr_spans - 1 : 0);
	struct span span = m->spans[i];

	if (m->nr_spans == 0 || rng_percent(rng, 20))
		span = (struct span){ (uint32_t)rng_next(rng) % (MAX_SEGS * SEG), 1 };
	if (rng_percent(rng, 50))
		span.page += (uint32_t)rng_between(rng, -2, 2);
	if (rng_percent(rng, 50))
		span.nr += (uint32_t)rng_between(rng, -2, 40);
	if (rng_percent(rng, 5))
		span.nr = (uint32_t)rng_next(rng);
	for (i = 0; i < m->nr_spans; i++) {
		if (m->spans[i].page == span.page && m->spans[i].nr == span.nr)
			return;
	}
	assert_false(ring_release(r, span.page, span.nr));
}

static bool seg_is_dirty(const struct model *m, uint32_t seg)
{
	uint32_t i;

	for (i = seg * SEG; i < (seg + 1) * SEG; i++) {
		if (m->owner[i] > 0)
			return false;
	}
	if (seg == m->cur && m->owner[seg * SEG + SEG - 1] == CLEAN)
		return false;
	return m->owner[seg * SEG] == STALE;
}

static void random_clean(struct ring *r, struct model *m, struct rng *rng)
{
	uint32_t nr_dirty = 0;
	struct ring_run run;
	uint32_t seg;

	for (seg = 0; seg < m->nr_segs; seg++)
		nr_dirty += seg_is_dirty(m, seg);
	assert_int_equal(r->nr_dirty, nr_dirty);
	do {
		run = ring_dirty(r);
		assert_int_equal(run.nr > 0, nr_dirty > 0);
		if (run.nr == 0)
			return;
		assert_int_equal(run.page % SEG, 0);
		assert_true(all_are(m, run.page, run.nr, STALE));
		assert_true(all_are(m, run.page + run.nr, SEG - run.nr, CLEAN));
		ring_cleaned(r, run.page);
		set_all(m, run.page, run.nr, CLEAN);
		nr_dirty--;
	} while (rng_percent(rng, 70));
}

static void random_run(uint64_t seed)
{
	static struct model m;
	struct rng rng = rng_seeded(seed);
	struct ring r;
	int lays = (int)rng_between(&rng, 35, 55); /* below and above what releases keep up with */
	int op;

	memset(&m, 0, sizeof(m));
	m.nr_segs = (uint32_t)rng_between(&rng, 1, MAX_SEGS);
	assert_int_equal(ring_init(&r, m.nr_segs), 0);
	for (op = 0; op < NR_OPS; op++) {
		if (rng_percent(&rng, lays))
			random_lay(&r, &m, &rng);
		else if (rng_percent(&rng, 80))
			random_release(&r, &m, &rng);
		else if (rng_percent(&rng, 50))
			random_made_up(&r, &m, &rng);
		else
			random_clean(&r, &m, &rng);
		assert_int_equal(r.live, m.live);
	}
	ring_fini(&r);
}

static void ring_random__never_fills_a_page_twice(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= NR_SEEDS; seed++)
		random_run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_init__without_segments_there_is_no_room),
		cmocka_unit_test(ring_init__too_many),
		cmocka_unit_test(ring_fini__may_be_repeated),
		cmocka_unit_test(ring_room__does_not_take),
		cmocka_unit_test(ring_room__fewer_at_the_end_of_a_segment),
		cmocka_unit_test(ring_room__passes_over_what_is_held),
		cmocka_unit_test(ring_room__one_segment_again_and_again),
		cmocka_unit_test(ring_release__in_any_order),
		cmocka_unit_test(ring_release__refuses_what_is_no_span),
		cmocka_unit_test(ring_dirty__not_while_the_segment_is_being_filled),
		cmocka_unit_test(ring_cleaned__ignores_what_is_not_dirty),
		cmocka_unit_test(ring_random__never_fills_a_page_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
