/* SPDX-License-Identifier: MIT */
/*
 * bars_run.c - measures the bars, scenario by scenario
 *
 * What makes the figures of two runs differ is chance that lasts: which of two that wait for one
 * another got ahead, how deep a processor slept, how large a buffer grew, what memory a process
 * got. So each kind of scenario has a manner that leaves little of that to chance, and most of what
 * is left is shared, as slices are short and take turns.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bars.h"
#include "turns.h"

#define SLICE_MS     12
#define SETS	     3
#define SETS_SAMPLES 9 /* fewer samples than that are too few to be shared */
#define KIB	     1024ull
#define MIB	     (1024 * KIB)

struct bars_run {
	struct run run;
	struct results lab; /* why there is none */
	struct bars_results *out;
	bars_tell *tell;
	size_t told;
	size_t left;	   /* scenarios that have not begun */
	uint64_t begun_ms; /* the one that runs */
	uint64_t first_ms; /* what the scenarios took that ran, without what was measured again */
	size_t nr_first;
};

/* ---- manners ------------------------------------------------------------------------ */

static struct manner stream(const struct bench_opts *opts)
{
	unsigned ms = opts->sample_ms < SLICE_MS ? opts->sample_ms : SLICE_MS;

	return (struct manner){
		.slices = opts->sample_ms / ms,
		.slice_ms = ms,
		.sets = opts->samples < SETS_SAMPLES ? 1 : SETS,
	};
}

/*
 * What memory a worker got makes no difference to those that send, while a policy has a lot to
 * learn. So there is one set, and each mode moves for as long as six samples before the first one.
 */
static void sending(struct manner *m, const struct bench_opts *opts, const struct scenario *s)
{
	m->sets = 0;
	m->learn_ms = 6 * opts->sample_ms * s->nr_modes;
}

/* Held against another one that maps: how much each maps when it woke up is what they differ in. */
static bool is_about_waiting(const struct scenario *s)
{
	return name_index(s->modes, (int)s->nr_modes, "raw-map") >= 0;
}

/*
 * From the lab's source: a slice takes what is there already. The source is slower than all of
 * them: who waits for it would be measured by how it waits.
 */
static void from_source(struct manner *m)
{
	m->slices *= 3; /* they are short */
	m->slice_most = 4 * MIB;
	m->buffer = 8 * MIB;
	m->full = true;
	m->pause_us = 4000;
}

/*
 * Over loopback whoever reads what is there makes room, and the kernel sends on, in the reader's
 * time. So there the source is held back (setup.c), and all of them wait, in the same manner.
 */
static void from_loopback(struct manner *m)
{
	m->buffer = 4 * MIB;
	m->pause_us =
		5000; /* until it is full for each of them: it is moved before the clock starts */
	m->awake = true;
}

static struct manner manner_of(const struct bench_opts *opts, const struct scenario *s)
{
	struct manner m = stream(opts);

	if (s->direction == DIR_TX)
		sending(&m, opts, s);
	else if (s->path == PATH_SOURCE && is_about_waiting(s))
		m.buffer = 8 * MIB;
	else if (s->path == PATH_SOURCE)
		from_source(&m);
	else if (s->direction == DIR_RX)
		from_loopback(&m);
	else
		m.awake = true;
	for (size_t i = 0; i < nr_bars; i++)
		m.counts |= bars[i].measure == BAR_SYSCALLS && bar_is_of(&bars[i], s);
	return m;
}

/* ---- one bar --------------------------------------------------------------------------- */

static sample_value *value_of(const struct bar *bar)
{
	switch (bar->measure) {
	case BAR_THROUGHPUT:
		return sample_gbytes_per_s;
	case BAR_SYSCALLS:
		return sample_syscalls_per_mib;
	case BAR_P50:
		return sample_p50_us;
	default:
		return sample_cpu_us_per_mib;
	}
}

static unsigned mode_index(const struct turns *t, const char *mode)
{
	return (unsigned)name_index(t->s->modes, (int)t->s->nr_modes, mode);
}

/* The first of its modes that failed, or NULL. */
static const char *what_failed(const struct turns *t, const struct bar *bar)
{
	const char *const modes[] = { bar->mode, bar->against[0], bar->against[1] };

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]) && modes[i]; i++) {
		if (t->turn[mode_index(t, modes[i])].failed[0])
			return modes[i];
	}
	return NULL;
}

static unsigned values_of(const struct turns *t, const struct bar *bar, const char *mode,
			  double *out)
{
	unsigned m = mode_index(t, mode);

	if (bar->measure == BAR_SYSCALLS)
		return turns_counted(t, m, value_of(bar), out);
	turns_values(t, m, value_of(bar), out);
	return t->run->opts->samples;
}

static struct ratio figure_of(const struct turns *t, const struct bar *bar, unsigned *best_out)
{
	double mode[STATS_MAX], against[BAR_AGAINST][STATS_MAX];
	const double *pointers[BAR_AGAINST];
	unsigned n = values_of(t, bar, bar->mode, mode), nr = 0;

	for (; nr < BAR_AGAINST && bar->against[nr]; nr++) {
		values_of(t, bar, bar->against[nr], against[nr]);
		pointers[nr] = against[nr];
	}
	return bar_ratio(mode, pointers, nr, n, best_out);
}

static void put_note(struct bar_result *result, const struct turns *t, unsigned best)
{
	const struct bar *bar = result->bar;

	if (bar->against[1])
		snprintf(result->note, sizeof(result->note), "against %s", bar->against[best]);
	if (bar->measure == BAR_P50) {
		struct ratio p99 = turns_ratio(t, mode_index(t, bar->mode),
					       mode_index(t, bar->against[0]), sample_p99_us);

		snprintf(result->note, sizeof(result->note), "p99: %.3f +-%.1f%%", p99.middle,
			 100 * p99.spread);
	}
}

static void judge(struct bar_result *result)
{
	result->known = true;
	result->verdict = bar_verdict(result->bar, result->figure);
	if (result->verdict != BAR_CANNOT_TELL || result->why[0])
		return;
	if (isfinite(result->figure.middle))
		snprintf(result->why, sizeof(result->why), "the spread stayed above %.0f %%",
			 100 * BENCH_SPREAD);
	else
		snprintf(result->why, sizeof(result->why), "system calls cannot be counted here");
}

static void judge_ratio(struct bar_result *result, const struct turns *t)
{
	const char *failed = what_failed(t, result->bar);
	unsigned best;

	if (failed) {
		snprintf(result->why, sizeof(result->why), "%s: %s", failed,
			 t->turn[mode_index(t, failed)].failed);
	} else {
		result->figure = figure_of(t, result->bar, &best);
		put_note(result, t, best);
	}
	judge(result);
}

/* In runs of their own, of the one mode. -EINTR: asked to stop. */
static int judge_instructions(struct bars_run *b, struct bar_result *result, const struct turns *t)
{
	struct scenario one = *t->s;
	struct row row = { .instructions_per_call = NAN };
	int r;

	one.nr_modes = 1;
	one.modes[0] = result->bar->mode;
	r = count_instructions(&b->run, &one, &row);
	if (r == -EINTR)
		return r;
	result->figure.middle = row.instructions_per_call;
	if (!isfinite(result->figure.middle))
		snprintf(result->why, sizeof(result->why), "%s",
			 r == -ENOENT ? "valgrind is not installed" : "valgrind could not run it");
	judge(result);
	return 0;
}

/* ---- one scenario -------------------------------------------------------------------- */

static bool all_settled(const struct turns *t)
{
	unsigned best;

	for (size_t i = 0; i < nr_bars; i++) {
		if (bar_is_of(&bars[i], t->s) && bar_is_ratio(&bars[i]) &&
		    !what_failed(t, &bars[i]) &&
		    figure_of(t, &bars[i], &best).spread > BENCH_SPREAD)
			return false;
	}
	return true;
}

/* Whether there would be too little time for those that have not begun. */
static bool has_to_go_on(const struct bars_run *b)
{
	uint64_t now = run_now_ms(), rest = b->left * b->first_ms / b->nr_first;

	return now - b->run.started_ms + rest > b->run.opts->patience_ms;
}

static int measure(struct bars_run *b, struct turns *t)
{
	int r = turns_take(t);

	b->first_ms += run_now_ms() - b->begun_ms;
	b->nr_first++;
	for (unsigned i = 0; r == 0 && i < b->run.opts->repeats && !all_settled(t); i++) {
		if (has_to_go_on(b))
			break;
		r = turns_take(t);
	}
	return r;
}

/* Moves it, rather than copy it. */
static int keep_explained(struct bars_results *out, struct turns *t)
{
	for (unsigned m = 0; m < t->s->nr_modes; m++) {
		struct explained *more;

		if (!t->turn[m].explained)
			continue;
		more = realloc(out->explained, (out->nr_explained + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		out->explained = more;
		more[out->nr_explained++] = (struct explained){ *t->s, t->turn[m].explained };
		t->turn[m].explained = NULL;
	}
	return 0;
}

static int judge_all(struct bars_run *b, struct turns *t)
{
	int r = keep_explained(b->out, t);

	for (size_t i = 0; i < nr_bars && r == 0; i++) {
		if (!bar_is_of(&bars[i], t->s))
			continue;
		if (bar_is_ratio(&bars[i]))
			judge_ratio(&b->out->bars[i], t);
		else
			r = judge_instructions(b, &b->out->bars[i], t);
	}
	return r;
}

static void cannot_run(struct bars_run *b, const struct scenario *s)
{
	for (size_t i = 0; i < nr_bars; i++) {
		struct bar_result *result = &b->out->bars[i];

		if (!bar_is_of(&bars[i], s))
			continue;
		snprintf(result->why, sizeof(result->why), "no lab: %s", b->lab.lab);
		judge(result);
	}
}

static int run_scenario(struct bars_run *b, const struct scenario *s)
{
	struct manner manner = manner_of(b->run.opts, s);
	struct turns *t = malloc(sizeof(*t));
	int r = t ? turns_open(t, &b->run, s, &manner) : -ENOMEM;

	if (r == 0) {
		r = measure(b, t);
		if (r == 0)
			r = judge_all(b, t);
		turns_close(t);
	}
	free(t);
	return r;
}

/* ---- all of them ------------------------------------------------------------------------ */

static void judge_memory(struct bars_run *b)
{
	for (size_t i = 0; i < nr_bars; i++) {
		struct bar_result *result = &b->out->bars[i];

		if (bars[i].measure != BAR_MEMORY)
			continue;
		idle_measure(&result->figure.middle, result->why, sizeof(result->why));
		judge(result);
	}
}

static void tell(struct bars_run *b)
{
	for (; b->tell && b->told < nr_bars && b->out->bars[b->told].known; b->told++)
		b->tell(&b->out->bars[b->told]);
}

static int run_plan(struct bars_run *b, const struct plan *plan)
{
	int r = 0;

	for (size_t i = 0; i < plan->nr && r == 0; i++) {
		b->left = plan->nr - i - 1;
		b->begun_ms = run_now_ms();
		if (can_run(&b->run, &plan->scenarios[i]))
			r = run_scenario(b, &plan->scenarios[i]);
		else
			cannot_run(b, &plan->scenarios[i]);
		tell(b);
	}
	if (r == 0)
		judge_memory(b);
	tell(b);
	return r;
}

static bool make_results(struct bars_results *out)
{
	*out = (struct bars_results){ .bars = calloc(nr_bars, sizeof(*out->bars)) };
	for (size_t i = 0; out->bars && i < nr_bars; i++)
		out->bars[i] = (struct bar_result){ .bar = &bars[i], .figure = { NAN, NAN } };
	return out->bars;
}

int bars_run(const struct bench_opts *opts, bars_tell *tell, struct bars_results *out, char *why,
	     size_t len)
{
	struct bars_run b = { .out = out, .tell = tell };
	struct plan plan = { 0 };
	int r = make_results(out) && bars_plan(&plan) ? 0 : -ENOMEM;

	snprintf(why, len, "%s", strerror(-r));
	if (r == 0)
		r = run_open(&b.run, opts, &plan, &b.lab, why, len);
	if (r == 0) {
		r = run_plan(&b, &plan);
		run_close(&b.run);
		snprintf(why, len, "%s", r == -EINTR ? "stopped" : strerror(-r));
	}
	plan_free(&plan);
	return r;
}

void bars_free(struct bars_results *results)
{
	for (size_t i = 0; i < results->nr_explained; i++)
		free(results->explained[i].text);
	free(results->explained);
	free(results->bars);
	*results = (struct bars_results){ 0 };
}
