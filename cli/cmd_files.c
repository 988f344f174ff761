/* SPDX-License-Identifier: MIT */
/* cmd_files.c - zcsock bench --files: its command line */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/files.h"
#include "cmd.h"
#include "stop.h"
#include "text.h"

#define SAMPLES	 9
#define SIZE_MIB 256
#define MOST_MIB 65536

static const struct option options[] = {
	{ "files", no_argument, NULL, 'f' },	  { "help", no_argument, NULL, 'h' },
	{ "json", required_argument, NULL, 'j' }, { "samples", required_argument, NULL, 's' },
	{ "mib", required_argument, NULL, 'm' },  { NULL, 0, NULL, 0 },
};

struct files_cmd {
	struct files_opts files;
	const char *json;
};

static int set(struct files_cmd *cmd, int option)
{
	unsigned mib = 0;
	int r;

	switch (option) {
	case 'f':
		return -1;
	case 'h':
		printf("usage: %s", cmd_bench_usage);
		return 0;
	case 'j':
		cmd->json = optarg;
		return -1;
	case 's':
		return text_number("samples", optarg, 3, STATS_MAX, &cmd->files.samples);
	case 'm':
		r = text_number("mib", optarg, 1, MOST_MIB, &mib);
		cmd->files.size = (uint64_t)mib << 20;
		return r;
	default: /* getopt said what is wrong */
		fprintf(stderr, "usage: %s", cmd_bench_usage);
		return 2;
	}
}

static int parse(int argc, char **argv, struct files_cmd *cmd)
{
	int option, r = -1;

	optind = 1;
	while (r < 0 && (option = getopt_long(argc, argv, "h", options, NULL)) >= 0)
		r = set(cmd, option);
	if (r < 0 && optind < argc) {
		say("'%s' is one argument too many", argv[optind]);
		r = 2;
	}
	return r;
}

static int write_json(const char *path, FILE *file, const struct files_results *results)
{
	bool ok = files_report_json(results, file);

	if (file == stdout || (fclose(file) == 0 && ok))
		return 0;
	say("%s: %s", path, strerror(errno));
	return 1;
}

int cmd_files(int argc, char **argv)
{
	struct files_cmd cmd = {
		.files = { .size = SIZE_MIB << 20, .samples = SAMPLES, .stop = stop_asked }
	};
	struct files_results results;
	FILE *json = NULL;
	char why[400];
	int r = parse(argc, argv, &cmd);

	if (r >= 0)
		return r;
	if (cmd.json) /* before anything is measured */
		json = strcmp(cmd.json, "-") == 0 ? stdout : fopen(cmd.json, "we");
	if (cmd.json && !json) {
		say("%s: %s", cmd.json, strerror(errno));
		return 1;
	}
	r = files_run(&cmd.files, &results, why, sizeof(why));
	if (r < 0)
		say("%s", why);
	else if (json != stdout)
		files_report(&results);
	if (json && r == 0)
		r = write_json(cmd.json, json, &results);
	files_free(&results);
	return r == 0 ? 0 : 1;
}
