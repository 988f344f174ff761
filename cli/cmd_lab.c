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

const char cmd_lab_usage[] =
	"zcsock lab run [--mtu BYTES] [--cpu N] [BEHAVIOUR]... [--] COMMAND...\n"
	"       zcsock lab tell BEHAVIOUR [VALUE] | reset | stats\n"
	"       zcsock lab --help\n";

#define COMMAND_FAILED	  125 /* as env(1) and timeout(1) have it */
#define COMMAND_NOT_RUN	  126
#define COMMAND_NOT_FOUND 127

enum { OPT_MTU = 256, OPT_CPU, OPT_BEHAVE };

static int usage_error(void)
{
	fprintf(stderr, "usage: %s", cmd_lab_usage);
	return 2;
}

static void help(void)
{
	printf("usage: %s\n"
	       "COMMAND runs in a network of its own; its environment names the partner:\n"
	       "  ZCSOCK_LAB=%s ZCSOCK_LAB6=%s\n"
	       "  port %d takes in and drops (TCP, UDP), port %d sends, port %d echoes\n\n"
	       "How the partner behaves:\n",
	       cmd_lab_usage, LAB_FAR4, LAB_FAR6, LAB_PORT_SINK, LAB_PORT_SOURCE, LAB_PORT_ECHO);
	for (size_t i = 0; i < nr_behave_options; i++)
		printf("  --%-16s%s: %s\n", behave_options[i].name, behave_options[i].help,
		       behave_kind_text(behave_options[i].kind));
}

/* ---- the command -------------------------------------------------------------- */

static volatile sig_atomic_t command_pid;

static void forward(int sig)
{
	if (command_pid > 0)
		kill(command_pid, sig);
}

/* What is signalled to us is the command's to answer; when it ends, so do we. */
static void forward_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	struct sigaction action = { .sa_handler = forward }, old;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		/* What was ignored stays ignored, here and in the command: nohup. */
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
}

static void be_command(const struct lab *lab, char **argv, pid_t parent)
{
	int r = lab_enter(lab);

	signal(SIGPIPE, SIG_DFL); /* handlers end with exec, what is ignored does not */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(COMMAND_FAILED);
	if (r < 0) {
		say("entering the lab's namespace: %s", strerror(-r));
		_exit(COMMAND_FAILED);
	}
	lab_make_room(lab);
	setenv("ZCSOCK_LAB", LAB_FAR4, 1);
	setenv("ZCSOCK_LAB6", LAB_FAR6, 1);
	execvp(argv[0], argv);
	say("%s: %s", argv[0], strerror(errno));
	_exit(errno == ENOENT ? COMMAND_NOT_FOUND : COMMAND_NOT_RUN);
}

/* What the command left running has no network any more, and is nobody's: we inherited it. */
static void end_orphans(pid_t partner)
{
	char path[64];
	int pid, left;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	do {
		FILE *children = fopen(path, "re");

		left = 0;
		while (children && fscanf(children, "%d", &pid) == 1) {
			if (pid == partner || kill(pid, SIGKILL) < 0)
				continue;
			waitpid(pid, NULL, 0);
			left++;
		}
		if (children)
			fclose(children);
	} while (left > 0); /* their children are ours now */
}

static int run_command(const struct lab *lab, char **argv)
{
	pid_t parent = getpid();
	int status = 0;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	forward_signals();
	command_pid = fork();
	if (command_pid == 0)
		be_command(lab, argv, parent);
	if (command_pid < 0) {
		say("%s", strerror(errno));
		return COMMAND_FAILED;
	}
	while (waitpid(command_pid, &status, 0) < 0 && errno == EINTR)
		;
	command_pid = 0;
	end_orphans(lab->partner);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
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
	char why[200];
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
		return usage_error(); /* getopt said what is wrong */
	if (behave_set_or_say(&opts->behave, behave_options[option - OPT_BEHAVE].name, value, why,
			      sizeof(why)) == 0)
		return -1;
	say("--%s", why);
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
	struct lab lab;
	char why[400];
	int r = parse(argc, argv, &opts);

	if (r >= 0)
		return r;
	if (optind == argc) {
		say("a command is needed");
		return usage_error();
	}
	if (lab_start(&opts, &lab, why, sizeof(why)) < 0) {
		say("%s", why);
		return COMMAND_FAILED;
	}
	r = run_command(&lab, argv + optind);
	lab_stop(&lab);
	return r;
}

/* ---- lab tell --------------------------------------------------------------------- */

static int lab_tell_main(int argc, char **argv)
{
	char line[LAB_LINE], answer[1024];
	int r;

	if (argc < 2 || argc > 3)
		return usage_error();
	snprintf(line, sizeof(line), "%s%s%s", argv[1], argc > 2 ? " " : "",
		 argc > 2 ? argv[2] : "");
	r = lab_tell(line, answer, sizeof(answer));
	if (r == -EINVAL) {
		say("%s", answer);
		return 2;
	}
	if (r < 0) {
		say("no partner answers (zcsock lab tell works within zcsock lab run): %s",
		    strerror(-r));
		return 1;
	}
	if (answer[0])
		puts(answer);
	return 0;
}

int cmd_lab(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
		help();
		return 0;
	}
	if (strcmp(verb, "run") == 0 || strcmp(verb, "tell") == 0) {
		argv[1] = argv[0]; /* getopt puts it in front of its messages */
		return verb[0] == 'r' ? lab_run(argc - 1, argv + 1)
				      : lab_tell_main(argc - 1, argv + 1);
	}
	say("'run' or 'tell' is needed");
	return usage_error();
}
