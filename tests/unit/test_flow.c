/* SPDX-License-Identifier: MIT */
/* The half of a connection of the partner that receives, and what both share. */
#include "flow.h"

#include <arpa/inet.h>
#include <string.h>

/* ---- opening --------------------------------------------------------------------------------- */

static void open__syn_ack(void **state)
{
	static const uint8_t want[] = { 2, 4, 0xff, 0xff, 1, 3, 3, FLOW_SCALE, 1, 1, 4, 2 };
	struct bed *b = *state;

	for (int v6 = 0; v6 < 2; v6++) {
		const struct sent *s = b->sent;

		open_with(b, LAB_PORT_SINK, v6, syn_options, sizeof(syn_options));
		assert_int_equal(b->nr, 1);
		assert_int_equal(s->v6, v6);
		assert_int_equal(s->flags, TH_SYN | TH_ACK);
		assert_int_equal(s->port, PORT);
		assert_int_equal(s->service, LAB_PORT_SINK);
		assert_int_equal(s->seq, b->f.iss);
		assert_int_equal(s->ack, ISN + 1);
		assert_int_equal(s->window, 0xffff); /* never scaled */
		assert_int_equal(s->len, 0);
		assert_int_equal(s->nr_options, sizeof(want));
		assert_memory_equal(s->options, want, sizeof(want));
	}
	assert_int_equal(b->w.stats.flows, 2);
}

static void open__sack_only_to_who_asked(void **state)
{
	static const uint8_t plain[] = { TCPOPT_MAXSEG, 4, 5, 0xb4 };
	struct bed *b = *state;

	open_with(b, LAB_PORT_SINK, false, plain, sizeof(plain));
	assert_int_equal(b->sent[0].nr_options, 8);
	assert_int_equal(b->sent[0].options[5], TCPOPT_WINDOW);
	data(b, 500, 100);
	tick(b);
	tick_at(b, b->now + GAP);
	sends_one_ack(b, 0);
	assert_int_equal(b->sent[0].nr_options, 0);
}

static void open__odd_options(void **state)
{
	static const struct {
		uint8_t options[8], len, scale;
	} odd[] = {
		{ { 0 }, 0, 0 },
		{ { TCPOPT_WINDOW }, 1, 0 },
		{ { TCPOPT_WINDOW, 0 }, 2, 0 },
		{ { TCPOPT_WINDOW, 1, 5 }, 3, 0 },
		{ { TCPOPT_WINDOW, 3 }, 2, 0 },
		{ { TCPOPT_WINDOW, 4, 5, 5 }, 4, 0 },
		{ { 200, 255, 1 }, 3, 0 },
		{ { TCPOPT_EOL, TCPOPT_WINDOW, 3, 5 }, 4, 0 },
		{ { TCPOPT_NOP, TCPOPT_WINDOW, 3, 5 }, 4, 5 },
		{ { TCPOPT_WINDOW, 3, 15 }, 3, 14 }, /* RFC 7323, 2.3 */
		{ { TCPOPT_WINDOW, 3, 255 }, 3, 14 },
	};
	struct bed *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		open_with(b, LAB_PORT_SOURCE, false, odd[i].options, odd[i].len);
		assert_int_equal(b->nr, 1);
		acks(b, 0, 10);
		assert_int_equal(b->f.near_scale, odd[i].scale);
	}
}

static void open__small_windows(void **state)
{
	struct bed *b = *state;

	b->w.behave.window = 5000;
	open_flow(b, LAB_PORT_SINK);
	assert_int_equal(b->sent[0].window, 5000);
	b->w.behave.zero_window_at = 300;
	open_flow(b, LAB_PORT_SINK);
	assert_int_equal(b->sent[0].window, 300);
	b->w.behave.window = 0;
	open_flow(b, LAB_PORT_SINK);
	assert_int_equal(b->sent[0].window, 0);
}

/* Nothing else is sent before it is acknowledged: who connects might not be connected yet. */
static void open__nothing_before_it_is_open(void **state)
{
	struct bed *b = *state;

	b->w.behave.length = 50;
	open_with(b, LAB_PORT_SOURCE, false, syn_options, sizeof(syn_options));
	tick_at(b, b->now + WAIT);
	sends_nothing(b);
	assert_true(b->due == UINT64_MAX);
	acks(b, 0, 1);
	tick(b);
	assert_int_equal(b->nr, 2);
	b->w.behave.rst_at = 0;
	open_with(b, LAB_PORT_SINK, false, syn_options, sizeof(syn_options));
	tick(b);
	sends_nothing(b);
	acks(b, 0, 1);
	tick(b);
	assert_int_equal(b->nr, 1);
	assert_int_equal(b->sent[0].flags, TH_RST | TH_ACK);
}

/* The answer took so long that the SYN came again: it is the same connection. */
static void open__syn_again(void **state)
{
	struct bed *b = *state;
	uint32_t iss;

	open_with(b, LAB_PORT_SINK, false, syn_options, sizeof(syn_options));
	iss = b->f.iss;
	b->nr = 0;
	flow_answer_again(&b->f);
	tick(b);
	assert_int_equal(b->nr, 1);
	assert_int_equal(b->sent[0].flags, TH_SYN | TH_ACK);
	assert_int_equal(b->sent[0].seq, iss);
	data(b, 0, 1000);
	flow_answer_again(&b->f); /* it is open meanwhile */
	tick_at(b, b->now + MS);
	sends_one_ack(b, 1000);
	assert_int_equal(b->w.stats.flows, 1);
}

/* Not the same for each connection, but the same again for the same seed. */
static void open__initial_numbers(void **state)
{
	struct bed *b = *state;
	uint32_t first, second;

	open_flow(b, LAB_PORT_SINK);
	first = b->f.iss;
	open_flow(b, LAB_PORT_SINK);
	second = b->f.iss;
	assert_int_not_equal(first, second);
	b->w.stats.flows = 0;
	open_flow(b, LAB_PORT_SINK);
	assert_int_equal(b->f.iss, first);
	b->w.stats.flows = 0;
	b->w.behave.seed = 99;
	open_flow(b, LAB_PORT_SINK);
	assert_int_not_equal(b->f.iss, first);
}

/* ---- what the sink acknowledges -------------------------------------------------------------- */

static void sink__acks_by_bytes(void **state)
{
	struct bed *b = *state;

	b->w.behave.ack_bytes = 1000;
	b->w.behave.ack_time = 60000 * MS;
	open_flow(b, LAB_PORT_SINK);
	data(b, 0, 999);
	tick(b);
	sends_nothing(b);
	assert_int_equal(b->due, START + 60000 * MS);
	data(b, 999, 1);
	tick(b);
	sends_one_ack(b, 1000);
	assert_true(b->due == UINT64_MAX);
	data(b, 1000, 5000);
	tick(b);
	sends_one_ack(b, 6000);
	assert_int_equal(b->w.stats.received, 6000);
	assert_int_equal(b->w.stats.acks, 2);
}

/* The time counts from the first byte that is not acknowledged. */
static void sink__acks_by_time(void **state)
{
	struct bed *b = *state;

	b->w.behave.ack_time = 10 * MS;
	open_flow(b, LAB_PORT_SINK);
	data(b, 0, 1);
	tick(b);
	sends_nothing(b);
	assert_int_equal(b->due, START + 10 * MS);
	b->now += 6 * MS;
	data(b, 1, 1);
	tick_at(b, START + 10 * MS - 1);
	sends_nothing(b);
	assert_int_equal(b->due, START + 10 * MS);
	tick_at(b, START + 10 * MS);
	sends_one_ack(b, 2);
	assert_true(b->due == UINT64_MAX);
}

static void sink__acks_parts(void **state)
{
	struct bed *b = *state;
	uint32_t first[2];

	b->w.behave.ack_bytes = 1;
	b->w.behave.partial_ack = true;
	for (int i = 0; i < 2; i++) {
		b->w.stats.flows = 0;
		open_flow(b, LAB_PORT_SINK);
		data(b, 0, 1000);
		tick(b);
		assert_int_equal(b->nr, 1);
		first[i] = acked(b, 0);
		assert_in_range(first[i], 1, 999);
		tick(b);
		sends_one_ack(b, 1000);
		tick(b);
		sends_nothing(b);
	}
	assert_int_equal(first[0], first[1]);
}

/* Anywhere within what came, each time. One byte has no parts. */
static void sink__acks_any_part(void **state)
{
	struct bed *b = *state;
	unsigned at[11] = { 0 };
	uint64_t off = 0;

	b->w.behave.ack_bytes = 1;
	b->w.behave.partial_ack = true;
	open_flow(b, LAB_PORT_SINK);
	for (int i = 0; i < 300; i++, off += 10) {
		data(b, off, 10);
		tick(b);
		assert_in_range(acked(b, 0), off + 1, off + 9);
		at[acked(b, 0) - off]++;
		tick(b);
		sends_one_ack(b, (uint32_t)off + 10);
	}
	for (int i = 1; i < 10; i++)
		assert_in_range(at[i], 10, 60);
	data(b, off, 1);
	tick(b);
	sends_one_ack(b, (uint32_t)off + 1);
}

static void sink__holds(void **state)
{
	struct bed *b = *state;

	b->w.behave.hold_acks = true;
	open_flow(b, LAB_PORT_SINK);
	data(b, 0, 50000);
	input(b, TH_ACK | TH_FIN, 50000, 0, 0, 0xffff);
	for (int i = 0; i < 10; i++) {
		tick_at(b, b->now + 1000 * MS);
		sends_nothing(b);
	}
	b->w.behave.hold_acks = false;
	flow_say_window(&b->f);
	tick(b);
	assert_int_equal(acked(b, 0), 50001);
}

static void sink__rate(void **state)
{
	struct bed *b = *state;
	uint32_t at = 0;

	b->w.behave.rate = 1000000;
	b->w.behave.ack_bytes = 1;
	open_flow(b, LAB_PORT_SINK);
	data(b, 0, 60000);
	for (int i = 0; i < 500; i++) {
		tick_at(b, START + i * MS / 10);
		for (size_t j = 0; j < b->nr; j++)
			at = acked(b, j);
		/* What came in the first ms may go at once. */
		assert_in_range(at, i * 100, i * 100 + 1000);
	}
	tick_at(b, START + 60 * MS);
	while (b->nr) {
		at = acked(b, b->nr - 1);
		tick_at(b, b->now + MS);
	}
	assert_int_equal(at, 60000);
}

/* What a rate lets through is still acknowledged some at a time. */
static void sink__rate_and_ack_bytes(void **state)
{
	struct bed *b = *state;
	unsigned nr = 0;

	b->w.behave.rate = 1000000;
	b->w.behave.ack_bytes = 400;
	open_flow(b, LAB_PORT_SINK);
	data(b, 0, 20000);
	for (int i = 0; i < 2500 && b->f.in.acked < 20000; i++) {
		tick_at(b, START + i * MS / 100);
		nr += b->nr;
	}
	assert_int_equal(b->f.in.acked, 20000);
	assert_in_range(nr, 20, 51);
}

/* ---- windows --------------------------------------------------------------------------------- */

static void sink__window_moves_on(void **state)
{
	struct bed *b = *state;

	b->w.behave.ack_bytes = 1;
	b->w.behave.window = 128 * 1024;
	open_flow(b, LAB_PORT_SINK);
	for (uint32_t at = 0; at < 1000000; at += 1448) {
		data(b, at, 1448);
		tick(b);
		sends_one_ack(b, at + 1448);
		assert_int_equal(edge(b, 0), at + 1448 + 128 * 1024);
	}
}

static void sink__window_is_not_taken_back(void **state)
{
	struct bed *b = *state;

	b->w.behave.ack_bytes = 1;
	open_flow(b, LAB_PORT_SINK);
	data(b, 0, 1024);
	tick(b);
	assert_int_equal(edge(b, 0),
			 1024 + (64 << 20) - 1024); /* 65535 units, the most there are */
	b->w.behave.window = 10240;
	flow_say_window(&b->f);
	tick(b);
	assert_int_equal(edge(b, 0), 64 << 20);
	data(b, 1024, (64 << 20) - 1024 - 5120);
	tick(b);
	assert_int_equal(edge(b, 0), (64 << 20) + 5120);
}

static void sink__window_closes_at(void **state)
{
	struct bed *b = *state;

	b->w.behave.ack_bytes = 1;
	b->w.behave.zero_window_at = 100 * 1024;
	open_flow(b, LAB_PORT_SINK);
	for (uint32_t at = 0; at < 100; at++) {
		data(b, at * 1024, 1024);
		tick(b);
		assert_int_equal(edge(b, 0), 100 * 1024);
	}
	assert_int_equal(b->sent[0].window, 0);
	b->w.behave.zero_window_at = BEHAVE_NEVER;
	flow_say_window(&b->f);
	tick(b);
	sends_one_ack(b, 100 * 1024);
	assert_int_equal(edge(b, 0), 100 * 1024 + (65535 << 10));
}

/* To fill the window is nothing special, to go beyond it is. */
static void sink__up_to_the_window(void **state)
{
	struct bed *b = *state;

	b->w.behave.zero_window_at = 10240;
	open_flow(b, LAB_PORT_SINK);
	data(b, 0, 10240);
	tick(b);
	sends_nothing(b);
	tick_at(b, b->now + MS);
	sends_one_ack(b, 10240);
	data(b, 10239, 1); /* a keep-alive that carries the byte before again: RFC 9293, 3.8.4 */
	tick(b);
	sends_one_ack(b, 10240);
	assert_int_equal(b->w.stats.duplicate, 0);
}

/* What is sent into a closed window is answered, and not taken. */
static void sink__beyond_the_window(void **state)
{
	struct bed *b = *state;

	b->w.behave.zero_window_at = 10240;
	open_flow(b, LAB_PORT_SINK);
	data(b, 0, 11000);
	tick(b);
	sends_one_ack(b, 10240);
	assert_int_equal(b->sent[0].window, 0);
	data(b, 10240, 1);
	tick(b);
	sends_one_ack(b, 10240);
	data(b, 10300, 1000);
	tick(b);
	sends_one_ack(b, 10240);
	assert_int_equal(b->w.stats.received, 10240);
	data(b, 10239, 0); /* a probe of Linux: the byte before, without it */
	tick(b);
	sends_one_ack(b, 10240);
	tick(b);
	sends_nothing(b);
}

/* ---- gaps ------------------------------------------------------------------------------------ */

static void has_blocks(const struct bed *b, const struct sent *s, const uint64_t (*want)[2],
		       size_t nr)
{
	assert_int_equal(s->nr_options, 4 + 8 * nr);
	assert_int_equal(s->options[2], TCPOPT_SACK);
	assert_int_equal(s->options[3], 2 + 8 * nr);
	for (size_t i = 0; i < nr; i++) {
		uint32_t edges[2];

		memcpy(edges, s->options + 4 + 8 * i, sizeof(edges));
		assert_int_equal(ntohl(edges[0]), b->isn + 1 + (uint32_t)want[i][0]);
		assert_int_equal(ntohl(edges[1]), b->isn + 1 + (uint32_t)want[i][1]);
	}
}

static void sink__gap_is_told(void **state)
{
	static const uint64_t blocks[][2] = { { 900, 1000 }, { 200, 300 }, { 500, 700 } };
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SINK);
	data(b, 500, 100);
	data(b, 200, 100);
	data(b, 600, 100);
	data(b, 900, 100);
	tick(b);
	sends_nothing(b); /* packets may overtake one another */
	assert_int_equal(b->due, START + GAP);
	tick_at(b, START + GAP - 1);
	sends_nothing(b);
	tick_at(b, START + GAP);
	assert_int_equal(b->nr, 4); /* one for each that came */
	for (size_t i = 0; i < b->nr; i++) {
		assert_int_equal(acked(b, i), 0);
		has_blocks(b, &b->sent[i], blocks, 3);
	}
	assert_int_equal(b->w.stats.acks, 4);
	assert_true(b->due == UINT64_MAX);
	data(b, 0, 100); /* what it fills is acknowledged at once, also in part */
	tick(b);
	sends_one_ack(b, 100);
	data(b, 100, 100);
	tick(b);
	sends_one_ack(b, 300);
	has_blocks(b, b->sent, (const uint64_t[][2]){ { 900, 1000 }, { 500, 700 } }, 2);
	data(b, 300, 600);
	tick(b);
	sends_one_ack(b, 1000);
	assert_int_equal(b->sent[0].nr_options, 0);
	assert_int_equal(b->w.stats.received, 1000);
	assert_int_equal(b->w.stats.duplicate, 0);
}

static void sink__at_most_four_blocks(void **state)
{
	static const uint64_t blocks[][2] = {
		{ 600, 700 }, { 200, 300 }, { 400, 500 }, { 800, 900 }
	};
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SINK);
	for (uint64_t off = 1400; off >= 200; off -= 200)
		data(b, off, 100);
	data(b, 600, 100); /* last, again */
	tick_at(b, b->now + GAP);
	has_blocks(b, b->sent, blocks, 4);
}

/* RFC 5681 wants one for each; nobody needs a hundred. */
static void sink__repeats_itself_in_bounds(void **state)
{
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SINK);
	for (uint64_t i = 1; i <= 20; i++)
		data(b, 100 * i, 100);
	tick_at(b, b->now + GAP);
	assert_int_equal(b->nr, 16);
	tick_at(b, b->now + GAP);
	sends_nothing(b);
}

static void sink__gap_that_does_not_last(void **state)
{
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SINK);
	data(b, 100, 100);
	tick(b);
	b->now += GAP / 2;
	data(b, 0, 100);
	tick(b);
	sends_one_ack(b, 200);
	tick_at(b, b->now + GAP);
	sends_nothing(b);
	data(b, 300, 100); /* this one lasts, and one packet came behind it */
	tick(b);
	tick_at(b, b->now + GAP);
	sends_one_ack(b, 200);
}

static void sink__what_came_before(void **state)
{
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SINK);
	data(b, 0, 1000);
	tick_at(b, b->now + MS);
	sends_one_ack(b, 1000);
	data(b, 0, 1000);
	tick(b);
	sends_one_ack(b, 1000); /* at once */
	assert_int_equal(b->w.stats.duplicate, 1000);
	data(b, 500, 1000);
	tick_at(b, b->now + MS);
	sends_one_ack(b, 1500);
	assert_int_equal(b->w.stats.duplicate, 1500);
	assert_int_equal(b->w.stats.received, 1500);
}

/* ---- large streams --------------------------------------------------------------------------- */

static void sink__numbers_wrap(void **state)
{
	struct bed *b = *state;

	b->isn = UINT32_MAX - 1000;
	b->w.behave.ack_bytes = 1;
	open_flow(b, LAB_PORT_SINK);
	data(b, 0, 900);
	tick(b);
	sends_one_ack(b, 900);
	data(b, 950, 150); /* across it */
	tick(b);
	tick_at(b, b->now + GAP);
	assert_int_equal(acked(b, 0), 900);
	has_blocks(b, b->sent, (const uint64_t[][2]){ { 950, 1100 } }, 1);
	data(b, 900, 50);
	tick(b);
	sends_one_ack(b, 1100);
	assert_int_equal(b->sent[0].ack, 100);
}

static void sink__beyond_four_gigabytes(void **state)
{
	struct bed *b = *state;
	uint64_t at = 0;

	b->w.behave.ack_bytes = 1;
	b->w.behave.rst_at = (5ull << 30) + 1;
	open_flow(b, LAB_PORT_SINK);
	data(b, 0, 0xfc00); /* what the window of a SYN-ACK can say */
	tick(b);
	sends_one_ack(b, 0xfc00);
	data(b, 0xfc00, (1 << 20) - 0xfc00);
	tick(b);
	at = 1 << 20;
	for (; at < 5ull << 30; at += 1 << 20) {
		data(b, at, 1 << 20);
		tick(b);
		sends_one_ack(b, (uint32_t)(at + (1 << 20)));
	}
	data(b, at - 1000, 1000); /* 5 GiB back is not 1 GiB ahead */
	assert_int_equal(b->w.stats.duplicate, 1000);
	assert_int_equal(b->w.stats.received, 5ull << 30);
	data(b, at, 1);
	tick(b);
	assert_int_equal(b->sent[b->nr - 1].flags, TH_RST | TH_ACK);
}

/* ---- the end of the near side's stream ------------------------------------------------------- */

static void sink__fin(void **state)
{
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SINK);
	input(b, TH_ACK | TH_FIN, 0, 1000, 0, 0xffff);
	tick(b);
	assert_int_equal(b->nr, 2);
	assert_int_equal(acked(b, 0), 1001); /* the FIN as well, at once */
	assert_int_equal(b->sent[1].flags, TH_FIN | TH_ACK);
	assert_int_equal(offset(b, 1), 0);
	assert_int_equal(b->sent[1].ack, ISN + 1 + 1001);
	tick(b);
	sends_nothing(b);
	assert_int_equal(b->due, START + WAIT);
	tick_at(b, b->due); /* it is not acknowledged: again */
	assert_int_equal(b->nr, 1);
	assert_int_equal(b->sent[0].flags, TH_FIN | TH_ACK);
	assert_int_equal(b->due, b->now + 2 * WAIT);
	assert_false(b->f.gone);
	input(b, TH_ACK, 1001, 0, 1, 0xffff);
	tick(b);
	sends_nothing(b);
	assert_true(b->f.gone);
}

/* A RST that does not stand behind what was sent is not believed (RFC 5961, 3.2). */
static void sink__reset_behind_the_fin(void **state)
{
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SINK);
	input(b, TH_ACK | TH_FIN, 0, 0, 0, 0xffff);
	tick(b);
	assert_int_equal(b->sent[1].flags, TH_FIN | TH_ACK);
	b->nr = 0;
	flow_reset(&b->f);
	tick(b);
	assert_int_equal(b->nr, 1);
	assert_int_equal(b->sent[0].flags, TH_RST | TH_ACK);
	assert_int_equal(offset(b, 0), 1);
}

/* A FIN that overtook its data counts when they are there. */
static void sink__fin_behind_a_gap(void **state)
{
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SINK);
	input(b, TH_ACK | TH_FIN, 1000, 0, 0, 0xffff);
	tick(b);
	sends_one_ack(b, 0);
	data(b, 0, 1000);
	tick(b);
	assert_int_equal(acked(b, 0), 1001);
	assert_int_equal(b->sent[1].flags, TH_FIN | TH_ACK);
	input(b, TH_ACK | TH_FIN, 1000, 0, 0, 0xffff); /* again: so it is acknowledged again */
	tick(b);
	assert_int_equal(acked(b, 0), 1001);
}

static void flow__reset_by_the_near_side(void **state)
{
	struct bed *b = *state;

	open_flow(b, LAB_PORT_SOURCE);
	acks(b, 0, 1);
	input(b, TH_RST, 0, 0, 0, 0);
	tick(b);
	sends_nothing(b);
	assert_true(b->f.gone);
	assert_true(b->due == UINT64_MAX);
}

/* ---- ends on purpose ------------------------------------------------------------------------- */

static void sink__resets_at(void **state)
{
	struct bed *b = *state;

	b->w.behave.rst_at = 1000;
	open_flow(b, LAB_PORT_SINK);
	data(b, 0, 999);
	tick_at(b, b->now + MS);
	sends_one_ack(b, 999);
	data(b, 999, 100);
	tick(b);
	assert_int_equal(b->nr, 1);
	assert_int_equal(b->sent[0].flags, TH_RST | TH_ACK);
	assert_int_equal(offset(b, 0), 0);
	assert_true(b->f.gone);
	assert_int_equal(b->w.stats.resets, 1);
	tick(b);
	sends_nothing(b);
}

static void sink__silent_at(void **state)
{
	struct bed *b = *state;

	b->w.behave.silent_at = 1000;
	open_flow(b, LAB_PORT_SINK);
	data(b, 0, 1500);
	tick(b);
	sends_one_ack(b, 1000);
	data(b, 1000, 500);
	input(b, TH_ACK | TH_FIN, 1500, 0, 0, 0xffff);
	for (int i = 0; i < 10; i++) {
		tick_at(b, b->now + 1000 * MS);
		sends_nothing(b);
		assert_true(b->due == UINT64_MAX);
	}
	assert_int_equal(b->w.stats.received, 1000);
	assert_false(b->f.gone);
}

/* ---- the rate -------------------------------------------------------------------------------- */

static void bucket__fills_with_time(void **state)
{
	struct bucket bucket = { .last = START };

	(void)state;
	assert_int_equal(bucket_fill(&bucket, 0, START), UINT64_MAX); /* no limit */
	assert_int_equal(bucket_fill(&bucket, 1000000, START), 0);
	assert_int_equal(bucket_due(&bucket, 1000000, 100, START), START + MS / 10);
	assert_int_equal(bucket_fill(&bucket, 1000000, START + MS / 2), 500);
	assert_int_equal(bucket_due(&bucket, 1000000, 600, START + MS / 2), START + 6 * MS / 10);
	assert_int_equal(bucket_due(&bucket, 1000000, 500, START + MS), START + MS);
	/* For more than it can wait for it must be filled before: what is not is gone. */
	assert_int_equal(bucket_due(&bucket, 1000000, 50000, START + MS / 2), START + MS);
	bucket_take(&bucket, 1000000, 400);
	assert_int_equal(bucket_fill(&bucket, 1000000, START + 3600000 * MS), 1100);
	bucket_take(&bucket, 0, 1000);
	assert_int_equal(bucket_fill(&bucket, 1000000, START + 3600000 * MS), 1100);
}

static void bucket__is_full_some_time(void **state)
{
	struct bucket bucket = { .last = START };
	uint64_t most = 0;

	(void)state;
	for (uint64_t i = 1; i < 1000; i++)
		most = bucket_fill(&bucket, 1000000, START + i * MS);
	assert_int_equal(most, 65536 + 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(open__syn_ack),
		TEST(open__sack_only_to_who_asked),
		TEST(open__odd_options),
		TEST(open__small_windows),
		TEST(open__nothing_before_it_is_open),
		TEST(open__syn_again),
		TEST(open__initial_numbers),
		TEST(sink__acks_by_bytes),
		TEST(sink__acks_by_time),
		TEST(sink__acks_parts),
		TEST(sink__acks_any_part),
		TEST(sink__holds),
		TEST(sink__rate),
		TEST(sink__rate_and_ack_bytes),
		TEST(sink__window_moves_on),
		TEST(sink__window_is_not_taken_back),
		TEST(sink__window_closes_at),
		TEST(sink__up_to_the_window),
		TEST(sink__beyond_the_window),
		TEST(sink__gap_is_told),
		TEST(sink__at_most_four_blocks),
		TEST(sink__repeats_itself_in_bounds),
		TEST(sink__gap_that_does_not_last),
		TEST(sink__what_came_before),
		TEST(sink__numbers_wrap),
		TEST(sink__beyond_four_gigabytes),
		TEST(sink__fin),
		TEST(sink__reset_behind_the_fin),
		TEST(sink__fin_behind_a_gap),
		TEST(flow__reset_by_the_near_side),
		TEST(sink__resets_at),
		TEST(sink__silent_at),
		cmocka_unit_test(bucket__fills_with_time),
		cmocka_unit_test(bucket__is_full_some_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
