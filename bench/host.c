/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define CACHE_GUESS (32u << 20)

static void read_processor(char *out, size_t len)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	out[0] = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		char *value = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !value)
			continue;
		value += strspn(value, ": \t");
		value[strcspn(value, "\n")] = '\0';
		snprintf(out, len, "%s", value);
		break;
	}
	if (file)
		fclose(file);
}

static uint64_t last_level_cache(void)
{
	static const int levels[] = { _SC_LEVEL4_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE,
				      _SC_LEVEL2_CACHE_SIZE };

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		long bytes = sysconf(levels[i]);

		if (bytes > 0)
			return (uint64_t)bytes;
	}
	return CACHE_GUESS;
}

void host_read(struct host *host)
{
	struct utsname name;
	cpu_set_t set;

	*host = (struct host){ .cpus = 1 };
	if (uname(&name) == 0) {
		memcpy(host->kernel, name.release, sizeof(host->kernel));
		memcpy(host->machine, name.machine, sizeof(host->machine));
	}
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		host->cpus = (unsigned)CPU_COUNT(&set);
	read_processor(host->processor, sizeof(host->processor));
	host->cache = last_level_cache();
	host->memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}
