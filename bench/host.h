/* SPDX-License-Identifier: MIT */
/* host.h - what machine this is, in general terms */
#ifndef ZCSOCK_BENCH_HOST_H
#define ZCSOCK_BENCH_HOST_H

#include <stdint.h>

struct host {
	char kernel[65], machine[65]; /* as uname(2) has them */
	char processor[128];	      /* "" where /proc/cpuinfo does not tell */
	unsigned cpus;		      /* that this process may use */
	uint64_t cache;		      /* bytes of the last level; a guess where it is not told */
	uint64_t memory;	      /* bytes */
};

void host_read(struct host *host);

#endif
