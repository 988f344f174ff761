// SPDX-License-Identifier: MIT
/*
 * The layout that programs are compiled against: a change here breaks them. Structs that start with
 * their size may grow at the end; what exists may not move, and events and spans may not grow.
 */
#include <zcsock.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#define AT(type, member, off)                                                                      \
	_Static_assert(offsetof(struct type, member) == (off), #type "." #member " moved")
#define SIZE(type, len) _Static_assert(sizeof(struct type) == (len), #type " changed its size")

SIZE(zcs_event, 64);
AT(zcs_event, type, 0);
AT(zcs_event, how, 4);
AT(zcs_event, status, 8);
AT(zcs_event, reserved0, 12);
AT(zcs_event, token, 16);
AT(zcs_event, bytes, 24);
AT(zcs_event, conn, 32);
#if UINTPTR_MAX == UINT64_MAX
AT(zcs_event, user, 40);
AT(zcs_event, reserved1, 48);

SIZE(zcs_span, 48);
AT(zcs_span, base, 0);
AT(zcs_span, len, 8);
AT(zcs_span, flags, 16);
AT(zcs_span, segment, 20);
AT(zcs_span, rx_time_ns, 24);
AT(zcs_span, priv, 32);

SIZE(zcs_msg, 72);
AT(zcs_msg, head, 8);
AT(zcs_msg, head_len, 16);
AT(zcs_msg, iov, 24);
AT(zcs_msg, nr_iov, 32);
AT(zcs_msg, token, 40);
AT(zcs_msg, flags, 48);
AT(zcs_msg, segment, 52);
AT(zcs_msg, dest, 56);
AT(zcs_msg, dest_len, 64);

SIZE(zcs_ctx_opts, 56);
AT(zcs_ctx_opts, lent_max, 8);
AT(zcs_ctx_opts, borrowed_max, 16);
AT(zcs_ctx_opts, pool_max, 24);
AT(zcs_ctx_opts, pool_retain, 32);
AT(zcs_ctx_opts, zerocopy_min, 40);
AT(zcs_ctx_opts, huge, 48);
AT(zcs_ctx_opts, ring, 52);

SIZE(zcs_conn_opts, 88);
AT(zcs_conn_opts, user, 8);
AT(zcs_conn_opts, foreign, 16);
AT(zcs_conn_opts, lent_max, 24);
AT(zcs_conn_opts, writable_at, 32);
AT(zcs_conn_opts, borrowed_max, 40);
AT(zcs_conn_opts, loan_age_ms, 48);
AT(zcs_conn_opts, drain_ms, 56);
AT(zcs_conn_opts, prior_sends, 64);
AT(zcs_conn_opts, send_way, 72);
AT(zcs_conn_opts, recv_way, 76);
AT(zcs_conn_opts, trust, 80);
AT(zcs_conn_opts, poll_self, 84);

SIZE(zcs_stats, 192);
AT(zcs_stats, tx_msgs, 8);
AT(zcs_stats, tx_enobufs_memlock, 64);
AT(zcs_stats, rx_bytes, 80);
AT(zcs_stats, lent, 112);
AT(zcs_stats, oldest_loan_ms, 136);
AT(zcs_stats, pool_bytes, 160);
AT(zcs_stats, tx_reason, 172);
AT(zcs_stats, rx_reason, 176);
AT(zcs_stats, tx_refused, 184);
#endif

#define IS(name, value) _Static_assert((name) == (value), #name " changed its value")

IS(ZCS_EV_RELEASED, 1);
IS(ZCS_EV_CONDEMNED, 2);
IS(ZCS_EV_OPEN, 3);
IS(ZCS_EV_READABLE, 4);
IS(ZCS_EV_WRITABLE, 5);
IS(ZCS_EV_ERROR, 6);
IS(ZCS_EV_POOL, 7);
IS(ZCS_EV_CLOSED, 8);
IS(ZCS_R_SMALL, 1);
IS(ZCS_R_KERNEL_COPIES, 3);
IS(ZCS_R_MEMLOCK, 8);
IS(ZCS_R_URGENT, 15);
IS(ZCS_R_OTHER, 17);
IS(ZCS_COPY | ZCS_ZEROCOPY | ZCS_GIVE | ZCS_MORE, 0xf);
IS(ZCS_LENT | ZCS_COPIED | ZCS_KERNEL_HINT | ZCS_ABANDONED, 0xf);
IS(ZCS_SPAN_MAPPED | ZCS_SPAN_URGENT, 0x3);
IS(ZCS_TRUST_NONE, 3);
IS(ZCS_WAY_ZEROCOPY, 3);
IS(ZCS_HUGE_NEVER, 3);

static void version__is_the_header_s(void **state)
{
	(void)state;
	assert_string_equal(zcs_version(), ZCS_VERSION);
}

static void reason_text__of_every_number(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		const char *text = zcs_reason_text((enum zcs_reason)i);

		assert_non_null(text);
		assert_true(*text != '\0');
	}
}

/* A program compiled against an older header passes a shorter struct; a newer one, a longer. */
static void ctx_new__sizes_old_and_new(void **state)
{
	struct {
		struct zcs_ctx_opts opts;
		uint64_t tail[2];
	} newer = { .opts = { .size = sizeof(newer) } };
	struct zcs_ctx_opts older = { .size = offsetof(struct zcs_ctx_opts, pool_max) };
	struct zcs_ctx *ctx = NULL;

	(void)state;
	older.pool_max = 1; /* behind its end: must not be looked at */
	assert_int_equal(zcs_ctx_new(&older, &ctx), 0);
	assert_non_null(zcs_buf_alloc(ctx, 1 << 20, NULL));
	assert_int_equal(zcs_ctx_free(ctx), 0);
	assert_int_equal(zcs_ctx_new(&newer.opts, &ctx), 0);
	assert_int_equal(zcs_ctx_free(ctx), 0);
	newer.tail[1] = 1;
	assert_int_equal(zcs_ctx_new(&newer.opts, &ctx), -E2BIG);
	older.size = 0;
	assert_int_equal(zcs_ctx_new(&older, &ctx), -EINVAL);
}

static void ctx_stats__fills_no_more_than_size(void **state)
{
	struct zcs_stats stats;
	struct zcs_ctx *ctx;

	(void)state;
	memset(&stats, 0xa5, sizeof(stats));
	stats.size = offsetof(struct zcs_stats, tx_bytes);
	assert_int_equal(zcs_ctx_new(NULL, &ctx), 0);
	assert_int_equal(zcs_ctx_stats(ctx, &stats), 0);
	assert_int_equal(stats.tx_msgs, 0);
	assert_int_equal(stats.tx_bytes, 0xa5a5a5a5a5a5a5a5);
	assert_int_equal(zcs_ctx_free(ctx), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version__is_the_header_s),
		cmocka_unit_test(reason_text__of_every_number),
		cmocka_unit_test(ctx_new__sizes_old_and_new),
		cmocka_unit_test(ctx_stats__fills_no_more_than_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
