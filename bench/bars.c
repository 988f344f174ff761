/* SPDX-License-Identifier: MIT */
/* bars.c - the bars; a line more in this table is measured and told of like the others */
#include "bars.h"

#include <stdlib.h>
#include <string.h>

#define KIB 1024ull
#define MIB (1024 * KIB)

#define SINK(size)   DIR_TX, PATH_SINK, size
#define TX_LO(size)  DIR_TX, PATH_LOOPBACK, size
#define SOURCE(size) DIR_RX, PATH_SOURCE, size
#define RX_LO(size)  DIR_RX, PATH_LOOPBACK, size
#define PING(size)   DIR_PINGPONG, PATH_LOOPBACK, size

#define UDP .family = FAMILY_UDP4

#define COPY_OR_NOT "copy", "zerocopy"

#define AT_MOST(number)	 .goal = number
#define AT_LEAST(number) .goal = number, .at_least = true

const struct bar bars[] = {
	/* What the library adds to the system calls that do the work */
	{ BAR_CPU, SINK(64 * KIB), "zerocopy", { "raw-msgzc" }, AT_MOST(1.05) },
	{ BAR_CPU, SINK(1 * MIB), "zerocopy", { "raw-msgzc" }, AT_MOST(1.05) },
	{ BAR_SYSCALLS, SINK(64 * KIB), "zerocopy", { "raw-msgzc" }, AT_MOST(1.00) },
	{ BAR_SYSCALLS, SINK(1 * MIB), "zerocopy", { "raw-msgzc" }, AT_MOST(1.00) },
	{ BAR_INSTRUCTIONS, SINK(64 * KIB), "zerocopy", { NULL }, AT_MOST(500) },
	{ BAR_INSTRUCTIONS, SINK(1 * MIB), "zerocopy", { NULL }, AT_MOST(500) },

	/* Whether it chooses the cheaper way */
	{ BAR_CPU, SINK(256), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, SINK(1 * KIB), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, SINK(4 * KIB), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, SINK(16 * KIB), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, SINK(64 * KIB), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, SINK(256 * KIB), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, SINK(1 * MIB), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, SINK(4 * MIB), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, TX_LO(256), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, TX_LO(1 * KIB), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, TX_LO(4 * KIB), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, TX_LO(16 * KIB), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, TX_LO(64 * KIB), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, TX_LO(256 * KIB), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, TX_LO(1 * MIB), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },
	{ BAR_CPU, TX_LO(4 * MIB), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05) },

	/* What sending without a copy saves */
	{ BAR_CPU, SINK(64 * KIB), "zerocopy", { "copy" }, AT_MOST(0.62) },
	{ BAR_CPU, SINK(256 * KIB), "zerocopy", { "copy" }, AT_MOST(0.46) },
	{ BAR_CPU, SINK(1 * MIB), "zerocopy", { "copy" }, AT_MOST(0.36) },
	{ BAR_THROUGHPUT, SINK(1 * MIB), "zerocopy", { "copy" }, AT_LEAST(2.5) },
	{ BAR_CPU, SINK(64 * KIB), "uring", { "raw-msgzc" }, AT_MOST(0.90) },
	{ BAR_CPU, SINK(256 * KIB), "uring", { "raw-msgzc" }, AT_MOST(0.95) },

	/* Datagrams of 1400 bytes, in trains of that many bytes */
	{ BAR_THROUGHPUT, SINK(57600), "zerocopy", { "copy" }, AT_LEAST(1.45), UDP },
	{ BAR_CPU, SINK(1400), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05), UDP },
	{ BAR_CPU, SINK(14000), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05), UDP },
	{ BAR_CPU, SINK(57600), "adaptive", { COPY_OR_NOT }, AT_MOST(1.05), UDP },

	/* What receiving without a copy saves */
	{ BAR_CPU, SOURCE(1 * MIB), "zerocopy", { "raw-fresh" }, AT_MOST(0.30) },
	{ BAR_CPU, SOURCE(1 * MIB), "zerocopy", { "raw-fresh" }, AT_MOST(0.40), .touch = true },
	{ BAR_CPU, SOURCE(256 * KIB), "zerocopy", { "raw-map" }, AT_MOST(0.85) },
	{ BAR_CPU, SOURCE(2 * MIB), "zerocopy", { "raw-map" }, AT_MOST(1.00) },

	/* That it costs nothing where nothing can be saved */
	{ BAR_CPU, RX_LO(64 * KIB), "adaptive", { "raw-recv" }, AT_MOST(1.03) },
	{ BAR_CPU, RX_LO(1 * MIB), "adaptive", { "raw-recv" }, AT_MOST(1.03) },
	{ BAR_CPU, RX_LO(4 * KIB), "adaptive", { "raw-recv" }, AT_MOST(1.03) },
	{ BAR_CPU, SOURCE(4 * KIB), "adaptive", { "raw-recv" }, AT_MOST(1.03) },
	{ BAR_P50, PING(64), "adaptive", { "raw-epoll" }, AT_MOST(1.05) },
	{ BAR_MEMORY, .path = PATH_LOOPBACK, AT_MOST(512) },
};
const size_t nr_bars = sizeof(bars) / sizeof(bars[0]);

bool bar_is_of(const struct bar *bar, const struct scenario *s)
{
	return bar->measure != BAR_MEMORY && bar->direction == s->direction &&
	       bar->path == s->path && bar->size == s->size && bar->touch == s->touch &&
	       bar->family == s->family;
}

bool bar_is_ratio(const struct bar *bar)
{
	return bar->against[0] != NULL;
}

static void add_mode(struct scenario *s, const char *mode)
{
	if (mode && name_index(s->modes, (int)s->nr_modes, mode) < 0)
		s->modes[s->nr_modes++] = mode;
}

bool bars_plan(struct plan *plan)
{
	*plan = (struct plan){ .scenarios = calloc(nr_bars, sizeof(*plan->scenarios)) };
	if (!plan->scenarios)
		return false;
	for (size_t i = 0; i < nr_bars; i++) {
		const struct bar *bar = &bars[i];
		struct scenario *s = plan->scenarios;

		while (s < plan->scenarios + plan->nr && !bar_is_of(bar, s))
			s++;
		if (bar->measure == BAR_MEMORY)
			continue;
		if (s == plan->scenarios + plan->nr) {
			plan->nr++;
			*s = (struct scenario){ .direction = bar->direction,
						.path = bar->path,
						.family = bar->family,
						.size = bar->size,
						.touch = bar->touch };
		}
		add_mode(s, bar->mode);
		for (unsigned a = 0; a < BAR_AGAINST; a++)
			add_mode(s, bar->against[a]);
	}
	return true;
}
