/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/lab.h"

#define ANSWER_MS 30000 /* a sample takes a fraction of it */
#define TICK_MS	  100
#define EXPLAIN	  "explain="
#define LINE_MOST 8192 /* twice the text that a worker has room for */

/* ---- its command line -------------------------------------------------------- */

static void put(struct worker_args *args, unsigned *n, const char *name, const char *value)
{
	args->argv[(*n)++] = (char *)(uintptr_t)name;
	if (value)
		args->argv[(*n)++] = (char *)(uintptr_t)value;
}

void worker_args(struct worker_args *args, const struct worker_opts *opts)
{
	unsigned n = 0;

	*args = (struct worker_args){ 0 };
	snprintf(args->size, sizeof(args->size), "%llu", (unsigned long long)opts->size);
	snprintf(args->area, sizeof(args->area), "%llu", (unsigned long long)opts->area);
	snprintf(args->warm, sizeof(args->warm), "%llu", (unsigned long long)opts->warm);
	snprintf(args->buffer, sizeof(args->buffer), "%llu", (unsigned long long)opts->buffer);
	snprintf(args->cpu, sizeof(args->cpu), "%d", opts->cpu);
	snprintf(args->in_flight, sizeof(args->in_flight), "%u", opts->in_flight);
	if (!realpath("/proc/self/exe", args->program))
		strcpy(args->program, "zcsock");
	put(args, &n, "zcsock bench", "bench");
	put(args, &n, "--worker", opts->mode);
	put(args, &n, "--direction", opts->direction);
	put(args, &n, "--to", opts->to);
	if (opts->onto)
		put(args, &n, "--onto", opts->onto);
	put(args, &n, "--size", args->size);
	put(args, &n, "--area", args->area);
	put(args, &n, "--warm", args->warm);
	put(args, &n, "--buffer", args->buffer);
	put(args, &n, "--cpu", args->cpu);
	put(args, &n, "--in-flight", args->in_flight);
	if (opts->tap)
		put(args, &n, "--tap", NULL);
	if (opts->touch)
		put(args, &n, "--touch", NULL);
	if (opts->udp)
		put(args, &n, "--udp", NULL);
}

/* ---- what it says --------------------------------------------------------------- */

static void read_sample(const char *line, struct sample *out)
{
	const struct {
		const char *name;
		double *value;
	} fields[] = {
		{ "ns=", &out->ns },
		{ "cpu_ns=", &out->cpu_ns },
		{ "bytes=", &out->bytes },
		{ "calls=", &out->calls },
		{ "zerocopied=", &out->zerocopied },
		{ "mapped=", &out->mapped },
		{ "notes=", &out->notes },
		{ "enobufs=", &out->enobufs },
		{ "syscalls=", &out->syscalls },
		{ "p50_ns=", &out->p50_ns },
		{ "p99_ns=", &out->p99_ns },
		{ "p999_ns=", &out->p999_ns },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const char *at = line;
		size_t len = strlen(fields[i].name);

		*fields[i].value = NAN;
		while (at && strncmp(at, fields[i].name, len) != 0)
			at = (at = strchr(at, ' ')) ? at + 1 : NULL;
		if (at)
			*fields[i].value = strtod(at + len, NULL);
	}
	out->parts = 1;
}

/* In ticks, as a signal that comes just before poll() does not end it. */
static int wait_for_line(const struct worker *w)
{
	struct pollfd fd = { .fd = fileno(w->out), .events = POLLIN };

	for (int left = ANSWER_MS; left > 0; left -= TICK_MS) {
		if (poll(&fd, 1, TICK_MS) > 0)
			return 0;
		if (w->stop && w->stop())
			return -EINTR;
	}
	return -ETIMEDOUT;
}

/* The next line, which must begin with `word`: anything else is why it can not go on. */
static int listen_to(struct worker *w, const char *word, char *line, size_t len)
{
	static const char who[] = "zcsock bench: ";
	size_t skip = sizeof(who) - 1;
	int r = wait_for_line(w);

	if (r == -ETIMEDOUT)
		snprintf(w->why, sizeof(w->why), "no answer within %d s", ANSWER_MS / 1000);
	if (r < 0)
		return r;
	if (!fgets(line, (int)len, w->out)) {
		snprintf(w->why, sizeof(w->why), "its process ended");
		return -EPIPE;
	}
	line[strcspn(line, "\n")] = '\0';
	if (strncmp(line, word, strlen(word)) == 0)
		return 0;
	snprintf(w->why, sizeof(w->why), "%.255s", line + (strncmp(line, who, skip) ? 0 : skip));
	return -EPROTO;
}

int worker_sample(struct worker *w, bool count, uint64_t bytes, struct sample *out)
{
	char line[1024];
	int r;

	fprintf(w->in, "%s %llu\n", count ? "count" : "run", (unsigned long long)bytes);
	if (fflush(w->in) != 0)
		return -EPIPE;
	r = listen_to(w, "ns=", line, sizeof(line));
	if (r == 0)
		read_sample(line, out);
	return r;
}

/* The reverse of what sample.c does. */
static void unescape(const char *line, char *out, size_t len)
{
	size_t at = 0;

	for (; *line && at + 1 < len; line++) {
		bool escaped = line[0] == '\\' && line[1];

		line += escaped;
		out[at++] = escaped && *line == 'n' ? '\n' : *line;
	}
	out[at] = '\0';
}

int worker_explain(struct worker *w, char *out, size_t len)
{
	char line[LINE_MOST];
	int r;

	fputs("explain\n", w->in);
	if (fflush(w->in) != 0)
		return -EPIPE;
	r = listen_to(w, EXPLAIN, line, sizeof(line));
	if (r == 0)
		unescape(line + strlen(EXPLAIN), out, len);
	return r;
}

/* ---- its life ---------------------------------------------------------------------- */

static void be_worker(const struct worker_opts *opts, int in, int out, pid_t parent)
{
	struct worker_args args;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(out, STDERR_FILENO) < 0 || (opts->lab && lab_enter(opts->lab) < 0))
		_exit(1);
	worker_args(&args, opts);
	execv(args.program, args.argv);
	_exit(1);
}

int worker_start(struct worker *w, const struct worker_opts *opts)
{
	char line[1024];
	int in[2], out[2];
	pid_t parent = getpid();
	int r;

	*w = (struct worker){ .pid = -1, .stop = opts->stop };
	if (pipe2(in, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(out, O_CLOEXEC) < 0) {
		r = -errno;
		close(in[0]);
		close(in[1]);
		return r;
	}
	w->pid = fork();
	if (w->pid == 0)
		be_worker(opts, in[0], out[1], parent);
	close(in[0]);
	close(out[1]);
	w->in = fdopen(in[1], "w");
	w->out = fdopen(out[0], "r");
	r = w->pid < 0 || !w->in || !w->out ? -ENOMEM : listen_to(w, "ready", line, sizeof(line));
	if (r < 0)
		worker_stop(w);
	return r;
}

/* It waits for a line, or sits in a call that may never return. */
void worker_stop(struct worker *w)
{
	if (w->in)
		fclose(w->in);
	if (w->out)
		fclose(w->out);
	if (w->pid > 0) {
		kill(w->pid, SIGKILL);
		while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	w->in = w->out = NULL;
	w->pid = -1;
}
