/* SPDX-License-Identifier: MIT */
/*
 * A promise is one behaviour of the kernel that zcsock leans on, with a sentence, the place where
 * it is defined, and a function that shows it live.
 *
 * run() is called in a forked child, in a network namespace of its own where that is allowed, and
 * the child ends when run() returns: it may leave descriptors, mappings and limits behind. It
 * must not touch anything that outlives the child. Whatever is missing for a demonstration
 * (rights, devices, memory) makes the verdict "cannot tell", never "broken".
 */
#ifndef ZCS_PROMISE_H
#define ZCS_PROMISE_H

#include <stdbool.h>
#include <stddef.h>

enum promise_verdict {
	PROMISE_HOLDS,
	PROMISE_BROKEN,
	PROMISE_CANNOT_TELL,
};

#define PROMISE_KERNEL(major, minor) ((major)*1000 + (minor))
#define PROMISE_WHY_LEN		     160   /* room for the reason of a verdict */
#define PROMISE_LIMIT_MS	     10000 /* a promise that takes longer is given up */

struct promise {
	const char *id;	       /* the name of its file */
	const char *sentence;  /* what is promised */
	const char *source;    /* man page, kernel document or kernel source file and function */
	const char *otherwise; /* what the library does where it is broken */
	int since;	       /* PROMISE_KERNEL of the first kernel that keeps it; 0: every one */
	int until;	       /* ... and of the last one that is known to; 0: it still holds */
	enum promise_verdict (*run)(char *why, size_t len); /* why: set unless it holds */
};

struct promise_result {
	enum promise_verdict verdict;
	char why[PROMISE_WHY_LEN]; /* empty when the promise holds */
};

/* Every promise, in the order of the document; the last entry is NULL. */
extern const struct promise *const promise_table[];

/* Runs one promise in a child of its own. Never fails: what goes wrong is in the result. */
void promise_run(const struct promise *p, struct promise_result *res_out);

/* Whether it is no news that this kernel (of the release, as uname says it) breaks it. */
bool promise_is_known_broken(const struct promise *p, const char *release);

/* "holds", "broken" or "cannot tell" */
const char *promise_verdict_name(enum promise_verdict v);

#endif
