/* SPDX-License-Identifier: MIT */
/*
 * A simulated host with cost curves, noise and bursts. The policy is told the costs of the sends
 * that it asked for and no others; after 2,000 sends the whole must cost at most 2 % more than if
 * the better way had always been taken, trying the worse one included.
 */
#include "unit.h"

#include "pure/policy.h"

#include <stdio.h>

#define WARM_UP 2000
#define SENDS	200000 /* of each size */
#define SIZES	10     /* when all come at once */
#define SEEDS	6
#define STEP_NS 4000 /* from one send to the next */

/* CPU time of a call, in ns: what it takes by itself, and per KiB. */
struct curve {
	double call, kib;
};

struct host {
	struct curve copy, lend;
	double noise;	/* a cost is off by so much on average, as a share of it */
	bool lumps;	/* one send in 16 pays for what the others put off */
	bool bursts;	/* now and then the machine is three times as slow for a while */
	double notices; /* reading notifications, per flagged call: not a part of the call */
};

static struct policy policy;
static struct rng rng;

static double dice(void)
{
	return (double)(rng_next(&rng) >> 11) / 9007199254740992.0;
}

static double cost_of(const struct host *host, bool lend, uint64_t len)
{
	const struct curve *c = lend ? &host->lend : &host->copy;

	return c->call + c->kib * (double)len / 1024 + (lend ? host->notices : 0);
}

/* What a clock would show. */
static double seen(const struct host *host, bool lend, uint64_t len, double slow)
{
	double cost = cost_of(host, lend, len) - (lend ? host->notices : 0);

	if (host->lumps)
		cost *= dice() < 1.0 / 16 ? 8 : 8.0 / 15;
	if (dice() < 0.002)
		cost += 50000; /* an interrupt */
	return slow * cost * (1 + host->noise * (dice() + dice() + dice() + dice() - 2));
}

struct outcome {
	double cost, best;
	unsigned measured, sent, flagged;
};

static void send_one(const struct host *host, uint64_t len, uint64_t now_ns, double slow,
		     struct outcome *out)
{
	struct policy_path *path = policy_path(&policy, 1, now_ns);
	struct link *link = policy_link(&policy, 1, now_ns);
	double copy = cost_of(host, false, len), lend = cost_of(host, true, len);
	bool measure = false;
	bool flag = policy_send(&policy, path, link, len, now_ns, &measure) == POLICY_FLAG;

	out->sent++;
	out->cost += flag ? lend : copy;
	out->best += lend < copy ? lend : copy;
	if (measure) {
		out->measured++;
		link_sent(link, len, flag, (uint64_t)seen(host, flag, len, slow), len);
	}
	out->flagged += flag;
	if (flag && out->flagged % 32 == 0 && later_is_due(&link->notes))
		later_note(&link->notes, (uint64_t)(32 * host->notices), 32);
}

static double slowness(const struct host *host, double slow)
{
	if (!host->bursts)
		return 1;
	if (slow > 1)
		return dice() < 0.005 ? 1 : slow;
	return dice() < 0.0005 ? 3 : 1;
}

/* Sends of a length (0: of all lengths); half way the host becomes another. */
static void run(const struct host *first, const struct host *then, uint64_t len, uint64_t seed,
		struct outcome *out)
{
	uint32_t nr = len ? SENDS : SENDS * SIZES;
	double slow = 1;

	rng = rng_seeded(seed);
	policy_init(&policy);
	*out = (struct outcome){ 0 };
	for (uint32_t i = 0; i < WARM_UP + nr; i++) {
		const struct host *host = i < WARM_UP + nr / 2 ? first : then;
		uint64_t each = len ? len : LINK_LEAST << rng_between(&rng, 0, SIZES - 1);

		slow = slowness(host, slow);
		send_one(host, each, (uint64_t)i * STEP_NS, slow, out);
		if (i == WARM_UP)
			out->cost = out->best = 0;
	}
}

/* At most `most` percent over the best on average over seeds, and never `worst`. */
static void expect(const struct host *first, const struct host *then, double most, double worst)
{
	static const uint64_t lens[] = { 2048, 4096, 10000, 16384, 65536, 1 << 20, 4 << 20, 0 };

	for (size_t l = 0; l < ARRAY_SIZE(lens); l++) {
		uint64_t seeds = lens[l] ? SEEDS : 1;
		double sum = 0, top = 0;

		for (uint64_t seed = 1; seed <= seeds; seed++) {
			struct outcome out;
			double over;

			run(first, then, lens[l], seed, &out);
			over = 100 * (out.cost / out.best - 1);
			sum += over;
			top = over > top ? over : top;
			assert_true(out.measured * 64 <= out.sent);
		}
		if (sum / seeds > most || top > worst)
			printf("hosts %g, %g, %llu bytes: %.2f %% over, at worst %.2f %%\n",
			       first->lend.call, then->lend.call, (unsigned long long)lens[l],
			       sum / seeds, top);
		assert_true(sum / seeds <= most);
		assert_true(top <= worst);
	}
}

/* Break even at 1, 17 and 140 KiB; never; always; and two that are nearly the same. */
static const struct host hosts[] = {
	{ .copy = { 1000, 250 }, .lend = { 1200, 50 }, .noise = 0.1, .notices = 60 },
	{ .copy = { 1000, 100 }, .lend = { 2500, 20 }, .noise = 0.2, .notices = 100 },
	{ .copy = { 1000, 60 }, .lend = { 5000, 35 }, .noise = 0.1, .notices = 400 },
	{ .copy = { 1000, 60 }, .lend = { 1500, 90 }, .noise = 0.2, .notices = 60 },
	{ .copy = { 2000, 200 }, .lend = { 1000, 30 }, .noise = 0.3, .notices = 60 },
	{ .copy = { 1000, 100 }, .lend = { 1000, 98 }, .noise = 0.1, .notices = 60 },
};

static void cost__of_a_steady_host(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
		expect(&hosts[i], &hosts[i], 2, 2);
}

static void cost__of_lumps(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct host host = hosts[i];

		host.lumps = true;
		expect(&host, &host, 2, 4);
	}
}

static void cost__of_bursts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		struct host host = hosts[i];

		host.bursts = true;
		expect(&host, &host, 2, 3);
	}
}

static void cost__of_a_host_that_changes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(hosts); j++)
			expect(&hosts[i], &hosts[j], 2, 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cost__of_a_steady_host),
		cmocka_unit_test(cost__of_lumps),
		cmocka_unit_test(cost__of_bursts),
		cmocka_unit_test(cost__of_a_host_that_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
