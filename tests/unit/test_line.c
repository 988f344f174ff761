/* SPDX-License-Identifier: MIT */
/* The way to the partner: what arrives when, and in which order. */
#include "unit.h"

#include "lab/line.h"

#include <string.h>

static void put(struct line *l, uint32_t name, uint64_t due, bool late)
{
	struct lab_segment segment = { .seq = name, .len = ~name };

	assert_true(line_put(l, &segment, due, late));
}

static void takes(struct line *l, uint64_t now, uint32_t name)
{
	struct lab_segment segment;

	assert_true(line_take(l, now, &segment));
	assert_int_equal(segment.seq, name);
	assert_int_equal(segment.len, ~name);
}

static void takes_nothing(struct line *l, uint64_t now)
{
	struct lab_segment segment;

	assert_false(line_take(l, now, &segment));
}

static void line__empty(void **state)
{
	struct line l = { 0 };

	(void)state;
	assert_true(line_next(&l) == UINT64_MAX);
	takes_nothing(&l, UINT64_MAX);
	line_free(&l);
}

static void line_take__not_before_it_is_due(void **state)
{
	struct line l = { 0 };

	(void)state;
	put(&l, 1, 100, false);
	put(&l, 2, 150, false);
	assert_int_equal(line_next(&l), 100);
	takes_nothing(&l, 99);
	takes(&l, 100, 1);
	takes_nothing(&l, 149);
	assert_int_equal(line_next(&l), 150);
	takes(&l, 1000, 2);
	takes_nothing(&l, 1000);
	assert_true(line_next(&l) == UINT64_MAX);
	line_free(&l);
}

static void line_take__late_ones_in_between(void **state)
{
	struct line l = { 0 };

	(void)state;
	put(&l, 1, 300, true);
	put(&l, 2, 100, false);
	put(&l, 3, 400, true);
	put(&l, 4, 200, false);
	put(&l, 5, 300, false);
	put(&l, 6, 350, false);
	assert_int_equal(line_next(&l), 100);
	takes(&l, 1000, 2);
	takes(&l, 1000, 4);
	takes(&l, 1000, 5); /* at the same time: who was not delayed comes first */
	assert_int_equal(line_next(&l), 300);
	takes(&l, 1000, 1);
	takes(&l, 1000, 6);
	assert_int_equal(line_next(&l), 400);
	takes_nothing(&l, 399);
	takes(&l, 400, 3);
	takes_nothing(&l, 1000);
	line_free(&l);
}

/* Twice beyond what was there, with the beginning somewhere in the middle. */
static void line_put__grows(void **state)
{
	struct line l = { 0 };
	uint32_t in = 0, out = 0;

	(void)state;
	while (in < 200)
		put(&l, in, in, false), in++;
	while (out < 150)
		takes(&l, UINT64_MAX, out), out++;
	while (in < 2000)
		put(&l, in, in, false), in++;
	while (out < 2000)
		takes(&l, UINT64_MAX, out), out++;
	takes_nothing(&l, UINT64_MAX);
	line_free(&l);
}

static void line_free__leaves_an_empty_one(void **state)
{
	struct line l = { 0 };

	(void)state;
	put(&l, 1, 1, false);
	put(&l, 2, 2, true);
	line_free(&l);
	assert_true(line_next(&l) == UINT64_MAX);
	put(&l, 3, 3, true);
	takes(&l, 3, 3);
	line_free(&l);
	line_free(&l);
}

/* ---- random ---------------------------------------------------------------------------------- */

#define NR 3000

/* What is on its way, in no order. */
struct model {
	size_t nr;
	struct {
		uint64_t due;
		uint32_t name;
		bool late;
	} at[NR];
};

static void model_put(struct model *m, uint32_t name, uint64_t due, bool late)
{
	assert_true(m->nr < NR);
	m->at[m->nr].due = due;
	m->at[m->nr].name = name;
	m->at[m->nr++].late = late;
}

/* The one to arrive first: the earliest, of those the not delayed, of those the oldest. */
static size_t model_first(const struct model *m)
{
	size_t first = 0;

	for (size_t i = 1; i < m->nr; i++) {
		if (m->at[i].due < m->at[first].due ||
		    (m->at[i].due == m->at[first].due && !m->at[i].late && m->at[first].late))
			first = i;
	}
	return first;
}

static void take_due(struct line *l, struct model *m, uint64_t now)
{
	struct lab_segment segment;
	size_t first;

	for (;;) {
		first = model_first(m);
		assert_true(line_next(l) == (m->nr ? m->at[first].due : UINT64_MAX));
		if (!line_take(l, now, &segment))
			break;
		assert_true(m->nr > 0 && m->at[first].due <= now);
		assert_int_equal(segment.seq, m->at[first].name);
		m->nr--;
		memmove(&m->at[first], &m->at[first + 1], (m->nr - first) * sizeof(m->at[0]));
	}
	assert_true(m->nr == 0 || m->at[first].due > now);
}

static void random__as_the_model(void **state)
{
	static struct model m;
	struct rng rng = rng_seeded(2);
	struct line l = { 0 };
	uint64_t now = 0;

	(void)state;
	for (uint32_t name = 0; name < NR; name++) {
		bool late = rng_percent(&rng, 20);

		now += (uint64_t)rng_between(&rng, 0, 3);
		put(&l, name, now + (late ? 500 : 400), late);
		model_put(&m, name, now + (late ? 500 : 400), late);
		if (rng_percent(&rng, 30))
			take_due(&l, &m, now);
	}
	take_due(&l, &m, UINT64_MAX - 1);
	assert_int_equal(m.nr, 0);
	line_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line__empty),
		cmocka_unit_test(line_take__not_before_it_is_due),
		cmocka_unit_test(line_take__late_ones_in_between),
		cmocka_unit_test(line_put__grows),
		cmocka_unit_test(line_free__leaves_an_empty_one),
		cmocka_unit_test(random__as_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
