/* SPDX-License-Identifier: MIT */
#include "awake.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Divisions that wait for one another leave the execution units to whoever shares the core. Without
 * SCHED_IDLE it would be a nuisance rather than a help.
 */
static void be_awake(int cpu, pid_t parent)
{
	struct sched_param param = { 0 };
	volatile uint64_t x = 1;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || sched_setaffinity(0, sizeof(set), &set) < 0 ||
	    sched_setscheduler(0, SCHED_IDLE, &param) < 0)
		_exit(1);
	for (;;)
		x = x / 3 + 0x0123456789abcdef;
}

static pid_t start_one(int cpu)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		be_awake(cpu, parent);
	return pid;
}

void awake_start(struct awake *awake, int cpu, int other)
{
	awake->pids[0] = cpu < 0 ? -1 : start_one(cpu);
	awake->pids[1] = cpu < 0 || other == cpu ? -1 : start_one(other);
}

void awake_stop(struct awake *awake)
{
	for (int i = 0; i < 2; i++) {
		if (awake->pids[i] <= 0)
			continue;
		kill(awake->pids[i], SIGKILL);
		while (waitpid(awake->pids[i], NULL, 0) < 0 && errno == EINTR)
			;
	}
}
