/* SPDX-License-Identifier: MIT */
/*
 * count.c - user-space instructions of one call, by valgrind's callgrind
 *
 * A worker is run with one sample and again with two. What the second one took is the difference,
 * so start, connecting and filling memory do not count. Unlike a time this figure can be had again.
 * Of the library's modes only what is inside its calls counts, not the program around it.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/lab.h"
#include "run.h"

#define CALLS_MOST  4000
#define CALLS_LEAST 50
#define BYTES_MOST  (4ull << 30)
#define AREA_MOST   (1 << 20) /* caches do not count here, and filling it takes its time */
#define RUN_MS	    60000
#define TICK_MS	    100
#define NO_VALGRIND 127
#define TEXT_MOST   65536
#define COLLECTED   "Collected :"

static void be_valgrind(const struct worker_opts *opts, char *samples, char *bytes, int out)
{
	static char *const valgrind[] = { "valgrind", "--tool=callgrind",
					  "--callgrind-out-file=/dev/null" };
	static char in_library[] = "--toggle-collect=zcs_*";
	struct worker_args args;
	char *argv[44];
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof(valgrind) / sizeof(valgrind[0]); i++)
		argv[n++] = valgrind[i];
	/* Inside the library's calls. None of its public functions calls another one. */
	if (strncmp(opts->mode, "raw-", 4) != 0)
		argv[n++] = in_library;
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
	_exit(NO_VALGRIND);
}

/*
 * What it says, up to the end, is well below `len`. -EINTR: asked to stop. -ETIMEDOUT: it takes too
 * long.
 */
static int read_all(const struct worker_opts *opts, int fd, char *out, size_t len)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	size_t at = 0;

	for (int left = RUN_MS; left > 0;) {
		ssize_t n = 0;

		if (opts->stop && opts->stop())
			return -EINTR;
		if (poll(&pollfd, 1, TICK_MS) <= 0) {
			left -= TICK_MS;
			continue;
		}
		n = read(fd, out + at, len - 1 - at);
		if (n <= 0) {
			out[at] = '\0';
			return 0;
		}
		at += (size_t)n;
	}
	return -ETIMEDOUT;
}

/* The sum of a run; NAN: it failed. A negative errno. */
static int instructions(const struct worker_opts *opts, unsigned samples, uint64_t bytes,
			double *out)
{
	char samples_text[16], bytes_text[24], text[TEXT_MOST];
	const char *sum = NULL;
	int fds[2], r, status = 0;
	pid_t pid;

	*out = NAN;
	snprintf(samples_text, sizeof(samples_text), "%u", samples);
	snprintf(bytes_text, sizeof(bytes_text), "%llu", (unsigned long long)bytes);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return 0;
	pid = fork();
	if (pid == 0)
		be_valgrind(opts, samples_text, bytes_text, fds[1]);
	close(fds[1]);
	r = read_all(opts, fds[0], text, sizeof(text));
	close(fds[0]);
	if (pid > 0 && r < 0)
		kill(pid, SIGKILL);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r == -EINTR)
		return r;
	if (r == 0 && WIFEXITED(status) && WEXITSTATUS(status) == NO_VALGRIND)
		return -ENOENT;
	if (r == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		sum = strstr(text, COLLECTED); /* "==123== Collected : 4711" */
	if (sum)
		*out = strtod(sum + strlen(COLLECTED), NULL);
	return 0;
}

int count_instructions(const struct run *run, const struct scenario *s, struct row *rows)
{
	uint64_t calls = BYTES_MOST / s->size;
	struct endpoints ends;
	struct worker_opts opts;
	int r = 0;

	if (calls > CALLS_MOST)
		calls = CALLS_MOST;
	if (calls < CALLS_LEAST)
		calls = CALLS_LEAST;
	endpoints_of(run, s, &ends);
	opts = worker_of(run, s, &ends);
	opts.warm = 0; /* it would be counted */
	opts.area = s->size < AREA_MOST ? AREA_MOST : s->size;
	for (unsigned m = 0; m < s->nr_modes && r == 0; m++) {
		double one, two;

		if (rows[m].failed[0])
			continue;
		opts.mode = s->modes[m];
		r = instructions(&opts, 1, calls * s->size, &one);
		if (r == 0)
			r = instructions(&opts, 2, calls * s->size, &two);
		if (r == 0)
			rows[m].instructions_per_call = (two - one) / (double)calls;
	}
	return r;
}
