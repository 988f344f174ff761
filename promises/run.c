// SPDX-License-Identifier: MIT
/*
 * Runs a promise in a child of its own, so that whatever it does to its limits, identity, signals
 * and network ends with it.
 */
#include "kit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

const char *promise_verdict_name(enum promise_verdict v)
{
	static const char *const names[] = {
		[PROMISE_HOLDS] = "holds",
		[PROMISE_BROKEN] = "broken",
		[PROMISE_CANNOT_TELL] = "cannot tell",
	};

	return names[v];
}

bool promise_is_known_broken(const struct promise *p, const char *release)
{
	int major = 0, minor = 0, kernel;

	if (sscanf(release, "%d.%d", &major, &minor) != 2)
		return false;
	kernel = PROMISE_KERNEL(major, minor);
	return kernel < p->since || (p->until && kernel > p->until);
}

static void clean_slate(void)
{
	static const int signals[] = { SIGPIPE, SIGBUS, SIGSEGV, SIGALRM };
	struct rlimit none = { 0 }, locked;
	sigset_t set;
	size_t i;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	setrlimit(RLIMIT_CORE, &none); /* some children die on purpose */
	if (getrlimit(RLIMIT_MEMLOCK, &locked) == 0) {
		locked.rlim_cur = locked.rlim_max;
		setrlimit(RLIMIT_MEMLOCK, &locked);
	}
}

static void child(const struct promise *p, int report)
{
	struct promise_result res = { 0 };

	clean_slate();
	promise_enter_netns();
	res.verdict = p->run(res.why, sizeof(res.why));
	if (res.verdict == PROMISE_HOLDS)
		res.why[0] = '\0';
	_exit(write(report, &res, sizeof(res)) == (ssize_t)sizeof(res) ? 0 : 1);
}

/* What the child had to say, or what its end says. */
static void collect(pid_t pid, int report, struct promise_result *res)
{
	struct pollfd pfd = { .fd = report, .events = POLLIN };
	int status = 0;
	int ready;

	do
		ready = poll(&pfd, 1, PROMISE_LIMIT_MS);
	while (ready < 0 && errno == EINTR);
	if (ready > 0 && read(report, res, sizeof(*res)) == (ssize_t)sizeof(*res)) {
		waitpid(pid, NULL, 0);
		return;
	}
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL); /* should it not have come as far as its own process group */
	waitpid(pid, &status, 0);
	res->verdict = PROMISE_CANNOT_TELL;
	if (ready <= 0) {
		snprintf(res->why, sizeof(res->why), "no answer within %d s",
			 PROMISE_LIMIT_MS / 1000);
	} else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
		/* a fault or SIGPIPE where the promise says there is none */
		res->verdict = PROMISE_BROKEN;
		snprintf(res->why, sizeof(res->why), "died of signal %d", WTERMSIG(status));
	} else {
		snprintf(res->why, sizeof(res->why), "ended without a verdict");
	}
}

void promise_run(const struct promise *p, struct promise_result *res_out)
{
	int ends[2];
	pid_t pid;

	memset(res_out, 0, sizeof(*res_out));
	res_out->verdict = PROMISE_CANNOT_TELL;
	if (pipe(ends) < 0) {
		snprintf(res_out->why, sizeof(res_out->why), "pipe: %s", strerror(errno));
		return;
	}
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		child(p, ends[1]);
	}
	close(ends[1]);
	if (pid < 0)
		snprintf(res_out->why, sizeof(res_out->why), "fork: %s", strerror(errno));
	else
		collect(pid, ends[0], res_out);
	close(ends[0]);
}
