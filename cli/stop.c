/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <time.h>

#include "stop.h"

static volatile sig_atomic_t asked;

static void on_signal(int sig)
{
	(void)sig;
	asked = 1;
}

void stop_init(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
	struct sigaction old;

	for (unsigned i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		/* What was ignored stays ignored: nohup. */
		if (sigaction(sigs[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(sigs[i], &action, NULL);
	}
	signal(SIGPIPE, SIG_IGN);
}

bool stop_asked(void)
{
	return asked != 0;
}

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
