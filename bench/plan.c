/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#define KIB 1024ull
#define MIB (1024 * KIB)

#define UDP_MOST 65507 /* no call of UDP takes more */

const char *const direction_names[NR_DIRECTIONS] = { "tx", "rx", "pingpong", "relay" };
const char *const path_names[NR_PATHS] = { "loopback", "sink", "source", "both", "peer" };
const char *const family_names[NR_FAMILIES] = { "tcp4", "tcp6", "udp4", "udp6" };

int name_index(const char *const *names, int n, const char *name)
{
	for (int i = 0; i < n; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return -1;
}

#define BIT(n) (1u << (n))
#define TCP    (BIT(FAMILY_TCP4) | BIT(FAMILY_TCP6))
#define UDP    (BIT(FAMILY_UDP4) | BIT(FAMILY_UDP6))

/* Everything that there is. Modes: the library's, then the raw programs. */
static const struct group {
	enum direction direction;
	unsigned paths, families;
	uint64_t sizes[PLAN_SIZES];
	const char *modes[PLAN_MODES];
} all[] = {
	{
		DIR_TX,
		BIT(PATH_SINK) | BIT(PATH_LOOPBACK) | BIT(PATH_PEER),
		TCP,
		{ 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB },
		{ "copy", "zerocopy", "adaptive", "uring", "raw-send", "raw-msgzc", "raw-uring",
		  "raw-sendfile" },
	},
	{
		DIR_TX,
		BIT(PATH_SINK) | BIT(PATH_LOOPBACK),
		UDP,
		{ 1400, 14000, 57600 },
		{ "copy", "zerocopy", "adaptive", "raw-udp", "raw-udp-msgzc" },
	},
	{
		DIR_RX,
		BIT(PATH_SOURCE) | BIT(PATH_LOOPBACK) | BIT(PATH_PEER),
		TCP,
		{ 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 2 * MIB },
		{ "copy", "zerocopy", "adaptive", "raw-recv", "raw-fresh", "raw-map", "raw-trunc" },
	},
	{
		DIR_PINGPONG,
		BIT(PATH_LOOPBACK) | BIT(PATH_PEER),
		TCP,
		{ 64, 4 * KIB, 64 * KIB },
		{ "raw-epoll", "copy", "zerocopy", "adaptive" },
	},
	{
		DIR_RELAY,
		BIT(PATH_BOTH),
		TCP,
		{ 256 * KIB },
		{ "raw-relay", "raw-splice", "copy", "zerocopy", "adaptive" },
	},
};

/* The tour: what fits into a minute, and answers the question that people come with. */
static const struct group tour[] = {
	{ DIR_TX,
	  BIT(PATH_SINK),
	  BIT(FAMILY_TCP4),
	  { 4 * KIB, 16 * KIB, 64 * KIB, MIB },
	  { "copy", "zerocopy", "adaptive" } },
	{ DIR_TX,
	  BIT(PATH_LOOPBACK),
	  BIT(FAMILY_TCP4),
	  { 4 * KIB, 64 * KIB, MIB },
	  { "copy", "zerocopy", "adaptive" } },
	{ DIR_RX,
	  BIT(PATH_SOURCE),
	  BIT(FAMILY_TCP4),
	  { 64 * KIB, MIB },
	  { "copy", "zerocopy", "adaptive", "raw-fresh" } },
	{ DIR_PINGPONG, BIT(PATH_LOOPBACK), BIT(FAMILY_TCP4), { 64 }, { "raw-epoll", "adaptive" } },
};

static const struct group peer_tour[] = {
	{ DIR_TX,
	  BIT(PATH_PEER),
	  TCP,
	  { 4 * KIB, 16 * KIB, 64 * KIB, MIB },
	  { "copy", "zerocopy", "adaptive" } },
	{ DIR_RX, BIT(PATH_PEER), TCP, { 64 * KIB, MIB }, { "copy", "zerocopy", "adaptive" } },
	{ DIR_PINGPONG, BIT(PATH_PEER), TCP, { 64 }, { "raw-epoll", "adaptive" } },
};

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

bool plan_knows_mode(const char *mode)
{
	for (size_t i = 0; i < LENGTH(all); i++) {
		for (unsigned m = 0; m < PLAN_MODES && all[i].modes[m]; m++) {
			if (strcmp(all[i].modes[m], mode) == 0)
				return true;
		}
	}
	return false;
}

static bool add(struct plan *plan, const struct scenario *scenario)
{
	struct scenario *more = realloc(plan->scenarios, (plan->nr + 1) * sizeof(*more));

	if (!more)
		return false;
	plan->scenarios = more;
	more[plan->nr++] = *scenario;
	return true;
}

static bool group_has(const struct group *group, const char *mode)
{
	for (unsigned i = 0; i < PLAN_MODES && group->modes[i]; i++) {
		if (strcmp(group->modes[i], mode) == 0)
			return true;
	}
	return false;
}

/* Your modes in your order, so that you choose what the others are compared with. */
static void choose_modes(struct scenario *s, const struct group *group,
			 const struct plan_opts *opts)
{
	unsigned nr = opts->nr_modes ? opts->nr_modes : PLAN_MODES;
	const char *const *modes = opts->nr_modes ? opts->modes : group->modes;

	s->nr_modes = 0;
	for (unsigned i = 0; i < nr && modes[i]; i++) {
		if (group_has(group, modes[i]))
			s->modes[s->nr_modes++] = modes[i];
	}
}

static bool add_sizes(struct plan *plan, const struct group *group, const struct plan_opts *opts,
		      struct scenario *s)
{
	const uint64_t *sizes = opts->nr_sizes ? opts->sizes : group->sizes;
	unsigned nr = opts->nr_sizes ? opts->nr_sizes : PLAN_SIZES;
	bool udp = s->family == FAMILY_UDP4 || s->family == FAMILY_UDP6;

	for (unsigned i = 0; i < nr && sizes[i]; i++) {
		if (udp && sizes[i] > UDP_MOST)
			continue;
		s->size = sizes[i];
		if (!add(plan, s))
			return false;
	}
	return true;
}

static bool add_group(struct plan *plan, const struct group *group, const struct plan_opts *opts)
{
	unsigned paths = group->paths & (opts->peer ? BIT(PATH_PEER) : ~BIT(PATH_PEER));
	struct scenario s = { .direction = group->direction };

	if (opts->directions && !(opts->directions & BIT(group->direction)))
		return true;
	if (opts->paths)
		paths &= opts->paths;
	choose_modes(&s, group, opts);
	for (int path = 0; s.nr_modes > 0 && path < NR_PATHS; path++) {
		for (int family = 0; family < NR_FAMILIES; family++) {
			if (!(paths & BIT(path)) || !(group->families & BIT(family)) ||
			    (opts->families && !(opts->families & BIT(family))))
				continue;
			s.path = (enum path)path;
			s.family = (enum family)family;
			if (!add_sizes(plan, group, opts, &s))
				return false;
		}
	}
	return true;
}

bool plan_make(struct plan *plan, const struct plan_opts *opts)
{
	bool chosen = opts->directions || opts->paths || opts->families || opts->nr_sizes ||
		      opts->nr_modes;
	const struct group *groups = opts->peer ? peer_tour : tour;
	size_t nr = opts->peer ? LENGTH(peer_tour) : LENGTH(tour);

	*plan = (struct plan){ 0 };
	if (opts->full || chosen) {
		groups = all;
		nr = LENGTH(all);
	}
	for (size_t i = 0; i < nr; i++) {
		if (!add_group(plan, &groups[i], opts)) {
			plan_free(plan);
			return false;
		}
	}
	return true;
}

void plan_free(struct plan *plan)
{
	free(plan->scenarios);
	*plan = (struct plan){ 0 };
}

bool plan_needs_lab(const struct plan *plan)
{
	for (size_t i = 0; i < plan->nr; i++) {
		if (plan->scenarios[i].path != PATH_LOOPBACK &&
		    plan->scenarios[i].path != PATH_PEER)
			return true;
	}
	return false;
}
