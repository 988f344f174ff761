/* SPDX-License-Identifier: MIT */
/* The half of a connection of the partner that sends. */
#include "flow.h"

#include <string.h>

/* ---- large streams --------------------------------------------------------------------------- */

static void source__numbers_wrap(void **state)
{
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SOURCE);
	b->f.iss = UINT32_MAX - 150;
	acks(b, 0, 1);
	tick(b);
	for (uint32_t i = 0; i < 10; i++)
		is_data(b, i, i * 100, 100);
	acks(b, 300, 1);
	assert_int_equal(b->f.out.una, 300);
	acks(b, 100, 1); /* old: no step back */
	assert_int_equal(b->f.out.una, 300);
	tick_at(b, b->now + WAIT);
	is_data(b, b->nr - 1, 300, 100);
}

/* ---- ends on purpose ------------------------------------------------------------------------- */

static void source__resets_at(void **state)
{
	struct bed *b = *state;

	b->w.behave.rst_at = 250;
	open_flow(b, LAB_PORT_SOURCE);
	acks(b, 0, 10);
	tick(b);
	assert_int_equal(b->nr, 3);
	is_data(b, 2, 200, 50);
	tick(b);
	assert_int_equal(b->nr, 1);
	assert_int_equal(b->sent[0].flags, TH_RST | TH_ACK);
	assert_int_equal(offset(b, 0), 250);
	assert_true(b->f.gone);
}

static void source__silent_at(void **state)
{
	struct bed *b = *state;

	b->w.behave.silent_at = 250;
	open_flow(b, LAB_PORT_SOURCE);
	acks(b, 0, 10);
	tick(b);
	assert_int_equal(b->nr, 3);
	for (int i = 0; i < 5; i++) {
		acks(b, 100, 10);
		tick_at(b, b->now + 1000 * MS);
		sends_nothing(b);
	}
}

/* ---- what the source sends ------------------------------------------------------------------- */

static void source__within_the_window(void **state)
{
	struct bed *b = *state;

	b->w.behave.payload = 128;
	open_flow(b, LAB_PORT_SOURCE);
	tick(b);
	sends_nothing(b);
	acks(b, 0, 1); /* 1 << SCALE */
	tick(b);
	assert_int_equal(b->nr, 8);
	for (uint32_t i = 0; i < 8; i++)
		is_data(b, i, 128 * i, 128);
	tick(b);
	sends_nothing(b);
	acks(b, 1024, 1);
	tick(b);
	assert_int_equal(b->nr, 8);
	is_data(b, 0, 1024, 128);
	is_data(b, 7, 1920, 128);
	assert_int_equal(b->w.stats.sent, 2048);
	assert_int_equal(b->w.stats.resent, 0);
}

/* Frames behind one that the window cut are where they would have been. */
static void source__after_a_short_window(void **state)
{
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SOURCE);
	b->f.out.edge = 60;
	tick(b);
	assert_int_equal(b->nr, 1);
	is_data(b, 0, 0, 60);
	b->f.out.edge = 300;
	tick(b);
	assert_int_equal(b->nr, 3);
	is_data(b, 0, 60, 40);
	is_data(b, 1, 100, 100);
	is_data(b, 2, 200, 100);
}

/* RFC 9293, 3.8.6.2.1: no small frames because of small steps of the window. */
static void source__does_not_cut_while_it_may_wait(void **state)
{
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SOURCE);
	acks(b, 0, 1);
	tick(b);
	assert_int_equal(b->nr, 10);
	is_data(b, 9, 900, 100);
	tick(b);
	sends_nothing(b);
	assert_int_equal(b->due, START + WAIT); /* and it does not spin meanwhile */
	acks(b, 500, 1);
	tick(b);
	assert_int_equal(b->nr, 5);
	is_data(b, 4, 1400, 100);
	acks(b, 1500, 0); /* nothing is on its way: the rest of the window is better than nothing */
	tick(b);
	assert_int_equal(b->nr, 1);
	is_data(b, 0, 1500, 24);
}

/* Frames are no longer than what the pair carries. */
static void source__within_the_mtu(void **state)
{
	static const uint8_t options[] = { TCPOPT_MAXSEG, 4, 0, 88 };
	struct bed *b = *state;

	open_with(b, LAB_PORT_SOURCE, false, options, sizeof(options));
	acks(b, 0, 3 * 88);
	tick(b);
	assert_int_equal(b->nr, 3);
	is_data(b, 0, 0, 88);
	is_data(b, 2, 176, 88);
	b->w.behave.payload = 1000;
	for (size_t i = 0; i < 3; i++) { /* it says nothing, or nonsense: RFC 9293, 3.7.1 */
		static const uint8_t odd[][4] = { { TCPOPT_NOP }, { 2, 3, 88 }, { 2, 4, 0, 0 } };
		static const size_t lens[] = { 1, 3, 4 };

		open_with(b, LAB_PORT_SOURCE, false, odd[i], lens[i]);
		acks(b, 0, 536);
		tick(b);
		assert_int_equal(b->nr, 1);
		is_data(b, 0, 0, 536);
	}
}

/* Nobody's turn lasts for ever, and who has more to send says so. */
static void source__in_bursts(void **state)
{
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SOURCE);
	acks(b, 0, 0xffff);
	for (uint32_t turn = 0; turn < 10; turn++) {
		tick(b);
		assert_int_equal(b->nr, FRAMES_MAX);
		is_data(b, FRAMES_MAX - 1, (turn * FRAMES_MAX + FRAMES_MAX - 1) * 100, 100);
		assert_int_equal(b->due, b->now);
	}
}

static void source__ends(void **state)
{
	struct bed *b = *state;

	b->w.behave.length = 250;
	open_flow(b, LAB_PORT_SOURCE);
	acks(b, 0, 10);
	tick(b);
	assert_int_equal(b->nr, 4);
	is_data(b, 2, 200, 50);
	assert_int_equal(b->sent[3].flags, TH_FIN | TH_ACK);
	assert_int_equal(offset(b, 3), 250);
	acks(b, 250, 10);
	tick_at(b, b->now + WAIT);
	assert_int_equal(b->nr, 1); /* the FIN is still owed */
	assert_int_equal(b->sent[0].flags, TH_FIN | TH_ACK);
	assert_int_equal(offset(b, 0), 250);
	acks(b, 251, 10);
	assert_int_equal(b->f.out.una, 250); /* the FIN is no byte */
	tick(b);
	sends_nothing(b);
	assert_true(b->due == UINT64_MAX);
	assert_false(b->f.gone); /* the near side may still send */
	data(b, 0, 10);
	input(b, TH_ACK | TH_FIN, 10, 0, 251, 10);
	tick(b);
	assert_int_equal(acked(b, 0), 11);
	assert_int_equal(offset(b, 0), 251);
	assert_true(b->f.gone);
}

static void source__ends_at_once(void **state)
{
	struct bed *b = *state;

	b->w.behave.length = 0;
	open_flow(b, LAB_PORT_SOURCE);
	tick(b);
	assert_int_equal(b->nr, 1);
	assert_int_equal(b->sent[0].flags, TH_FIN | TH_ACK);
}

static void source__rate(void **state)
{
	struct bed *b = *state;
	uint64_t sent = 0;

	b->w.behave.rate = 1000000;
	open_flow(b, LAB_PORT_SOURCE);
	for (uint64_t i = 0; i < 1000; i++) {
		acks(b, sent, 0xffff);
		tick_at(b, START + i * MS / 10);
		sent += 100 * b->nr;
		assert_in_range(sent + 100, i * 100, i * 100 + 1100);
	}
}

/* ---- what is lost on the way ----------------------------------------------------------------- */

/* Ten frames, of which those named by a bit of `lost` are lost. */
static void send_ten(struct bed *b, unsigned lost)
{
	open_flow(b, LAB_PORT_SOURCE);
	for (uint32_t i = 0; i < 10; i++) {
		b->w.behave.loss = lost >> i & 1;
		b->f.out.edge = 100 * (i + 1);
		tick(b);
		assert_int_equal(b->nr, !(lost >> i & 1));
	}
	b->w.behave.loss = 0;
	assert_int_equal(b->w.stats.sent, 1000);
}

static void source__three_acks_send_again(void **state)
{
	struct bed *b = *state;

	send_ten(b, 1 << 0);
	assert_int_equal(b->w.stats.lost, 1);
	for (int i = 0; i < 2; i++)
		acks(b, 0, 0);
	tick(b);
	sends_nothing(b);
	acks(b, 0, 0);
	tick(b);
	assert_int_equal(b->nr, 1);
	is_data(b, 0, 0, 100);
	for (int i = 0; i < 6; i++)
		acks(b, 0, 0);
	tick(b);
	sends_nothing(b);
	acks(b, 1000, 0);
	tick(b);
	sends_nothing(b);
	assert_int_equal(b->w.stats.resent, 1);
}

/* RFC 6582: what is acknowledged in part shows the next gap. */
static void source__several_gaps(void **state)
{
	struct bed *b = *state;

	send_ten(b, 1 << 2 | 1 << 5 | 1 << 6);
	acks(b, 200, 0);
	for (int i = 0; i < 3; i++)
		acks(b, 200, 0);
	tick(b);
	assert_int_equal(b->nr, 1);
	is_data(b, 0, 200, 100);
	acks(b, 500, 0);
	tick(b);
	assert_int_equal(b->nr, 1);
	is_data(b, 0, 500, 100);
	acks(b, 600, 0);
	tick(b);
	assert_int_equal(b->nr, 1);
	is_data(b, 0, 600, 100);
	acks(b, 1000, 0);
	tick(b);
	sends_nothing(b);
	assert_int_equal(b->w.stats.resent, 3);
}

static void source__what_is_no_repetition(void **state)
{
	struct bed *b = *state;

	send_ten(b, 1 << 0);
	for (uint16_t i = 1; i < 5; i++)
		acks(b, 0, i); /* the window opens */
	for (int i = 0; i < 5; i++)
		input(b, TH_ACK, 0, 10, 0, 0); /* data of its own */
	b->f.out.edge = 1000;
	tick(b);
	for (size_t i = 0; i < b->nr; i++)
		assert_int_equal(b->sent[i].len, 0);
	assert_int_equal(b->w.stats.resent, 0);
}

/* Two and two are not three in a row. */
static void source__counts_repetitions_anew(void **state)
{
	struct bed *b = *state;

	send_ten(b, 1 << 5);
	for (int i = 0; i < 2; i++)
		acks(b, 0, 0);
	acks(b, 500, 0);
	for (int i = 0; i < 2; i++)
		acks(b, 500, 0);
	tick(b);
	sends_nothing(b);
	acks(b, 500, 0);
	tick(b);
	assert_int_equal(b->nr, 1);
	is_data(b, 0, 500, 100);
}

static void source__timeout(void **state)
{
	struct bed *b = *state;
	uint64_t wait = WAIT;

	send_ten(b, 0x3ff);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(b->due, b->now + wait);
		tick_at(b, b->due - 1);
		sends_nothing(b);
		tick_at(b, b->due);
		assert_int_equal(b->nr, 1);
		is_data(b, 0, 0, 100);
		wait = 2 * wait < 1000 * MS ? 2 * wait : 1000 * MS;
	}
	acks(b, 100, 0); /* something moved: the next one follows, and waiting starts anew */
	tick(b);
	is_data(b, 0, 100, 100);
	assert_int_equal(b->due, b->now + WAIT);
}

static void source__timeout_knows_the_way(void **state)
{
	struct bed *b = *state;

	b->w.behave.rtt = 20 * MS;
	send_ten(b, 0);
	assert_int_equal(b->due, b->now + WAIT + 40 * MS);
	b->w.behave.rtt = 10000 * MS;
	acks(b, 100, 0);
	tick(b);
	for (int i = 0; i < 5; i++) {
		tick_at(b, b->due);
		assert_in_range(b->due - b->now, 20000 * MS, 30000 * MS); /* also the longest */
	}
}

/* A length that changes when the end was told already. */
static void source__nothing_behind_the_fin(void **state)
{
	struct bed *b = *state;

	b->w.behave.length = 100;
	open_flow(b, LAB_PORT_SOURCE);
	acks(b, 0, 10);
	tick(b);
	assert_int_equal(b->nr, 2);
	b->w.behave.length = 1000;
	acks(b, 101, 10);
	tick_at(b, b->now + WAIT);
	sends_nothing(b);
	assert_true(b->due == UINT64_MAX);
}

static void source__asks_for_the_window(void **state)
{
	struct bed *b = *state;

	send_ten(b, 0);
	acks(b, 1000, 0);
	tick(b);
	sends_nothing(b);
	assert_int_equal(b->due, b->now + WAIT);
	tick_at(b, b->due);
	assert_int_equal(b->nr, 1);
	assert_int_equal(offset(b, 0), 999); /* of the byte before, without it */
	assert_int_equal(b->sent[0].len, 0);
	assert_int_equal(b->sent[0].flags, TH_ACK);
	acks(b, 1000, 1);
	tick(b);
	is_data(b, 0, 1000, 100);
}

static void source__believes_no_nonsense(void **state)
{
	struct bed *b = *state;

	send_ten(b, 0);
	acks(b, 500, 0);
	acks(b, 1001, 10);		       /* more than was sent */
	input(b, 0, 0, 0, 1000, 10);	       /* no ACK at all */
	input(b, TH_ACK, 0, 0, 0x80000000, 0); /* from the other end of the world */
	assert_int_equal(b->f.out.una, 500);
	assert_int_equal(b->f.out.edge, 1000);
}

/* ---- by chance ------------------------------------------------------------------------------- */

#define FRAME 128
#define NR    4000

/* Which of the frames of a stream arrive; how many do not. */
static unsigned with_losses(struct bed *b, uint64_t seed, double loss, uint8_t *arrived)
{
	unsigned nr = 0;

	memset(arrived, 0, NR);
	b->w.behave.payload = FRAME;
	b->w.behave.length = NR * FRAME;
	b->w.behave.seed = seed;
	b->w.behave.loss = loss;
	b->w.stats = (struct flow_stats){ 0 };
	open_flow(b, LAB_PORT_SOURCE);
	while (b->f.out.next < NR * FRAME) {
		acks(b, b->f.out.next, 4);
		tick(b);
		for (size_t i = 0; i < b->nr; i++) {
			if (b->sent[i].len == 0)
				continue;
			assert_int_equal(offset(b, i) % FRAME, 0);
			arrived[offset(b, i) / FRAME] = 1;
			nr++;
		}
	}
	assert_int_equal(b->w.stats.resent, 0);
	assert_int_equal(b->w.stats.lost + nr, NR);
	return NR - nr;
}

static void fate__by_the_seed(void **state)
{
	static uint8_t once[NR], again[NR], other[NR];
	struct bed *b = *state;
	unsigned lost;

	lost = with_losses(b, 1, 0.1, once);
	assert_in_range(lost, 300, 500);
	assert_int_equal(with_losses(b, 1, 0.1, again), lost);
	assert_memory_equal(once, again, sizeof(once));
	with_losses(b, 2, 0.1, other);
	assert_memory_not_equal(once, other, sizeof(once));
	assert_int_equal(with_losses(b, 1, 0, once), 0);
}

/* The connections of a seed do not all lose the same. */
static void fate__by_the_connection(void **state)
{
	struct bed *b = *state;
	unsigned differ = 0;
	bool first[500];

	open_flow(b, LAB_PORT_SINK);
	for (uint64_t i = 0; i < 500; i++)
		first[i] = flow_fate(&b->f, i, 0.5, FLOW_LOSS);
	for (uint64_t i = 0; i < 500; i++)
		differ += first[i] != flow_fate(&b->f, i, 0.5, FLOW_REORDER);
	assert_in_range(differ, 150, 350);
	open_flow(b, LAB_PORT_SINK);
	for (uint64_t i = differ = 0; i < 500; i++)
		differ += first[i] != flow_fate(&b->f, i, 0.5, FLOW_LOSS);
	assert_in_range(differ, 150, 350);
}

static void fate__all_or_none(void **state)
{
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SINK);
	for (uint64_t i = 0; i < 1000; i++) {
		assert_true(flow_fate(&b->f, i, 1, FLOW_LOSS));
		assert_false(flow_fate(&b->f, i, 0, FLOW_LOSS));
	}
}

static void source__swaps(void **state)
{
	struct bed *b = *state;

	b->w.behave.reorder = 1;
	open_flow(b, LAB_PORT_SOURCE);
	b->f.out.edge = 500;
	tick(b);
	assert_int_equal(b->nr, 5);
	is_data(b, 0, 100, 100);
	is_data(b, 1, 0, 100);
	is_data(b, 2, 300, 100);
	is_data(b, 3, 200, 100);
	is_data(b, 4, 400, 100); /* with nobody to change places with */
	assert_int_equal(b->w.stats.reordered, 2);
	assert_int_equal(b->w.stats.sent, 500);
}

static void first__once_for_each(void **state)
{
	static const uint64_t far[] = { 100000, 0, 63 * 8, 64 * 8, 99999, 7, 8, 1 << 20 };
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SINK);
	for (size_t i = 0; i < ARRAY_SIZE(far); i++)
		assert_true(flow_first(&b->f, far[i]));
	for (size_t i = 0; i < ARRAY_SIZE(far); i++)
		assert_false(flow_first(&b->f, far[i]));
	for (uint64_t i = 1000; i < 3000; i++)
		assert_true(flow_first(&b->f, i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(source__numbers_wrap),
		TEST(source__resets_at),
		TEST(source__silent_at),
		TEST(source__within_the_window),
		TEST(source__after_a_short_window),
		TEST(source__does_not_cut_while_it_may_wait),
		TEST(source__within_the_mtu),
		TEST(source__in_bursts),
		TEST(source__ends),
		TEST(source__ends_at_once),
		TEST(source__rate),
		TEST(source__three_acks_send_again),
		TEST(source__several_gaps),
		TEST(source__counts_repetitions_anew),
		TEST(source__what_is_no_repetition),
		TEST(source__timeout),
		TEST(source__timeout_knows_the_way),
		TEST(source__nothing_behind_the_fin),
		TEST(source__asks_for_the_window),
		TEST(source__believes_no_nonsense),
		TEST(fate__by_the_seed),
		TEST(fate__by_the_connection),
		TEST(fate__all_or_none),
		TEST(source__swaps),
		TEST(first__once_for_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
