/* SPDX-License-Identifier: MIT */
/* main.c - finds the command and starts it; knows nothing about what commands do */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zcsock.h>

#include "cmd.h"
#include "opts.h"
#include "stop.h"
#include "text.h"

static const struct command {
	const char *name;
	const char *who; /* in front of messages */
	int (*run)(int argc, char **argv);
	const char *help;
	const char *usage;
} commands[] = {
	{ "bench", "zcsock bench", cmd_bench, "what zero copy costs and saves on this machine",
	  cmd_bench_usage },
	{ "lab", "zcsock lab", cmd_lab, "a network with a virtual partner, to see zero copy work",
	  cmd_lab_usage },
	{ "recv", "zcsock recv", cmd_recv, "wait for one sender and take its files",
	  opts_recv_usage },
	{ "send", "zcsock send", cmd_send, "send files to a waiting zcsock recv", opts_send_usage },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	}
	say("there is no command '%s'; zcsock --help lists them", name);
	return NULL;
}

static void help(void)
{
	puts("usage: zcsock COMMAND [OPTION]...\n"
	     "       zcsock help [COMMAND]\n"
	     "       zcsock --help | --version\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		printf("  %-6s%s\n", commands[i].name, commands[i].help);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		printf("\n%s", commands[i].usage);
	puts("\nData is neither encrypted nor authenticated: see zcsock(1).");
}

/* A result that nobody could read is a failure; a reader that left early wanted no more. */
static int finish(int status)
{
	errno = 0;
	if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE && status == 0) {
		say("writing to standard output failed");
		return 1;
	}
	return status;
}

/*
 * A descriptor that is closed would be the next socket's or file's. Opened the wrong way round, so
 * that reading standard input and writing standard output are errors still.
 */
static int fill_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return -1;
	}
	return 0;
}

static int run(const struct command *command, int argc, char **argv)
{
	say_init(command->who);
	if (sodium_init() < 0) {
		say("libsodium cannot be used: there is no random source");
		return 1;
	}
	stop_init();
	argv[0] = (char *)command->who; /* getopt puts it in front of its messages */
	return finish(command->run(argc, argv));
}

static int run_help(const char *name)
{
	const struct command *command = name ? find(name) : NULL;

	if (name && !command)
		return 2;
	if (command)
		printf("usage: %s", command->usage);
	else
		help();
	return finish(0);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	const struct command *command;

	say_init("zcsock");
	if (fill_descriptors() < 0) {
		say("a standard descriptor is closed, and /dev/null cannot be opened in its place");
		return 1;
	}
	if (!name) {
		say("a command is needed; zcsock --help lists them");
		return 2;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return run_help(NULL);
	if (strcmp(name, "help") == 0)
		return run_help(argv[2]);
	if (strcmp(name, "--version") == 0) {
		printf("zcsock %s\n", zcs_version());
		return finish(0);
	}
	command = find(name);
	return command ? run(command, argc - 1, argv + 1) : 2;
}
