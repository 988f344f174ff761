/* SPDX-License-Identifier: MIT */
/*
 * turns.h - the modes of a scenario take turns, and what each did is kept beside what the others
 * did at that time
 *
 * A sample is the sum of one or more slices. Between two slices of a mode each other one has its
 * turn, so that what slows the machine down slows all of them; the samples of one number are a
 * pair. What is measured again is added: as many pairs as before, each of them longer. To throw
 * away what was noisy until something is quiet would be to choose.
 */
#ifndef ZCSOCK_BENCH_TURNS_H
#define ZCSOCK_BENCH_TURNS_H

#include "run.h"

/* How the samples of a scenario are taken. */
struct manner {
	unsigned slices;     /* of each sample */
	unsigned slice_ms;   /* how long one should take */
	uint64_t slice_most; /* bytes of one; 0: no limit */
	unsigned sets;	     /* of workers that share the samples; 0: one set for ever */
	unsigned learn_ms;   /* turns before the first sample of a set: a policy has to learn */
	unsigned pause_us;   /* before each slice: whoever sends fills the receiver's buffer */
	uint64_t buffer;     /* bytes of a receiver's socket; 0: the kernel's choice */
	bool full;   /* a slice begins with that buffer full, and takes no more than it has */
	bool counts; /* system calls beside each sample; else once for each set */
	bool awake;  /* the processors do not sleep while nobody runs */
};

struct turn { /* of one mode */
	struct worker worker;
	uint64_t bytes;		/* of a slice */
	struct sample *samples; /* the order is that of time */
	struct sample *counted; /* with system calls; its times are worth little */
	char *explained;	/* by its last worker; NULL: nobody asked, or it has no words */
	char failed[256];	/* why it does not take part; empty: it does */
};

struct turns {
	const struct run *run;
	const struct scenario *s;
	const struct manner *manner;
	unsigned nr, nr_counted; /* samples that each mode has */
	bool started;		 /* there is a set of workers */
	uint64_t draw;		 /* for the order in which the modes have their turn */
	struct turn turn[PLAN_MODES];
};

typedef double sample_value(const struct sample *s);

sample_value sample_cpu_us_per_mib, sample_gbytes_per_s, sample_p50_us, sample_p99_us,
	sample_p999_us, sample_syscalls_per_mib;
/* Adds `more` to `sum`; what one of them does not have the sum does not have. */
void sample_add(struct sample *sum, const struct sample *more);

/* -ENOMEM. */
int turns_open(struct turns *t, const struct run *run, const struct scenario *s,
	       const struct manner *manner);
/*
 * opts->samples more of each mode; at most opts->repeats + 1 times. One that fails takes no more
 * turns, and the others go on. -EINTR: asked to stop.
 */
int turns_take(struct turns *t);
void turns_close(struct turns *t);

/* One value for each pair: opts->samples of them. */
void turns_values(const struct turns *t, unsigned mode, sample_value *value, double *out);
/* The same of what was counted; how many there are. */
unsigned turns_counted(const struct turns *t, unsigned mode, sample_value *value, double *out);
struct ratio turns_ratio(const struct turns *t, unsigned mode, unsigned against,
			 sample_value *value);
/* Everything that it did. */
struct sample turns_sum(const struct turns *t, unsigned mode);

#endif
