/* SPDX-License-Identifier: MIT */
/* What of the bars is arithmetic: figures, verdicts, sums of slices, and the plan of a table. */
#include "unit.h"

#include <math.h>
#include <string.h>

#include "bench/bars.h"
#include "bench/turns.h"

static const struct bar at_most = { .goal = 1.05, .against = { "copy" } };
static const struct bar at_least = { .goal = 2.5, .against = { "copy" }, .at_least = true };

static void assert_near(double a, double b)
{
	assert_true(a > b - 1e-9 && a < b + 1e-9);
}

static enum verdict judge(const struct bar *bar, double middle, double spread)
{
	return bar_verdict(bar, (struct ratio){ middle, spread });
}

/* ---- verdicts ----------------------------------------------------------------------------- */

static void verdict__at_most(void **state)
{
	(void)state;
	assert_int_equal(judge(&at_most, 1.04, 0.01), BAR_MET);
	assert_int_equal(judge(&at_most, 1.05, 0.01), BAR_MET);
	assert_int_equal(judge(&at_most, 1.0501, 0.01), BAR_MISSED);
}

static void verdict__at_least(void **state)
{
	(void)state;
	assert_int_equal(judge(&at_least, 2.6, 0.01), BAR_MET);
	assert_int_equal(judge(&at_least, 2.5, 0.01), BAR_MET);
	assert_int_equal(judge(&at_least, 2.49, 0.01), BAR_MISSED);
}

/* However far the figure is from the goal, on either side. */
static void verdict__noise_cannot_be_told(void **state)
{
	(void)state;
	assert_int_equal(judge(&at_most, 0.2, 0.03), BAR_MET);
	assert_int_equal(judge(&at_most, 0.2, 0.0301), BAR_CANNOT_TELL);
	assert_int_equal(judge(&at_most, 9, 0.0301), BAR_CANNOT_TELL);
	assert_int_equal(judge(&at_least, 9, 0.0301), BAR_CANNOT_TELL);
}

static void verdict__no_figure_cannot_be_told(void **state)
{
	(void)state;
	assert_int_equal(judge(&at_most, NAN, NAN), BAR_CANNOT_TELL);
	assert_int_equal(judge(&at_least, NAN, 0), BAR_CANNOT_TELL);
	assert_int_equal(judge(&at_most, INFINITY, 0), BAR_CANNOT_TELL);
}

/* What is counted has no spread. */
static void verdict__count(void **state)
{
	(void)state;
	assert_int_equal(judge(&at_most, 1, NAN), BAR_MET);
	assert_int_equal(judge(&at_most, 2, NAN), BAR_MISSED);
}

static void count__each(void **state)
{
	const struct bar_result results[] = {
		{ .verdict = BAR_MET },
		{ .verdict = BAR_MISSED },
		{ .verdict = BAR_MET },
		{ .verdict = BAR_CANNOT_TELL },
	};

	(void)state;
	assert_int_equal(bars_count(results, 4, BAR_MET), 2);
	assert_int_equal(bars_count(results, 4, BAR_MISSED), 1);
	assert_int_equal(bars_count(results, 4, BAR_CANNOT_TELL), 1);
	assert_int_equal(bars_count(results, 0, BAR_MET), 0);
}

/* ---- figures ------------------------------------------------------------------------------ */

static void ratio__against_the_only_one(void **state)
{
	const double mode[] = { 2, 4, 6 }, other[] = { 4, 8, 12 };
	const double *against[] = { other };
	unsigned best = 9;
	struct ratio r = bar_ratio(mode, against, 1, 3, &best);

	(void)state;
	assert_near(r.middle, 0.5);
	assert_near(r.spread, 0);
	assert_int_equal(best, 0);
}

/* By medians, not by the least or the last; and what it is given stays as it is, pair by pair. */
static void ratio__against_the_better_one(void **state)
{
	const double mode[] = { 30, 20, 10 }, dear[] = { 1, 50, 60 }, cheap[] = { 60, 40, 20 };
	const double *against[] = { dear, cheap };
	unsigned best = 9;
	struct ratio r = bar_ratio(mode, against, 2, 3, &best);

	(void)state;
	assert_int_equal(best, 1);
	assert_near(r.middle, 0.5);
	assert_near(r.spread, 0);
	assert_near(cheap[0], 60);
	against[0] = cheap;
	against[1] = dear;
	bar_ratio(mode, against, 2, 3, &best);
	assert_int_equal(best, 0);
}

/* ---- slices and samples -------------------------------------------------------------------- */

static struct sample a_sample(double cpu_ns, double bytes, double p50_ns)
{
	return (struct sample){
		.parts = 1, .cpu_ns = cpu_ns, .bytes = bytes, .p50_ns = p50_ns, .notes = NAN
	};
}

static void sum__is_of_all_its_parts(void **state)
{
	struct sample sum = a_sample(1000, 1 << 20, 3000), more = a_sample(5000, 2 << 20, 5000);

	(void)state;
	sample_add(&sum, &more);
	assert_near(sum.parts, 2);
	assert_near(sample_cpu_us_per_mib(&sum), 2);
	assert_near(sample_p50_us(&sum), 4);
	assert_true(isnan(sum.notes));
}

/* Six samples where three were asked for: three pairs, each of the two that follow one another. */
static void values__measured_again_are_longer(void **state)
{
	const double cpu_us[2][6] = { { 1, 3, 10, 30, 100, 300 }, { 1, 1, 10, 10, 50, 150 } };
	struct bench_opts opts = { .samples = 3 };
	struct run run = { .opts = &opts };
	struct sample samples[2][6];
	struct turns turns = { .run = &run, .nr = 6 };
	double values[3];
	struct ratio r;

	(void)state;
	for (int mode = 0; mode < 2; mode++) {
		for (int i = 0; i < 6; i++)
			samples[mode][i] = a_sample(1000 * cpu_us[mode][i], 1 << 20, NAN);
		turns.turn[mode].samples = samples[mode];
	}
	turns_values(&turns, 0, sample_cpu_us_per_mib, values);
	assert_near(values[0], 2);
	assert_near(values[1], 20);
	assert_near(values[2], 200);
	r = turns_ratio(&turns, 0, 1, sample_cpu_us_per_mib);
	assert_near(r.middle, 2);
	assert_near(r.spread, 0);
	assert_near(turns_sum(&turns, 0).parts, 6);
}

/* ---- the plan ------------------------------------------------------------------------------ */

static bool has_mode(const struct scenario *s, const char *mode)
{
	return !mode || name_index(s->modes, (int)s->nr_modes, mode) >= 0;
}

static void plan__each_bar_has_one_scenario(void **state)
{
	struct plan plan;

	(void)state;
	assert_true(bars_plan(&plan));
	for (size_t b = 0; b < nr_bars; b++) {
		unsigned nr = 0;

		for (size_t i = 0; i < plan.nr; i++) {
			const struct scenario *s = &plan.scenarios[i];

			if (!bar_is_of(&bars[b], s))
				continue;
			nr++;
			assert_int_equal(s->family, bars[b].family);
			assert_true(has_mode(s, bars[b].mode));
			assert_true(has_mode(s, bars[b].against[0]));
			assert_true(has_mode(s, bars[b].against[1]));
		}
		assert_int_equal(nr, bars[b].measure != BAR_MEMORY);
	}
	plan_free(&plan);
}

static void plan__what_is_shared_is_measured_once(void **state)
{
	struct plan plan;
	unsigned nr = 0;

	(void)state;
	assert_true(bars_plan(&plan));
	assert_true(plan_needs_lab(&plan));
	for (size_t i = 0; i < plan.nr; i++) {
		const struct scenario *s = &plan.scenarios[i];

		assert_true(s->nr_modes > 0 && s->nr_modes <= PLAN_MODES);
		if (s->direction != DIR_TX || s->path != PATH_SINK || s->size != 64 << 10)
			continue;
		nr++;
		assert_int_equal(s->nr_modes, 5);
	}
	assert_int_equal(nr, 1);
	plan_free(&plan);
}

static void table__is_whole(void **state)
{
	unsigned chosen = 0;

	(void)state;
	for (size_t i = 0; i < nr_bars; i++) {
		char text[BAR_TEXT], other[BAR_TEXT];

		assert_true(bars[i].goal > 0);
		chosen += bars[i].direction == DIR_TX && bars[i].against[1];
		assert_true(strlen(bar_text(&bars[i], text)) < BAR_TEXT - 1);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(text, bar_text(&bars[j], other));
	}
	assert_int_equal(chosen, 19);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdict__at_most),
		cmocka_unit_test(verdict__at_least),
		cmocka_unit_test(verdict__noise_cannot_be_told),
		cmocka_unit_test(verdict__no_figure_cannot_be_told),
		cmocka_unit_test(verdict__count),
		cmocka_unit_test(count__each),
		cmocka_unit_test(ratio__against_the_only_one),
		cmocka_unit_test(ratio__against_the_better_one),
		cmocka_unit_test(sum__is_of_all_its_parts),
		cmocka_unit_test(values__measured_again_are_longer),
		cmocka_unit_test(plan__each_bar_has_one_scenario),
		cmocka_unit_test(plan__what_is_shared_is_measured_once),
		cmocka_unit_test(table__is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
