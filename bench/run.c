/* SPDX-License-Identifier: MIT */
/*
 * run.c - measures a plan, scenario by scenario
 *
 * The modes of a scenario take turns, A B C A B C, so that what slows the machine down slows all of
 * them, and each is held against the first one of its own round. Machines differ from one minute to
 * the next by more than what is looked for: only such pairs count.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "lab/lab.h"
#include "run.h"

#define FIRST_BYTES (4 << 20) /* of the first try */
#define TRIES	    10	      /* until a sample takes as long as it should */
#define MIB	    (1024.0 * 1024)

struct turn { /* of one mode */
	struct worker worker;
	uint64_t bytes; /* of each of its samples */
	struct sample samples[STATS_MAX];
	struct sample counted;
	char failed[256]; /* why it does not take part; empty: it does */
};

/* ---- one scenario: start, find out how much, take turns ------------------------- */

static uint64_t whole_calls(const struct scenario *s, double bytes)
{
	uint64_t calls = (uint64_t)(bytes / (double)s->size) + 1;

	return calls * s->size;
}

static void drop_out(struct turn *turn, int r)
{
	snprintf(turn->failed, sizeof(turn->failed), "%.255s",
		 turn->worker.why[0] ? turn->worker.why : strerror(-r));
	worker_stop(&turn->worker);
}

/* Also the warm-up: memory, caches, windows, and what a policy has to learn. */
static int calibrate(struct turn *turn, const struct scenario *s, unsigned sample_ms)
{
	double target = sample_ms * 1e6;
	int r = 0;

	turn->bytes = whole_calls(s, s->direction == DIR_PINGPONG ? 0 : FIRST_BYTES);
	for (unsigned i = 0; i < TRIES; i++) {
		struct sample sample;
		double more;

		r = worker_sample(&turn->worker, false, turn->bytes, &sample);
		if (r < 0)
			break;
		more = target / (sample.ns > 1000 ? sample.ns : 1000);
		turn->bytes = whole_calls(s, (double)turn->bytes * (more > 16 ? 16 : more));
		if (more < 2)
			break;
	}
	return r;
}

/* One that fails takes no more turns; the others go on. -EINTR: asked to stop. */
static int sample(const struct bench_opts *opts, struct turn *turn, bool count, struct sample *out)
{
	int r;

	if (!turn->failed[0]) {
		r = worker_sample(&turn->worker, count, turn->bytes, out);
		if (r < 0)
			drop_out(turn, r);
	}
	return opts->stop && opts->stop() ? -EINTR : 0;
}

static int take_turns(const struct bench_opts *opts, struct turn *turns, unsigned nr)
{
	int r = 0;

	for (unsigned i = 0; i < opts->samples; i++) {
		for (unsigned m = 0; m < nr && r == 0; m++)
			r = sample(opts, &turns[m], false, &turns[m].samples[i]);
	}
	return r;
}

/* What a mode costs, for comparing: CPU per byte, or the time of a round trip. */
static struct ratio compare(const struct bench_opts *opts, const struct scenario *s,
			    const struct turn *turn, const struct turn *first)
{
	double a[STATS_MAX], b[STATS_MAX];

	for (unsigned i = 0; i < opts->samples; i++) {
		const struct sample *x = &turn->samples[i], *y = &first->samples[i];

		a[i] = s->direction == DIR_PINGPONG ? x->p50_ns : x->cpu_ns / x->bytes;
		b[i] = s->direction == DIR_PINGPONG ? y->p50_ns : y->cpu_ns / y->bytes;
	}
	return ratio_of_pairs(a, b, opts->samples);
}

static bool all_settled(const struct bench_opts *opts, const struct scenario *s,
			const struct turn *turns)
{
	if (turns[0].failed[0])
		return true; /* nothing to compare with */
	for (unsigned m = 1; m < s->nr_modes; m++) {
		if (!turns[m].failed[0] &&
		    compare(opts, s, &turns[m], &turns[0]).spread > BENCH_SPREAD)
			return false;
	}
	return true;
}

/* ---- what it came to --------------------------------------------------------------- */

static double pick(const struct turn *turn, unsigned samples,
		   double (*value)(const struct sample *))
{
	double values[STATS_MAX];

	for (unsigned i = 0; i < samples; i++)
		values[i] = value(&turn->samples[i]);
	return median(values, samples);
}

static double speed(const struct sample *s)
{
	return s->bytes / s->ns;
}

static double cost(const struct sample *s)
{
	return s->cpu_ns / 1000 / (s->bytes / MIB);
}

/* Notifications of what was sent just before a sample are read in it: 100 is the most. */
static double uncopied(const struct sample *s)
{
	double pct = 100 * s->zerocopied / s->bytes;

	return pct > 100 ? 100 : pct;
}

static double mapped(const struct sample *s)
{
	return 100 * s->mapped / s->bytes;
}

static double notes(const struct sample *s)
{
	return s->notes / (s->bytes / MIB);
}

static double enobufs(const struct sample *s)
{
	return s->enobufs;
}

static double p50(const struct sample *s)
{
	return s->p50_ns / 1000;
}

static double p99(const struct sample *s)
{
	return s->p99_ns / 1000;
}

static double p999(const struct sample *s)
{
	return s->p999_ns / 1000;
}

static void fill(struct row *row, const struct bench_opts *opts, const struct turn *turn,
		 const struct turn *first)
{
	unsigned n = opts->samples;

	row->samples = n;
	row->seconds = row->bytes = 0;
	for (unsigned i = 0; i < n; i++) {
		row->seconds += turn->samples[i].ns / 1e9;
		row->bytes += turn->samples[i].bytes;
	}
	row->gbytes_per_s = pick(turn, n, speed);
	row->cpu_us_per_mib = pick(turn, n, cost);
	/* A span that is handed on is over before its notification comes: nobody knows. */
	if (row->scenario.direction != DIR_RELAY)
		row->zerocopied_pct = pick(turn, n, uncopied);
	row->mapped_pct = pick(turn, n, mapped);
	row->notes_per_mib = pick(turn, n, notes);
	row->enobufs = pick(turn, n, enobufs);
	row->p50_us = pick(turn, n, p50);
	row->p99_us = pick(turn, n, p99);
	row->p999_us = pick(turn, n, p999);
	row->syscalls_per_mib = turn->counted.syscalls / (turn->counted.bytes / MIB);
	if (!first->failed[0])
		row->against_first = compare(opts, &row->scenario, turn, first);
	row->settled = row->against_first.spread <= BENCH_SPREAD;
}

/* ---- running it ----------------------------------------------------------------------- */

static int start(const struct run *run, const struct scenario *s, struct turn *turns)
{
	struct endpoints ends;
	struct worker_opts opts;

	endpoints_of(run, s, &ends);
	opts = worker_of(run, s, &ends);
	for (unsigned m = 0; m < s->nr_modes; m++) {
		int r;

		opts.mode = s->modes[m];
		r = worker_start(&turns[m].worker, &opts);
		if (r == 0)
			r = calibrate(&turns[m], s, run->opts->sample_ms);
		if (r < 0)
			drop_out(&turns[m], r);
		if (r == -EINTR)
			return r;
	}
	return 0;
}

static int measure(const struct run *run, const struct scenario *s, struct turn *turns)
{
	const struct bench_opts *opts = run->opts;
	int r = take_turns(opts, turns, s->nr_modes);

	for (unsigned i = 0;
	     r == 0 && i < opts->repeats && !all_settled(opts, s, turns) && !is_late(run); i++)
		r = take_turns(opts, turns, s->nr_modes);
	for (unsigned m = 0; r == 0 && m < s->nr_modes; m++)
		r = sample(opts, &turns[m], true, &turns[m].counted);
	return r;
}

/* Figures, or for each row the reason why there are none. A negative errno ends it all. */
static int run_scenario(const struct run *run, const struct scenario *s, struct row *rows)
{
	struct turn *turns = calloc(s->nr_modes, sizeof(*turns));
	int r;

	if (!turns)
		return -ENOMEM;
	r = start(run, s, turns);
	if (r == 0)
		r = measure(run, s, turns);
	for (unsigned m = 0; m < s->nr_modes; m++) {
		memcpy(rows[m].failed, turns[m].failed, sizeof(rows[m].failed));
		if (r == 0 && !turns[m].failed[0])
			fill(&rows[m], run->opts, &turns[m], &turns[0]);
		worker_stop(&turns[m].worker);
	}
	free(turns);
	return r;
}

/* ---- the plan ------------------------------------------------------------------------------- */

static void name_rows(const struct run *run, const struct scenario *s, struct row *rows)
{
	for (unsigned m = 0; m < s->nr_modes; m++)
		rows[m] = (struct row){ .scenario = *s,
					.mode = s->modes[m],
					.touch = run->opts->touch,
					.area = area_of(run, s),
					.seconds = NAN,
					.bytes = NAN,
					.gbytes_per_s = NAN,
					.cpu_us_per_mib = NAN,
					.syscalls_per_mib = NAN,
					.instructions_per_call = NAN,
					.zerocopied_pct = NAN,
					.mapped_pct = NAN,
					.notes_per_mib = NAN,
					.enobufs = NAN,
					.p50_us = NAN,
					.p99_us = NAN,
					.p999_us = NAN,
					.against_first = { NAN, NAN } };
}

/* -EINTR, or what is known afterwards. */
static int count(const struct run *run, const struct scenario *s, struct row *rows,
		 struct results *out)
{
	int r = out->instructions[0] ? 0 : count_instructions(run, s, rows);

	if (r != -ENOENT)
		return r;
	snprintf(out->instructions, sizeof(out->instructions), "valgrind is not installed");
	return 0;
}

static int run_plan(struct run *run, const struct plan *plan, struct results *out)
{
	const struct bench_opts *opts = run->opts;
	int r = 0;

	for (size_t i = 0; i < plan->nr && r == 0; i++) {
		const struct scenario *s = &plan->scenarios[i];
		struct row *rows = out->rows + out->nr;

		run->share = (double)(i + 1) / (double)plan->nr;
		if (!can_run(run, s))
			continue;
		name_rows(run, s, rows);
		r = run_scenario(run, s, rows);
		if (r < 0)
			break;
		out->nr += s->nr_modes;
		if (opts->instructions)
			r = count(run, s, rows, out);
		if (opts->progress)
			opts->progress(opts->user, rows, s->nr_modes);
	}
	return r;
}

static int fail(char *why, size_t len, const char *text, int r)
{
	snprintf(why, len, "%s", text);
	return r;
}

/* Was there anything? */
static int look_at(const struct results *results, const struct run *run, char *why, size_t len)
{
	for (size_t i = 0; i < results->nr; i++) {
		if (!results->rows[i].failed[0])
			return 0;
	}
	if (results->nr > 0)
		snprintf(why, len, "nothing could be measured: %s", results->rows[0].failed);
	else if (results->lab[0])
		snprintf(why, len, "no lab: %s", results->lab);
	else if (run->opts->peer)
		snprintf(why, len, "the peer is at %s, which is of another family", run->peer_host);
	else
		snprintf(why, len, "this machine has no IPv6");
	return -ENODATA;
}

int bench_run(const struct bench_opts *opts, struct results *out, char *why, size_t len)
{
	struct run run;
	struct plan plan;
	int r;

	*out = (struct results){ 0 };
	if (!plan_make(&plan, &opts->plan))
		return fail(why, len, strerror(ENOMEM), -ENOMEM);
	out->rows = calloc(plan.nr * PLAN_MODES + 1, sizeof(*out->rows));
	if (!out->rows)
		r = fail(why, len, strerror(ENOMEM), -ENOMEM);
	else if (plan.nr == 0)
		r = fail(why, len, "nothing is measured in that combination", -EINVAL);
	else
		r = run_open(&run, opts, &plan, out, why, len);
	if (r == 0) {
		r = run_plan(&run, &plan, out);
		run_close(&run);
		if (r < 0)
			fail(why, len, r == -EINTR ? "stopped" : strerror(-r), r);
		else
			r = look_at(out, &run, why, len);
	}
	plan_free(&plan);
	return r;
}

void bench_free(struct results *results)
{
	free(results->rows);
	*results = (struct results){ 0 };
}
