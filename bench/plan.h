/* SPDX-License-Identifier: MIT */
/* plan.h - what is measured: scenarios, each with the modes that are held against one another */
#ifndef ZCSOCK_BENCH_PLAN_H
#define ZCSOCK_BENCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_MODES 12
#define PLAN_SIZES 16

enum direction { DIR_TX, DIR_RX, DIR_PINGPONG, DIR_RELAY, NR_DIRECTIONS };
enum path {
	PATH_LOOPBACK, /* a kernel socket on this machine */
	PATH_SINK,     /* the lab's */
	PATH_SOURCE,   /* the lab's */
	PATH_BOTH,     /* from the lab's source to its sink */
	PATH_PEER,     /* another machine */
	NR_PATHS
};
enum family { FAMILY_TCP4, FAMILY_TCP6, FAMILY_UDP4, FAMILY_UDP6, NR_FAMILIES };

extern const char *const direction_names[NR_DIRECTIONS];
extern const char *const path_names[NR_PATHS];
extern const char *const family_names[NR_FAMILIES];

/* The index of a name in a table of n; -1: it is not there. */
int name_index(const char *const *names, int n, const char *name);

struct scenario {
	enum direction direction;
	enum path path;
	enum family family;
	uint64_t size; /* bytes per call, or per message of a ping-pong */
	bool touch;    /* those that receive read every cache line */
	unsigned nr_modes;
	const char *modes[PLAN_MODES]; /* the first is the one that the others are compared with */
};

/* What you asked for; an empty choice is everything. */
struct plan_opts {
	bool full;
	bool peer;			      /* PATH_PEER, and nothing else */
	unsigned directions, paths, families; /* sets of bits, 1 << DIR_TX ... */
	unsigned nr_sizes, nr_modes;
	uint64_t sizes[PLAN_SIZES];
	const char *modes[PLAN_MODES];
};

struct plan {
	size_t nr;
	struct scenario *scenarios;
};

/* false: no memory. An empty plan is one too. */
bool plan_make(struct plan *plan, const struct plan_opts *opts);
void plan_free(struct plan *plan);
bool plan_needs_lab(const struct plan *plan);
bool plan_knows_mode(const char *mode);

#endif
