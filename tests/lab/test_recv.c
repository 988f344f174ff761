// SPDX-License-Identifier: MIT
/*
 * Receiving from a partner whose data come as from a card that splits headers from data: in pages
 * of their own. And handing them on to one that looks at every byte of it.
 */
#include "bed.h"

static const struct zcs_conn_opts adapt = { .size = sizeof(adapt), .trust = ZCS_TRUST_PEER };
static const struct zcs_conn_opts map = { .size = sizeof(map),
					  .trust = ZCS_TRUST_PEER,
					  .recv_way = ZCS_WAY_ZEROCOPY };
static const struct zcs_conn_opts copy = { .size = sizeof(copy), .recv_way = ZCS_WAY_COPY };

/* Of all that came; the partner, the statistics and the spans agree on it. */
static unsigned mapped_percent(const struct app *a)
{
	struct zcs_stats st;

	app_stats(a, &st);
	assert_int_equal(st.rx_bytes, a->rx_pos);
	assert_int_equal(st.rx_bytes_mapped, a->rx_mapped);
	return (unsigned)(100 * a->rx_mapped / a->rx_pos);
}

/* After the end of stream: both sides part in peace. */
static void bed_end(struct bed *b, uint64_t length)
{
	assert_true(b->app->rx_eof);
	assert_int_equal(b->app->rx_pos, length);
	assert_int_equal(b->app->errors, 0);
	assert_int_equal(far_stat("sent"), length);
	zcs_conn_close(b->app->conn);
	PUMP_UNTIL(&b->net, b->app->closed);
	assert_int_equal(b->app->closed_status, 0);
	FAR_UNTIL(far_stat("open") == 0);
	net_finish(&b->net);
}

/* Waits until so much is queued, and the library knows of it. */
static void queue_up(struct bed *b, size_t bytes)
{
	if (net_now_ms() > b->net.deadline)
		fail_msg("time is up, %llu of %llu bytes mapped",
			 (unsigned long long)b->app->rx_mapped, (unsigned long long)b->app->rx_pos);
	FAR_WATCH(&b->net, net_queued(b->app->fd) >= bytes);
	net_take(&b->net);
}

/* As a program that does not wake up for every packet. */
static void receive_much(struct bed *b, uint64_t bytes)
{
	uint64_t end = b->app->rx_pos + bytes;

	while (b->app->rx_pos < end) {
		queue_up(b, 40000);
		app_drain(b->app);
	}
}

/* One call. Why the last byte of those that were copied was. */
static uint32_t receive_once(struct bed *b, size_t nr, size_t max)
{
	struct zcs_span spans[16];
	struct zcs_stats st;
	int i, n = zcs_conn_recv(b->app->conn, spans, nr, max);

	assert_in_range(n, 1, nr);
	for (i = 0; i < n; i++) {
		assert_int_equal(stream_check(0, b->app->rx_pos, spans[i].base, spans[i].len),
				 spans[i].len);
		b->app->rx_pos += spans[i].len;
		if (spans[i].flags & ZCS_SPAN_MAPPED)
			b->app->rx_mapped += spans[i].len;
	}
	zcs_span_release(b->net.ctx, spans, (size_t)n);
	app_stats(b->app, &st);
	return st.rx_reason;
}

/* ---- mapped, or not -------------------------------------------------------------------------- */

static void map__nearly_all(void **state)
{
	struct bed b;

	FAR_START("length 32M");
	bed_make(&b, FAMILY(state), LAB_PORT_SOURCE, &map);
	PUMP_UNTIL(&b.net, b.app->rx_eof);
	assert_in_range(mapped_percent(b.app), 96, 100);
	bed_end(&b, 32 * MIB);
}

/* As the policy wants it, which asks for large reads. */
static void map__large_reads(void **state)
{
	struct bed b;

	FAR_START("length 32M");
	bed_make(&b, FAMILY(state), LAB_PORT_SOURCE, &adapt);
	net_set(b.app->fd, SOL_SOCKET, SO_RCVBUFFORCE, 4 * MIB);
	b.app->rx_manual = true;
	while (b.app->rx_pos < 32 * MIB) {
		queue_up(&b, 256 * KIB);
		receive_once(&b, 16, 256 * KIB);
	}
	assert_in_range(mapped_percent(b.app), 80, 100);
	app_drain(b.app);
	PUMP_UNTIL(&b.net, b.app->rx_eof || app_drain(b.app) == 0);
	bed_end(&b, 32 * MIB);
}

static void map__not_without_trust(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .recv_way = ZCS_WAY_ZEROCOPY };
	struct zcs_stats st;
	struct bed b;

	FAR_START("length 4M");
	bed_make(&b, FAMILY(state), LAB_PORT_SOURCE, &opts);
	PUMP_UNTIL(&b.net, b.app->rx_eof);
	assert_int_equal(b.app->rx_mapped, 0);
	app_stats(b.app, &st);
	assert_int_equal(st.rx_reason, ZCS_R_UNTRUSTED);
	app_says(b.app, "0.0% mapped");
	app_says(b.app, "the peer may share this host's memory, and trust was not declared");
	app_says(b.app, "a virtual device");
	bed_end(&b, 4 * MIB);
}

static void map__not_when_told_so(void **state)
{
	struct zcs_stats st;
	struct bed b;

	FAR_START("length 4M");
	bed_make(&b, FAMILY(state), LAB_PORT_SOURCE, &copy);
	PUMP_UNTIL(&b.net, b.app->rx_eof);
	assert_int_equal(mapped_percent(b.app), 0);
	app_stats(b.app, &st);
	assert_int_equal(st.rx_reason, ZCS_R_PINNED);
	bed_end(&b, 4 * MIB);
}

/* Packets of an Ethernet; then somebody raises the MTU. Neither loses a byte. */
static void map__what_becomes_mappable(void **state)
{
	struct bed b;

	FAR_START("payload 1448");
	bed_make(&b, FAMILY(state), LAB_PORT_SOURCE, &adapt);
	net_set(b.app->fd, SOL_SOCKET, SO_RCVBUFFORCE, 4 * MIB); /* a page for each packet */
	b.app->rx_manual = true;
	do {
		queue_up(&b, 40000);
	} while (receive_once(&b, 2, 0) != ZCS_R_UNMAPPABLE);
	app_says(b.app, "the data did not arrive in whole pages of its own");
	receive_much(&b, 4 * MIB);
	assert_int_equal(b.app->rx_mapped, 0);
	far_tell("payload 4096");
	while (b.app->rx_mapped < 4 * MIB)
		receive_much(&b, 1 * MIB);
	far_tell("payload 1448"); /* and back again */
	receive_much(&b, 4 * MIB);
	assert_int_equal(b.app->errors, 0);
	net_finish(&b.net);
}

/* Also where mapping is always tried it is not smallness that keeps it from happening. */
static void map__always_tried_never_possible(void **state)
{
	struct bed b;
	int i;

	FAR_START("payload 1448");
	bed_make(&b, FAMILY(state), LAB_PORT_SOURCE, &map);
	net_set(b.app->fd, SOL_SOCKET, SO_RCVBUFFORCE, 4 * MIB); /* a page for each packet */
	b.app->rx_manual = true;
	for (i = 0; i < 10; i++) {
		queue_up(&b, 40000);
		assert_int_equal(receive_once(&b, 2, 0), ZCS_R_UNMAPPABLE);
	}
	assert_int_equal(b.app->rx_mapped, 0);
	net_finish(&b.net);
}

static void map__odd_amounts(void **state)
{
	struct bed b;

	FAR_START("length 8M");
	bed_make(&b, FAMILY(state), LAB_PORT_SOURCE, &map);
	b.app->rx_max = 50001;
	PUMP_UNTIL(&b.net, b.app->rx_eof);
	assert_in_range(mapped_percent(b.app), 50, 100);
	bed_end(&b, 8 * MIB);
}

static void map__loss_and_reordering(void **state)
{
	struct bed b;

	FAR_START("loss 1%", "reorder 5%", "rtt 1ms", "length 8M");
	bed_make(&b, FAMILY(state), LAB_PORT_SOURCE, &map);
	PUMP_UNTIL(&b.net, b.app->rx_eof);
	assert_true(far_stat("lost") > 5);
	assert_true(far_stat("reordered") > 20);
	assert_in_range(mapped_percent(b.app), 50, 100);
	bed_end(&b, 8 * MIB);
}

/* Copied or mapped as it comes, with losses in both. */
static void map__loss_of_unmappable_data(void **state)
{
	struct bed b;

	FAR_START("loss 1%", "reorder 5%", "payload 5000", "length 4M");
	bed_make(&b, FAMILY(state), LAB_PORT_SOURCE, &adapt);
	PUMP_UNTIL(&b.net, b.app->rx_eof);
	bed_end(&b, 4 * MIB);
}

/* ---- borrowed -------------------------------------------------------------------------------- */

/* What is held stays as it is, whatever else comes and goes in the window. */
static void span__held_over_time(void **state)
{
	struct zcs_conn_opts opts = map;
	struct app *other;
	struct bed b;

	FAR_PLAIN();
	bed_make(&b, FAMILY(state), LAB_PORT_SOURCE, &opts);
	b.app->rx_hold = true;
	PUMP_UNTIL(&b.net, b.app->rx_pos > 4 * MIB);
	assert_true(b.app->rx_mapped > 3 * MIB);
	other = app_open(&b.net, far_connect(NET_V4, LAB_PORT_SOURCE), &map);
	PUMP_UNTIL(&b.net, other->rx_pos > 100 * MIB);
	assert_true(other->rx_mapped > 90 * MIB);
	app_check_held(b.app);
	zcs_conn_abort(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	app_check_held(b.app); /* the pages outlive their connection */
	app_release_held(b.app);
	net_finish(&b.net);
}

/* The sender is stopped, and goes on when spans come back. */
static void span__budget_stops_the_partner(void **state)
{
	struct zcs_conn_opts opts = map;
	struct zcs_stats st;
	uint64_t at;
	struct bed b;
	int rounds;

	FAR_START("length 16M");
	opts.borrowed_max = 512 * KIB;
	bed_make(&b, FAMILY(state), LAB_PORT_SOURCE, &opts);
	b.app->rx_hold = true;
	FAR_WATCH(&b.net, (app_stats(b.app, &st), st.borrowed) >= 512 * KIB);
	at = b.app->rx_pos;
	net_idle(&b.net, 100);
	assert_int_equal(b.app->rx_pos, at);
	assert_true(far_stat("sent") < 16 * MIB);
	app_stats(b.app, &st);
	assert_in_range(st.borrowed, 512 * KIB, 512 * KIB + 64 * KIB);
	for (rounds = 0; !b.app->rx_eof; rounds++) {
		app_check_held(b.app);
		app_release_held(b.app);
		PUMP_UNTIL(&b.net, b.app->rx_pos > at || b.app->rx_eof);
		at = b.app->rx_pos;
	}
	assert_true(rounds > 16);
	app_release_held(b.app);
	bed_end(&b, 16 * MIB);
}

static void many__at_once(void **state)
{
	struct app *apps[32];
	struct net net;
	int i;

	(void)state;
	FAR_START("length 1M", "loss 1%", "reorder 1%");
	net_start(&net, NULL);
	for (i = 0; i < 32; i++)
		apps[i] = app_open(&net, far_connect(i % 3, LAB_PORT_SOURCE), &map);
	for (i = 0; i < 32; i++) {
		PUMP_UNTIL(&net, apps[i]->rx_eof);
		assert_int_equal(apps[i]->rx_pos, 1 * MIB);
		zcs_conn_close(apps[i]->conn);
	}
	for (i = 0; i < 32; i++) {
		PUMP_UNTIL(&net, apps[i]->closed);
		assert_int_equal(apps[i]->closed_status, 0);
		assert_true(apps[i]->rx_mapped > 256 * KIB);
	}
	FAR_UNTIL(far_stat("open") == 0);
	assert_int_equal(far_stat("sent"), 32 * MIB);
	net_finish(&net);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* The end of their stream is not the end of ours. */
static void eof__half_closes(void **state)
{
	struct zcs_span span;
	struct bed b;

	FAR_START("length 1000001");
	bed_make(&b, FAMILY(state), LAB_PORT_SOURCE, &adapt);
	PUMP_UNTIL(&b.net, b.app->rx_eof);
	assert_int_equal(zcs_conn_recv(b.app->conn, &span, 1, 0), 0); /* and again */
	app_send_all(b.app, 2 * MIB, &(struct shape){ .len = 300000, .flags = ZCS_ZEROCOPY });
	PUMP_UNTIL(&b.net, b.app->out == 0);
	assert_int_equal(far_stat("received"), 2 * MIB);
	bed_end(&b, 1000001);
}

/* Nobody reads, so it is known how far it came: the reset lies ahead, within what is read later. */
static void reset__behind_the_data(enum net_family family, const struct zcs_conn_opts *opts)
{
	struct zcs_span span;
	struct bed b;

	FAR_PLAIN();
	bed_make(&b, family, LAB_PORT_SOURCE, opts);
	b.app->rx_manual = true;
	FAR_WATCH(&b.net, far_stat("sent") > 10000);
	far_tell("rst-at 20000001");
	b.app->rx_manual = false;
	app_drain(b.app);
	PUMP_UNTIL(&b.net, b.app->rx_error && b.app->errors);
	assert_int_equal(b.app->rx_pos, 20000001);
	assert_int_equal(b.app->rx_error, -ECONNRESET);
	assert_int_equal(b.app->status, -ECONNRESET);
	assert_int_equal(zcs_conn_recv(b.app->conn, &span, 1, 0), -ECONNRESET);
	net_idle(&b.net, 10);
	assert_int_equal(b.app->errors, 1);
	assert_false(b.app->rx_eof);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, -ECONNRESET);
	net_finish(&b.net);
}

static void reset__mapped(void **state)
{
	reset__behind_the_data(FAMILY(state), &map);
}

static void reset__adapted(void **state)
{
	reset__behind_the_data(FAMILY(state), &adapt);
}

static void reset__copied(void **state)
{
	reset__behind_the_data(FAMILY(state), &copy);
}

/* ---- handed on ------------------------------------------------------------------------------- */

struct relay {
	struct net net;
	struct app *in, *out;
};

static void relay_make(struct relay *r, enum net_family family, const struct zcs_conn_opts *opts)
{
	net_start(&r->net, NULL);
	r->out = app_open(&r->net, far_connect(NET_V4, LAB_PORT_SINK), NULL);
	r->in = app_open(&r->net, far_connect(family, LAB_PORT_SOURCE), opts);
	r->in->relay_to = r->out;
}

/* All that the source sent arrived at the sink, right; the relay's two ends are closed. */
static void relay_finish(struct relay *r, uint64_t length)
{
	struct zcs_stats st;

	PUMP_UNTIL(&r->net, r->in->rx_eof);
	assert_int_equal(r->in->rx_pos, length);
	zcs_conn_close(r->in->conn);
	zcs_conn_close(r->out->conn);
	PUMP_UNTIL(&r->net, r->in->closed && r->out->closed);
	assert_int_equal(r->in->closed_status, 0);
	assert_int_equal(r->out->closed_status, 0);
	assert_int_equal(far_stat("received"), length);
	far_was_right();
	if (far_stat("overflow") == 0) /* every byte was looked at */
		assert_true(far_stat("verified") >= length);
	st = (struct zcs_stats){ .size = sizeof(st) };
	assert_int_equal(zcs_ctx_stats(r->net.ctx, &st), 0);
	assert_int_equal(st.borrowed, 0);
	net_finish(&r->net);
}

/* Pages that came from the partner go back to it, and are never touched here. */
static void relay__of_mapped_pages(void **state)
{
	struct zcs_stats st;
	struct relay r;

	FAR_START("length 16M", "verify");
	relay_make(&r, FAMILY(state), &map);
	PUMP_UNTIL(&r.net, r.in->rx_eof);
	assert_true(r.in->rx_mapped > 15 * MIB);
	FAR_WATCH(&r.net, (app_stats(r.out, &st), st.tx_bytes) == 16 * MIB);
	relay_finish(&r, 16 * MIB);
}

static void relay__of_copies(void **state)
{
	struct relay r;

	FAR_START("length 16M", "verify");
	relay_make(&r, FAMILY(state), &copy);
	relay_finish(&r, 16 * MIB);
}

/* What is sent again lies in pages that were unmapped here long ago. */
static void relay__sends_again(void **state)
{
	struct relay r;

	FAR_START("length 8M", "loss 1%", "reorder 1%", "rtt 1ms", "verify");
	relay_make(&r, FAMILY(state), &map);
	PUMP_UNTIL(&r.net, r.in->rx_eof);
	assert_true(r.in->rx_mapped > 4 * MIB);
	relay_finish(&r, 8 * MIB);
}

/* Nobody acknowledges: what is borrowed stays within the budget, and the source has to wait. */
static void relay__waits_for_the_sink(void **state)
{
	struct zcs_conn_opts opts = map;
	struct zcs_stats st;
	struct relay r;
	uint64_t at;

	FAR_START("length 32M", "verify", "hold-acks");
	opts.borrowed_max = 1 * MIB;
	relay_make(&r, FAMILY(state), &opts);
	FAR_WATCH(&r.net, (app_stats(r.in, &st), st.borrowed) >= 1 * MIB);
	at = r.in->rx_pos;
	net_idle(&r.net, 100);
	assert_int_equal(r.in->rx_pos, at);
	assert_true(at < 32 * MIB);
	app_stats(r.in, &st);
	assert_in_range(st.borrowed, 1 * MIB, 1 * MIB + 64 * KIB);
	far_tell("hold-acks no");
	relay_finish(&r, 32 * MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERY(map__nearly_all),
		EACH(map__large_reads),
		EVERY(map__not_without_trust),
		EACH(map__not_when_told_so),
		EACH(map__what_becomes_mappable),
		EACH(map__always_tried_never_possible),
		EACH(map__odd_amounts),
		EACH(map__loss_and_reordering),
		EACH(map__loss_of_unmappable_data),
		EACH(span__held_over_time),
		EACH(span__budget_stops_the_partner),
		FAR_TEST(many__at_once),
		EACH(eof__half_closes),
		EVERY(reset__mapped),
		EACH(reset__adapted),
		EACH(reset__copied),
		EVERY(relay__of_mapped_pages),
		EACH(relay__of_copies),
		EACH(relay__sends_again),
		EACH(relay__waits_for_the_sink),
	};

	return FAR_MAIN(tests);
}
