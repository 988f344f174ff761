/* SPDX-License-Identifier: MIT */
/*
 * syscalls.c - how many system calls this thread makes, by the kernel's trace point of their entry
 *
 * As long as any such counter is open, every system call of every process takes a longer way. So it
 * is opened for one sample, whose times are then worth little.
 */
#include "mover.h"

#include <err.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRACEFS "/sys/kernel/tracing"

/* -1: it cannot be read. */
static long trace_point(void)
{
	FILE *file = fopen(TRACEFS "/events/raw_syscalls/sys_enter/id", "re");
	long id = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &id) != 1)
		id = -1;
	fclose(file);
	return id;
}

/* Where tracefs is not mounted and we may: mounts it, for this process alone to see. */
static void mount_tracefs(void)
{
	if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		(void)mount("tracefs", TRACEFS, "tracefs", 0, NULL);
}

int bench_syscalls_open(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	long id = trace_point();

	if (id < 0) {
		mount_tracefs();
		id = trace_point();
	}
	if (id < 0)
		return -1;
	attr.config = (uint64_t)id;
	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

uint64_t bench_syscalls_read(int fd)
{
	uint64_t calls;

	if (read(fd, &calls, sizeof(calls)) != sizeof(calls))
		err(1, "the counter of system calls");
	return calls;
}
