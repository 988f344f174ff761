/* SPDX-License-Identifier: MIT */
/*
 * count.c - user-space instructions of one call, by valgrind's callgrind
 *
 * A worker is run with one sample and again with two. What the second one took is the difference,
 * so start, connecting and filling memory do not count. Unlike a time this figure can be had again.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "lab/lab.h"
#include "run.h"

#define CALLS_MOST  1000
#define CALLS_LEAST 50
#define BYTES_MOST  (512 << 20)

static void be_valgrind(const struct worker_opts *opts, char *samples, char *bytes, int out)
{
	static char *const valgrind[] = { "valgrind", "--tool=callgrind",
					  "--callgrind-out-file=/dev/null" };
	struct worker_args args;
	char *argv[40];
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof(valgrind) / sizeof(valgrind[0]); i++)
		argv[n++] = valgrind[i];
	worker_args(&args, opts);
	argv[n++] = args.program;
	for (char **arg = args.argv + 1; *arg; arg++)
		argv[n++] = *arg;
	argv[n++] = (char[]){ "--samples" };
	argv[n++] = samples;
	argv[n++] = (char[]){ "--bytes" };
	argv[n++] = bytes;
	argv[n] = NULL;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(out, STDERR_FILENO) < 0 || freopen("/dev/null", "w", stdout) == NULL ||
	    (opts->lab && lab_enter(opts->lab) < 0))
		_exit(1);
	execvp(argv[0], argv);
	_exit(1);
}

/* "==123== Collected : 4711" */
static double collected(int fd)
{
	FILE *file = fdopen(fd, "r");
	double n = NAN;
	char line[1024];

	while (file && fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, "Collected :");

		if (at)
			n = strtod(at + strlen("Collected :"), NULL);
	}
	if (file)
		fclose(file);
	return n;
}

static double instructions(const struct worker_opts *opts, unsigned samples, uint64_t bytes)
{
	char samples_text[16], bytes_text[24];
	int fds[2], status;
	double n;
	pid_t pid;

	snprintf(samples_text, sizeof(samples_text), "%u", samples);
	snprintf(bytes_text, sizeof(bytes_text), "%llu", (unsigned long long)bytes);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return NAN;
	pid = fork();
	if (pid == 0)
		be_valgrind(opts, samples_text, bytes_text, fds[1]);
	close(fds[1]);
	n = collected(fds[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return n;
}

int count_instructions(const struct run *run, const struct scenario *s, struct row *rows)
{
	uint64_t calls = BYTES_MOST / s->size;
	struct endpoints ends;
	struct worker_opts opts;

	if (calls > CALLS_MOST)
		calls = CALLS_MOST;
	if (calls < CALLS_LEAST)
		calls = CALLS_LEAST;
	endpoints_of(run, s, &ends);
	opts = worker_of(run, s, &ends);
	for (unsigned m = 0; m < s->nr_modes; m++) {
		if (run->opts->stop && run->opts->stop())
			return -EINTR;
		opts.mode = s->modes[m];
		rows[m].instructions_per_call =
			(instructions(&opts, 2, calls * s->size) -
			 instructions(&opts, 1, calls * s->size)) / (double)calls;
	}
	return 0;
}
