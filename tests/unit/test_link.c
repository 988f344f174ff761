/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "pure/link.h"

#define MS UINT64_C(1000000)

/* Things of one length until `pairs` were made; the costs per byte are given, in ns. */
static void teach(struct link *l, enum link_side side, uint64_t len, double copy, double zerocopy,
		  unsigned pairs)
{
	struct choice *c = &l->choices[side][link_class(len)];
	unsigned before = c->nr;

	for (uint64_t i = 0; c->nr < before + pairs && i < 1000000; i++) {
		bool measure = false;
		bool way = link_choose(l, side, len, i, &measure);

		if (measure)
			link_cost(l, side, len, way, (way ? zerocopy : copy) * (double)len, len);
	}
	assert_int_equal(c->nr, before + pairs);
}

static bool takes(struct link *l, enum link_side side, uint64_t len)
{
	bool measure;
	unsigned nr = 0;

	for (int i = 0; i < 2000; i++)
		nr += link_choose(l, side, len, 0, &measure);
	assert_true(nr < 500 || nr > 1500);
	return nr > 1000;
}

/* ---- classes -------------------------------------------------------------------------------- */

static void link_class__is_a_power_of_two(void **state)
{
	(void)state;
	assert_int_equal(link_class(LINK_LEAST), 0);
	assert_int_equal(link_class(2 * LINK_LEAST - 1), 0);
	assert_int_equal(link_class(2 * LINK_LEAST), 1);
	assert_int_equal(link_class(1 << 20), LINK_CLASSES - 1);
	assert_int_equal(link_class(UINT64_MAX), LINK_CLASSES - 1);
	for (uint32_t i = 0; i < LINK_CLASSES; i++)
		assert_int_equal(link_class(link_least(i)), i);
}

/* ---- what a class without measurements does ------------------------------------------------- */

static void link_choose__begins_with_a_guess(void **state)
{
	struct link l;

	(void)state;
	link_init(&l, 1, 0);
	assert_false(takes(&l, LINK_SEND, 8192));
	assert_true(takes(&l, LINK_SEND, 16384));
	assert_false(takes(&l, LINK_RECV, 65536));
	assert_true(takes(&l, LINK_RECV, 256 << 10));
}

static void link_choose__goes_with_its_neighbours(void **state)
{
	struct link l;

	(void)state;
	link_init(&l, 1, 0);
	teach(&l, LINK_SEND, 4096, 2, 1, 8);
	assert_true(takes(&l, LINK_SEND, 8192));
	assert_true(takes(&l, LINK_SEND, 2048)); /* near */
	link_init(&l, 1, 0);
	teach(&l, LINK_SEND, 256 << 10, 1, 2, 8);
	assert_false(takes(&l, LINK_SEND, 128 << 10));
	assert_false(takes(&l, LINK_SEND, 16 << 10)); /* far, but smaller */
}

static void link_choose__sides_do_not_speak_for_each_other(void **state)
{
	struct link l;

	(void)state;
	link_init(&l, 1, 0);
	teach(&l, LINK_SEND, 64 << 10, 1, 2, 8);
	assert_false(takes(&l, LINK_SEND, 64 << 10));
	assert_true(takes(&l, LINK_RECV, 256 << 10));
}

/* ---- what was measured ---------------------------------------------------------------------- */

static void link_choose__takes_what_costs_less(void **state)
{
	struct link l;

	(void)state;
	link_init(&l, 1, 0);
	assert_false(link_is_sure(&l, LINK_SEND, 4096));
	teach(&l, LINK_SEND, 4096, 1.0, 0.8, 32);
	assert_true(link_is_sure(&l, LINK_SEND, 4096));
	assert_true(takes(&l, LINK_SEND, 4096));
	teach(&l, LINK_SEND, 4096, 1.0, 3.0, 12);
	assert_false(takes(&l, LINK_SEND, 4096));
	teach(&l, LINK_SEND, 4096, 3.0, 1.0, 12);
	assert_true(takes(&l, LINK_SEND, 4096));
}

static void link_sent__counts_what_its_notification_will_cost(void **state)
{
	struct link l;
	bool measure;

	(void)state;
	link_init(&l, 1, 0);
	later_note(&l.notes, 320000, 32); /* 10 us each: more than is saved */
	for (int i = 0; i < 20000; i++) {
		bool way = link_choose(&l, LINK_SEND, 65536, 0, (measure = false, &measure));

		if (measure)
			link_sent(&l, 65536, way, way ? 5000 : 9000, 65536);
	}
	assert_false(takes(&l, LINK_SEND, 65536));
}

static void link_crossover__is_the_least_that_pays(void **state)
{
	struct link l;

	(void)state;
	link_init(&l, 1, 0);
	assert_int_equal(link_crossover(&l, LINK_RECV), 128 << 10);
	teach(&l, LINK_RECV, 32 << 10, 2, 1, 16);
	assert_int_equal(link_crossover(&l, LINK_RECV), 32 << 10);
	for (uint32_t i = 0; i < LINK_CLASSES; i++)
		teach(&l, LINK_RECV, link_least(i), 1, 4, 32);
	assert_int_equal(link_crossover(&l, LINK_RECV), UINT64_MAX);
}

/* ---- how often ------------------------------------------------------------------------------ */

/* Measured of `nr` things; each a millisecond after the other, so that no pair has to wait. */
static unsigned measured_of(struct link *l, enum link_side side, uint64_t len, unsigned nr)
{
	unsigned measured = 0;

	for (unsigned i = 0; i < nr; i++) {
		bool measure = false;
		bool way = link_choose(l, side, len, i * MS, &measure);

		measured += measure;
		if (measure && i % 3) /* now and then the cost does not come */
			link_cost(l, side, len, way, way ? 2000 : 1000, len);
	}
	return measured;
}

static void link_choose__measures_one_send_in_64(void **state)
{
	struct link l;

	(void)state;
	for (uint64_t len = 2048; len <= 4 << 20; len *= 2) {
		unsigned measured;

		link_init(&l, 1, 0);
		measured = measured_of(&l, LINK_SEND, len, 64000);
		assert_true(measured <= 1000 && measured > 300);
	}
}

static void link_choose__measures_large_receives_more_often(void **state)
{
	struct link l;
	unsigned small, large;

	(void)state;
	link_init(&l, 1, 0);
	small = measured_of(&l, LINK_RECV, 32 << 10, 64000);
	large = measured_of(&l, LINK_RECV, 256 << 10, 64000);
	assert_true(small <= 1000);
	assert_true(large <= 8000 && large > 2 * small);
}

static void later__is_measured_every_other_time(void **state)
{
	struct later l = { 0 };
	unsigned due = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		due += later_is_due(&l);
	assert_int_equal(due, 50);
	later_note(&l, 1000, 10);
	assert_true(l.each_ns == 100);
	for (int i = 0; i < 100; i++)
		later_note(&l, 3000, 10);
	assert_true(l.each_ns > 299 && l.each_ns < 301);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(link_class__is_a_power_of_two),
		cmocka_unit_test(link_choose__begins_with_a_guess),
		cmocka_unit_test(link_choose__goes_with_its_neighbours),
		cmocka_unit_test(link_choose__sides_do_not_speak_for_each_other),
		cmocka_unit_test(link_choose__takes_what_costs_less),
		cmocka_unit_test(link_sent__counts_what_its_notification_will_cost),
		cmocka_unit_test(link_crossover__is_the_least_that_pays),
		cmocka_unit_test(link_choose__measures_one_send_in_64),
		cmocka_unit_test(link_choose__measures_large_receives_more_often),
		cmocka_unit_test(later__is_measured_every_other_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
