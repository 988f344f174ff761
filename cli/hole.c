/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hole.h"

static char *volatile from, *volatile to;
static volatile sig_atomic_t found;

/* mmap(2) is a system call and no more: it may be made here, though POSIX does not say so. */
static void fill(int number, siginfo_t *info, void *context)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	char *at = (char *)((uintptr_t)info->si_addr & ~(page - 1));
	int saved = errno;

	(void)context;
	/* All that is left: the next page would be the next signal. */
	if (info->si_code == BUS_ADRERR && at >= from && at < to &&
	    mmap(at, (size_t)(to - at), PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0) == at)
		found = 1;
	else
		signal(number, SIG_DFL); /* touched again, it kills */
	errno = saved;
}

int hole_watch(void *base, size_t len)
{
	struct sigaction action = { .sa_sigaction = fill, .sa_flags = SA_SIGINFO };

	to = NULL;
	from = base;
	to = base ? from + len : NULL;
	found = 0;
	sigemptyset(&action.sa_mask);
	return base && sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

bool hole_found(void)
{
	return found;
}
