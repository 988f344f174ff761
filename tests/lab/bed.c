// SPDX-License-Identifier: MIT
#include "bed.h"

#include <linux/bpf.h> /* the states of TCP */
#include <linux/tcp.h>

const struct shape lend = { .len = 64 * KIB, .flags = ZCS_ZEROCOPY };

void bed_make(struct bed *b, enum net_family family, uint16_t port,
	      const struct zcs_conn_opts *opts)
{
	net_start(&b->net, NULL);
	b->app = app_open(&b->net, far_connect(family, port), opts);
}

/* SIOCOUTQ counts a FIN that is not acknowledged as one byte: a sequence number, but no data. */
static size_t unacked_data(int fd)
{
	uint8_t state = far_info(fd).tcpi_state; /* first: the FIN may be acknowledged any time */
	bool fin =
		state == BPF_TCP_FIN_WAIT1 || state == BPF_TCP_CLOSING || state == BPF_TCP_LAST_ACK;
	size_t unacked = net_unacked(fd);

	return fin && unacked ? unacked - 1 : unacked;
}

void none_too_early(const struct app *a)
{
	uint64_t released = a->bytes_released;
	struct zcs_stats st;

	if (!a->conn || !released || a->how & ZCS_COPIED)
		return;
	app_stats(a, &st);
	/* Of a request that is not over the kernel has taken more than was told. */
	if (net_by_ring())
		st.tx_bytes = a->tx_pos;
	assert_true(released + unacked_data(a->fd) <= st.tx_bytes);
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
