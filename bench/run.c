/* SPDX-License-Identifier: MIT */
/*
 * run.c - measures a plan, scenario by scenario; how the modes of one take turns is in turns.c
 *
 * Each is held against the first one of its own round. Machines differ from one minute to the next
 * by more than what is looked for: only such pairs count.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "lab/lab.h"
#include "turns.h"

#define MIB (1024.0 * 1024)

/* ---- what it came to --------------------------------------------------------------- */

/* What a mode costs, for comparing. */
static sample_value *cost_of(const struct scenario *s)
{
	return s->direction == DIR_PINGPONG ? sample_p50_us : sample_cpu_us_per_mib;
}

static bool all_settled(const struct turns *t)
{
	if (t->turn[0].failed[0])
		return true; /* nothing to compare with */
	for (unsigned m = 1; m < t->s->nr_modes; m++) {
		if (!t->turn[m].failed[0] &&
		    turns_ratio(t, m, 0, cost_of(t->s)).spread > BENCH_SPREAD)
			return false;
	}
	return true;
}

static double pick(const struct turns *t, unsigned mode, sample_value *value)
{
	double values[STATS_MAX];

	turns_values(t, mode, value, values);
	return median(values, t->run->opts->samples);
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
	return s->enobufs / s->parts;
}

static void fill(struct row *row, struct turns *t, unsigned m)
{
	struct sample sum = turns_sum(t, m);
	double counted[STATS_MAX];

	row->samples = t->run->opts->samples;
	row->seconds = sum.ns / 1e9;
	row->bytes = sum.bytes;
	row->gbytes_per_s = pick(t, m, sample_gbytes_per_s);
	row->cpu_us_per_mib = pick(t, m, sample_cpu_us_per_mib);
	/* A span that is handed on is over before its notification comes: nobody knows. */
	if (row->scenario.direction != DIR_RELAY)
		row->zerocopied_pct = pick(t, m, uncopied);
	row->mapped_pct = pick(t, m, mapped);
	row->notes_per_mib = pick(t, m, notes);
	row->enobufs = pick(t, m, enobufs);
	row->p50_us = pick(t, m, sample_p50_us);
	row->p99_us = pick(t, m, sample_p99_us);
	row->p999_us = pick(t, m, sample_p999_us);
	row->syscalls_per_mib =
		median(counted, turns_counted(t, m, sample_syscalls_per_mib, counted));
	if (!t->turn[0].failed[0])
		row->against_first = turns_ratio(t, m, 0, cost_of(t->s));
	row->settled = row->against_first.spread <= BENCH_SPREAD;
	row->explained = t->turn[m].explained;
	t->turn[m].explained = NULL;
}

/* ---- running it ----------------------------------------------------------------------- */

static int measure(const struct run *run, struct turns *t)
{
	int r = turns_take(t);

	for (unsigned i = 0; r == 0 && i < run->opts->repeats && !all_settled(t) && !is_late(run);
	     i++)
		r = turns_take(t);
	return r;
}

/* Figures, or for each row the reason why there are none. A negative errno ends it all. */
static int run_scenario(const struct run *run, const struct scenario *s, struct row *rows)
{
	const struct manner plain = { .slices = 1, .slice_ms = run->opts->sample_ms };
	struct turns *t = malloc(sizeof(*t));
	int r = t ? turns_open(t, run, s, &plain) : -ENOMEM;

	if (r < 0) {
		free(t);
		return r;
	}
	r = measure(run, t);
	for (unsigned m = 0; m < s->nr_modes; m++) {
		memcpy(rows[m].failed, t->turn[m].failed, sizeof(rows[m].failed));
		if (r == 0 && !rows[m].failed[0])
			fill(&rows[m], t, m);
	}
	turns_close(t);
	free(t);
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
	for (size_t i = 0; i < results->nr; i++)
		free(results->rows[i].explained);
	free(results->rows);
	*results = (struct results){ 0 };
}
