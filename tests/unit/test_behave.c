/* SPDX-License-Identifier: MIT */
/* The options of the virtual partner: which values are taken, and what is said of the others. */
#include "unit.h"

#include "lab/behave.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define MAX UINT64_MAX

struct value {
	const char *name, *value;
	int result;
	uint64_t number; /* as it is then, if the result is 0 */
};

static const struct behave_option *option(const char *name)
{
	for (size_t i = 0; i < nr_behave_options; i++) {
		if (strcmp(behave_options[i].name, name) == 0)
			return &behave_options[i];
	}
	fail_msg("no option '%s'", name);
	return NULL;
}

static uint64_t number_of(const struct behave *b, const struct behave_option *o)
{
	const char *at = (const char *)b + o->member;
	uint64_t number;
	bool flag;

	if (o->kind == BEHAVE_FLAG) {
		memcpy(&flag, at, sizeof(flag));
		return flag;
	}
	memcpy(&number, at, sizeof(number));
	return number;
}

static void try_each(const struct value *values, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		const struct value *v = &values[i];
		struct behave b = behave_default;
		int r = behave_set(&b, v->name, v->value);

		if (r != v->result)
			fail_msg("%s '%s': %d, not %d", v->name, v->value, r, v->result);
		if (r == 0 && number_of(&b, option(v->name)) != v->number)
			fail_msg("%s '%s' became %llu", v->name, v->value,
				 (unsigned long long)number_of(&b, option(v->name)));
		if (r < 0)
			assert_memory_equal(&b, &behave_default, sizeof(b));
	}
}

#define TRY(values) try_each(values, ARRAY_SIZE(values))

/* ---- values of each kind --------------------------------------------------------------------- */

static void behave_set__sizes(void **state)
{
	static const struct value values[] = {
		{ "payload", "1", 0, 1 },
		{ "payload", "0001448", 0, 1448 },
		{ "payload", "9", 0, 9 },
		{ "payload", "32K", 0, 32768 },
		{ "window", "64M", 0, 64 << 20 },
		{ "window", "0", 0, 0 },
		{ "rate", "2G", 0, 2ull << 30 },
		{ "rate", "18446744073709551615", 0, MAX },
		{ "rate", "17179869183G", 0, 17179869183ull << 30 },
		{ "payload", "0", -ERANGE, 0 },
		{ "payload", "32769", -ERANGE, 0 },
		{ "payload", "33K", -ERANGE, 0 },
		{ "ack-bytes", "0", -ERANGE, 0 },
		{ "window", "65M", -ERANGE, 0 },
		{ "rate", "18446744073709551616", -ERANGE, 0 },
		{ "rate", "17179869184G", -ERANGE, 0 },
		{ "payload", "", -EINVAL, 0 },
		{ "payload", NULL, -EINVAL, 0 },
		{ "payload", "K", -EINVAL, 0 },
		{ "payload", "4k", -EINVAL, 0 },
		{ "payload", "4KB", -EINVAL, 0 },
		{ "payload", "4 K", -EINVAL, 0 },
		{ "payload", " 4", -EINVAL, 0 },
		{ "payload", "+4", -EINVAL, 0 },
		{ "payload", "-4", -EINVAL, 0 },
		{ "payload", "1.5K", -EINVAL, 0 },
		{ "payload", "0x10", -EINVAL, 0 },
		{ "payload", "never", -EINVAL, 0 },
		{ "payload", "5ms", -EINVAL, 0 },
	};

	(void)state;
	TRY(values);
}

static void behave_set__offsets(void **state)
{
	static const struct value values[] = {
		{ "rst-at", "never", 0, BEHAVE_NEVER },
		{ "rst-at", "0", 0, 0 },
		{ "length", "1M", 0, 1 << 20 },
		{ "length", "18446744073709551615", 0, MAX },
		{ "zero-window-at", "3G", 0, 3ull << 30 },
		{ "silent-at", "18446744073709551616", -ERANGE, 0 },
		{ "silent-at", "Never", -EINVAL, 0 },
		{ "silent-at", "never ", -EINVAL, 0 },
		{ "silent-at", "", -EINVAL, 0 },
		{ "silent-at", NULL, -EINVAL, 0 },
	};

	(void)state;
	TRY(values);
}

static void behave_set__times(void **state)
{
	static const struct value values[] = {
		{ "rtt", "0ns", 0, 0 },
		{ "rtt", "20us", 0, 20000 },
		{ "rtt", "5ms", 0, 5000000 },
		{ "ack-time", "1s", 0, 1000000000 },
		{ "ack-time", "60s", 0, 60000000000 },
		{ "ack-time", "60000ms", 0, 60000000000 },
		{ "ack-time", "60000000001ns", -ERANGE, 0 },
		{ "rtt", "61s", -ERANGE, 0 },
		{ "rtt", "18446744073709551615s", -ERANGE, 0 },
		{ "rtt", "5", -EINVAL, 0 },
		{ "rtt", "5m", -EINVAL, 0 },
		{ "rtt", "5 ms", -EINVAL, 0 },
		{ "rtt", "ms", -EINVAL, 0 },
		{ "rtt", "0.5ms", -EINVAL, 0 },
		{ "rtt", "never", -EINVAL, 0 },
		{ "rtt", NULL, -EINVAL, 0 },
	};

	(void)state;
	TRY(values);
}

static void behave_set__flags(void **state)
{
	static const struct value values[] = {
		{ "verify", NULL, 0, true },	    { "verify", "yes", 0, true },
		{ "verify", "no", 0, false },	    { "hold-acks", "maybe", -EINVAL, 0 },
		{ "hold-acks", "", -EINVAL, 0 },    { "hold-acks", "1", -EINVAL, 0 },
		{ "hold-acks", "Yes", -EINVAL, 0 }, { "hold-acks", "no ", -EINVAL, 0 },
	};
	struct behave b = behave_default;

	(void)state;
	TRY(values);
	assert_int_equal(behave_set(&b, "partial-ack", NULL), 0);
	assert_true(b.partial_ack);
	assert_int_equal(behave_set(&b, "partial-ack", "maybe"), -EINVAL);
	assert_true(b.partial_ack); /* as it was */
	assert_int_equal(behave_set(&b, "partial-ack", "no"), 0);
	assert_false(b.partial_ack);
}

static void behave_set__numbers(void **state)
{
	static const struct value values[] = {
		{ "seed", "0", 0, 0 },
		{ "seed", "18446744073709551615", 0, MAX },
		{ "seed", "18446744073709551616", -ERANGE, 0 },
		{ "seed", "1K", -EINVAL, 0 },
		{ "seed", "x", -EINVAL, 0 },
		{ "seed", NULL, -EINVAL, 0 },
	};

	(void)state;
	TRY(values);
}

static void behave_set__shares(void **state)
{
	static const struct {
		const char *value;
		int result;
		double share;
	} values[] = {
		{ "0", 0, 0 },		{ "1", 0, 1 },		 { "0.25", 0, 0.25 },
		{ ".5", 0, 0.5 },	{ "25%", 0, 0.25 },	 { "100%", 0, 1 },
		{ "90%", 0, 0.9 },	{ "0%", 0, 0 },		 { "12.5%", 0, 0.125 },
		{ "1.01", -ERANGE, 0 }, { "101%", -ERANGE, 0 },	 { "1e400", -ERANGE, 0 },
		{ "", -EINVAL, 0 },	{ NULL, -EINVAL, 0 },	 { "%", -EINVAL, 0 },
		{ ".", -EINVAL, 0 },	{ "1%%", -EINVAL, 0 },	 { "1 %", -EINVAL, 0 },
		{ "-0.1", -EINVAL, 0 }, { "nan", -EINVAL, 0 },	 { "inf", -EINVAL, 0 },
		{ "half", -EINVAL, 0 }, { "never", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct behave b = behave_default;
		int r = behave_set(&b, "loss", values[i].value);

		if (r != values[i].result || b.loss != values[i].share)
			fail_msg("loss '%s': %d, %f", values[i].value, r, b.loss);
	}
}

/* ---- all options ----------------------------------------------------------------------------- */

/* A value that no option has by default. */
static const char *sample(enum behave_kind kind)
{
	static const char *const text[] = {
		[BEHAVE_SIZE] = "777",	[BEHAVE_OFFSET] = "777", [BEHAVE_TIME] = "777ns",
		[BEHAVE_SHARE] = "77%", [BEHAVE_FLAG] = "yes",	 [BEHAVE_NUMBER] = "777",
	};

	return text[kind];
}

static void behave_set__changes_that_one_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < nr_behave_options; i++) {
		const struct behave_option *o = &behave_options[i];
		size_t len = o->kind == BEHAVE_FLAG ? sizeof(bool) : sizeof(uint64_t);
		struct behave b = behave_default;

		assert_int_equal(behave_set(&b, o->name, sample(o->kind)), 0);
		assert_memory_not_equal((char *)&b + o->member,
					(const char *)&behave_default + o->member, len);
		memcpy((char *)&b + o->member, (const char *)&behave_default + o->member, len);
		assert_memory_equal(&b, &behave_default, sizeof(b));
	}
}

static void behave_options__are_in_order_and_told_of(void **state)
{
	(void)state;
	for (size_t i = 0; i < nr_behave_options; i++) {
		const struct behave_option *o = &behave_options[i];

		if (i > 0)
			assert_true(strcmp(o[-1].name, o->name) < 0);
		assert_true(o->help[0]);
		assert_true(behave_kind_text(o->kind)[0]);
	}
}

/* What is the default can be said. */
static void behave_options__defaults_are_in_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < nr_behave_options; i++) {
		const struct behave_option *o = &behave_options[i];
		uint64_t number = number_of(&behave_default, o);

		if (o->kind == BEHAVE_SHARE)
			assert_true(number == 0); /* as a double, too */
		else
			assert_in_range(number, o->least, o->most);
	}
}

static void behave_set__unknown_names(void **state)
{
	static const char *const names[] = {
		"", "los", "losses", "Loss", " loss", "loss ", "never"
	};
	struct behave b = behave_default;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(behave_set(&b, names[i], "1"), -ENOENT);
		assert_int_equal(behave_set(&b, names[i], NULL), -ENOENT);
	}
	assert_memory_equal(&b, &behave_default, sizeof(b));
}

/* ---- words ----------------------------------------------------------------------------------- */

static void behave_set_or_say__sentences(void **state)
{
	static const struct {
		const char *name, *value;
		int result;
		const char *why;
	} values[] = {
		{ "lass", "1%", -ENOENT, "there is no 'lass'" },
		{ "loss", "110%", -ERANGE, "loss: '110%' is out of bounds" },
		{ "loss", "x", -EINVAL, "loss takes a share, such as 1% or 0.01" },
		{ "payload", "x", -EINVAL, "payload takes bytes, such as 4096, 64K, 1M or 2G" },
		{ "payload", "0", -ERANGE, "payload: '0' is out of bounds" },
		{ "rtt", NULL, -EINVAL, "rtt takes a time with its unit, such as 20us, 5ms or 1s" },
		{ "rst-at", "x", -EINVAL,
		  "rst-at takes an offset in bytes, such as 0, 64K or 1M, or 'never'" },
		{ "verify", "x", -EINVAL, "verify takes yes or no" },
		{ "seed", "x", -EINVAL, "seed takes a number" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct behave b = behave_default;
		char why[200] = "";

		assert_int_equal(
			behave_set_or_say(&b, values[i].name, values[i].value, why, sizeof(why)),
			values[i].result);
		assert_string_equal(why, values[i].why);
	}
}

static void behave_set_or_say__nothing_to_say(void **state)
{
	struct behave b = behave_default;
	char why[8] = "before";

	(void)state;
	assert_int_equal(behave_set_or_say(&b, "payload", "1448", why, sizeof(why)), 0);
	assert_string_equal(why, "before");
	assert_int_equal(b.payload, 1448);
	/* What does not fit is cut. */
	assert_int_equal(behave_set_or_say(&b, "payload", "x", why, sizeof(why)), -EINVAL);
	assert_string_equal(why, "payload");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behave_set__sizes),
		cmocka_unit_test(behave_set__offsets),
		cmocka_unit_test(behave_set__times),
		cmocka_unit_test(behave_set__flags),
		cmocka_unit_test(behave_set__numbers),
		cmocka_unit_test(behave_set__shares),
		cmocka_unit_test(behave_set__changes_that_one_only),
		cmocka_unit_test(behave_options__are_in_order_and_told_of),
		cmocka_unit_test(behave_options__defaults_are_in_bounds),
		cmocka_unit_test(behave_set__unknown_names),
		cmocka_unit_test(behave_set_or_say__sentences),
		cmocka_unit_test(behave_set_or_say__nothing_to_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
