/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "pure/errq.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/errqueue.h>

#define VSOCK_LEVEL 287 /* SOL_VSOCK; its VSOCK_RECVERR is 1 */

/* ---- helpers --------------------------------------------------------------------------------- */

struct queued {
	struct msghdr msg;
	union {
		struct cmsghdr align;
		char control[ERRQ_CONTROL_LEN];
	} u;
};

static void add(struct queued *q, int level, int type, const void *data, size_t len)
{
	struct cmsghdr h = { .cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type };
	char *at = q->u.control + q->msg.msg_controllen;

	memcpy(at, &h, sizeof(h));
	memcpy(at + CMSG_LEN(0), data, len);
	q->msg.msg_control = q->u.control;
	q->msg.msg_controllen += CMSG_SPACE(len);
	q->msg.msg_flags |= MSG_ERRQUEUE;
}

/* As the IP families put it: followed by the address of the offender, here zeroes. */
static void add_record(struct queued *q, int level, int type, struct sock_extended_err err)
{
	char data[sizeof(err) + sizeof(struct sockaddr_in6)] = { 0 };

	memcpy(data, &err, sizeof(err));
	add(q, level, type, data, level == VSOCK_LEVEL ? sizeof(err) : sizeof(data));
}

static struct sock_extended_err zerocopy(uint32_t lo, uint32_t hi, uint8_t code)
{
	return (struct sock_extended_err){
		.ee_origin = SO_EE_ORIGIN_ZEROCOPY, .ee_code = code, .ee_info = lo, .ee_data = hi
	};
}

static void parses_as(const struct queued *q, enum errq_kind kind)
{
	assert_int_equal(errq_parse(&q->msg).kind, kind);
}

static void parses_as_range(const struct queued *q, uint32_t lo, uint32_t hi, bool copied)
{
	struct errq_note note = errq_parse(&q->msg);

	assert_int_equal(note.kind, ERRQ_ZEROCOPY);
	assert_int_equal(note.lo, lo);
	assert_int_equal(note.hi, hi);
	assert_int_equal(note.copied, copied);
}

/* ---- whose it is ----------------------------------------------------------------------------- */

static void errq_parse__ipv4(void **state)
{
	struct queued q = { 0 };

	(void)state;
	add_record(&q, SOL_IP, IP_RECVERR, zerocopy(3, 9, 0));
	parses_as_range(&q, 3, 9, false);
}

static void errq_parse__ipv6_also_for_mapped_ipv4(void **state)
{
	struct queued q = { 0 };

	(void)state;
	add_record(&q, SOL_IPV6, IPV6_RECVERR, zerocopy(UINT32_MAX, 1, 1));
	parses_as_range(&q, UINT32_MAX, 1, true);
}

static void errq_parse__vsock(void **state)
{
	struct queued q = { 0 };

	(void)state;
	add_record(&q, VSOCK_LEVEL, 1, zerocopy(7, 7, 0));
	parses_as_range(&q, 7, 7, false);
}

static void errq_parse__copied_is_one_bit(void **state)
{
	struct queued q = { 0 };

	(void)state;
	add_record(&q, SOL_IP, IP_RECVERR, zerocopy(0, 0, 0xfe));
	parses_as_range(&q, 0, 0, false);
}

static void errq_parse__behind_other_messages(void **state)
{
	struct queued q = { 0 };
	struct timespec stamps[3] = { { 0 } };

	(void)state;
	add(&q, SOL_SOCKET, SO_TIMESTAMPING, stamps, sizeof(stamps));
	add(&q, SOL_IP, IP_TTL, "x", 1); /* not a multiple of the alignment */
	add_record(&q, SOL_IP, IP_RECVERR, zerocopy(1, 2, 0));
	parses_as_range(&q, 1, 2, false);
}

static void errq_parse__other_levels_are_foreign(void **state)
{
	static const int others[][2] = {
		{ SOL_IP, IPV6_RECVERR },   { SOL_IPV6, IP_RECVERR }, { VSOCK_LEVEL, IP_RECVERR },
		{ SOL_SOCKET, IP_RECVERR }, { SOL_IP, IP_PKTINFO },   { VSOCK_LEVEL, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		struct queued q = { 0 };

		add_record(&q, others[i][0], others[i][1], zerocopy(0, 0, 0));
		parses_as(&q, ERRQ_FOREIGN);
	}
}

static void errq_parse__other_origins_are_foreign(void **state)
{
	int origin;

	(void)state;
	for (origin = 0; origin < 256; origin++) {
		struct sock_extended_err err = zerocopy(4, 4, 0);
		struct queued q = { 0 };

		err.ee_origin = (uint8_t)origin;
		add_record(&q, SOL_IP, IP_RECVERR, err);
		parses_as(&q, origin == 5 ? ERRQ_ZEROCOPY : ERRQ_FOREIGN);
	}
}

static void errq_parse__with_an_errno_is_foreign(void **state)
{
	struct sock_extended_err err = zerocopy(4, 4, 0);
	struct queued q = { 0 };

	(void)state;
	err.ee_errno = ENOMSG;
	add_record(&q, SOL_IP, IP_RECVERR, err);
	parses_as(&q, ERRQ_FOREIGN);
}

/* ---- truncation ------------------------------------------------------------------------------ */

static void errq_parse__nothing_at_all(void **state)
{
	struct queued q = { 0 };

	(void)state;
	parses_as(&q, ERRQ_FOREIGN);
	q.msg.msg_controllen = 64; /* but no address */
	parses_as(&q, ERRQ_FOREIGN);
	q.msg.msg_flags = MSG_CTRUNC;
	parses_as(&q, ERRQ_TRUNCATED);
}

static void errq_parse__truncated_before_the_record(void **state)
{
	struct queued q = { 0 };
	struct timespec stamps[3] = { { 0 } };

	(void)state;
	add(&q, SOL_SOCKET, SO_TIMESTAMPING, stamps, sizeof(stamps));
	q.msg.msg_flags |= MSG_CTRUNC;
	parses_as(&q, ERRQ_TRUNCATED);
}

/* The kernel cuts cmsg_len to what had room. */
static void errq_parse__truncated_within_the_record(void **state)
{
	struct sock_extended_err err = zerocopy(5, 6, 0);
	struct queued q = { 0 };

	(void)state;
	add(&q, SOL_IP, IP_RECVERR, &err, sizeof(err) - 1);
	parses_as(&q, ERRQ_FOREIGN);
	q.msg.msg_flags |= MSG_CTRUNC;
	parses_as(&q, ERRQ_TRUNCATED);
}

static void errq_parse__truncated_behind_the_record(void **state)
{
	struct sock_extended_err err = zerocopy(5, 6, 0);
	struct queued ours = { 0 };
	struct queued foreign = { 0 };

	(void)state;
	add(&ours, SOL_IP, IP_RECVERR, &err, sizeof(err));
	ours.msg.msg_flags |= MSG_CTRUNC;
	parses_as_range(&ours, 5, 6, false);
	err.ee_origin = SO_EE_ORIGIN_ICMP;
	add(&foreign, SOL_IP, IP_RECVERR, &err, sizeof(err));
	foreign.msg.msg_flags |= MSG_CTRUNC;
	parses_as(&foreign, ERRQ_FOREIGN);
}

/* ---- garbage --------------------------------------------------------------------------------- */

static void errq_parse__lengths_that_lie(void **state)
{
	static const size_t lengths[] = { 0,  1,   15,	CMSG_LEN(0), CMSG_LEN(15), SIZE_MAX - 15,
					  81, 500, 513, SIZE_MAX,    SIZE_MAX - 7, SIZE_MAX / 2 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct queued q = { 0 };
		struct cmsghdr h;

		add_record(&q, SOL_IP, IP_RECVERR, zerocopy(5, 6, 0));
		memcpy(&h, q.u.control, sizeof(h));
		h.cmsg_len = lengths[i];
		memcpy(q.u.control, &h, sizeof(h));
		parses_as(&q, ERRQ_FOREIGN);
	}
}

/* Plausible fields in a buffer of exactly its size: a sanitizer sees a read past the end. */
static void errq_parse__random_bytes(void **state)
{
	static const int values[] = { 0, 1, 5, 11, 16, 25, 32, 41, 48, 60, 287, -1 };
	struct rng rng = rng_seeded(1);
	int round;

	(void)state;
	for (round = 0; round < 200000; round++) {
		size_t len = (size_t)rng_between(&rng, 0, 120);
		char *control = malloc(len + 1);
		struct msghdr msg = { .msg_control = control + 1, .msg_controllen = len };
		size_t at;

		assert_non_null(control);
		memset(control, 0, len + 1);
		for (at = 0; at + sizeof(int) <= len; at += sizeof(int)) {
			int value = values[rng_between(&rng, 0, ARRAY_SIZE(values) - 1)];

			if (rng_percent(&rng, 60))
				memcpy(control + 1 + at, &value, sizeof(value));
		}
		errq_parse(&msg);
		free(control);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errq_parse__ipv4),
		cmocka_unit_test(errq_parse__ipv6_also_for_mapped_ipv4),
		cmocka_unit_test(errq_parse__vsock),
		cmocka_unit_test(errq_parse__copied_is_one_bit),
		cmocka_unit_test(errq_parse__behind_other_messages),
		cmocka_unit_test(errq_parse__other_levels_are_foreign),
		cmocka_unit_test(errq_parse__other_origins_are_foreign),
		cmocka_unit_test(errq_parse__with_an_errno_is_foreign),
		cmocka_unit_test(errq_parse__nothing_at_all),
		cmocka_unit_test(errq_parse__truncated_before_the_record),
		cmocka_unit_test(errq_parse__truncated_within_the_record),
		cmocka_unit_test(errq_parse__truncated_behind_the_record),
		cmocka_unit_test(errq_parse__lengths_that_lie),
		cmocka_unit_test(errq_parse__random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
