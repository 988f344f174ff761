// SPDX-License-Identifier: MIT
/*
 * Sending to a partner that acknowledges late, or in part, or not what was lost: what is lent stays
 * out until it is acknowledged, whole, and is sent again from where it lies. app.c overwrites
 * memory the instant it is given back, and the partner looks at every byte that it did not
 * acknowledge yet.
 */
#include "bed.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <sys/mman.h>

/* ---- how long -------------------------------------------------------------------------------- */

static void release__after_a_round_trip(void **state)
{
	struct zcs_stats st;
	struct bed b;
	long start;

	FAR_START("rtt 50ms", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
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
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
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
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
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
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, &opts);
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
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
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

/* ---- what is sent again ---------------------------------------------------------------------- */

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
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
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
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	send_with(&b, &s, 10 * MIB);
	assert_true(far_stat("reordered") > 20);
	bed_close(&b);
}

static void loss__all_at_once(void **state)
{
	struct shape s = { .len = 50000, .head = 5, .flags = ZCS_ZEROCOPY };
	struct bed b;

	FAR_START("loss 2%", "reorder 2%", "partial-ack", "rtt 1ms", "mtu 1500", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
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
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	send_with(&b, &s, 10 * MIB);
	assert_true(far_stat("acks") > 4); /* every other one ends within something */
	bed_close(&b);
}

/* The first message is acknowledged, and half of the second. */
static void partial_ack__stops_within_a_message(void **state)
{
	struct shape s = { .len = 20000, .flags = ZCS_ZEROCOPY };
	struct bed b;

	FAR_START("silent-at 30000", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	assert_int_equal(app_send(b.app, &s), 0);
	PUMP_UNTIL(&b.net, b.app->released == 1);
	assert_int_equal(app_send(b.app, &s), 0);
	assert_int_equal(zcs_conn_flush(b.app->conn), 0);
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

/* ---- what was there before ------------------------------------------------------------------- */

/*
 * Somebody else lent on this descriptor, and nothing of it is acknowledged. Their notifications
 * look like those of our first sends: nothing of ours may come back with them.
 */
static void adopt__while_others_are_out(void **state)
{
	static char others[50000];
	struct shape s = { .len = 20000, .flags = ZCS_ZEROCOPY };
	struct zcs_stats st;
	struct bed b;
	int fd;

	FAR_START("ack-bytes 50000", "ack-time 100ms", "verify"); /* theirs long before ours */
	fd = far_connect(FAMILY(state), LAB_PORT_SINK);
	net_set(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
	stream_fill(0, 0, others, sizeof(others));
	for (int i = 0; i < 5; i++)
		assert_int_equal(send(fd, others + 10000 * i, 10000, MSG_ZEROCOPY), 10000);
	net_start(&b.net, NULL);
	b.app = app_open(&b.net, fd, NULL);
	b.app->tx_pos = sizeof(others);
	assert_in_range(app_send(b.app, &s), 0, 1); /* held for a moment, or copied */
	app_stats(b.app, &st);
	assert_int_equal(st.tx_reason, ZCS_R_ADOPTING);
	/* Until the count is known, and then some. */
	while (st.tx_bytes_lent < 10 * s.len) {
		assert_true(net_now_ms() < b.net.deadline);
		net_idle(&b.net, 5);
		none_too_early(b.app);
		assert_in_range(app_send(b.app, &s), 0, 1);
		app_stats(b.app, &st);
	}
	LOOK_UNTIL(&b, b.app->out == 0);
	bed_close(&b);
}

/* Twice given back and opened again, by one who knows how many sends were made. */
static void detach__and_open_again(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts) };
	struct app *old;
	struct bed b;
	uint64_t at;
	int i, fd;

	FAR_START("rtt 5ms", "verify");
	bed_make(&b, FAMILY(state), LAB_PORT_SINK, NULL);
	for (i = 0; i < 3; i++) {
		assert_int_equal(app_send(b.app, &lend), 0);
		assert_int_equal(zcs_conn_detach(b.app->conn, NULL), -EBUSY);
		PUMP_UNTIL(&b.net, b.app->out == 0);
		assert_int_equal(b.app->how & (ZCS_LENT | ZCS_COPIED), ZCS_LENT);
		at = b.app->tx_pos;
		assert_int_equal(net_unacked(b.app->fd), 0);
		if (i == 2)
			break;
		old = b.app;
		fd = zcs_conn_detach(old->conn, &opts.prior_sends);
		assert_int_equal(fd, old->fd);
		if (net_by_ring()) /* which the socket does not count */
			assert_true(opts.prior_sends == ZCS_NONE);
		else
			assert_in_range(opts.prior_sends, i + 1, 100);
		old->conn = NULL;
		b.app = app_open(&b.net, fd, &opts);
		b.app->tx_pos = at;
	}
	bed_close(&b);
}

/* What is accepted before the connection is there waits for it. */
static void connect__takes_its_time(void **state)
{
	struct sockaddr_storage to;
	socklen_t len;
	struct bed b;
	long start = net_now_ms();
	int fd;

	FAR_START("rtt 50ms", "verify");
	far_address(FAMILY(state), LAB_PORT_SINK, &to, &len);
	fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	net_start(&b.net, NULL);
	b.app = app_open(&b.net, fd, NULL);
	assert_int_equal(app_send(b.app, &lend), 0);
	assert_int_equal(b.app->open, 0);
	PUMP_UNTIL(&b.net, b.app->open == 1);
	assert_in_range(net_now_ms() - start, 49, NET_MS);
	assert_int_equal(b.app->out, 1);
	LOOK_UNTIL(&b, b.app->out == 0);
	assert_in_range(net_now_ms() - start, 99, NET_MS);
	bed_close(&b);
}

/* ---- a packet capture ------------------------------------------------------------------------ */

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
	bed_make(&b, NET_V4, LAB_PORT_SINK, NULL);
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
		EACH(adopt__while_others_are_out),
		EACH(detach__and_open_again),
		EVERY(connect__takes_its_time),
		FAR_TEST(capture__comes_and_goes),
	};

	return FAR_MAIN(tests);
}
