// SPDX-License-Identifier: MIT
#include "bed.h"

const struct shape lend = { .len = 64 * KIB, .flags = ZCS_ZEROCOPY };

void bed_make(struct bed *b, enum net_family family, uint16_t port,
	      const struct zcs_conn_opts *opts)
{
	net_start(&b->net, NULL);
	b->app = app_open(&b->net, far_connect(family, port), opts);
}

void none_too_early(const struct app *a)
{
	uint64_t released = a->bytes_released;
	struct zcs_stats st;

	if (!a->conn || !released || a->how & ZCS_COPIED)
		return;
	app_stats(a, &st);
	assert_true(released + net_unacked(a->fd) <= st.tx_bytes);
}

void bed_close(struct bed *b)
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
	assert_int_equal(st.unknown_notifications, 0);
	assert_int_equal(far_stat("received"), sent);
	FAR_UNTIL(far_stat("open") == 0);
	far_was_right();
	net_finish(&b->net);
}

void lend_much(struct bed *b, unsigned nr)
{
	struct shape s = { .len = 1 * MIB, .flags = ZCS_ZEROCOPY };
	unsigned i;

	for (i = 0; i < nr; i++)
		assert_int_equal(app_send(b->app, &s), 0);
}
