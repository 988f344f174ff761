/* SPDX-License-Identifier: MIT */
/* An application that sends, and its clock; what it waits for is up to the test. */
#include "unit.h"

#include "pure/waits.h"

#define COPY 16 /* us */

struct sender {
	struct waits w;
	uint32_t now, vain;
	unsigned lent, copied;
};

/* A message; lent ones are back after `latency`, and the application sleeps until then. */
static void send_and_wait(struct sender *s, uint32_t latency)
{
	if (waits_copy(&s->w, s->now, s->vain, COPY)) {
		s->copied++;
		s->now += COPY;
		return;
	}
	s->lent++;
	waits_sent(&s->w, s->now, s->vain);
	s->vain++;
	s->now += latency;
	assert_true(waits_for_it(&s->w));
	waits_back(&s->w, s->now);
	assert_false(waits_for_it(&s->w));
	s->now += 5;
}

static void lone__is_copied_soon(void **state)
{
	struct sender s = { .now = 4294000000u }; /* wraps on the way */

	(void)state;
	for (int i = 0; i < 8; i++)
		send_and_wait(&s, 1000);
	assert_int_equal(s.copied, 0);
	for (int i = 0; i < 100; i++)
		send_and_wait(&s, 1000);
	assert_int_equal(s.copied, 100);
}

/* Whatever the latency: nearly all of the time is for copied ones. */
static void lone__is_tried_again(void **state)
{
	static const uint32_t latencies[] = { 50, 1000, 40000, 300000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(latencies); i++) {
		struct sender s = { .now = 77 };
		unsigned before;
		uint32_t from;

		for (int j = 0; j < 20; j++)
			send_and_wait(&s, latencies[i]);
		assert_true(s.w.copying);
		before = s.lent;
		for (from = s.now; s.now - from < 60000000;)
			send_and_wait(&s, latencies[i]);
		assert_in_range(s.lent - before, 5, 60000000 / 50000);
		assert_true((s.lent - before) * (uint64_t)latencies[i] <= 60000000 / 25);
	}
}

/* With others out meanwhile it is asked for nothing, and one trial is enough. */
static void lone__no_more(void **state)
{
	struct sender s = { .now = 77 };

	(void)state;
	for (int i = 0; i < 20; i++)
		send_and_wait(&s, 1000);
	assert_true(s.w.copying);
	s.now += 11000000;
	assert_false(waits_copy(&s.w, s.now, s.vain, COPY));
	waits_sent(&s.w, s.now, s.vain);
	s.w.nr = 0; /* another was sent before it was back */
	waits_back(&s.w, s.now + 1000);
	s.now += 50000;
	for (int i = 0; i < 7; i++)
		send_and_wait(&s, 1000);
	assert_false(s.w.copying);
}

static void never(void (*spoil)(struct sender *s), uint32_t latency)
{
	struct sender s = { .now = 77 };

	for (int i = 0; i < 1000; i++) {
		send_and_wait(&s, latency);
		spoil(&s);
	}
	assert_int_equal(s.copied, 0);
}

static void nothing(struct sender *s)
{
	(void)s;
}

static void answer(struct sender *s)
{
	s->w.received = true;
}

static void work(struct sender *s)
{
	s->now += 400;
}

static void never_idle(struct sender *s)
{
	s->vain = s->w.vain;
}

static void lent__where_it_did_not_wait(void **state)
{
	(void)state;
	never(answer, 1000);
	never(work, 1000);
	never(never_idle, 1000);
	never(nothing, 20); /* a copy takes as long */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lone__is_copied_soon),
		cmocka_unit_test(lone__is_tried_again),
		cmocka_unit_test(lone__no_more),
		cmocka_unit_test(lent__where_it_did_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
