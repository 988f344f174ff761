/* SPDX-License-Identifier: MIT */
/* cmd_lab.c - zcsock lab: runs a command beside a virtual partner, and talks to that partner */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"
#include "lab/lab.h"
#include "stop.h"
#include "text.h"

const char cmd_lab_usage[] = "zcsock lab run [--mtu BYTES] [--cpu N] [--BEHAVIOUR [VALUE]]...\n"
			     "                      [--] COMMAND [ARGUMENT]...\n"
			     "       zcsock lab tell BEHAVIOUR [VALUE]\n"
			     "       zcsock lab tell reset | stats\n"
			     "       zcsock lab --help\n";

#define LAB_FAILED	  125 /* as env(1) and timeout(1) have it */
#define COMMAND_NOT_RUN	  126
#define COMMAND_NOT_FOUND 127

#define SEE_HELP "; zcsock lab --help tells more"

enum { OPT_MTU = 256, OPT_CPU, OPT_BEHAVE };

static const char *const kinds[] = {
	[BEHAVE_SIZE] = "SIZE",	  [BEHAVE_OFFSET] = "OFFSET", [BEHAVE_TIME] = "TIME",
	[BEHAVE_SHARE] = "SHARE", [BEHAVE_FLAG] = "[=FLAG]",  [BEHAVE_NUMBER] = "NUMBER",
};

static void help(void)
{
	printf("usage: %s\n"
	       "COMMAND runs in a network of its own; its environment names the partner:\n"
	       "  ZCSOCK_LAB=%s ZCSOCK_LAB6=%s\n"
	       "  port %d takes in and drops (TCP, UDP), port %d sends, port %d echoes\n\n"
	       "  --%-24s%s\n"
	       "  --%-24s%s\n\n"
	       "How the partner behaves (tell takes the same without the dashes):\n",
	       cmd_lab_usage, LAB_FAR4, LAB_FAR6, LAB_PORT_SINK, LAB_PORT_SOURCE, LAB_PORT_ECHO,
	       "mtu BYTES", "of the network, 1280 to 65535; else 9000", "cpu N",
	       "the partner's processor; else the last one");
	for (size_t i = 0; i < nr_behave_options; i++) {
		const struct behave_option *option = &behave_options[i];
		char name[40];

		snprintf(name, sizeof(name), "%s%s%s", option->name,
			 option->kind == BEHAVE_FLAG ? "" : " ", kinds[option->kind]);
		printf("  --%-24s%s\n", name, option->help);
	}
	putchar('\n');
	for (enum behave_kind kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++)
		printf("%s: %s\n", kind == BEHAVE_FLAG ? "FLAG" : kinds[kind],
		       behave_kind_text(kind));
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* ---- signals -------------------------------------------------------------------- */

/* They are taken by sigwaitinfo and by nothing else, so that none is lost between two steps. */
struct signals {
	sigset_t taken;
	int early;     /* one that the handlers of stop.h took before; 0: none */
	sigset_t mask; /* of before, for the command, as is the next */
	struct sigaction child;
};

static void take_signals(struct signals *s)
{
	/* Those of stop.h first */
	static const int passed_on[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	const size_t nr = sizeof(passed_on) / sizeof(passed_on[0]), nr_stop = 3;
	struct sigaction usual = { .sa_handler = SIG_DFL }, old;
	sigset_t mask;

	s->early = 0;
	sigemptyset(&s->taken);
	sigaddset(&s->taken, SIGCHLD);
	for (size_t i = 0; i < nr; i++)
		sigaddset(&s->taken, passed_on[i]);
	sigprocmask(SIG_BLOCK, &s->taken, &s->mask);
	for (size_t i = 0; i < nr; i++) {
		sigaction(passed_on[i], NULL, &old);
		/* What was ignored stays ignored, here and in the command: nohup. */
		if (old.sa_handler == SIG_IGN)
			sigdelset(&s->taken, passed_on[i]);
		/* A handler that ran is there no more. */
		else if (i < nr_stop && stop_asked() && old.sa_handler == SIG_DFL)
			s->early = passed_on[i];
	}
	sigorset(&mask, &s->mask, &s->taken);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	sigaction(SIGCHLD, &usual, &s->child); /* were it ignored, there would be no status */
}

static void give_signals_back(const struct signals *s)
{
	for (int sig = 1; sig < NSIG; sig++) {
		if (sigismember(&s->taken, sig) > 0)
			signal(sig, SIG_DFL);
	}
	signal(SIGPIPE, SIG_DFL); /* handlers end with exec, what is ignored does not */
	sigaction(SIGCHLD, &s->child, NULL);
	sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

/* One that came while there was no command that could answer it; 0: none did. */
static int early_signal(const struct signals *s)
{
	sigset_t set = s->taken;
	int sig;

	if (s->early)
		return s->early;
	sigdelset(&set, SIGCHLD);
	sig = sigtimedwait(&set, NULL, &(struct timespec){ 0 });
	return sig < 0 ? 0 : sig;
}

/* ---- children ------------------------------------------------------------------- */

#define STRANGERS 64

/* Children that are not ours but of the program that became this one with exec(2). */
struct strangers {
	size_t nr;
	pid_t pid[STRANGERS];
};

static size_t list_children(pid_t *pid_out, size_t max)
{
	FILE *file = fopen("/proc/thread-self/children", "re");
	size_t nr = 0;

	while (file && nr < max && fscanf(file, "%d", &pid_out[nr]) == 1)
		nr++;
	if (file)
		fclose(file);
	return nr;
}

static bool is_stranger(const struct strangers *strangers, pid_t pid)
{
	for (size_t i = 0; i < strangers->nr; i++) {
		if (strangers->pid[i] == pid)
			return true;
	}
	return false;
}

/* The partner, and what the command left running: that has no network any more, and is ours now. */
static void end_children(const struct strangers *strangers)
{
	pid_t pids[2 * STRANGERS];
	size_t nr, ended;

	if (strangers->nr == STRANGERS)
		return; /* there may be more of them: better spare too many */
	do {
		ended = 0;
		nr = list_children(pids, 2 * STRANGERS);
		for (size_t i = 0; i < nr; i++) {
			if (is_stranger(strangers, pids[i]) || kill(pids[i], SIGKILL) < 0)
				continue;
			waitpid(pids[i], NULL, 0);
			ended++;
		}
	} while (ended > 0); /* their children are ours now */
}

/* ---- the command -------------------------------------------------------------- */

struct run {
	const struct lab *lab;
	pid_t command;
	bool ended;
	int status;
	bool deserted; /* by the partner, before the command ended */
};

static void be_command(const struct lab *lab, char **argv, pid_t parent,
		       const struct signals *signals)
{
	char name[SAFE_NAME];
	int r = lab_enter(lab);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(LAB_FAILED);
	give_signals_back(signals);
	if (r < 0) {
		say("entering the lab's namespace: %s", strerror(-r));
		_exit(LAB_FAILED);
	}
	lab_make_room(lab);
	setenv("ZCSOCK_LAB", LAB_FAR4, 1);
	setenv("ZCSOCK_LAB6", LAB_FAR6, 1);
	execvp(argv[0], argv);
	r = errno;
	say("%s: %s", text_safe(argv[0], name, sizeof(name)), strerror(r));
	_exit(r == ENOENT ? COMMAND_NOT_FOUND : COMMAND_NOT_RUN);
}

static void reap(struct run *run)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == run->command) {
			run->ended = true;
			run->status = status;
		} else if (pid == run->lab->partner && !run->ended) {
			run->deserted = true;
			say("the partner ended, and the network with it");
			kill(run->command, SIGKILL);
		}
	}
}

/* A key of the terminal reaches all of its group by itself, and twice may mean something else. */
static bool has_come_already(const struct run *run, const siginfo_t *info)
{
	return info->si_code == SI_KERNEL && info->si_signo != SIGHUP &&
	       getpgid(run->command) == getpgrp();
}

/* What is signalled to us is the command's to answer; when it ends, so do we. */
static int attend(struct run *run, const struct signals *signals)
{
	siginfo_t info;

	while (!run->ended) {
		int sig = sigwaitinfo(&signals->taken, &info);

		if (sig == SIGCHLD)
			reap(run);
		else if (sig > 0 && !has_come_already(run, &info))
			kill(run->command, sig);
	}
	if (run->deserted)
		return LAB_FAILED;
	return WIFSIGNALED(run->status) ? 128 + WTERMSIG(run->status) : WEXITSTATUS(run->status);
}

static int run_command(const struct lab *lab, char **argv, const struct signals *signals)
{
	struct run run = { .lab = lab };
	pid_t parent = getpid();
	int early = early_signal(signals);

	if (early)
		return 128 + early;
	run.command = fork();
	if (run.command == 0)
		be_command(lab, argv, parent, signals);
	if (run.command < 0) {
		say("%s", strerror(errno));
		return LAB_FAILED;
	}
	return attend(&run, signals);
}

/* ---- lab run -------------------------------------------------------------------- */

static int number(const char *name, const char *text, long least, long most, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	if (end == text || *end || errno || *out < least || *out > most) {
		say("--%s takes a number from %ld to %ld", name, least, most);
		return 2;
	}
	return -1;
}

static int set(struct lab_opts *opts, int option, const char *value)
{
	char why[200], safe[SAFE_NAME];
	long n;
	int r;

	switch (option) {
	case OPT_MTU:
		r = number("mtu", value, 1280, 65535, &n);
		opts->mtu = (unsigned)n;
		return r;
	case OPT_CPU:
		r = number("cpu", value, 0, 4095, &n);
		opts->cpu = (int)n;
		return r;
	case 'h':
		help();
		return 0;
	}
	if (option < OPT_BEHAVE)
		return 2; /* getopt said what is wrong */
	if (behave_set_or_say(&opts->behave, behave_options[option - OPT_BEHAVE].name, value, why,
			      sizeof(why)) == 0)
		return -1;
	say("--%s", text_safe(why, safe, sizeof(safe)));
	return 2;
}

/* -1: go on */
static int parse(int argc, char **argv, struct lab_opts *opts)
{
	struct option *options = calloc(nr_behave_options + 4, sizeof(*options)), *o = options;
	int option, r = -1;

	if (!options) {
		say("%s", strerror(ENOMEM));
		return 1;
	}
	*o++ = (struct option){ "mtu", required_argument, NULL, OPT_MTU };
	*o++ = (struct option){ "cpu", required_argument, NULL, OPT_CPU };
	*o++ = (struct option){ "help", no_argument, NULL, 'h' };
	for (size_t i = 0; i < nr_behave_options; i++) {
		bool flag = behave_options[i].kind == BEHAVE_FLAG;

		*o++ = (struct option){ behave_options[i].name,
					flag ? optional_argument : required_argument, NULL,
					OPT_BEHAVE + (int)i };
	}
	optind = 1;
	while (r < 0 && (option = getopt_long(argc, argv, "+h", options, NULL)) >= 0)
		r = set(opts, option, optarg);
	free(options);
	return r;
}

static int lab_run(int argc, char **argv)
{
	struct lab_opts opts = { .cpu = -1, .behave = behave_default };
	struct strangers strangers;
	struct signals signals;
	struct lab lab;
	char why[400];
	int r = parse(argc, argv, &opts);

	if (r >= 0)
		return r;
	if (optind == argc) {
		say("a command is needed" SEE_HELP);
		return 2;
	}
	strangers.nr = list_children(strangers.pid, STRANGERS);
	take_signals(&signals);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (lab_start(&opts, &lab, why, sizeof(why)) < 0) {
		say("%s", why);
		return LAB_FAILED;
	}
	r = run_command(&lab, argv + optind, &signals);
	end_children(&strangers);
	lab_stop(&lab);
	return r;
}

/* ---- lab tell --------------------------------------------------------------------- */

static int refused(const char *answer)
{
	char safe[SAFE_NAME];
	size_t skip = strncmp(answer, "error: ", 7) == 0 ? 7 : 0;

	say("%s", text_safe(answer + skip, safe, sizeof(safe)));
	return 2;
}

static int lab_tell_main(int argc, char **argv)
{
	char line[LAB_LINE], answer[1024] = "";
	int r;

	if (argc < 2 || argc > 3) {
		say("a behaviour with its value, or 'reset' or 'stats', is needed" SEE_HELP);
		return 2;
	}
	if (is_help(argv[1])) {
		help();
		return 0;
	}
	r = snprintf(line, sizeof(line) - 1, "%s%s%s", argv[1], argc > 2 ? " " : "",
		     argc > 2 ? argv[2] : "");
	if (r >= (int)sizeof(line) - 1 || strchr(line, '\n')) {
		say("what is told must be one short line" SEE_HELP);
		return 2;
	}
	r = lab_tell(line, answer, sizeof(answer));
	if (r == -EINVAL)
		return refused(answer);
	if (r == -ENODEV || r == -ENOSYS) {
		say("there is no partner here: zcsock lab tell works within zcsock lab run");
		return 1;
	}
	if (r < 0) {
		say("the partner does not answer: %s", strerror(-r));
		return 1;
	}
	if (answer[0])
		puts(answer);
	return 0;
}

int cmd_lab(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (is_help(verb)) {
		help();
		return 0;
	}
	if (strcmp(verb, "run") == 0 || strcmp(verb, "tell") == 0) {
		argv[1] = argv[0]; /* getopt puts it in front of its messages */
		return verb[0] == 'r' ? lab_run(argc - 1, argv + 1)
				      : lab_tell_main(argc - 1, argv + 1);
	}
	say("'run' or 'tell' is needed" SEE_HELP);
	return 2;
}
