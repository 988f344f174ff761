/* SPDX-License-Identifier: MIT */
/*
 * test_errqueue.c - the error queue: room for control messages, peeking, families, batches, others
 */
#include "app.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>

static struct app app;
static unsigned nr_foreign;
static size_t foreign_payload;

static void foreign(void *user, const struct msghdr *msg, size_t payload_len)
{
	sim_assert(user);
	sim_assert(msg->msg_flags & MSG_ERRQUEUE);
	nr_foreign++;
	foreign_payload += payload_len;
}

static struct app_conn *open_one(zcs_foreign_fn *fn)
{
	struct zcs_ctx_opts co = { .size = sizeof(co), .zerocopy_min = ZCS_NONE };
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE, .send_way = ZCS_WAY_ZEROCOPY };

	o.foreign = fn;
	o.lent_max = 64 << 20;
	app_open(&app, &co);
	nr_foreign = 0;
	foreign_payload = 0;
	return app_conn(&app, &o);
}

static void send_some(struct app_conn *c)
{
	for (int i = 0; i < 5; i++)
		sim_equal(app_send_plain(c, 30000, 0), 0);
	app_drain(&app);
	sim_equal(app_stats(c).lent, 0);
	sim_equal(app_stats(c).foreign_dropped, 0);
	sim_equal(app_stats(c).unknown_notifications, 0);
	app_end(&app);
}

/* Guard 6: 64 bytes of control messages, where IPv4 needs 48. */
static void ipv6(void)
{
	sim_default.family = AF_INET6;
	send_some(open_one(NULL));
}

/* Guard 8: the level follows the socket, not the peer's address. */
static void v4mapped(void)
{
	sim_default.family = AF_INET6;
	sim_default.v4mapped = true;
	send_some(open_one(NULL));
}

/* Guard 7: looking at an entry takes it off the queue. */
static void ipv4(void)
{
	sim_default.share_bytes = 0;
	sim_default.merge_pct = 0;
	send_some(open_one(NULL));
}

/*
 * Guard 9: a socket that is always writable gives no reason to read the queue, and each unread
 * entry holds option memory. Mostly they merge; here one in 40 does not.
 */
static void read_now_and_then(void)
{
	struct app_conn *c;

	sim_default.share_bytes = 0;
	sim.optmem_max = 16 * 832;
	c = open_one(NULL);
	for (int i = 0; i < 1000; i++) {
		sim_knobs(c->tcp)->merge_pct = i % 40 ? 100 : 0;
		sim_assert(app_send_plain(c, 20000, 0) >= 0);
		sim_run(SIM_MS); /* acknowledged at once; the program just goes on sending */
	}
	sim_equal(app_stats(c).tx_enobufs_optmem, 0);
	sim_equal(app_stats(c).tx_bytes_lent, 20000000);
	sim_assert(sim.errq_reads < 1000 / 16);
	app_drain(&app);
	app_end(&app);
}

/* None merges: option memory may run out, but reading the queue mends that, and all is lent. */
static void none_merges(void)
{
	struct app_conn *c;

	sim_default.share_bytes = 0;
	sim_default.merge_pct = 0;
	sim.optmem_max = 100 * 832;
	c = open_one(NULL);
	for (int i = 0; i < 1000; i++) {
		sim_assert(app_send_plain(c, 20000, 0) >= 0);
		sim_run(SIM_MS);
	}
	sim_assert(app_stats(c).tx_enobufs_optmem <= 10);
	sim_equal(app_stats(c).tx_bytes_lent, 20000000);
	app_drain(&app);
	app_end(&app);
}

/* Time stamps and ICMP errors share the queue: they are handed on, and do not break anything. */
static void others(void)
{
	struct app_conn *c = open_one(foreign);

	sim_default.share_bytes = 0;
	sim_note_timestamp(c->tcp, 100);
	sim_equal(app_send_plain(c, 30000, 0), 0);
	sim_note_icmp(c->tcp, 28);
	app_drain(&app);
	sim_note_timestamp(c->tcp, 0);
	app_take(&app, 0);
	sim_equal(nr_foreign, 3);
	sim_equal(foreign_payload, 128);
	sim_equal(c->nr_errors, 0);
	sim_equal(app_stats(c).foreign_dropped, 0);
	app_end(&app);
}

static void others_dropped(void)
{
	struct app_conn *c = open_one(NULL);

	sim_note_timestamp(c->tcp, 5000);
	sim_note_icmp(c->tcp, 28);
	app_take(&app, 0);
	sim_equal(app_stats(c).foreign_dropped, 2);
	sim_equal(c->nr_errors, 0);
	sim_equal(app_send_plain(c, 30000, 0), 0);
	app_drain(&app);
	app_end(&app);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "ipv6", ipv6 },
		{ "v4mapped", v4mapped },
		{ "ipv4", ipv4 },
		{ "read_now_and_then", read_now_and_then },
		{ "none_merges", none_merges },
		{ "others", others },
		{ "others_dropped", others_dropped },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 5);
}
