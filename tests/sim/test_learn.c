/* SPDX-License-Identifier: MIT */
/*
 * test_learn.c - what the library learns of prices, and keeps to: the whole of it over a kernel
 * whose sending calls cost what the test says
 *
 * Whether the choice by itself is a good one is for unit-cost. Here it counts that costs get there,
 * that what is learned is what is done, and that nobody's memory is touched too early meanwhile.
 */
#include "app.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct app app;

static const struct sim_price cheap = { 1000, 20 }, dear = { 4000, 400 };

static struct app_conn *add_conn(uint32_t send_way)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE, .send_way = send_way };

	return app_conn(&app, &o);
}

/* In a world where that way is the cheaper one. */
static struct app_conn *open_where(bool lending_is_cheap)
{
	sim.max_calls = 3000000;
	sim.flag_price = lending_is_cheap ? cheap : dear;
	sim.copy_price = lending_is_cheap ? dear : cheap;
	app_open(&app, NULL);
	return add_conn(0);
}

static void send_one(struct app_conn *c, size_t len, uint32_t flags)
{
	int ret;

	while ((ret = app_send_plain(c, len, flags)) == -EAGAIN)
		app_take(&app, 1);
	sim_assert(ret >= 0);
}

/* Sends so many, some 8 in a millisecond; the percentage of their bytes that was lent. */
static unsigned send_some(struct app_conn *c, unsigned nr, size_t len, uint32_t flags)
{
	struct zcs_stats from = app_stats(c), to;

	for (unsigned i = 0; i < nr; i++) {
		send_one(c, len, flags);
		if (i % 8 == 7)
			app_take(&app, 1);
	}
	app_drain(&app);
	to = app_stats(c);
	sim_equal(to.tx_bytes - from.tx_bytes, (uint64_t)nr * len);
	return (unsigned)((to.tx_bytes_lent - from.tx_bytes_lent) * 100 / ((uint64_t)nr * len));
}

static struct zcs_policy policy_of(struct app_conn *c)
{
	struct zcs_policy p = { .size = sizeof(p) };

	sim_equal(zcs_conn_policy(c->conn, &p), 0);
	return p;
}

static struct zcs_learned learned(struct app_conn *c, size_t len)
{
	struct zcs_policy p = policy_of(c);
	unsigned i = 0;

	while (p.send[i + 1].bytes && p.send[i + 1].bytes <= len)
		i++;
	return p.send[i];
}

/* Messages until that size goes that way, or fails. */
static void turns_within(struct app_conn *c, size_t len, uint32_t way, unsigned most)
{
	unsigned nr = 0;

	for (; learned(c, len).way != way; nr += 32) {
		if (nr > most)
			sim_fail("%zu bytes still go the dearer way after %u messages", len, nr);
		send_some(c, 32, len, 0);
	}
}

/* ---- what is cheaper is done ----------------------------------------------------------------- */

static uint64_t price_of(const struct sim_price *p, size_t len)
{
	return p->call_ns + len * p->kib_ns / 1024;
}

static void check_costs(struct app_conn *c, size_t len)
{
	struct zcs_learned l = learned(c, len);

	sim_assert(l.pairs >= 4);
	sim_assert(labs((long)l.copy_ns - (long)(price_of(&sim.copy_price, len) * 1024 / len)) < 3);
	sim_assert(labs((long)l.zerocopy_ns - (long)(price_of(&sim.flag_price, len) * 1024 / len)) <
		   3);
}

static void lends_what_was_copied(void)
{
	size_t len = 2048 + sim_rnd(14 << 10);
	struct app_conn *c = open_where(true);

	sim_equal(learned(c, len).way, ZCS_WAY_COPY);
	sim_equal(send_some(c, 64, len, 0), 0);
	turns_within(c, len, ZCS_WAY_ZEROCOPY, 1500);
	sim_assert(send_some(c, 2000, len, 0) >= 95);
	sim_equal(learned(c, len).way, ZCS_WAY_ZEROCOPY);
	check_costs(c, len);
	app_end(&app);
}

static void copies_what_was_lent(void)
{
	size_t len = (16 << 10) + sim_rnd(100 << 10);
	struct app_conn *c = open_where(false);

	sim_equal(learned(c, len).way, ZCS_WAY_ZEROCOPY);
	sim_equal(send_some(c, 64, len, 0), 100);
	turns_within(c, len, ZCS_WAY_COPY, 1500);
	sim_assert(send_some(c, 2000, len, 0) <= 5);
	sim_equal(learned(c, len).way, ZCS_WAY_COPY);
	sim_equal(app_stats(c).tx_reason, ZCS_R_COSTS);
	check_costs(c, len);
	app_end(&app);
}

/* Any size, any prices that differ by a third, and clocks that are off by a fifth. */
static void any_prices(void)
{
	size_t len = (size_t)2048 << sim_rnd(6);
	struct app_conn *c = open_where(true);
	uint64_t copy, lend;

	sim.noise_pct = 20;
	do {
		sim.copy_price = (struct sim_price){ 500 + sim_rnd(4000), 1 + sim_rnd(300) };
		sim.flag_price = (struct sim_price){ 500 + sim_rnd(8000), 1 + sim_rnd(300) };
		copy = price_of(&sim.copy_price, len);
		lend = price_of(&sim.flag_price, len);
	} while (copy * 4 / 3 > lend && lend * 4 / 3 > copy);
	send_some(c, 5000, len, 0);
	if (lend < copy)
		sim_assert(send_some(c, 2000, len, 0) >= 90);
	else
		sim_assert(send_some(c, 2000, len, 0) <= 10);
	app_end(&app);
}

/* Where the two cost the same nothing is gained either way, and nothing may break. */
static void no_difference(void)
{
	struct app_conn *c = open_where(true);

	sim.copy_price = sim.flag_price;
	sim.noise_pct = 30;
	for (int i = 0; i < 3000; i++)
		send_some(c, 1, 2048 + sim_rnd(60000), 0);
	app_end(&app);
}

/* ---- prices that change ---------------------------------------------------------------------- */

/* What is paid rises: seen while it is paid. */
static void way_becomes_dear(void)
{
	bool lends = sim.seed % 2;
	struct app_conn *c = open_where(lends);
	uint32_t other = lends ? ZCS_WAY_COPY : ZCS_WAY_ZEROCOPY;
	size_t len = 12000;

	send_some(c, 3000, len, 0);
	sim_assert(learned(c, len).way != other);
	*(lends ? &sim.flag_price : &sim.copy_price) = (struct sim_price){ 16000, 1600 };
	turns_within(c, len, other, 2000);
	sim_assert(lends ? send_some(c, 1000, len, 0) <= 5 : send_some(c, 1000, len, 0) >= 95);
	app_end(&app);
}

/* The way that is not taken becomes cheaper: seen when it is tried next, within a second. */
static void other_becomes_cheap(void)
{
	bool lends = sim.seed % 2;
	struct app_conn *c = open_where(lends);
	uint32_t other = lends ? ZCS_WAY_COPY : ZCS_WAY_ZEROCOPY;
	size_t len = 12000;

	send_some(c, 3000, len, 0);
	sim_assert(learned(c, len).way != other);
	*(lends ? &sim.copy_price : &sim.flag_price) = (struct sim_price){ 200, 2 };
	turns_within(c, len, other, 10000);
	sim_assert(lends ? send_some(c, 1000, len, 0) <= 5 : send_some(c, 1000, len, 0) >= 95);
	app_end(&app);
}

/* To and fro: it follows each time. */
static void back_and_forth(void)
{
	struct app_conn *c = open_where(true);

	for (int i = 0; i < 6; i++) {
		sim.flag_price = i % 2 ? dear : cheap;
		sim.copy_price = i % 2 ? cheap : dear;
		turns_within(c, 12000, i % 2 ? ZCS_WAY_COPY : ZCS_WAY_ZEROCOPY, 4000);
		send_some(c, 1000, 12000, 0);
	}
	app_end(&app);
}

/* What changed for one size is looked at for the others as well. */
static void change_of_one_size(void)
{
	struct app_conn *c = open_where(true);

	for (int i = 0; i < 40; i++) {
		send_some(c, 100, 12000, 0);
		send_some(c, 100, 50000, 0);
	}
	sim_equal(learned(c, 12000).way, ZCS_WAY_ZEROCOPY);
	sim_equal(learned(c, 50000).way, ZCS_WAY_ZEROCOPY);
	sim.flag_price = dear;
	sim.copy_price = cheap;
	turns_within(c, 12000, ZCS_WAY_COPY, 3000);
	turns_within(c, 50000, ZCS_WAY_COPY, 1500);
	app_end(&app);
}

/* ---- whose knowledge it is ------------------------------------------------------------------- */

static void shared_by_connections(void)
{
	bool lends = sim.seed % 2;
	struct app_conn *c = open_where(lends), *d;
	size_t len = lends ? 8000 : 40000;

	send_some(c, 3000, len, 0);
	d = add_conn(0);
	sim_equal(learned(d, len).way, lends ? ZCS_WAY_ZEROCOPY : ZCS_WAY_COPY);
	sim_equal(learned(d, len).pairs, learned(c, len).pairs);
	if (lends)
		sim_assert(send_some(d, 50, len, 0) >= 60);
	else
		sim_assert(send_some(d, 50, len, 0) <= 40);
	/* and one that comes when the first is gone */
	app_close(c);
	app_take(&app, 100);
	d = add_conn(0);
	sim_equal(learned(d, len).way, lends ? ZCS_WAY_ZEROCOPY : ZCS_WAY_COPY);
	app_end(&app);
}

/* Another address at our end is another link: it begins with the guess. */
static void not_by_other_links(void)
{
	struct app_conn *c = open_where(true), *d;

	send_some(c, 3000, 8000, 0);
	sim_default.family = AF_INET6;
	d = add_conn(0);
	sim_equal(learned(c, 8000).way, ZCS_WAY_ZEROCOPY);
	sim_equal(learned(d, 8000).way, ZCS_WAY_COPY);
	sim_equal(learned(d, 8000).pairs, 0);
	sim_equal(send_some(d, 50, 8000, 0), 0);
	app_end(&app);
}

/* Where copying pays, it pays for what is smaller; where lending pays, for what is larger. */
static void speaks_for_neighbours(void)
{
	bool lends = sim.seed % 2;
	struct app_conn *c = open_where(lends);

	if (lends) {
		send_some(c, 3000, 5000, 0);
		send_some(c, 200, 10000, 0);
		sim_assert(send_some(c, 100, 10000, 0) >= 80);
	} else {
		send_some(c, 3000, 70000, 0);
		send_some(c, 200, 20000, 0);
		sim_assert(send_some(c, 100, 20000, 0) <= 20);
	}
	app_end(&app);
}

/* ---- pins ------------------------------------------------------------------------------------ */

static void pinned_by_message(void)
{
	struct app_conn *c = open_where(sim.seed % 2);
	size_t len = sim.seed % 2 ? 8000 : 40000;

	send_some(c, 3000, len, 0);
	sim_equal(send_some(c, 300, len, ZCS_ZEROCOPY), 100);
	sim_equal(send_some(c, 300, len, ZCS_COPY), 0);
	sim_equal(app_stats(c).tx_reason, ZCS_R_PINNED);
	sim_equal(send_some(c, 50, 10, ZCS_ZEROCOPY), 100);
	app_end(&app);
}

static void pinned_by_connection(void)
{
	struct app_conn *c = open_where(sim.seed % 2), *copies, *lends;
	struct zcs_conn_opts o = { .size = sizeof(o), .send_way = ZCS_WAY_COPY };
	size_t len = sim.seed % 2 ? 8000 : 40000;

	send_some(c, 2000, len, 0);
	copies = add_conn(ZCS_WAY_COPY);
	lends = add_conn(ZCS_WAY_ZEROCOPY);
	sim_equal(send_some(copies, 300, len, 0), 0);
	sim_equal(app_stats(copies).tx_reason, ZCS_R_PINNED);
	sim_equal(send_some(lends, 300, len, 0), 100);
	/* a message knows better */
	sim_equal(send_some(copies, 10, len, ZCS_ZEROCOPY), 100);
	sim_equal(send_some(lends, 10, len, ZCS_COPY), 0);
	sim_equal(zcs_conn_limits(lends->conn, &o), 0);
	sim_equal(send_some(lends, 300, len, 0), 0);
	app_end(&app);
}

static void pinned_by_threshold(void)
{
	struct zcs_ctx_opts o = { .size = sizeof(o), .zerocopy_min = 5000 };
	struct app_conn *c = open_where(sim.seed % 2);
	unsigned timed;

	for (int i = 0; i < 20; i++) {
		send_some(c, 100, 8000, 0);
		send_some(c, 100, 40000, 0);
	}
	sim_equal(zcs_ctx_limits(app.ctx, &o), 0);
	timed = sim.timed_sends;
	sim_equal(send_some(c, 300, 4999, 0), 0);
	sim_equal(app_stats(c).tx_reason, ZCS_R_SMALL);
	sim_equal(send_some(c, 300, 5000, 0), 100);
	sim_equal(send_some(c, 300, 40000, 0), 100);
	o.zerocopy_min = ZCS_UNLIMITED;
	sim_equal(zcs_ctx_limits(app.ctx, &o), 0);
	sim_equal(send_some(c, 300, 40000, 0), 0);
	o.zerocopy_min = ZCS_NONE;
	sim_equal(zcs_ctx_limits(app.ctx, &o), 0);
	sim_equal(send_some(c, 300, 1, 0), 100);
	sim_equal(sim.timed_sends, timed); /* nobody wants to know */
	app_end(&app);
}

/* ---- a path on which the kernel copies ------------------------------------------------------- */

static void kernel_copies(void)
{
	struct app_conn *c = open_where(true), *d;
	uint64_t from;

	/* some of the time calls share their notification */
	if (sim.seed % 2)
		sim_default.share_bytes = 0;
	app_close(c);
	c = add_conn(0);
	send_some(c, 2000, 40000, 0);
	sim_assert(!policy_of(c).kernel_copies);
	sim_knobs(c->tcp)->copied_pct = 100;
	send_some(c, 1000, 40000, 0);
	sim_assert(policy_of(c).kernel_copies);
	sim_assert(send_some(c, 500, 40000, 0) <= 5);
	sim_equal(app_stats(c).tx_reason, ZCS_R_KERNEL_COPIES);
	/* what is asked for is done, and another connection to the same peer knows */
	sim_equal(send_some(c, 10, 40000, ZCS_ZEROCOPY), 100);
	d = add_conn(0);
	sim_assert(policy_of(d).kernel_copies);
	/* for a minute it goes on so, now and then looked at */
	for (int i = 0; i < 600; i++) {
		app_take(&app, 100);
		send_one(c, 40000, 0);
	}
	sim_assert(policy_of(c).kernel_copies);
	sim_knobs(c->tcp)->copied_pct = 0;
	for (from = sim.now; policy_of(c).kernel_copies; app_take(&app, 10)) {
		sim_assert(sim.now - from < 10 * SIM_S);
		send_one(c, 40000, 0);
	}
	sim_assert(send_some(c, 500, 40000, 0) >= 95);
	app_end(&app);
}

/* Half of them with COPIED, as a packet capture that comes and goes makes it, is no reason. */
static void kernel_copies_half(void)
{
	struct app_conn *c;

	sim_default.copied_pct = 50;
	sim_default.share_bytes = 0;
	sim_default.merge_pct = 0;
	c = open_where(true);
	sim_assert(send_some(c, 5000, 40000, 0) >= 95);
	sim_assert(!policy_of(c).kernel_copies);
	app_end(&app);
}

/* ---- want of memory -------------------------------------------------------------------------- */

static struct app_conn *open_scarce(bool optmem)
{
	if (optmem)
		sim.optmem_max = 8 * 832;
	else
		sim.memlock = 1 << 20;
	sim_default.share_bytes = 0;
	sim_default.silent = true;
	return open_where(true);
}

/* Refused until messages of 40000 bytes are no longer lent. */
static void run_out(struct app_conn *c)
{
	sim_equal(policy_of(c).scarce_below, 0);
	for (int i = 0; policy_of(c).scarce_below <= 40000; i++) {
		sim_assert(i < 60);
		send_one(c, 40000, 0);
		app_take(&app, 20);
	}
}

static void check_scarce(struct app_conn *c, bool optmem)
{
	struct zcs_stats st = app_stats(c);

	sim_equal(st.tx_reason, optmem ? ZCS_R_OPTMEM : ZCS_R_MEMLOCK);
	sim_assert(optmem ? st.tx_enobufs_optmem > 1 : st.tx_enobufs_memlock > 1);
	sim_equal(optmem ? st.tx_enobufs_memlock : st.tx_enobufs_optmem, 0);
	send_one(c, 40000, 0);
	sim_equal(app_stats(c).tx_reason, ZCS_R_SCARCE);
	sim_equal(app_stats(c).tx_bytes_lent, st.tx_bytes_lent);
}

static void scarce(bool optmem)
{
	struct app_conn *c = open_scarce(optmem);
	uint64_t lent, from;

	run_out(c);
	check_scarce(c, optmem);
	sim_peer_silence(c->tcp, false);
	app_drain(&app);
	app_take(&app, 200); /* its own pause after a refusal */
	lent = app_stats(c).tx_bytes_lent;
	send_one(c, 400000, 0);
	sim_equal(app_stats(c).tx_bytes_lent, lent + 400000);
	send_one(c, 40000, 0);
	sim_equal(app_stats(c).tx_bytes_lent, lent + 400000);
	sim_equal(app_stats(c).tx_reason, ZCS_R_SCARCE);
	for (from = sim.now; policy_of(c).scarce_below; app_take(&app, 50)) {
		sim_assert(sim.now - from < 8 * SIM_S);
		send_one(c, 40000, 0);
	}
	sim_assert(send_some(c, 500, 40000, 0) >= 90);
	app_end(&app);
}

static void scarce_fades_in_silence(void)
{
	struct app_conn *c = open_scarce(false);

	run_out(c);
	sim_peer_silence(c->tcp, false);
	app_drain(&app);
	app_take(&app, 60000);
	sim_equal(policy_of(c).scarce_below, 0);
	sim_equal(send_some(c, 4, 20000, 0), 100);
	app_end(&app);
}

static void scarce_memlock(void)
{
	scarce(false);
}

static void scarce_optmem(void)
{
	scarce(true);
}

/* ---- how much is measured -------------------------------------------------------------------- */

static void swap_prices(void)
{
	struct sim_price p = sim.flag_price;

	sim.flag_price = sim.copy_price;
	sim.copy_price = p;
}

/* Nor more when prices change all the time, which makes it look closely. */
static void one_in_64_is_measured(void)
{
	struct app_conn *c = open_where(sim.seed % 2);
	unsigned classes = 1 + sim_rnd(3) * (sim.seed % 2);
	unsigned often = 300 + sim_rnd(2000), next = 1000;

	sim.noise_pct = sim_rnd(50);
	for (unsigned i = 0; i < 12000; i++) {
		send_one(c, ((size_t)2048 << sim_rnd(classes)) + sim_rnd(2000), 0);
		if (i % 8 == 7)
			app_take(&app, 1);
		sim_assert(sim.timed_sends * 64 <= sim.sendmsg_calls);
		if (i == next) {
			swap_prices();
			next += often;
		}
	}
	sim_assert(sim.timed_sends > 20);
	app_drain(&app);
	app_end(&app);
}

/* Where messages queue and leave together, and the kernel takes parts of them. */
static void measured_in_batches(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 100000;
	sim_default.partial_pct = sim_default.again_pct = 20;
	sim_default.ack_max = 60000;
	c = open_where(sim.seed % 2);
	for (int i = 0; i < 6000; i++) {
		struct app_send what = { .len = 2048 + sim_rnd(30000), .pieces = sim_rnd(4) };
		int ret;

		what.flags = sim_pct(20) ? ZCS_MORE : 0;
		what.head = sim_rnd(200);
		while ((ret = app_send(c, &what)) == -EAGAIN)
			app_take(&app, 1);
		sim_assert(ret >= 0);
		if (sim_pct(10))
			app_take(&app, 1);
		sim_assert(sim.timed_sends * 64 <= app_stats(c).tx_msgs);
	}
	sim_equal(zcs_conn_flush(c->conn), 0);
	app_drain(&app);
	app_end(&app);
}

/* ---- how it is told -------------------------------------------------------------------------- */

/* Datagrams that leave together are measured together, and go one way. */
static void datagrams(void)
{
	struct app_send s = { .len = 14000, .segment = 1400 };
	struct app_conn *c;
	uint64_t calls = 0;

	sim_default.dgram = true;
	c = open_where(true);
	for (unsigned i = 0; i < 16 * 1500; i++) {
		s.flags = i % 16 == 15 ? 0 : ZCS_MORE;
		while (app_send(c, &s) == -EAGAIN)
			app_take(&app, 1);
		if (i % 64 == 63)
			app_take(&app, 1);
		if (i == 16 * 1000)
			calls = app_stats(c).tx_calls;
	}
	app_drain(&app);
	sim_assert(learned(c, s.len).pairs >= 4);
	sim_equal(learned(c, s.len).way, ZCS_WAY_ZEROCOPY);
	sim_assert(app_stats(c).tx_calls - calls < 500 * 3);
	app_end(&app);
}

static void sizes_of_the_struct(void)
{
	struct app_conn *c = open_where(true);
	struct {
		struct zcs_policy p;
		char more[64];
	} big;
	struct zcs_policy whole, p;
	size_t cut = offsetof(struct zcs_policy, send) + sizeof(struct zcs_learned);

	send_some(c, 2000, 8000, 0);
	whole = policy_of(c);
	for (p.size = 0; p.size < sizeof(size_t); p.size++)
		sim_equal(zcs_conn_policy(c->conn, &p), -EINVAL);
	memset(&p, 0x77, sizeof(p));
	p.size = cut;
	sim_equal(zcs_conn_policy(c->conn, &p), 0);
	sim_equal(p.size, cut);
	sim_equal(p.kernel_copies, 0);
	sim_assert(!memcmp(&p.send[0], &whole.send[0], sizeof(p.send[0])));
	for (size_t i = cut; i < sizeof(p); i++)
		sim_equal(((unsigned char *)&p)[i], 0x77);
	memset(&big, 0x77, sizeof(big));
	big.p.size = sizeof(big);
	sim_equal(zcs_conn_policy(c->conn, &big.p), 0);
	sim_equal(big.p.size, sizeof(big));
	big.p.size = whole.size;
	sim_assert(!memcmp(&big.p, &whole, sizeof(whole)));
	for (size_t i = 0; i < sizeof(big.more); i++)
		sim_equal(big.more[i], 0);
	app_end(&app);
}

static void lists_of_the_struct(void)
{
	struct app_conn *c = open_where(true);
	struct zcs_policy p = policy_of(c);
	const struct zcs_learned *lists[] = { p.send, p.recv };

	for (int side = 0; side < 2; side++) {
		unsigned i = 0;

		for (; lists[side][i].bytes; i++) {
			sim_assert(i + 1 < ZCS_NR_LEARNED);
			sim_equal(lists[side][i].bytes, 2048ull << i);
			sim_equal(lists[side][i].pairs, 0);
			sim_equal(lists[side][i].copy_ns, 0);
			sim_equal(lists[side][i].zerocopy_ns, 0);
			sim_equal(lists[side][i].way,
				  lists[side][i].bytes >= (side ? 128 << 10 : 16 << 10)
					  ? ZCS_WAY_ZEROCOPY
					  : ZCS_WAY_COPY);
		}
		sim_equal(i, 10);
	}
	app_end(&app);
}

static void explained(void)
{
	struct app_conn *c = open_where(true);
	char text[4096], line[64], shorter[32];
	int len;

	sim_assert(zcs_conn_explain(c->conn, text, sizeof(text)) > 0);
	sim_assert(!strstr(text, "pairs"));
	send_some(c, 2000, 8192, 0);
	len = zcs_conn_explain(c->conn, text, sizeof(text));
	sim_equal(len, strlen(text));
	snprintf(line, sizeof(line), "(%u pairs)", learned(c, 8192).pairs);
	sim_assert(strstr(text, line));
	/* 7200 and 1160 ns for each 8 KiB */
	sim_assert(strstr(text, "from 8 KiB on: lent; copied 14.40, lent 2.32 us"));
	sim_equal(zcs_conn_explain(c->conn, shorter, sizeof(shorter)), len);
	sim_equal(strlen(shorter), sizeof(shorter) - 1);
	app_end(&app);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "lends_what_was_copied", lends_what_was_copied },
		{ "copies_what_was_lent", copies_what_was_lent },
		{ "any_prices", any_prices },
		{ "no_difference", no_difference },
		{ "way_becomes_dear", way_becomes_dear },
		{ "other_becomes_cheap", other_becomes_cheap },
		{ "back_and_forth", back_and_forth },
		{ "change_of_one_size", change_of_one_size },
		{ "shared_by_connections", shared_by_connections },
		{ "not_by_other_links", not_by_other_links },
		{ "speaks_for_neighbours", speaks_for_neighbours },
		{ "pinned_by_message", pinned_by_message },
		{ "pinned_by_connection", pinned_by_connection },
		{ "pinned_by_threshold", pinned_by_threshold },
		{ "kernel_copies", kernel_copies },
		{ "kernel_copies_half", kernel_copies_half },
		{ "scarce_fades_in_silence", scarce_fades_in_silence },
		{ "scarce_memlock", scarce_memlock },
		{ "scarce_optmem", scarce_optmem },
		{ "one_in_64_is_measured", one_in_64_is_measured },
		{ "measured_in_batches", measured_in_batches },
		{ "datagrams", datagrams },
		{ "sizes_of_the_struct", sizes_of_the_struct },
		{ "lists_of_the_struct", lists_of_the_struct },
		{ "explained", explained },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 4);
}
