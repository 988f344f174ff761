/* SPDX-License-Identifier: MIT */
/* The bytes that the source sends: nothing else may pass for them. */
#include "unit.h"

#include "lab/pattern.h"

#include <stdlib.h>
#include <string.h>

#define MOST (3 * PATTERN_PIECE + 1000)

static uint8_t *pattern;

static int set_up(void **state)
{
	(void)state;
	pattern = pattern_new();
	return pattern ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	free(pattern);
	return 0;
}

/* len bytes of the stream at `off`, byte by byte. */
static uint8_t *stream(uint64_t off, size_t len)
{
	uint8_t *data = malloc(len);

	assert_non_null(data);
	for (size_t i = 0; i < len; i++)
		data[i] = pattern[(off + i) % PATTERN_PERIOD];
	return data;
}

static const uint64_t offsets[] = {
	0,
	1,
	4095,
	PATTERN_PIECE - 1,
	PATTERN_PERIOD - PATTERN_PIECE,
	PATTERN_PERIOD - PATTERN_PIECE + 1,
	PATTERN_PERIOD - 1,
	PATTERN_PERIOD,
	7ull * PATTERN_PERIOD - 3,
	UINT32_MAX - 5ull,
	UINT64_MAX / 2,
};

static void pattern_at__one_piece_is_in_one_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		uint8_t *data = stream(offsets[i], PATTERN_PIECE);

		assert_memory_equal(pattern_at(pattern, offsets[i]), data, PATTERN_PIECE);
		free(data);
	}
}

static void pattern_check__right(void **state)
{
	static const size_t lens[] = { 0, 1, 7, 4096, PATTERN_PIECE, PATTERN_PIECE + 1, MOST };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		uint8_t *data = stream(offsets[i], MOST);

		for (size_t j = 0; j < ARRAY_SIZE(lens); j++)
			assert_int_equal(pattern_check(pattern, offsets[i], data, lens[j]),
					 lens[j]);
		free(data);
	}
}

/* At each end, around where a piece or the period ends, and anywhere. */
static void pattern_check__finds_a_wrong_byte(void **state)
{
	static const size_t places[] = {
		0,
		1,
		7,
		8,
		4095,
		4096,
		PATTERN_PIECE - 1,
		PATTERN_PIECE,
		MOST - 1,
		2 * PATTERN_PIECE,
		MOST - 2,
		PATTERN_PIECE + 1,
		3 * PATTERN_PIECE,
	};
	struct rng rng = rng_seeded(3);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		uint8_t *data = stream(offsets[i], MOST);

		for (size_t j = 0; j < ARRAY_SIZE(places) + 100; j++) {
			size_t at = j < ARRAY_SIZE(places) ? places[j]
							   : (size_t)rng_between(&rng, 0, MOST - 1);
			uint8_t bit = (uint8_t)(1 << rng_between(&rng, 0, 7));

			data[at] ^= bit;
			assert_int_equal(pattern_check(pattern, offsets[i], data, MOST), at);
			assert_int_equal(pattern_check(pattern, offsets[i], data, at), at);
			assert_int_equal(pattern_check(pattern, offsets[i], data, at + 1), at);
			data[at] ^= bit;
		}
		free(data);
	}
}

static void pattern_check__finds_the_first_one(void **state)
{
	uint8_t *data = stream(5, MOST);

	(void)state;
	memset(data + 70000, 0xdb, 10000);
	assert_in_range(pattern_check(pattern, 5, data, MOST), 70000, 70003);
	memset(data + 300, 0xdb, 100);
	assert_in_range(pattern_check(pattern, 5, data, MOST), 300, 303);
	free(data);
}

/* A stream that lost or gained a page, a block, a segment of 64 KiB ... does not pass. */
static void pattern_check__sees_a_shift(void **state)
{
	struct rng rng = rng_seeded(4);

	(void)state;
	for (unsigned bit = 0; bit < 62; bit++) {
		for (unsigned i = 0; i < 50; i++) {
			uint64_t off = rng_next(&rng) >> 3;
			uint8_t *data = stream(off, 64);

			assert_true(pattern_check(pattern, off + (1ull << bit), data, 64) < 64);
			free(data);
		}
	}
}

/* So two places of a period differ within 8 bytes, wherever they start on a multiple of 8. */
static int by_value(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static void pattern_new__no_word_comes_twice(void **state)
{
	size_t nr = PATTERN_PERIOD / 8;
	uint64_t *words = malloc(PATTERN_PERIOD);

	(void)state;
	assert_non_null(words);
	memcpy(words, pattern, PATTERN_PERIOD);
	qsort(words, nr, sizeof(*words), by_value);
	for (size_t i = 1; i < nr; i++)
		assert_true(words[i - 1] != words[i]);
	free(words);
}

static void pattern_new__is_always_the_same(void **state)
{
	uint8_t *other = pattern_new();

	(void)state;
	assert_non_null(other);
	assert_memory_equal(other, pattern, PATTERN_PERIOD + PATTERN_PIECE);
	free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pattern_at__one_piece_is_in_one_place),
		cmocka_unit_test(pattern_check__right),
		cmocka_unit_test(pattern_check__finds_a_wrong_byte),
		cmocka_unit_test(pattern_check__finds_the_first_one),
		cmocka_unit_test(pattern_check__sees_a_shift),
		cmocka_unit_test(pattern_new__no_word_comes_twice),
		cmocka_unit_test(pattern_new__is_always_the_same),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
