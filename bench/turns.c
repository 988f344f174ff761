/* SPDX-License-Identifier: MIT */
#include "turns.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIRST_BYTES  (4 << 20) /* of the first try */
#define TRIES	     10	       /* until a slice takes as long as it should */
#define MIB	     (1024.0 * 1024)
#define EXPLAIN_MOST 4096

/* ---- samples ------------------------------------------------------------------------ */

void sample_add(struct sample *sum, const struct sample *more)
{
	double *a = (double *)sum;
	const double *b = (const double *)more;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*a); i++)
		a[i] += b[i];
}

double sample_cpu_us_per_mib(const struct sample *s)
{
	return s->cpu_ns / 1000 / (s->bytes / MIB);
}

double sample_gbytes_per_s(const struct sample *s)
{
	return s->bytes / s->ns;
}

double sample_p50_us(const struct sample *s)
{
	return s->p50_ns / s->parts / 1000;
}

double sample_p99_us(const struct sample *s)
{
	return s->p99_ns / s->parts / 1000;
}

double sample_p999_us(const struct sample *s)
{
	return s->p999_ns / s->parts / 1000;
}

double sample_syscalls_per_mib(const struct sample *s)
{
	return s->syscalls / (s->bytes / MIB);
}

/* ---- one slice ------------------------------------------------------------------------- */

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

static void pause_us(unsigned us)
{
	struct timespec t = { .tv_nsec = us * 1000L };

	if (us)
		nanosleep(&t, NULL);
}

/* One that fails takes no more turns; the others go on. -EINTR: asked to stop. */
static int slice(const struct turns *t, struct turn *turn, bool count, struct sample *sum)
{
	const struct bench_opts *opts = t->run->opts;
	struct sample one;
	int r;

	if (!turn->failed[0]) {
		pause_us(t->manner->pause_us);
		r = worker_sample(&turn->worker, count, turn->bytes, &one);
		if (r < 0)
			drop_out(turn, r);
		else
			sample_add(sum, &one);
	}
	return opts->stop && opts->stop() ? -EINTR : 0;
}

/* In an order that is drawn: whoever always follows the same one always finds its traces. */
static int round_of_slices(struct turns *t, bool count, struct sample *sums)
{
	unsigned order[PLAN_MODES] = { 0 }, nr = t->s->nr_modes;
	int r = 0;

	for (unsigned i = 0; i < nr; i++) {
		unsigned j;

		t->draw = t->draw * 6364136223846793005u + 1442695040888963407u;
		j = (unsigned)(t->draw >> 33) % (i + 1);
		order[i] = order[j];
		order[j] = i;
	}
	for (unsigned i = 0; i < nr && r == 0; i++)
		r = slice(t, &t->turn[order[i]], count, &sums[order[i]]);
	return r;
}

/* ---- a set of workers ------------------------------------------------------------------- */

/* Also the warm-up: memory, caches and windows. What the set before found out is kept. */
static int calibrate(const struct turns *t, struct turn *turn)
{
	const struct manner *m = t->manner;
	unsigned tries = turn->bytes ? 1 : TRIES;
	double target = m->slice_ms * 1e6;
	int r = 0;

	if (!turn->bytes)
		turn->bytes = whole_calls(t->s, t->s->direction == DIR_PINGPONG ? 0 : FIRST_BYTES);
	for (unsigned i = 0; i < tries; i++) {
		struct sample sample;
		double more;

		r = worker_sample(&turn->worker, false, turn->bytes, &sample);
		if (r < 0 || tries == 1)
			break;
		more = target / (sample.ns > 1000 ? sample.ns : 1000);
		turn->bytes = whole_calls(t->s, (double)turn->bytes * (more > 16 ? 16 : more));
		if (more < 2 && (more > 0.5 || turn->bytes == t->s->size))
			break;
	}
	if (m->slice_most && turn->bytes > m->slice_most)
		turn->bytes = whole_calls(t->s, (double)m->slice_most - 1);
	return r;
}

static int start(struct turns *t)
{
	const struct manner *m = t->manner;
	struct endpoints ends;
	struct worker_opts opts;

	endpoints_of(t->run, t->s, &ends);
	opts = worker_of(t->run, t->s, &ends);
	if (m->buffer) {
		opts.buffer = m->buffer;
		opts.warm = m->full ? 0 : m->buffer;
	}
	for (unsigned i = 0; i < t->s->nr_modes; i++) {
		struct turn *turn = &t->turn[i];
		int r;

		if (turn->failed[0])
			continue;
		opts.mode = t->s->modes[i];
		r = worker_start(&turn->worker, &opts);
		if (r == 0)
			r = calibrate(t, turn);
		if (r < 0)
			drop_out(turn, r);
		if (r == -EINTR)
			return r;
	}
	return 0;
}

/* What a policy tries out in its first second is not what it does. */
static int learn(struct turns *t)
{
	struct sample dropped[PLAN_MODES] = { 0 };
	uint64_t until = run_now_ms() + t->manner->learn_ms;
	int r = 0;

	while (r == 0 && run_now_ms() < until)
		r = round_of_slices(t, false, dropped);
	return r;
}

static int count(struct turns *t)
{
	struct sample sums[PLAN_MODES] = { 0 };
	int r = round_of_slices(t, true, sums);

	for (unsigned i = 0; i < t->s->nr_modes; i++)
		t->turn[i].counted[t->nr_counted] = sums[i];
	t->nr_counted++;
	return r;
}

static int sample(struct turns *t)
{
	struct sample sums[PLAN_MODES] = { 0 };
	int r = 0;

	for (unsigned i = 0; i < t->manner->slices && r == 0; i++)
		r = round_of_slices(t, false, sums);
	for (unsigned i = 0; i < t->s->nr_modes; i++)
		t->turn[i].samples[t->nr] = sums[i];
	t->nr++;
	return r == 0 && t->manner->counts ? count(t) : r;
}

static void explain(const struct turns *t, struct turn *turn, const char *mode)
{
	char text[EXPLAIN_MOST];

	if (!t->run->opts->explain || turn->failed[0] || strcmp(mode, "adaptive") != 0 ||
	    worker_explain(&turn->worker, text, sizeof(text)) < 0)
		return;
	free(turn->explained);
	turn->explained = text[0] ? strdup(text) : NULL;
}

static void stop(struct turns *t)
{
	for (unsigned i = 0; i < t->s->nr_modes; i++)
		worker_stop(&t->turn[i].worker);
	t->started = false;
}

static int take_set(struct turns *t, unsigned nr)
{
	int r = 0;

	if (!t->started) {
		t->started = true;
		r = start(t);
		if (r == 0)
			r = learn(t);
	}
	for (unsigned i = 0; i < nr && r == 0; i++)
		r = sample(t);
	if (r == 0 && !t->manner->counts)
		r = count(t);
	for (unsigned i = 0; i < t->s->nr_modes && r == 0; i++)
		explain(t, &t->turn[i], t->s->modes[i]);
	if (t->manner->sets)
		stop(t);
	return r;
}

/* ---- all of it ------------------------------------------------------------------------------ */

int turns_open(struct turns *t, const struct run *run, const struct scenario *s,
	       const struct manner *manner)
{
	size_t most = (size_t)run->opts->samples * (run->opts->repeats + 1);

	*t = (struct turns){ .run = run, .s = s, .manner = manner };
	for (unsigned i = 0; i < s->nr_modes; i++) {
		struct turn *turn = &t->turn[i];

		turn->worker.pid = -1;
		turn->samples = calloc(most, sizeof(*turn->samples));
		turn->counted = calloc(most, sizeof(*turn->counted));
		if (!turn->samples || !turn->counted) {
			turns_close(t);
			return -ENOMEM;
		}
	}
	return 0;
}

int turns_take(struct turns *t)
{
	unsigned nr = t->run->opts->samples, sets = t->manner->sets ? t->manner->sets : 1;
	struct awake awake;
	int r = 0;

	if (t->manner->awake)
		awake_start(&awake, t->run->cpu, t->run->far_cpu);
	for (unsigned i = 0; i < sets && r == 0; i++)
		r = take_set(t, nr * (i + 1) / sets - nr * i / sets);
	if (t->manner->awake)
		awake_stop(&awake);
	return r;
}

void turns_close(struct turns *t)
{
	stop(t);
	for (unsigned i = 0; i < t->s->nr_modes; i++) {
		free(t->turn[i].samples);
		free(t->turn[i].counted);
		free(t->turn[i].explained);
	}
}

/* ---- what it came to ----------------------------------------------------------------------- */

static struct sample sum_of(const struct sample *samples, unsigned nr)
{
	struct sample sum = samples[0];

	for (unsigned i = 1; i < nr; i++)
		sample_add(&sum, &samples[i]);
	return sum;
}

void turns_values(const struct turns *t, unsigned mode, sample_value *value, double *out)
{
	unsigned pairs = t->run->opts->samples, each = t->nr / pairs;

	for (unsigned i = 0; i < pairs; i++) {
		struct sample sum = sum_of(&t->turn[mode].samples[i * each], each);

		out[i] = value(&sum);
	}
}

unsigned turns_counted(const struct turns *t, unsigned mode, sample_value *value, double *out)
{
	unsigned nr = t->nr_counted < STATS_MAX ? t->nr_counted : STATS_MAX;

	for (unsigned i = 0; i < nr; i++)
		out[i] = value(&t->turn[mode].counted[i]);
	return nr;
}

struct ratio turns_ratio(const struct turns *t, unsigned mode, unsigned against,
			 sample_value *value)
{
	double a[STATS_MAX], b[STATS_MAX];

	turns_values(t, mode, value, a);
	turns_values(t, against, value, b);
	return ratio_of_pairs(a, b, t->run->opts->samples);
}

struct sample turns_sum(const struct turns *t, unsigned mode)
{
	return sum_of(t->turn[mode].samples, t->nr);
}
