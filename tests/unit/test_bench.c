/* SPDX-License-Identifier: MIT */
/* What of the bench is arithmetic: medians, ratios, and which scenarios a choice comes to. */
#include "unit.h"

#include <string.h>

#include "bench/bench.h"

static void assert_near(double a, double b)
{
	assert_true(a > b - 1e-9 && a < b + 1e-9);
}

static void median__odd_even_unordered(void **state)
{
	double one[] = { 7 }, odd[] = { 9, 1, 5 }, even[] = { 4, 1, 3, 2 };

	(void)state;
	assert_near(median(one, 1), 7);
	assert_near(median(odd, 3), 5);
	assert_near(median(even, 4), 2.5);
}

static void deviation__ignores_an_outlier(void **state)
{
	double values[] = { 10, 11, 9, 10, 1000 };

	(void)state;
	assert_near(deviation(values, 5, 10), 1);
}

/* The machine becomes twice as slow half way: the pairs do not notice, the medians would. */
static void ratio__is_of_pairs(void **state)
{
	const double a[] = { 2, 2, 4, 4, 4 }, b[] = { 4, 4, 8, 8, 8 };
	struct ratio r = ratio_of_pairs(a, b, 5);

	(void)state;
	assert_near(r.middle, 0.5);
	assert_near(r.spread, 0);
}

static void ratio__spread_is_a_share(void **state)
{
	const double a[] = { 1.8, 2.0, 2.2 }, b[] = { 1, 1, 1 };
	struct ratio r = ratio_of_pairs(a, b, 3);

	(void)state;
	assert_near(r.middle, 2);
	assert_near(r.spread, 0.1);
}

/* ---- plans ------------------------------------------------------------------------------ */

static const struct scenario *find(const struct plan *plan, enum direction d, enum path p,
				   enum family f, uint64_t size)
{
	for (size_t i = 0; i < plan->nr; i++) {
		const struct scenario *s = &plan->scenarios[i];

		if (s->direction == d && s->path == p && s->family == f && s->size == size)
			return s;
	}
	return NULL;
}

static bool has_mode(const struct scenario *s, const char *mode)
{
	for (unsigned i = 0; i < s->nr_modes; i++) {
		if (strcmp(s->modes[i], mode) == 0)
			return true;
	}
	return false;
}

static void assert_three_modes(const struct scenario *s)
{
	assert_non_null(s);
	assert_string_equal(s->modes[0], "copy");
	assert_true(has_mode(s, "zerocopy"));
	assert_true(has_mode(s, "adaptive"));
}

static void tour__holds_what_is_promised(void **state)
{
	static const uint64_t sizes[] = { 4096, 65536, 1 << 20 };
	struct plan_opts opts = { 0 };
	struct plan plan;
	bool received = false;

	(void)state;
	assert_true(plan_make(&plan, &opts));
	for (unsigned i = 0; i < 3; i++) {
		assert_three_modes(find(&plan, DIR_TX, PATH_SINK, FAMILY_TCP4, sizes[i]));
		assert_three_modes(find(&plan, DIR_TX, PATH_LOOPBACK, FAMILY_TCP4, sizes[i]));
	}
	for (size_t i = 0; i < plan.nr; i++)
		received |= plan.scenarios[i].direction == DIR_RX &&
			    plan.scenarios[i].path == PATH_SOURCE;
	assert_true(received);
	assert_true(plan_needs_lab(&plan));
	plan_free(&plan);
}

static void full__has_every_family_and_raw_program(void **state)
{
	struct plan_opts opts = { .full = true };
	const struct scenario *s;
	struct plan plan;

	(void)state;
	assert_true(plan_make(&plan, &opts));
	s = find(&plan, DIR_TX, PATH_SINK, FAMILY_TCP6, 256);
	assert_non_null(s);
	assert_true(has_mode(s, "raw-msgzc") && has_mode(s, "raw-uring") &&
		    has_mode(s, "raw-sendfile") && has_mode(s, "raw-send"));
	assert_non_null(find(&plan, DIR_TX, PATH_SINK, FAMILY_TCP4, 4 << 20));
	assert_non_null(find(&plan, DIR_TX, PATH_SINK, FAMILY_UDP6, 57600));
	assert_non_null(find(&plan, DIR_RELAY, PATH_BOTH, FAMILY_TCP4, 256 << 10));
	assert_null(find(&plan, DIR_TX, PATH_PEER, FAMILY_TCP4, 65536));
	plan_free(&plan);
}

/* Your modes come in your order, so the first one is what the others are compared with. */
static void choice__narrows(void **state)
{
	struct plan_opts opts = {
		.directions = 1u << DIR_TX,
		.paths = 1u << PATH_SINK,
		.families = 1u << FAMILY_TCP4,
		.nr_sizes = 1,
		.sizes = { 12345 },
		.nr_modes = 2,
		.modes = { "raw-msgzc", "zerocopy" },
	};
	struct plan plan;

	(void)state;
	assert_true(plan_make(&plan, &opts));
	assert_int_equal(plan.nr, 1);
	assert_int_equal(plan.scenarios[0].size, 12345);
	assert_int_equal(plan.scenarios[0].nr_modes, 2);
	assert_string_equal(plan.scenarios[0].modes[0], "raw-msgzc");
	plan_free(&plan);
}

static void choice__may_be_empty(void **state)
{
	struct plan_opts opts = { .directions = 1u << DIR_PINGPONG,
				  .nr_modes = 1,
				  .modes = { "raw-map" } };
	struct plan plan;

	(void)state;
	assert_true(plan_make(&plan, &opts));
	assert_int_equal(plan.nr, 0);
	plan_free(&plan);
	assert_true(plan_knows_mode("raw-map"));
	assert_false(plan_knows_mode("raw-nothing"));
}

/* What one call of UDP cannot take is not tried. */
static void choice__of_udp_leaves_out_what_is_too_much(void **state)
{
	struct plan_opts opts = { .paths = 1u << PATH_LOOPBACK,
				  .families = 1u << FAMILY_UDP4,
				  .nr_sizes = 3,
				  .sizes = { 65508, 65507, 1400 } };
	struct plan plan;

	(void)state;
	assert_true(plan_make(&plan, &opts));
	assert_int_equal(plan.nr, 2);
	assert_int_equal(plan.scenarios[0].size, 65507);
	assert_int_equal(plan.scenarios[1].size, 1400);
	plan_free(&plan);
}

static void loopback__needs_no_lab(void **state)
{
	struct plan_opts opts = { .paths = 1u << PATH_LOOPBACK };
	struct plan plan;

	(void)state;
	assert_true(plan_make(&plan, &opts));
	assert_true(plan.nr > 0);
	assert_false(plan_needs_lab(&plan));
	plan_free(&plan);
}

static void split__hosts_and_ports(void **state)
{
	static const struct {
		const char *text, *host, *port; /* host NULL: refused */
	} cases[] = {
		{ "host", "host", NULL },
		{ "host:7100", "host", "7100" },
		{ "10.0.0.1:1", "10.0.0.1", "1" },
		{ "::1", "::1", NULL },
		{ "[::1]", "::1", NULL },
		{ "[::1]:5", "::1", "5" },
		{ "", NULL, NULL },
		{ "host:", NULL, NULL },
		{ "[::1", NULL, NULL },
		{ "[::1]x", NULL, NULL },
		{ "[]:5", NULL, NULL },
		{ "host:65533", "host", "65533" },
		{ "host:65534", NULL, NULL },
		{ "host:99999999999", NULL, NULL },
		{ "host:0x1", NULL, NULL },
		{ "host:-1", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char buf[BENCH_HOST], *host, *port;
		bool ok = bench_split(cases[i].text, buf, &host, &port);

		assert_int_equal(ok, cases[i].host != NULL);
		if (!ok)
			continue;
		assert_string_equal(host, cases[i].host);
		assert_int_equal(port != NULL, cases[i].port != NULL);
		if (port)
			assert_string_equal(port, cases[i].port);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(median__odd_even_unordered),
		cmocka_unit_test(deviation__ignores_an_outlier),
		cmocka_unit_test(ratio__is_of_pairs),
		cmocka_unit_test(ratio__spread_is_a_share),
		cmocka_unit_test(tour__holds_what_is_promised),
		cmocka_unit_test(full__has_every_family_and_raw_program),
		cmocka_unit_test(choice__narrows),
		cmocka_unit_test(choice__may_be_empty),
		cmocka_unit_test(choice__of_udp_leaves_out_what_is_too_much),
		cmocka_unit_test(loopback__needs_no_lab),
		cmocka_unit_test(split__hosts_and_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
