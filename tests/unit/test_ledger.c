/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "pure/ledger.h"

#include <errno.h>
#include <string.h>

/* ---- helpers --------------------------------------------------------------------------------- */

#define WRAP (UINT64_C(1) << 32)

static void take(struct ledger *l, uint64_t nr)
{
	while (nr--) {
		assert_int_equal(ledger_reserve(l), 0);
		ledger_take(l);
	}
}

static struct ledger taken(uint64_t first, uint64_t nr)
{
	struct ledger l;

	ledger_init(&l, first);
	take(&l, nr);
	return l;
}

/* Settles [lo, hi] in wide numbers and compares what it brought. */
static void settles(struct ledger *l, uint64_t lo, uint64_t hi, uint64_t fresh)
{
	struct ledger_settled done = ledger_settle(l, (uint32_t)lo, (uint32_t)hi);

	assert_int_equal(done.lo, lo);
	assert_int_equal(done.hi, hi + 1);
	assert_int_equal(done.fresh, fresh);
}

static void settles_nothing(struct ledger *l, uint64_t lo, uint64_t hi)
{
	struct ledger before = *l;
	struct ledger_settled done = ledger_settle(l, (uint32_t)lo, (uint32_t)hi);

	assert_int_equal(done.lo, done.hi);
	assert_int_equal(done.fresh, 0);
	assert_int_equal(l->base, before.base);
	assert_int_equal(l->nr_set, before.nr_set);
}

/* ---- init, reserve, take --------------------------------------------------------------------- */

static void ledger_init__nothing_is_out(void **state)
{
	struct ledger l = taken(WRAP - 1, 0);

	(void)state;
	assert_int_equal(ledger_out(&l), 0);
	assert_int_equal(l.base, WRAP - 1);
	settles_nothing(&l, WRAP - 1, WRAP - 1);
	assert_int_equal(l.distrust, 1);
	ledger_fini(&l);
}

static void ledger_fini__may_be_repeated(void **state)
{
	struct ledger l = taken(0, 1000);

	(void)state;
	ledger_fini(&l);
	ledger_fini(&l);
	assert_int_equal(ledger_out(&l), 0);
	assert_int_equal(ledger_reserve(&l), 0);
}

static void ledger_reserve__grows_and_keeps_what_is_settled(void **state)
{
	struct ledger l = taken(10, 64);
	uint64_t n;

	(void)state;
	/* 10 and 73 share the word of a full ring of 64 */
	for (n = 11; n < 74; n += 2)
		settles(&l, n, n, 1);
	take(&l, 1000);
	for (n = 10; n < 1074; n++)
		assert_int_equal(ledger_is_settled(&l, n, n + 1), n < 74 && n % 2 == 1);
	ledger_fini(&l);
}

static void ledger_reserve__refuses_more_than_numbers_can_tell(void **state)
{
	struct ledger l = taken(0, 0);

	(void)state;
	l.nr_bits = 1u << 30;
	l.next = l.nr_bits;
	assert_int_equal(ledger_reserve(&l), -ENOMEM);
	assert_int_equal(l.nr_bits, 1u << 30);
}

static void ledger_take__numbers_ascend_across_the_wrap(void **state)
{
	struct ledger l = taken(WRAP - 1, 0);

	(void)state;
	assert_int_equal(ledger_take(&l), WRAP - 1);
	assert_int_equal(ledger_take(&l), WRAP);
	assert_int_equal(ledger_out(&l), 2);
	ledger_fini(&l);
}

/* ---- settle ---------------------------------------------------------------------------------- */

static void ledger_settle__in_order(void **state)
{
	struct ledger l = taken(0, 3);

	(void)state;
	settles(&l, 0, 0, 1);
	settles(&l, 1, 1, 1);
	assert_int_equal(ledger_out(&l), 1);
	settles(&l, 2, 2, 1);
	assert_int_equal(ledger_out(&l), 0);
	assert_int_equal(l.unknown, 0);
	ledger_fini(&l);
}

static void ledger_settle__one_range_covers_many_calls(void **state)
{
	struct ledger l = taken(0, 20);

	(void)state;
	settles(&l, 0, 16, 17);
	assert_true(ledger_is_settled(&l, 0, 17));
	assert_int_equal(ledger_out(&l), 3);
	ledger_fini(&l);
}

static void ledger_settle__later_numbers_first(void **state)
{
	struct ledger l = taken(0, 18);

	(void)state;
	/* what a reset was seen to report */
	settles(&l, 2, 17, 16);
	assert_false(ledger_is_settled(&l, 0, 1));
	assert_false(ledger_is_settled(&l, 1, 2));
	assert_true(ledger_is_settled(&l, 2, 18));
	assert_int_equal(l.base, 0);
	settles(&l, 0, 1, 2);
	assert_int_equal(ledger_out(&l), 0);
	assert_int_equal(l.nr_set, 0);
	ledger_fini(&l);
}

static void ledger_settle__across_the_wrap(void **state)
{
	struct ledger l = taken(WRAP - 5, 10);
	struct ledger_settled done = ledger_settle(&l, UINT32_MAX - 1, 2);

	(void)state;
	assert_int_equal(done.lo, WRAP - 2);
	assert_int_equal(done.hi, WRAP + 3);
	assert_int_equal(done.fresh, 5);
	assert_int_equal(l.base, WRAP - 5);
	settles(&l, WRAP - 5, WRAP - 3, 3);
	assert_int_equal(l.base, WRAP + 3);
	assert_int_equal(l.distrust, 0);
	ledger_fini(&l);
}

static void ledger_settle__repeated_is_counted(void **state)
{
	struct ledger l = taken(0, 10);

	(void)state;
	settles(&l, 4, 6, 3);
	settles(&l, 5, 8, 2);
	assert_int_equal(l.unknown, 2);
	settles(&l, 0, 3, 4);
	assert_int_equal(l.base, 9);
	settles_nothing(&l, 2, 5);
	assert_int_equal(l.unknown, 6);
	assert_int_equal(l.distrust, 0);
	ledger_fini(&l);
}

static void ledger_settle__partly_below_base(void **state)
{
	struct ledger l = taken(0, 10);
	struct ledger_settled done;

	(void)state;
	settles(&l, 0, 3, 4);
	done = ledger_settle(&l, 2, 6);
	assert_int_equal(done.lo, 4);
	assert_int_equal(done.hi, 7);
	assert_int_equal(done.fresh, 3);
	assert_int_equal(l.unknown, 2);
	assert_int_equal(l.base, 7);
	ledger_fini(&l);
}

static void ledger_settle__past_next_settles_nothing(void **state)
{
	struct ledger l = taken(0, 10);

	(void)state;
	settles_nothing(&l, 8, 10);
	assert_int_equal(l.distrust, 1);
	assert_int_equal(l.unknown, 3);
	settles_nothing(&l, 100, 100);
	assert_int_equal(l.distrust, 2);
	assert_false(ledger_is_settled(&l, 8, 9));
	ledger_fini(&l);
}

static void ledger_settle__reversed_settles_nothing(void **state)
{
	struct ledger l = taken(100, 10);

	(void)state;
	/* read across the wrap, as it must be, it names nearly all numbers */
	settles_nothing(&l, 105, 103);
	assert_int_equal(l.unknown, WRAP - 1);
	settles_nothing(&l, 105, 104);
	assert_int_equal(l.unknown, UINT32_MAX); /* it stays there */
	assert_int_equal(l.distrust, 2);
	ledger_fini(&l);
}

static void ledger_settle__before_number_0_settles_nothing(void **state)
{
	struct ledger l = taken(0, 10);

	(void)state;
	settles_nothing(&l, WRAP - 1, WRAP - 1);
	settles_nothing(&l, WRAP - 2, 3);
	assert_int_equal(l.distrust, 2);
	ledger_fini(&l);
}

static void ledger_settle__distrust_stays_at_its_maximum(void **state)
{
	struct ledger l = taken(0, 0);

	(void)state;
	l.distrust = UINT32_MAX;
	settles_nothing(&l, 0, 0);
	assert_int_equal(l.distrust, UINT32_MAX);
}

static void ledger_settle__full_ring_backwards(void **state)
{
	struct ledger l = taken(77, 128);
	uint64_t n;

	(void)state;
	for (n = 77 + 127; n > 77; n--)
		settles(&l, n, n, 1);
	assert_int_equal(l.base, 77);
	settles(&l, 77, 77, 1);
	assert_int_equal(ledger_out(&l), 0);
	/* and no bit is left over for the next lap */
	take(&l, 128);
	for (n = l.base; n < l.next; n++)
		assert_false(ledger_is_settled(&l, n, n + 1));
	ledger_fini(&l);
}

/* ---- is_settled, rebase, trim ---------------------------------------------------------------- */

static void ledger_is_settled__edges(void **state)
{
	struct ledger l = taken(5, 5);

	(void)state;
	settles(&l, 5, 6, 2);
	settles(&l, 8, 9, 2);
	assert_true(ledger_is_settled(&l, 0, 7));
	assert_true(ledger_is_settled(&l, 7, 7));
	assert_true(ledger_is_settled(&l, 8, 10));
	assert_false(ledger_is_settled(&l, 5, 8));
	assert_false(ledger_is_settled(&l, 7, 8));
	assert_false(ledger_is_settled(&l, 8, 11));
	assert_false(ledger_is_settled(&l, 10, 11));
	ledger_fini(&l);
}

static void ledger_rebase__begins_anew(void **state)
{
	struct ledger l = taken(0, 70);

	(void)state;
	settles(&l, 60, 69, 10);
	ledger_rebase(&l, 1000);
	assert_int_equal(ledger_out(&l), 0);
	take(&l, 128);
	assert_false(ledger_is_settled(&l, 1060, 1061));
	settles(&l, 1000, 1127, 128);
	settles_nothing(&l, 999, 999);
	assert_int_equal(l.distrust, 0);
	ledger_fini(&l);
}

static void ledger_trim__only_when_nothing_is_out(void **state)
{
	struct ledger l = taken(0, 65);

	(void)state;
	settles(&l, 0, 63, 64);
	ledger_trim(&l);
	assert_non_null(l.bits);
	settles(&l, 64, 64, 1);
	ledger_trim(&l);
	assert_null(l.bits);
	take(&l, 65);
	settles(&l, 66, 129, 64);
	assert_false(ledger_is_settled(&l, 65, 66));
	ledger_fini(&l);
}

/* ---- random operations against a set of bytes ------------------------------------------------ */

#define NR_SEEDS   250
#define NR_OPS	   2000
#define MODEL_SIZE (NR_OPS * 24)

struct model {
	uint64_t first; /* the number of settled[0] */
	int64_t base;	/* these two count from first */
	int64_t next;
	uint64_t unknown;
	uint32_t distrust;
	uint8_t settled[MODEL_SIZE];
};

/* [lo, hi] counts from first, and may lie below it. */
static struct ledger_settled model_settle(struct model *m, int64_t lo, int64_t hi)
{
	struct ledger_settled done = { m->first + m->base, m->first + m->base, 0 };
	int64_t n;

	if (hi >= m->next || (lo < 0 && (uint64_t)-lo > m->first)) {
		m->distrust++;
		m->unknown += hi - lo + 1;
		return done;
	}
	if (hi >= m->base) {
		done.lo = m->first + (lo > m->base ? lo : m->base);
		done.hi = m->first + hi + 1;
	}
	for (n = lo; n <= hi; n++) {
		if (n < m->base || m->settled[n]) {
			m->unknown++;
		} else {
			m->settled[n] = 1;
			done.fresh++;
		}
	}
	while (m->base < m->next && m->settled[m->base])
		m->base++;
	return done;
}

/* A range as a kernel would report it: merged, split, out of order, repeated; or worse. */
static void random_range(struct model *m, struct rng *rng, int64_t *lo, int64_t *hi)
{
	switch (rng_between(rng, 0, 9)) {
	case 0: /* anywhere around */
		*lo = rng_between(rng, m->base - 80, m->next + 2);
		*hi = *lo + rng_between(rng, 0, 100);
		break;
	case 1:
	case 2:
	case 3: /* the next ones */
		*lo = m->base;
		*hi = rng_between(rng, m->base, m->next);
		break;
	case 4: /* all */
		*lo = m->base;
		*hi = m->next > m->base ? m->next - 1 : m->base;
		break;
	default: /* some that are out, or were */
		*lo = rng_between(rng, m->base - 3, m->next);
		*hi = *lo + rng_between(rng, 0, rng_percent(rng, 50) ? 3 : 150);
		if (*hi >= m->next && m->next > *lo)
			*hi = m->next - 1;
	}
}

static void random_settle(struct ledger *l, struct model *m, struct rng *rng)
{
	struct ledger_settled want = { l->base, l->base, 0 };
	struct ledger_settled got;
	int64_t lo;
	int64_t hi;

	random_range(m, rng, &lo, &hi);
	if (hi > lo && rng_percent(rng, 2)) { /* reversed */
		got = ledger_settle(l, (uint32_t)(m->first + hi), (uint32_t)(m->first + lo));
		m->unknown += WRAP - (hi - lo) + 1;
		m->distrust++;
	} else {
		got = ledger_settle(l, (uint32_t)(m->first + lo), (uint32_t)(m->first + hi));
		want = model_settle(m, lo, hi);
	}
	assert_int_equal(got.lo, want.lo);
	assert_int_equal(got.hi, want.hi);
	assert_int_equal(got.fresh, want.fresh);
}

static void random_take(struct ledger *l, struct model *m, struct rng *rng)
{
	int64_t nr = rng_between(rng, 1, rng_percent(rng, 10) ? 100 : 4);

	while (nr--) {
		assert_int_equal(ledger_reserve(l), 0);
		assert_int_equal(ledger_take(l), m->first + m->next++);
	}
}

static void random_take_back(struct ledger *l, struct model *m, struct rng *rng)
{
	if (rng_percent(rng, 50) && m->next + 1 < MODEL_SIZE) { /* as it is used */
		assert_int_equal(ledger_reserve(l), 0);
		ledger_take(l);
		m->next++;
	}
	ledger_take_back(l);
	if (m->next > m->base && !m->settled[m->next - 1])
		m->next--;
}

static void random_reset(struct ledger *l, struct model *m, struct rng *rng)
{
	ledger_trim(l);
	if (m->base < m->next || rng_percent(rng, 80))
		return;
	m->first += m->next;
	if (rng_percent(rng, 50))
		m->first += rng_between(rng, 0, 1000);
	ledger_rebase(l, m->first);
	memset(m->settled, 0, m->next);
	m->base = m->next = 0;
}

static void compare(const struct ledger *l, const struct model *m, struct rng *rng)
{
	int64_t lo = rng_between(rng, m->base, m->next);
	int64_t hi = lo + rng_between(rng, 0, rng_percent(rng, 70) ? 3 : 200);
	int64_t n = lo;

	assert_int_equal(l->base, m->first + m->base);
	assert_int_equal(l->next, m->first + m->next);
	assert_int_equal(l->unknown, m->unknown < UINT32_MAX ? m->unknown : UINT32_MAX);
	assert_int_equal(l->distrust, m->distrust);
	while (n < hi && n < m->next && m->settled[n])
		n++;
	assert_int_equal(ledger_is_settled(l, m->first + lo, m->first + hi), n >= hi);
}

static void random_run(uint64_t first, uint64_t seed)
{
	static struct model m;
	struct rng rng = rng_seeded(seed);
	struct ledger l;
	int takes = (int)rng_between(&rng, 20, 60); /* how busy it is: from a few out to hundreds */
	int op;

	memset(&m, 0, sizeof(m));
	m.first = first;
	ledger_init(&l, first);
	for (op = 0; op < NR_OPS; op++) {
		if (rng_percent(&rng, takes) && m.next + 100 < MODEL_SIZE)
			random_take(&l, &m, &rng);
		else if (rng_percent(&rng, 10))
			random_take_back(&l, &m, &rng);
		else if (rng_percent(&rng, 97))
			random_settle(&l, &m, &rng);
		else
			random_reset(&l, &m, &rng);
		compare(&l, &m, &rng);
	}
	ledger_fini(&l);
}

static void random_runs(uint64_t first)
{
	uint64_t seed;

	for (seed = 1; seed <= NR_SEEDS; seed++)
		random_run(first, seed);
}

static void ledger_random__from_0(void **state)
{
	(void)state;
	random_runs(0);
}

static void ledger_random__across_the_wrap(void **state)
{
	(void)state;
	random_runs(WRAP - 5);
}

static void ledger_random__across_the_second_wrap(void **state)
{
	(void)state;
	random_runs(2 * WRAP - 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ledger_init__nothing_is_out),
		cmocka_unit_test(ledger_fini__may_be_repeated),
		cmocka_unit_test(ledger_reserve__grows_and_keeps_what_is_settled),
		cmocka_unit_test(ledger_reserve__refuses_more_than_numbers_can_tell),
		cmocka_unit_test(ledger_take__numbers_ascend_across_the_wrap),
		cmocka_unit_test(ledger_settle__in_order),
		cmocka_unit_test(ledger_settle__one_range_covers_many_calls),
		cmocka_unit_test(ledger_settle__later_numbers_first),
		cmocka_unit_test(ledger_settle__across_the_wrap),
		cmocka_unit_test(ledger_settle__repeated_is_counted),
		cmocka_unit_test(ledger_settle__partly_below_base),
		cmocka_unit_test(ledger_settle__past_next_settles_nothing),
		cmocka_unit_test(ledger_settle__reversed_settles_nothing),
		cmocka_unit_test(ledger_settle__before_number_0_settles_nothing),
		cmocka_unit_test(ledger_settle__distrust_stays_at_its_maximum),
		cmocka_unit_test(ledger_settle__full_ring_backwards),
		cmocka_unit_test(ledger_is_settled__edges),
		cmocka_unit_test(ledger_rebase__begins_anew),
		cmocka_unit_test(ledger_trim__only_when_nothing_is_out),
		cmocka_unit_test(ledger_random__from_0),
		cmocka_unit_test(ledger_random__across_the_wrap),
		cmocka_unit_test(ledger_random__across_the_second_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
