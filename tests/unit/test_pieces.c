/* SPDX-License-Identifier: MIT */
/* What came beyond a gap, beside a model with one byte per byte. */
#include "unit.h"

#include "lab/pieces.h"

#include <string.h>

#define MODEL 160

/* In order, apart from each other, none empty. */
static void is_sound(const struct pieces *p)
{
	assert_true(p->nr <= PIECES_MAX);
	for (unsigned i = 0; i < p->nr; i++) {
		assert_true(p->at[i].from < p->at[i].to);
		if (i > 0)
			assert_true(p->at[i - 1].to < p->at[i].from);
	}
}

static void is_model(const struct pieces *p, const uint8_t *model, uint64_t base)
{
	uint8_t mine[MODEL] = { 0 };

	is_sound(p);
	for (unsigned i = 0; i < p->nr; i++) {
		assert_in_range(p->at[i].from, base, base + MODEL - 1);
		assert_in_range(p->at[i].to, base, base + MODEL);
		memset(mine + (p->at[i].from - base), 1, p->at[i].to - p->at[i].from);
	}
	assert_memory_equal(mine, model, MODEL);
}

static void are(const struct pieces *p, const struct piece *want, unsigned nr)
{
	is_sound(p);
	assert_int_equal(p->nr, nr);
	for (unsigned i = 0; i < nr; i++) {
		assert_int_equal(p->at[i].from, want[i].from);
		assert_int_equal(p->at[i].to, want[i].to);
	}
}

#define ARE(p, ...)                                                                                \
	are(p, (const struct piece[]){ __VA_ARGS__ },                                              \
	    ARRAY_SIZE(((const struct piece[]){ __VA_ARGS__ })))

/* [10, 20), [30, 40), [50, 60) */
static struct pieces three(void)
{
	struct pieces p = { 0 };

	assert_true(pieces_add(&p, 30, 40));
	assert_true(pieces_add(&p, 50, 60));
	assert_true(pieces_add(&p, 10, 20));
	ARE(&p, { 10, 20 }, { 30, 40 }, { 50, 60 });
	return p;
}

static void pieces_add__touching_become_one(void **state)
{
	struct pieces p = three();

	(void)state;
	assert_true(pieces_add(&p, 20, 22));
	ARE(&p, { 10, 22 }, { 30, 40 }, { 50, 60 });
	assert_true(pieces_add(&p, 48, 50));
	ARE(&p, { 10, 22 }, { 30, 40 }, { 48, 60 });
	assert_true(pieces_add(&p, 40, 48));
	ARE(&p, { 10, 22 }, { 30, 60 });
	assert_true(pieces_add(&p, 22, 30));
	ARE(&p, { 10, 60 });
}

static void pieces_add__one_byte_apart_stay_apart(void **state)
{
	struct pieces p = three();

	(void)state;
	assert_true(pieces_add(&p, 21, 29));
	ARE(&p, { 10, 20 }, { 21, 29 }, { 30, 40 }, { 50, 60 });
}

static void pieces_add__overlapping(void **state)
{
	struct pieces p = three();

	(void)state;
	assert_true(pieces_add(&p, 12, 18)); /* within */
	assert_true(pieces_add(&p, 10, 20)); /* the same */
	ARE(&p, { 10, 20 }, { 30, 40 }, { 50, 60 });
	assert_true(pieces_add(&p, 5, 12));
	assert_true(pieces_add(&p, 18, 25));
	ARE(&p, { 5, 25 }, { 30, 40 }, { 50, 60 });
	assert_true(pieces_add(&p, 29, 55)); /* over one and into the next */
	ARE(&p, { 5, 25 }, { 29, 60 });
	assert_true(pieces_add(&p, 0, 100));
	ARE(&p, { 0, 100 });
}

static void pieces_add__nothing(void **state)
{
	struct pieces p = three();

	(void)state;
	assert_true(pieces_add(&p, 25, 25));
	assert_true(pieces_add(&p, 15, 12));
	ARE(&p, { 10, 20 }, { 30, 40 }, { 50, 60 });
}

static void pieces_take__what_is_connected(void **state)
{
	struct pieces p = three();

	(void)state;
	assert_int_equal(pieces_take(&p, 9), 9);
	ARE(&p, { 10, 20 }, { 30, 40 }, { 50, 60 });
	assert_int_equal(pieces_take(&p, 10), 20);
	ARE(&p, { 30, 40 }, { 50, 60 });
	assert_int_equal(pieces_take(&p, 35), 40);
	ARE(&p, { 50, 60 });
	assert_int_equal(pieces_take(&p, 61), 61); /* all before it is done with */
	assert_int_equal(p.nr, 0);
	assert_int_equal(pieces_take(&p, 7), 7);
}

static void fill(struct pieces *p)
{
	for (uint64_t i = 0; i < PIECES_MAX; i++)
		assert_true(pieces_add(p, 10 * i, 10 * i + 5));
	assert_int_equal(p->nr, PIECES_MAX);
	is_sound(p);
}

static void pieces_add__full(void **state)
{
	static struct pieces p, before;

	(void)state;
	p = (struct pieces){ 0 };
	fill(&p);
	before = p;
	assert_false(pieces_add(&p, 10 * PIECES_MAX, 10 * PIECES_MAX + 1));
	assert_false(pieces_add(&p, 7, 8));
	assert_memory_equal(&p, &before, sizeof(p));
	assert_true(pieces_add(&p, 3, 3));
	assert_true(pieces_add(&p, 0, 5));
	assert_memory_equal(&p, &before, sizeof(p));
	/* What makes no new one has room. */
	assert_true(pieces_add(&p, 5, 6));
	assert_int_equal(p.nr, PIECES_MAX);
	assert_true(pieces_add(&p, 6, 10));
	assert_int_equal(p.nr, PIECES_MAX - 1);
	assert_true(pieces_add(&p, 17, 18));
	assert_false(pieces_add(&p, 27, 28));
	assert_int_equal(p.nr, PIECES_MAX);
	is_sound(&p);
}

static void pieces_add__far_offsets(void **state)
{
	struct pieces p = { 0 };

	(void)state;
	assert_true(pieces_add(&p, UINT64_MAX - 10, UINT64_MAX));
	assert_true(pieces_add(&p, 0xffffffff, 0x100000001));
	assert_true(pieces_add(&p, UINT64_MAX - 20, UINT64_MAX - 10));
	ARE(&p, { 0xffffffff, 0x100000001 }, { UINT64_MAX - 20, UINT64_MAX });
	assert_int_equal(pieces_take(&p, 0x100000000), 0x100000001);
}

/* ---- random ---------------------------------------------------------------------------------- */

static uint64_t model_take(uint8_t *model, uint64_t next)
{
	while (next < MODEL && model[next])
		next++;
	memset(model, 0, next);
	return next;
}

static void random__as_the_model(void **state)
{
	struct rng rng = rng_seeded(1);

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		uint64_t base = round % 2 ? 0xffffffff - MODEL / 2 : 0;
		struct pieces p = { 0 };
		uint8_t model[MODEL] = { 0 };

		for (unsigned i = 0; i < 60; i++) {
			uint64_t from = (uint64_t)rng_between(&rng, 0, MODEL - 1);
			uint64_t to = from + (uint64_t)rng_between(&rng, 0, 12);

			if (to > MODEL)
				to = MODEL;
			if (rng_percent(&rng, 90)) {
				assert_true(pieces_add(&p, base + from, base + to));
				memset(model + from, 1, to - from);
			} else {
				assert_int_equal(pieces_take(&p, base + from),
						 base + model_take(model, from));
			}
			is_model(&p, model, base);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_add__touching_become_one),
		cmocka_unit_test(pieces_add__one_byte_apart_stay_apart),
		cmocka_unit_test(pieces_add__overlapping),
		cmocka_unit_test(pieces_add__nothing),
		cmocka_unit_test(pieces_take__what_is_connected),
		cmocka_unit_test(pieces_add__full),
		cmocka_unit_test(pieces_add__far_offsets),
		cmocka_unit_test(random__as_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
