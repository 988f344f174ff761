// SPDX-License-Identifier: MIT
/*
 * A partner that stops to acknowledge, for a while or for good, or resets the connection: whatever
 * is lent then comes back once, not too early, and with what happened.
 */
#include "bed.h"

#include <linux/tcp.h>

/* ---- what stands still ----------------------------------------------------------------------- */

static void window__closed_then_opened(void **state)
{
	uint64_t released;
	struct bed b;

	FAR_START("zero-window-at 2M", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	lend_much(&b, 6);
	FAR_WATCH(&b.net, far_stat("received") > 2 * MIB - 1024);
	net_idle(&b.net, 50);
	released = b.app->released;
	/* Requests of a ring that share a packet come back together. */
	assert_in_range(released, net_by_ring() ? 0 : 1, 2);
	net_idle(&b.net, 300); /* probes of the window release nothing */
	assert_int_equal(b.app->released, released);
	far_tell("zero-window-at never");
	LOOK_UNTIL(&b, b.app->out == 0);
	assert_int_equal(b.app->released, 6);
	bed_close(&b);
}

/* The partner is gone for a while: what is sent again meanwhile comes from memory that is out. */
static void silence__in_the_middle(void **state)
{
	struct bed b;

	FAR_START("silent-at 1500000", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	lend_much(&b, 4);
	FAR_WATCH(&b.net, far_stat("received") == 1500000);
	net_idle(&b.net, 300);
	none_too_early(b.app);
	assert_in_range(b.app->out, 3, net_by_ring() ? 4 : 3); /* as above */
	far_tell("silent-at never");
	LOOK_UNTIL(&b, b.app->out == 0);
	bed_close(&b);
}

/* The kernel gives up before we do. */
static void silence__for_too_long(void **state)
{
	struct bed b;

	FAR_START("silent-at 500000", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	net_set(b.app->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 500);
	lend_much(&b, 3);
	PUMP_UNTIL(&b.net, b.app->errors && b.app->out == 0);
	assert_int_equal(b.app->errors, 1);
	assert_int_equal(b.app->status, -ETIMEDOUT);
	assert_int_equal(b.app->released, 3);
	assert_int_equal(b.app->released_status, -ETIMEDOUT);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, -ETIMEDOUT);
	assert_int_equal(far_stat("received"), 500000);
	far_was_right();
	net_finish(&b.net);
}

static void loan_age__breaks_the_connection(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .loan_age_ms = 200 };
	struct bed b;
	long start;

	FAR_START("hold-acks", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, &opts);
	start = net_now_ms();
	assert_int_equal(app_send(b.app, &lend), 0);
	PUMP_UNTIL(&b.net, b.app->errors);
	assert_in_range(net_now_ms() - start, 200 - TICK, NET_MS);
	assert_int_equal(b.app->status, -ETIMEDOUT);
	assert_int_equal(b.app->out, 1); /* until it is closed the kernel still sends it */
	far_was_right();
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, -ETIMEDOUT);
	assert_int_equal(b.app->released + b.app->condemned, 1);
	FAR_UNTIL(far_stat("open") == 0);
	far_was_right();
	net_finish(&b.net);
}

/* Somewhat older than a round trip is nothing to complain about. */
static void loan_age__not_while_it_is_on_its_way(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .loan_age_ms = 5000 };
	struct zcs_stats st;
	struct bed b;

	(void)state;
	FAR_START("rtt 100ms", "verify");
	bed_make(&b, NET_V4, LAB_PORT_SINK, &opts);
	assert_int_equal(app_send(b.app, &lend), 0);
	net_idle(&b.net, 60);
	app_stats(b.app, &st);
	assert_in_range(st.oldest_loan_ms, 60 - TICK, 5000);
	LOOK_UNTIL(&b, b.app->out == 0);
	app_stats(b.app, &st);
	assert_int_equal(st.oldest_loan_ms, 0);
	bed_close(&b);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void close__drains(void **state)
{
	struct bed b;
	long start;

	FAR_START("rtt 20ms", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	lend_much(&b, 8);
	start = net_now_ms();
	zcs_conn_close(b.app->conn);
	assert_int_equal(b.app->closed, 0);
	LOOK_UNTIL(&b, b.app->closed);
	assert_in_range(net_now_ms() - start, 19, NET_MS);
	assert_int_equal(b.app->closed_status, 0);
	assert_int_equal(b.app->released, 8);
	assert_int_equal(b.app->condemned, 0);
	assert_int_equal(b.app->how & ZCS_ABANDONED, 0);
	assert_int_equal(far_stat("received"), 8 * MIB);
	FAR_UNTIL(far_stat("open") == 0);
	far_was_right();
	net_finish(&b.net);
}

/* A drain goes through losses and parts as well. */
static void close__drains_under_loss(void **state)
{
	struct bed b;

	FAR_START("rtt 1ms", "loss 2%", "reorder 2%", "partial-ack", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	lend_much(&b, 8);
	zcs_conn_close(b.app->conn);
	LOOK_UNTIL(&b, b.app->closed);
	assert_int_equal(b.app->closed_status, 0);
	assert_int_equal(b.app->released, 8);
	assert_int_equal(far_stat("received"), 8 * MIB);
	far_was_right();
	net_finish(&b.net);
}

/* What came back, and what never will, is told of in the statistics as well. */
static void all_are_back(struct bed *b, uint64_t nr, uint64_t len)
{
	struct zcs_stats st = { .size = sizeof(st) };

	assert_int_equal(b->app->released + b->app->condemned, nr);
	assert_int_equal(zcs_ctx_stats(b->net.ctx, &st), 0);
	assert_int_equal(st.lent, 0);
	assert_int_equal(st.condemned, b->app->condemned * len);
	far_was_right(); /* also what was sent again before the end, from memory that was out */
	net_finish(&b->net);
}

static void close__never_acknowledged(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .drain_ms = 700 };
	struct bed b;
	long start;

	FAR_START("hold-acks", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, &opts);
	lend_much(&b, 4);
	start = net_now_ms();
	zcs_conn_close(b.app->conn);
	net_idle(&b.net, 500); /* long enough that it is sent again */
	assert_int_equal(b.app->released + b.app->condemned, 0);
	assert_true(far_info(b.app->fd).tcpi_total_retrans > 0);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_in_range(net_now_ms() - start, 700 - TICK, NET_MS);
	assert_int_equal(b.app->closed_status, -ETIMEDOUT);
	assert_true(b.app->how & ZCS_ABANDONED);
	all_are_back(&b, 4, 1 * MIB);
}

/* All that was sent is out: nothing is missing but acknowledgements. */
static void close__all_sent_never_acknowledged(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .drain_ms = 200 };
	struct shape s = { .len = 20000, .flags = ZCS_ZEROCOPY };
	struct bed b;

	FAR_START("hold-acks", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, &opts);
	assert_int_equal(app_send(b.app, &s), 0);
	assert_int_equal(app_send(b.app, &s), 0);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, -ETIMEDOUT);
	assert_int_equal(b.app->how & ZCS_ABANDONED, 0);
	assert_int_equal(b.app->released_status, -ETIMEDOUT);
	all_are_back(&b, 2, 20000);
}

static void close__window_stays_closed(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .drain_ms = 300 };
	struct bed b;

	FAR_START("zero-window-at 1M", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, &opts);
	lend_much(&b, 4);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, -ETIMEDOUT);
	assert_in_range(far_stat("received"), 1, 1 * MIB);
	all_are_back(&b, 4, 1 * MIB);
}

/* A drain that moves is bounded as well. */
static void close__deadline_although_it_moves(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .drain_ms = 300 };
	struct bed b;

	FAR_START("rate 4M", "window 64K", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, &opts);
	lend_much(&b, 8);
	zcs_conn_close(b.app->conn);
	LOOK_UNTIL(&b, b.app->closed);
	assert_int_equal(b.app->closed_status, -ETIMEDOUT);
	assert_true(b.app->how & ZCS_ABANDONED);
	assert_in_range(far_stat("received"), 1, 8 * MIB - 1);
	all_are_back(&b, 8, 1 * MIB);
}

/* Our end of the stream, then theirs: nothing is left for a close to wait for. */
static void shutdown__then_the_end_of_theirs(void **state)
{
	struct bed b;

	FAR_START("rtt 10ms", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	lend_much(&b, 3);
	assert_int_equal(zcs_conn_shutdown(b.app->conn), 0);
	assert_int_equal(app_send(b.app, &lend), -EPIPE);
	LOOK_UNTIL(&b, b.app->rx_eof);
	assert_int_equal(b.app->out, 0); /* all of it was acknowledged before */
	assert_int_equal(far_stat("received"), 3 * MIB);
	bed_close(&b);
}

/* The end of the stream waits with the last message, and counts as one byte of it. */
static void shutdown__behind_what_is_out(void **state)
{
	struct bed b;

	FAR_START("silent-at 2M", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	lend_much(&b, 3);
	assert_int_equal(zcs_conn_shutdown(b.app->conn), 0);
	FAR_WATCH(&b.net, far_stat("received") == 2 * MIB);
	/*
	 * By a ring, the end of a message may share a packet with the next one. Then the kernel
	 * tells of both when both are through (io_link_skb), and so on: perhaps of none here.
	 */
	LOOK_UNTIL(&b, net_by_ring() || b.app->released >= 2);
	net_idle(&b.net, 50);
	none_too_early(b.app);
	assert_true(net_by_ring() ? b.app->out >= 1 : b.app->out == 1);
	far_tell("silent-at never");
	LOOK_UNTIL(&b, b.app->rx_eof);
	assert_int_equal(b.app->out, 0);
	bed_close(&b);
}

static void abort__with_loans_out(void **state)
{
	struct bed b;

	FAR_START("hold-acks", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	lend_much(&b, 4);
	net_idle(&b.net, 20);
	assert_int_equal(b.app->out, 4);
	zcs_conn_abort(b.app->conn);
	net_take(&b.net); /* not a moment later */
	assert_int_equal(b.app->closed, 1);
	assert_int_equal(b.app->closed_status, -ECONNABORTED);
	FAR_UNTIL(far_stat("open") == 0); /* the partner was told */
	all_are_back(&b, 4, 1 * MIB);
}

static void abort__while_it_drains(void **state)
{
	struct bed b;

	FAR_START("silent-at 1M", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	lend_much(&b, 4);
	zcs_conn_close(b.app->conn);
	FAR_WATCH(&b.net, far_stat("received") == 1 * MIB);
	zcs_conn_abort(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_true(b.app->closed_status < 0);
	all_are_back(&b, 4, 1 * MIB);
}

/* The error is told once, all comes back with it, and closing is all that is left. */
static void is_broken(struct bed *b, uint64_t nr)
{
	PUMP_UNTIL(&b->net, b->app->errors && b->app->out == 0);
	assert_int_equal(b->app->errors, 1);
	assert_true(b->app->status == -ECONNRESET || b->app->status == -EPIPE);
	assert_int_equal(b->app->released_status, b->app->status);
	assert_int_equal(b->app->condemned, 0);
	assert_true(app_send(b->app, &lend) < 0);
	zcs_conn_close(b->app->conn);
	PUMP_UNTIL(&b->net, b->app->closed);
	assert_int_equal(b->app->closed_status, b->app->status);
	all_are_back(b, nr, 1 * MIB);
}

static void reset__at_a_byte(void **state)
{
	struct shape s = { .len = 1 * MIB, .flags = ZCS_ZEROCOPY };
	uint64_t nr = 0;
	struct bed b;

	FAR_START("rst-at 1M", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	while (nr < 8 && app_send(b.app, &s) == 0)
		nr++;
	assert_true(nr > 0);
	is_broken(&b, nr);
}

static void reset__of_what_was_never_acknowledged(void **state)
{
	struct bed b;

	FAR_START("hold-acks", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	lend_much(&b, 4);
	net_idle(&b.net, 20);
	assert_int_equal(b.app->out, 4);
	far_tell("reset");
	is_broken(&b, 4);
}

/* Each of many gets its own back, and hears of it once. */
static void reset__of_many(void **state)
{
	struct shape s = { .len = 20000, .flags = ZCS_ZEROCOPY };
	struct app *apps[40];
	struct net net;
	int i, j;

	(void)state;
	FAR_START("hold-acks", "verify");
	net_start(&net, NULL);
	for (i = 0; i < 40; i++) {
		apps[i] = app_open(&net, far_connect(i % 3, LAB_PORT_SINK), NULL);
		for (j = 0; j < 4; j++)
			assert_int_equal(app_send(apps[i], &s), 0);
	}
	net_idle(&net, 10);
	far_tell("reset");
	for (i = 0; i < 40; i++) {
		PUMP_UNTIL(&net, apps[i]->errors && apps[i]->out == 0);
		assert_int_equal(apps[i]->errors, 1);
		assert_int_equal(apps[i]->status, -ECONNRESET);
		assert_int_equal(apps[i]->released, 4);
		zcs_conn_close(apps[i]->conn);
	}
	for (i = 0; i < 40; i++) {
		PUMP_UNTIL(&net, apps[i]->closed);
		assert_int_equal(apps[i]->closed_status, -ECONNRESET);
	}
	assert_int_equal(far_stat("open"), 0);
	far_was_right();
	net_finish(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(window__closed_then_opened),
		EACH(silence__in_the_middle),
		EACH(silence__for_too_long),
		EACH(loan_age__breaks_the_connection),
		FAR_TEST(loan_age__not_while_it_is_on_its_way),
		EVERY(close__drains),
		EACH(close__drains_under_loss),
		EACH(close__never_acknowledged),
		EACH(close__all_sent_never_acknowledged),
		EACH(close__window_stays_closed),
		EACH(close__deadline_although_it_moves),
		EACH(shutdown__then_the_end_of_theirs),
		EACH(shutdown__behind_what_is_out),
		EVERY(abort__with_loans_out),
		EACH(abort__while_it_drains),
		EVERY(reset__at_a_byte),
		EVERY(reset__of_what_was_never_acknowledged),
		FAR_TEST(reset__of_many),
	};

	return FAR_MAIN(tests);
}
