// SPDX-License-Identifier: MIT
/*
 * Sending to a partner that acknowledges late, in part, or never: what is lent stays out until it is
 * acknowledged, whole, and is sent again from where it lies. app.c overwrites memory the instant it
 * is given back, and the partner looks at every byte that it has not acknowledged yet.
 */
#include "far.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/mman.h>

#define TICK 30 /* ms: the library's times are as exact as CLOCK_MONOTONIC_COARSE, and round */

#define FAMILY(state) (*(const enum net_family *)*(state))

struct bed {
	struct net net;
	struct app *app;
};

static void bed_make(struct bed *b, enum net_family family, const struct zcs_conn_opts *opts)
{
	net_start(&b->net, NULL);
	b->app = app_open(&b->net, far_connect(family, LAB_PORT_SINK), opts);
}

/*
 * Bytes that were reported as released are acknowledged: no piece of a message comes back before
 * its last byte is.
 */
static void none_too_early(const struct app *a)
{
	uint64_t released = a->bytes_released;
	struct zcs_stats st;

	if (!a->conn || a->closed)
		return;
	app_stats(a, &st);
	assert_true(released + net_unacked(a->fd) <= st.tx_bytes);
}

#define LOOK_UNTIL(b, condition)                                                                   \
	do {                                                                                       \
		while (!(condition)) {                                                             \
			net_step(&(b)->net, #condition);                                           \
			none_too_early((b)->app);                                                  \
		}                                                                                  \
	} while (0)

/* Closes; everything came back, everything arrived, and what was looked at was right. */
static void bed_close(struct bed *b)
{
	struct zcs_stats st = { .size = sizeof(st) };
	uint64_t sent = b->app->tx_pos;

	zcs_conn_close(b->app->conn);
	PUMP_UNTIL(&b->net, b->app->closed);
	assert_int_equal(b->app->closed_status, 0);
	assert_int_equal(b->app->errors, 0);
	assert_int_equal(b->app->condemned, 0);
	assert_int_equal(b->app->released_status, 0);
	assert_int_equal(zcs_ctx_stats(b->net.ctx, &st), 0);
	assert_int_equal(st.lent, 0);
	assert_int_equal(st.tx_bytes, sent);
	assert_int_equal(st.unknown_notifications, 0);
	assert_int_equal(far_stat("received"), sent);
	FAR_UNTIL(far_stat("open") == 0);
	far_was_right();
	net_finish(&b->net);
}

static const struct shape lend = { .len = 64 * KIB, .flags = ZCS_ZEROCOPY };

/* nr messages of 1 MiB, not all of which the socket takes at once. */
static void lend_much(struct bed *b, unsigned nr)
{
	struct shape s = { .len = 1 * MIB, .flags = ZCS_ZEROCOPY };
	unsigned i;

	for (i = 0; i < nr; i++)
		assert_int_equal(app_send(b->app, &s), 0);
}

/* ---- how long ------------------------------------------------------------------------------------ */

static void release__after_a_round_trip(void **state)
{
	struct zcs_stats st;
	struct bed b;
	long start;

	FAR_START("rtt 50ms", "verify");
	bed_make(&b, FAMILY(state), NULL);
	start = net_now_ms();
	assert_int_equal(app_send(b.app, &lend), 0);
	app_stats(b.app, &st);
	assert_int_equal(st.lent, lend.len);
	LOOK_UNTIL(&b, b.app->released == 1);
	assert_in_range(net_now_ms() - start, 49, NET_MS);
	assert_int_equal(far_stat("received"), lend.len);
	bed_close(&b);
}

/* Nothing of it was copied, by nobody. */
static void release__of_what_nobody_copied(void **state)
{
	struct shape s = { .len = 300000, .head = 20, .nr_iov = 5, .misalign = 100 };
	struct zcs_stats st;
	struct bed b;

	FAR_START("rtt 2ms", "verify");
	far_needs_uncopied();
	bed_make(&b, FAMILY(state), NULL);
	app_send_all(b.app, 20 * MIB, &s); /* as the policy wants it */
	LOOK_UNTIL(&b, b.app->out == 0);
	assert_int_equal(b.app->how, ZCS_LENT);
	app_stats(b.app, &st);
	assert_int_equal(st.tx_bytes, 20 * MIB);
	assert_int_equal(st.tx_bytes_lent, 20 * MIB);
	assert_int_equal(st.tx_bytes_uncopied, 20 * MIB);
	assert_int_equal(st.tx_reason, ZCS_R_NONE);
	app_says(b.app, "100.0% lent, 100.0% never copied");
	bed_close(&b);
}

/* Each size, each way, in any pieces. */
static void release__of_all_sizes(void **state)
{
	static const size_t sizes[] = { 1, 7, 4095, 4096, 16384, 65537, 1000000, 4194304 };
	static const uint32_t flags[] = { 0, ZCS_COPY, ZCS_ZEROCOPY };
	uint64_t r = 1;
	struct bed b;
	size_t i, j;

	FAR_START("rtt 1ms", "verify");
	bed_make(&b, FAMILY(state), NULL);
	for (j = 0; j < 3; j++) {
		for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			struct shape s = { .len = sizes[i], .flags = flags[(i + j) % 3] };

			s.head = net_random(&r) % (ZCS_HEAD_MAX + 1);
			s.nr_iov = s.len > 100 ? 1 + net_random(&r) % 40 : 1;
			s.misalign = net_random(&r) % 4096;
			app_send_all(b.app, s.len + s.head, &s);
			none_too_early(b.app);
		}
	}
	LOOK_UNTIL(&b, b.app->out == 0);
	bed_close(&b);
}

/* The budget is full until the partner acknowledges, and not a moment longer. */
static void budget__until_it_is_acknowledged(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .lent_max = 2 * 30000 };
	struct shape s = { .len = 30000, .flags = ZCS_ZEROCOPY };
	struct bed b;

	FAR_START("hold-acks", "verify");
	bed_make(&b, FAMILY(state), &opts);
	assert_int_equal(app_send(b.app, &s), 0);
	assert_int_equal(app_send(b.app, &s), 0);
	assert_int_equal(app_send(b.app, &s), -EAGAIN);
	net_idle(&b.net, 50);
	assert_int_equal(b.app->writable, 0);
	assert_int_equal(b.app->out, 2);
	far_tell("hold-acks no");
	PUMP_UNTIL(&b.net, b.app->writable == 1);
	app_send_all(b.app, 2 * MIB, &s);
	LOOK_UNTIL(&b, b.app->out == 0);
	bed_close(&b);
}

static void file__until_it_is_acknowledged(void **state)
{
	int file = memfd_create("file", MFD_CLOEXEC);
	struct bed b;
	char *mem;
	long start;

	FAR_START("rtt 50ms", "verify");
	bed_make(&b, FAMILY(state), NULL);
	assert_int_equal(ftruncate(file, 60000), 0);
	mem = mmap(NULL, 60000, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	assert_ptr_not_equal(mem, MAP_FAILED);
	stream_fill(0, 0, mem, 60000);
	start = net_now_ms();
	assert_int_equal(zcs_conn_send_file(b.app->conn, file, 0, 60000, app_expect_token(b.app)),
			 0);
	b.app->tx_pos += 60000;
	LOOK_UNTIL(&b, b.app->released == 1);
	assert_in_range(net_now_ms() - start, 49, NET_MS);
	bed_close(&b);
	munmap(mem, 60000);
	close(file);
}

/* ---- what is sent again -------------------------------------------------------------------------- */

static void send_with(struct bed *b, const struct shape *shape, uint64_t total)
{
	uint64_t end = b->app->tx_pos + total;

	while (b->app->tx_pos < end) {
		app_send_all(b->app, shape->len, shape);
		none_too_early(b->app);
	}
	LOOK_UNTIL(b, b->app->out == 0);
}

static void loss__is_mended_from_where_it_lies(void **state)
{
	struct shape s = { .len = 200000, .head = 30, .misalign = 1000, .flags = ZCS_ZEROCOPY };
	struct bed b;

	FAR_START("loss 2%", "rtt 1ms", "verify");
	bed_make(&b, FAMILY(state), NULL);
	send_with(&b, &s, 10 * MIB);
	assert_true(far_stat("lost") > 5);
	assert_true(far_info(b.app->fd).tcpi_total_retrans >= far_stat("lost"));
	FAR_UNTIL(far_stat("verified") > far_stat("received")); /* again, too */
	bed_close(&b);
}

static void reorder__is_mended_from_where_it_lies(void **state)
{
	struct shape s = { .len = 100000, .nr_iov = 7, .flags = ZCS_ZEROCOPY };
	struct bed b;

	FAR_START("reorder 5%", "rtt 1ms", "verify");
	bed_make(&b, FAMILY(state), NULL);
	send_with(&b, &s, 10 * MIB);
	assert_true(far_stat("reordered") > 20);
	bed_close(&b);
}

static void loss__all_at_once(void **state)
{
	struct shape s = { .len = 50000, .head = 5, .flags = ZCS_ZEROCOPY };
	struct bed b;

	FAR_START("loss 2%", "reorder 2%", "partial-ack", "rtt 1ms", "mtu 1500", "verify");
	bed_make(&b, FAMILY(state), NULL);
	send_with(&b, &s, 4 * MIB);
	bed_close(&b);
}

/* Buffers of the pool that are used again as soon as they are free. */
static void give__under_loss(void **state)
{
	struct zcs_ctx_opts opts = { .size = sizeof(opts), .pool_max = 4 * MIB };
	struct shape s = { .len = 300000, .head = 16, .flags = ZCS_GIVE | ZCS_ZEROCOPY };
	struct bed b;

	(void)state;
	FAR_START("loss 1%", "reorder 1%", "rtt 1ms", "verify");
	net_start(&b.net, &opts);
	b.app = app_open(&b.net, far_connect(NET_V4, LAB_PORT_SINK), NULL);
	app_send_all(b.app, 20 * MIB, &s);
	assert_true(b.app->given > 50);
	assert_true(far_stat("lost") > 5);
	bed_close(&b);
}

/* Of a message some is acknowledged, mostly: it is released when all of it is. */
static void partial_ack__releases_what_is_whole(void **state)
{
	struct shape s = { .len = 100000, .flags = ZCS_ZEROCOPY };
	struct bed b;

	FAR_START("partial-ack", "ack-bytes 30000", "rtt 1ms", "verify");
	bed_make(&b, FAMILY(state), NULL);
	send_with(&b, &s, 10 * MIB);
	assert_true(far_stat("acks") > 30);
	bed_close(&b);
}

/* The first message is acknowledged, and half of the second. */
static void partial_ack__stops_within_a_message(void **state)
{
	struct shape s = { .len = 20000, .flags = ZCS_ZEROCOPY };
	struct bed b;

	FAR_START("silent-at 30000", "verify");
	bed_make(&b, FAMILY(state), NULL);
	assert_int_equal(app_send(b.app, &s), 0);
	PUMP_UNTIL(&b.net, b.app->released == 1);
	assert_int_equal(app_send(b.app, &s), 0);
	FAR_UNTIL(net_unacked(b.app->fd) == 10000);
	net_idle(&b.net, 50);
	assert_int_equal(b.app->out, 1);
	far_tell("silent-at never");
	PUMP_UNTIL(&b.net, b.app->out == 0);
	bed_close(&b);
}

static void many__at_once(void **state)
{
	static const char *const lines[] = { "loss 1%", "reorder 1%", "rtt 1ms", "verify", NULL };
	struct shape s = { .len = 100000, .head = 10, .flags = ZCS_ZEROCOPY };
	struct zcs_stats st = { .size = sizeof(st) };
	struct app *apps[NET_MAX];
	struct net net;
	uint64_t sum;
	int i, j;

	(void)state;
	far_start(lines);
	net_start(&net, NULL);
	for (i = 0; i < NET_MAX; i++)
		apps[i] = app_open(&net, far_connect(i % 3, LAB_PORT_SINK), NULL);
	for (j = 0; j < 5; j++)
		for (i = 0; i < NET_MAX; i++)
			assert_int_equal(app_send(apps[i], &s), 0);
	for (i = 0; i < NET_MAX; i++)
		zcs_conn_close(apps[i]->conn);
	for (i = 0, sum = 0; i < NET_MAX; i++) {
		PUMP_UNTIL(&net, apps[i]->closed);
		assert_int_equal(apps[i]->closed_status, 0);
		assert_int_equal(apps[i]->released, 5);
		sum += apps[i]->tx_pos;
	}
	assert_int_equal(far_stat("received"), sum);
	assert_int_equal(far_stat("connections"), NET_MAX);
	assert_int_equal(zcs_ctx_stats(net.ctx, &st), 0);
	assert_int_equal(st.unknown_notifications, 0);
	far_was_right();
	net_finish(&net);
}

/* ---- what stands still --------------------------------------------------------------------------- */

static void window__closed_then_opened(void **state)
{
	uint64_t released;
	struct bed b;

	FAR_START("zero-window-at 2M", "verify");
	bed_make(&b, FAMILY(state), NULL);
	lend_much(&b, 6);
	FAR_WATCH(&b.net, far_stat("received") > 2 * MIB - 1024);
	net_idle(&b.net, 50);
	released = b.app->released;
	assert_in_range(released, 1, 2);
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
	bed_make(&b, FAMILY(state), NULL);
	lend_much(&b, 4);
	FAR_WATCH(&b.net, far_stat("received") == 1500000);
	net_idle(&b.net, 300);
	none_too_early(b.app);
	assert_int_equal(b.app->out, 3);
	far_tell("silent-at never");
	LOOK_UNTIL(&b, b.app->out == 0);
	bed_close(&b);
}

static void loan_age__breaks_the_connection(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .loan_age_ms = 200 };
	struct bed b;
	long start;

	FAR_START("hold-acks", "verify");
	bed_make(&b, FAMILY(state), &opts);
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
	bed_make(&b, NET_V4, &opts);
	assert_int_equal(app_send(b.app, &lend), 0);
	net_idle(&b.net, 60);
	app_stats(b.app, &st);
	assert_in_range(st.oldest_loan_ms, 60 - TICK, 5000);
	LOOK_UNTIL(&b, b.app->out == 0);
	app_stats(b.app, &st);
	assert_int_equal(st.oldest_loan_ms, 0);
	bed_close(&b);
}

/* ---- the end ------------------------------------------------------------------------------------- */

static void close__drains(void **state)
{
	struct bed b;
	long start;

	FAR_START("rtt 20ms", "verify");
	bed_make(&b, FAMILY(state), NULL);
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
	bed_make(&b, FAMILY(state), NULL);
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
	bed_make(&b, FAMILY(state), &opts);
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
	bed_make(&b, FAMILY(state), &opts);
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
	bed_make(&b, FAMILY(state), &opts);
	lend_much(&b, 4);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, -ETIMEDOUT);
	assert_in_range(far_stat("received"), 1, 1 * MIB);
	all_are_back(&b, 4, 1 * MIB);
}

static void abort__with_loans_out(void **state)
{
	struct bed b;

	FAR_START("hold-acks", "verify");
	bed_make(&b, FAMILY(state), NULL);
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
	bed_make(&b, FAMILY(state), NULL);
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
	bed_make(&b, FAMILY(state), NULL);
	while (nr < 8 && app_send(b.app, &s) == 0)
		nr++;
	assert_true(nr > 0);
	is_broken(&b, nr);
}

static void reset__of_what_was_never_acknowledged(void **state)
{
	struct bed b;

	FAR_START("hold-acks", "verify");
	bed_make(&b, FAMILY(state), NULL);
	lend_much(&b, 4);
	net_idle(&b.net, 20);
	assert_int_equal(b.app->out, 4);
	far_tell("reset");
	is_broken(&b, 4);
}

/* ---- a packet capture ---------------------------------------------------------------------------- */

static int capture(void)
{
	struct sockaddr_ll near = { .sll_family = AF_PACKET,
				    .sll_protocol = htons(ETH_P_ALL),
				    .sll_ifindex = (int)if_nametoindex(LAB_NEAR_DEVICE) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&near, sizeof(near)), 0);
	return fd;
}

/* One message as the policy wants it, until it is back; how it went. */
static uint32_t send_one(struct bed *b)
{
	struct shape s = { .len = 64 * KIB };
	int r = app_send(b->app, &s);

	assert_in_range(r, 0, 1);
	if (r == 1)
		return ZCS_COPIED;
	b->app->how = 0;
	LOOK_UNTIL(b, b->app->out == 0);
	return b->app->how;
}

/* Nothing is flagged where the kernel copies anyway; and it is again soon after that is over. */
static void capture__comes_and_goes(void **state)
{
	struct zcs_stats st;
	struct bed b;
	int fd, i;

	(void)state;
	FAR_START("verify");
	far_needs_uncopied();
	bed_make(&b, NET_V4, NULL);
	for (i = 0; i < 20; i++)
		assert_int_equal(send_one(&b), ZCS_LENT);
	fd = capture();
	assert_int_equal(send_one(&b), ZCS_LENT | ZCS_KERNEL_HINT);
	for (i = 0; send_one(&b) & ZCS_LENT; i++)
		assert_true(i < 1000);
	assert_true(i >= 30); /* not because of a few packets */
	app_stats(b.app, &st);
	assert_int_equal(st.tx_reason, ZCS_R_KERNEL_COPIES);
	app_says(b.app, "the kernel copies on this path anyway");
	close(fd);
	/* One look after another, after 1, 2 and 4 seconds at the most. */
	for (i = 0; i < 20;) {
		net_idle(&b.net, 5);
		i = send_one(&b) == ZCS_LENT ? i + 1 : 0;
	}
	bed_close(&b);
}

#define EACH(f)	 FAR_TEST_ON(f, NET_V4), FAR_TEST_ON(f, NET_V6)
#define EVERY(f) EACH(f), FAR_TEST_ON(f, NET_MAPPED)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERY(release__after_a_round_trip),
		EVERY(release__of_what_nobody_copied),
		EVERY(release__of_all_sizes),
		EACH(budget__until_it_is_acknowledged),
		EACH(file__until_it_is_acknowledged),
		EVERY(loss__is_mended_from_where_it_lies),
		EACH(reorder__is_mended_from_where_it_lies),
		EACH(loss__all_at_once),
		FAR_TEST(give__under_loss),
		EACH(partial_ack__releases_what_is_whole),
		EVERY(partial_ack__stops_within_a_message),
		FAR_TEST(many__at_once),
		EACH(window__closed_then_opened),
		EACH(silence__in_the_middle),
		EACH(loan_age__breaks_the_connection),
		FAR_TEST(loan_age__not_while_it_is_on_its_way),
		EVERY(close__drains),
		EACH(close__drains_under_loss),
		EACH(close__never_acknowledged),
		EACH(close__all_sent_never_acknowledged),
		EACH(close__window_stays_closed),
		EVERY(abort__with_loans_out),
		EACH(abort__while_it_drains),
		EVERY(reset__at_a_byte),
		EVERY(reset__of_what_was_never_acknowledged),
		FAR_TEST(capture__comes_and_goes),
	};

	return FAR_MAIN(tests);
}
