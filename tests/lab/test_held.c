// SPDX-License-Identifier: MIT
/*
 * Packets that wait below the socket, here in a queueing discipline that lets next to nothing
 * through: they hold what was lent when the socket is long gone. That memory is condemned. The
 * partner can tell whether it was: the packets arrive in the end, with what lies there then.
 */
#include "bed.h"

#include <net/if.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/qdisc/tbf.h>
#include <netlink/route/tc.h>

/* Bytes per second, and of the bucket: a packet, and 4 seconds later another; or all at once. */
#define SLOW 400, 1600
#define FAST 1000000000, 1000000

/* From now on what we send goes no faster. Skips where the kernel has no such discipline. */
static void let_through(int rate, int bucket)
{
	struct rtnl_qdisc *qdisc = rtnl_qdisc_alloc();
	struct nl_sock *nl = nl_socket_alloc();
	int r;

	assert_non_null(qdisc);
	assert_non_null(nl);
	assert_int_equal(nl_connect(nl, NETLINK_ROUTE), 0);
	rtnl_tc_set_ifindex(TC_CAST(qdisc), (int)if_nametoindex(LAB_NEAR_DEVICE));
	rtnl_tc_set_parent(TC_CAST(qdisc), TC_H_ROOT);
	assert_int_equal(rtnl_tc_set_kind(TC_CAST(qdisc), "tbf"), 0);
	rtnl_qdisc_tbf_set_limit(qdisc, 16 * MIB);
	rtnl_qdisc_tbf_set_rate(qdisc, rate, bucket, 0);
	r = rtnl_qdisc_add(nl, qdisc, NLM_F_CREATE | NLM_F_REPLACE);
	rtnl_qdisc_put(qdisc);
	nl_socket_free(nl);
	if (r < 0) {
		print_message("no tbf: %s\n", nl_geterror(r));
		skip();
	}
}

/* Nothing can be asked of the partner before all is let through again. */
static void make_slow(struct bed *b, enum net_family family, const struct zcs_conn_opts *opts)
{
	FAR_START("mtu 1500", "verify");
	far_needs_uncopied();
	far_is_patient();
	bed_make(b, family, LAB_PORT_SINK, opts);
	let_through(SLOW);
}

/* Condemned is what the packets hold; the rest is back. The last one to arrive says it is over. */
static void let_go(struct bed *b, uint64_t nr, uint64_t len)
{
	struct zcs_stats st = { .size = sizeof(st) };

	assert_int_equal(b->app->released + b->app->condemned, nr);
	assert_true(b->app->condemned > 0);
	assert_int_equal(zcs_ctx_stats(b->net.ctx, &st), 0);
	assert_int_equal(st.condemned, b->app->condemned * len);
	assert_int_equal(st.lent, 0);
	let_through(FAST);
	FAR_UNTIL(far_stat("open") == 0);
	far_was_right();
	assert_true(far_stat("received") > 0);
	net_finish(&b->net);
}

static void held__by_a_close(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .drain_ms = 200 };
	struct shape s = { .len = 20000, .flags = ZCS_ZEROCOPY };
	struct bed b;
	int i;

	make_slow(&b, FAMILY(state), &opts);
	for (i = 0; i < 3; i++)
		assert_int_equal(app_send(b.app, &s), 0);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, -ETIMEDOUT);
	let_go(&b, 3, s.len);
}

static void held__by_an_abort(void **state)
{
	struct shape s = { .len = 20000, .flags = ZCS_ZEROCOPY };
	struct bed b;

	make_slow(&b, FAMILY(state), NULL);
	assert_int_equal(app_send(b.app, &s), 0);
	assert_int_equal(app_send(b.app, &s), 0);
	assert_int_equal(zcs_conn_flush(b.app->conn), 0);
	zcs_conn_abort(b.app->conn);
	net_take(&b.net);
	assert_int_equal(b.app->closed_status, -ECONNABORTED);
	let_go(&b, 2, s.len);
}

static void held__until_it_is_let_through(void **state)
{
	struct shape s = { .len = 20000, .flags = ZCS_ZEROCOPY };
	struct bed b;

	make_slow(&b, FAMILY(state), NULL);
	assert_int_equal(app_send(b.app, &s), 0);
	net_idle(&b.net, 100);
	assert_int_equal(b.app->out, 1);
	let_through(FAST);
	assert_int_equal(far_stat("open"), 1); /* sends something: only now it looks at its queue */
	PUMP_UNTIL(&b.net, b.app->released == 1);
	assert_int_equal(b.app->how, ZCS_LENT);
	zcs_conn_close(b.app->conn);
	PUMP_UNTIL(&b.net, b.app->closed);
	assert_int_equal(b.app->closed_status, 0);
	far_was_right();
	net_finish(&b.net);
}

/* Memory of the pool that is condemned is not handed out again, although it was freed. */
static void held__memory_of_the_pool(void **state)
{
	struct shape s = { .len = 20000, .flags = ZCS_ZEROCOPY | ZCS_GIVE };
	struct zcs_stats st = { .size = sizeof(st) };
	void *bufs[64];
	struct bed b;
	int i;

	make_slow(&b, FAMILY(state), NULL);
	assert_int_equal(app_send(b.app, &s), 0);
	assert_int_equal(app_send(b.app, &s), 0);
	assert_int_equal(zcs_conn_flush(b.app->conn), 0);
	zcs_conn_abort(b.app->conn);
	net_take(&b.net);
	assert_int_equal(b.app->closed, 1);
	assert_int_equal(zcs_ctx_stats(b.net.ctx, &st), 0);
	assert_true(st.condemned > 0);
	for (i = 0; i < 64; i++) {
		bufs[i] = zcs_buf_alloc(b.net.ctx, s.len, NULL);
		assert_non_null(bufs[i]);
		memset(bufs[i], 0xdb, s.len);
	}
	let_through(FAST);
	FAR_UNTIL(far_stat("open") == 0);
	far_was_right();
	for (i = 0; i < 64; i++)
		zcs_buf_free(b.net.ctx, bufs[i]);
	net_finish(&b.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVERY(held__by_a_close),
		EVERY(held__by_an_abort),
		EVERY(held__until_it_is_let_through),
		EVERY(held__memory_of_the_pool),
	};

	return FAR_MAIN(tests);
}
