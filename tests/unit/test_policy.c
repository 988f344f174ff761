/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "pure/policy.h"

#include <string.h>

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)

#define MIN   UINT64_C(16384)
#define LARGE (4 * MIN)

/* ---- helpers --------------------------------------------------------------------------------- */

static struct policy policy;

static enum policy_why send_of(struct policy_path *path, uint64_t len, uint64_t now_ns)
{
	bool measure = false;

	return policy_send(&policy, path, policy_link(&policy, 1, now_ns), len, now_ns, &measure);
}

static struct policy_path *fresh_path(void)
{
	policy_init(&policy);
	policy.zerocopy_min = MIN;
	return policy_path(&policy, 1, 0);
}

static enum policy_why send_at(struct policy_path *path, uint64_t now_ns)
{
	return send_of(path, LARGE, now_ns);
}

static void notify(struct policy_path *path, int times, bool copied, uint64_t now_ns)
{
	while (times--)
		policy_notified(path, 1, copied, now_ns);
}

/* How many of 100 messages at one time are flagged. */
static int flagged_at(struct policy_path *path, uint64_t now_ns)
{
	int nr = 0;
	int i;

	for (i = 0; i < 100; i++)
		nr += send_at(path, now_ns) == POLICY_FLAG;
	return nr;
}

/* ---- paths ----------------------------------------------------------------------------------- */

static void policy_path__is_remembered(void **state)
{
	struct policy_path *path = fresh_path();

	(void)state;
	notify(path, 40, true, 0);
	assert_ptr_equal(policy_path(&policy, 1, 5), path);
	assert_int_equal(path->mode, POLICY_AVOIDING);
	assert_ptr_not_equal(policy_path(&policy, 2, 5), path);
}

static void policy_path__forgets_the_least_recently_used(void **state)
{
	struct policy_path *first = fresh_path();
	struct policy_path *second;
	uint64_t key;

	(void)state;
	notify(first, 40, true, 0);
	for (key = 2; key <= POLICY_NR_PATHS; key++)
		assert_int_equal(policy_path(&policy, key, key)->key, key);
	send_at(first, 1000); /* a use, too */
	second = policy_path(&policy, 2, 3);
	assert_ptr_equal(policy_path(&policy, 1000, 1001), second);
	assert_int_equal(second->mode, POLICY_LENDING);
	assert_int_equal(second->seen, 0);
	assert_ptr_equal(policy_path(&policy, 1, 1002), first);
	assert_int_equal(first->mode, POLICY_AVOIDING);
}

static void policy_path__peers_without_a_key_share_one(void **state)
{
	struct policy_path *path = fresh_path();
	struct policy_path *none = policy_path(&policy, 0, 1);

	(void)state;
	assert_ptr_not_equal(none, path);
	assert_ptr_equal(policy_path(&policy, 0, 2), none);
	assert_int_not_equal(none->key, 0);
}

/* ---- send: one decision at a time ------------------------------------------------------------ */

static void policy_send__small_is_copied(void **state)
{
	struct policy_path *path = fresh_path();

	(void)state;
	assert_int_equal(send_of(path, MIN - 1, 0), POLICY_SMALL);
	assert_int_equal(send_of(path, MIN, 0), POLICY_FLAG);
	notify(path, 40, true, 0);
	assert_int_equal(send_of(path, MIN - 1, 0), POLICY_SMALL);
	assert_int_equal(send_of(path, MIN, 0), POLICY_KERNEL_COPIES);
}

static void policy_send__small_uses_up_no_probe(void **state)
{
	struct policy_path *path = fresh_path();
	int i;

	(void)state;
	notify(path, 40, true, 0);
	for (i = 0; i < 100; i++)
		send_of(path, MIN - 1, SECOND);
	assert_int_equal(flagged_at(path, SECOND), 8);
}

static void policy_send__avoids_after_32_copied(void **state)
{
	struct policy_path *path = fresh_path();

	(void)state;
	notify(path, 31, true, 0);
	assert_int_equal(send_at(path, 0), POLICY_FLAG);
	notify(path, 1, true, 0);
	assert_int_equal(send_at(path, 0), POLICY_KERNEL_COPIES);
}

static void policy_send__one_copied_changes_nothing(void **state)
{
	struct policy_path *path = fresh_path();

	(void)state;
	policy_notified(path, 1, true, 0);
	assert_int_equal(send_at(path, 0), POLICY_FLAG);
	/* nor does one that covers many calls: it speaks for the first */
	policy_notified(path, 100000, true, 0);
	assert_int_equal(send_at(path, 0), POLICY_FLAG);
	policy_notified(path, 0, true, 0);
	assert_int_equal(path->seen, 2);
}

static void policy_send__avoiding_ends(void **state)
{
	struct policy_path *path = fresh_path();

	(void)state;
	notify(path, 32, true, 0);
	assert_int_equal(flagged_at(path, SECOND - 1), 0);
	assert_int_equal(flagged_at(path, SECOND), 8);
}

static void policy_send__avoiding_ignores_what_was_sent_before(void **state)
{
	struct policy_path *path = fresh_path();

	(void)state;
	notify(path, 32, true, 0);
	notify(path, 100, false, 0);
	assert_int_equal(flagged_at(path, SECOND - 1), 0);
	notify(path, 100, true, SECOND - 1);
	assert_int_equal(flagged_at(path, SECOND), 8);
}

static void policy_send__probe_decides_by_half(void **state)
{
	struct policy_path *path;
	int copied;

	(void)state;
	for (copied = 0; copied <= 8; copied++) {
		path = fresh_path();
		notify(path, 32, true, 0);
		assert_int_equal(flagged_at(path, SECOND), 8);
		notify(path, copied, true, SECOND);
		notify(path, 8 - copied, false, SECOND);
		assert_int_equal(flagged_at(path, SECOND), copied < 4 ? 100 : 0);
	}
}

static void policy_send__pause_doubles_to_four_seconds(void **state)
{
	static const uint64_t pauses[] = { 2, 4, 4, 4 };
	struct policy_path *path = fresh_path();
	uint64_t now = SECOND;
	size_t i;

	(void)state;
	notify(path, 32, true, 0);
	for (i = 0; i < ARRAY_SIZE(pauses); i++) {
		assert_int_equal(flagged_at(path, now), 8);
		notify(path, 8, true, now);
		now += pauses[i] * SECOND;
		assert_int_equal(flagged_at(path, now - 1), 0);
	}
	/* and is short again after the path was good in between */
	assert_int_equal(flagged_at(path, now), 8);
	notify(path, 8, false, now);
	notify(path, 32, true, now);
	assert_int_equal(flagged_at(path, now + SECOND - 1), 0);
	assert_int_equal(flagged_at(path, now + SECOND), 8);
}

static void policy_send__probe_whose_notifications_are_lost(void **state)
{
	struct policy_path *path = fresh_path();

	(void)state;
	notify(path, 32, true, 0);
	assert_int_equal(flagged_at(path, SECOND), 8);
	notify(path, 3, false, SECOND);
	assert_int_equal(flagged_at(path, 2 * SECOND - 1), 0);
	assert_int_equal(flagged_at(path, 2 * SECOND), 5);
	notify(path, 5, false, 3 * SECOND); /* late, but they count */
	assert_int_equal(flagged_at(path, 3 * SECOND), 100);
}

static void policy_send__probe_whose_notifications_are_merged(void **state)
{
	struct policy_path *path = fresh_path();
	int looks;

	(void)state;
	notify(path, 32, true, 0);
	assert_int_equal(flagged_at(path, SECOND), 8);
	for (looks = 7; looks > 0; looks--) {
		policy_notified(path, 8, false, SECOND);
		assert_int_equal(flagged_at(path, SECOND), looks);
	}
	policy_notified(path, 8, false, SECOND);
	assert_int_equal(flagged_at(path, SECOND), 100);
}

static void policy_send__probe_of_calls_that_are_not_sent_yet(void **state)
{
	struct policy_path *path = fresh_path();

	(void)state;
	notify(path, 32, true, 0);
	assert_int_equal(send_at(path, SECOND), POLICY_FLAG);
	/* of before: they need not be probed, and there are never more probes than are missing */
	policy_notified(path, UINT64_MAX, true, SECOND);
	policy_notified(path, 3, true, SECOND);
	assert_int_equal(flagged_at(path, SECOND), 6);
}

/* ---- send: simulated paths ------------------------------------------------------------------- */

#define SIM_QUEUE 65536

struct sim {
	struct policy_path *path;
	struct rng rng;
	uint64_t now;
	uint64_t step; /* between messages */
	uint64_t rtt;  /* until a call is notified */
	int calls_max; /* a message is up to so many flagged calls */
	int merge_max; /* notifications that are read as one */
	int copied;    /* percent of calls */
	uint32_t head; /* calls that are out: due times, and what became of them */
	uint32_t tail;
	uint64_t due[SIM_QUEUE];
	bool was_copied[SIM_QUEUE];
	int switches; /* from lending to avoiding */
	uint64_t flagged;
	uint64_t sent;
};

static struct sim sim;

static void sim_init(uint64_t seed, uint64_t step, uint64_t rtt, int merge_max)
{
	memset(&sim, 0, sizeof(sim));
	sim.path = fresh_path();
	sim.rng = rng_seeded(seed);
	sim.step = step;
	sim.rtt = rtt;
	sim.calls_max = 1;
	sim.merge_max = merge_max;
}

/* Calls are merged into one notification, and the first one's COPIED is the hint. */
static void sim_reap(void)
{
	while (sim.head != sim.tail && sim.due[sim.head % SIM_QUEUE] <= sim.now) {
		uint32_t mode = sim.path->mode;
		bool copied = sim.was_copied[sim.head % SIM_QUEUE];
		uint64_t max = (uint64_t)rng_between(&sim.rng, 1, sim.merge_max);
		uint64_t nr = 0;

		while (nr < max && sim.head != sim.tail &&
		       sim.due[sim.head % SIM_QUEUE] <= sim.now) {
			sim.head++;
			nr++;
		}
		policy_notified(sim.path, nr, copied, sim.now);
		sim.switches += mode == POLICY_LENDING && sim.path->mode == POLICY_AVOIDING;
	}
}

static void sim_message(void)
{
	int calls = (int)rng_between(&sim.rng, 1, sim.calls_max);

	sim.sent++;
	if (send_at(sim.path, sim.now) != POLICY_FLAG)
		return;
	sim.flagged++;
	while (calls-- && sim.tail - sim.head < SIM_QUEUE) {
		sim.due[sim.tail % SIM_QUEUE] = sim.now + sim.rtt;
		sim.was_copied[sim.tail % SIM_QUEUE] = rng_percent(&sim.rng, sim.copied);
		sim.tail++;
	}
}

static void sim_run(uint64_t ns)
{
	uint64_t end = sim.now + ns;
	int nr = 0;

	for (; sim.now < end; sim.now += sim.step) {
		sim_message();
		if (++nr % sim.merge_max == 0)
			sim_reap();
	}
}

static int sim_flagged_percent(uint64_t ns)
{
	sim.flagged = sim.sent = 0;
	sim_run(ns);
	return (int)(sim.flagged * 100 / sim.sent);
}

/* Slow and busy senders, near and far peers, notifications one by one and merged. */
static const struct sim_case {
	uint64_t step;
	uint64_t rtt;
	int calls_max;
	int merge_max;
} sim_cases[] = {
	{ 20 * MS, 0, 1, 1 },	      { MS, MS / 10, 1, 1 },	   { MS, 200 * MS, 1, 1 },
	{ MS, MS, 16, 32 },	      { MS / 10, MS / 10, 4, 32 }, { MS / 10, 50 * MS, 1, 16 },
	{ MS / 2, 3 * SECOND, 1, 1 },
};

static void sim_init_case(size_t i, uint64_t seed)
{
	sim_init(seed, sim_cases[i].step, sim_cases[i].rtt, sim_cases[i].merge_max);
	sim.calls_max = sim_cases[i].calls_max;
}

/* A path that begins to copy is left in seconds, and found again when it ends. */
static void policy_sim__turns_are_found_within_seconds(void **state)
{
	size_t i;
	int turn;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sim_cases); i++) {
		sim_init_case(i, i + 1);
		for (turn = 0; turn < 3; turn++) {
			sim.copied = 0;
			sim_run(4 * SECOND + 2 * sim.rtt + SECOND);
			assert_int_equal(sim_flagged_percent(10 * SECOND), 100);
			sim.copied = 100;
			sim_run(4 * SECOND + 2 * sim.rtt + SECOND);
			assert_true(sim_flagged_percent(30 * SECOND) <= 10);
		}
		assert_int_equal(sim.switches, 3);
	}
}

/* It takes a few flagged messages in four seconds to know, however busy the sender is. */
static void policy_sim__a_copying_path_is_probed_little(void **state)
{
	(void)state;
	sim_init(1, MS / 10, MS / 10, 1);
	sim.copied = 100;
	sim_run(10 * SECOND);
	sim.flagged = 0;
	sim_run(100 * SECOND);
	assert_in_range(sim.flagged, 25 * 8 - 8, 25 * 8 + 8);
}

/* Chance makes a path change its mind, but rarely: here, eight times in five minutes at most. */
static void policy_sim__does_not_flap(void **state)
{
	int copied;
	size_t i;

	(void)state;
	for (copied = 50; copied <= 85; copied += 5) {
		for (i = 0; i < ARRAY_SIZE(sim_cases); i++) {
			sim_init_case(i, (uint64_t)copied);
			sim.copied = copied;
			sim_run(300 * SECOND);
			assert_in_range(sim.switches, 0, 8);
		}
	}
}

/* ---- receive --------------------------------------------------------------------------------- */

static void policy_rx_map__only_after_large_reads(void **state)
{
	struct policy_rx rx = { 0 };
	uint64_t large = 2 * policy_crossover(0);

	(void)state;
	assert_false(policy_rx_map(&rx));
	policy_rx_result(&rx, false, 0, large - 1);
	assert_false(policy_rx_map(&rx));
	policy_rx_result(&rx, false, 0, large);
	assert_true(policy_rx_map(&rx));
	policy_rx_result(&rx, true, large - 4096, 4096);
	assert_true(policy_rx_map(&rx));
}

static void policy_rx_map__a_few_small_reads_are_forgiven(void **state)
{
	struct policy_rx rx = { 0 };
	int i;

	(void)state;
	policy_rx_result(&rx, true, LARGE, 0);
	for (i = 0; i < 4; i++) {
		assert_true(policy_rx_map(&rx));
		policy_rx_result(&rx, true, 0, 100);
		policy_rx_result(&rx, true, 0, 0); /* the queue was empty */
	}
	assert_false(policy_rx_map(&rx));
	policy_rx_result(&rx, false, 0, 100);
	assert_false(policy_rx_map(&rx));
}

/* Reads until mapping is tried, all of them large. */
static int reads_until_map(struct policy_rx *rx)
{
	int nr = 0;

	while (!policy_rx_map(rx)) {
		policy_rx_result(rx, false, 0, 1 << 20);
		nr++;
	}
	return nr;
}

static void policy_rx_map__fruitless_is_tried_less_and_less(void **state)
{
	struct policy_rx rx = { 0 };
	int want;
	int i;

	(void)state;
	reads_until_map(&rx);
	for (want = 64; want <= 16384; want *= 2) {
		for (i = 0; i < 4; i++) {
			policy_rx_result(&rx, true, i == 2 ? 4096 : 0, 1 << 20);
			if (i < 3)
				assert_int_equal(reads_until_map(&rx), 0);
		}
		assert_int_equal(reads_until_map(&rx), want < 4096 ? want : 4096);
	}
	/* one success, and it is as if nothing had been */
	policy_rx_result(&rx, true, 1 << 20, 0);
	for (i = 0; i < 4; i++)
		policy_rx_result(&rx, true, 0, 1 << 20);
	assert_int_equal(reads_until_map(&rx), 64);
}

static void policy_rx_map__what_maps_most_is_not_fruitless(void **state)
{
	struct policy_rx rx = { 0 };
	int i;

	(void)state;
	reads_until_map(&rx);
	for (i = 1; i < 100; i++) {
		if (i % 4 == 0) /* it takes four in a row */
			policy_rx_result(&rx, true, 4 * LARGE, 3 * LARGE);
		else
			policy_rx_result(&rx, true, 0, 4 * LARGE);
		assert_int_equal(reads_until_map(&rx), 0);
	}
}

static void policy_rx_map__small_reads_are_not_fruitless(void **state)
{
	struct policy_rx rx = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		policy_rx_result(&rx, false, 0, 1 << 20);
		assert_true(policy_rx_map(&rx));
		policy_rx_result(&rx, true, 0, i % 2 ? policy_crossover(0) - 1 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policy_path__is_remembered),
		cmocka_unit_test(policy_path__forgets_the_least_recently_used),
		cmocka_unit_test(policy_path__peers_without_a_key_share_one),
		cmocka_unit_test(policy_send__small_is_copied),
		cmocka_unit_test(policy_send__small_uses_up_no_probe),
		cmocka_unit_test(policy_send__avoids_after_32_copied),
		cmocka_unit_test(policy_send__one_copied_changes_nothing),
		cmocka_unit_test(policy_send__avoiding_ends),
		cmocka_unit_test(policy_send__avoiding_ignores_what_was_sent_before),
		cmocka_unit_test(policy_send__probe_decides_by_half),
		cmocka_unit_test(policy_send__pause_doubles_to_four_seconds),
		cmocka_unit_test(policy_send__probe_whose_notifications_are_lost),
		cmocka_unit_test(policy_send__probe_whose_notifications_are_merged),
		cmocka_unit_test(policy_send__probe_of_calls_that_are_not_sent_yet),
		cmocka_unit_test(policy_sim__turns_are_found_within_seconds),
		cmocka_unit_test(policy_sim__a_copying_path_is_probed_little),
		cmocka_unit_test(policy_sim__does_not_flap),
		cmocka_unit_test(policy_rx_map__only_after_large_reads),
		cmocka_unit_test(policy_rx_map__a_few_small_reads_are_forgiven),
		cmocka_unit_test(policy_rx_map__fruitless_is_tried_less_and_less),
		cmocka_unit_test(policy_rx_map__what_maps_most_is_not_fruitless),
		cmocka_unit_test(policy_rx_map__small_reads_are_not_fruitless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
