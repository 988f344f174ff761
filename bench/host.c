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

/* Of the first processor that we may use; 0: the kernel does not tell. */
static uint64_t cache_of_kernel(void)
{
	uint64_t most = 0;
	cpu_set_t set;
	int cpu = 0;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &set))
			cpu++;
	for (int i = 0;; i++) {
		unsigned long long kib = 0;
		char path[80];
		FILE *file;

		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cache/index%d/size",
			 cpu, i);
		file = fopen(path, "re");
		if (!file)
			return most << 10;
		if (fscanf(file, "%lluK", &kib) == 1 && kib > most)
			most = kib;
		fclose(file);
	}
}

/* Of what the C library knows some is the sum of all caches of a processor with many. */
static uint64_t last_level_cache(void)
{
	static const int levels[] = { _SC_LEVEL4_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE,
				      _SC_LEVEL2_CACHE_SIZE };
	uint64_t known = cache_of_kernel();

	if (known)
		return known;
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
