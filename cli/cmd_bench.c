/* SPDX-License-Identifier: MIT */
/* cmd_bench.c - zcsock bench: what copying and not copying cost on this machine */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bars.h"
#include "bench/bench.h"
#include "bench/mover.h"
#include "bench/report.h"
#include "cmd.h"
#include "stop.h"
#include "text.h"

const char cmd_bench_usage[] =
	"zcsock bench [--full] [--json FILE] [--direction LIST]\n"
	"             [--path LIST] [--family LIST] [--size LIST] [--mode LIST]\n"
	"             [--samples N] [--time MS] [--hot | --area BYTES] [--touch]\n"
	"             [--instructions] [--explain] [--in-flight N] [--tap]\n"
	"             [--mtu BYTES] [--lab BEHAVIOUR=VALUE,...]\n"
	"             [--peer HOST[:PORT]]\n"
	"       zcsock bench --bars [--json FILE] [--samples N] [--time MS]\n"
	"             [--explain]\n"
	"       zcsock bench --files [--mib N] [--json FILE] [--samples N]\n"
	"       zcsock bench --serve [ADDRESS:]PORT\n";

#define TOUR_SAMPLES	 9
#define TOUR_MS		 50
#define FULL_MS		 100
#define BARS_MS		 200
#define IN_FLIGHT_MOST	 (1u << 20)
#define LEAST_SAMPLES	 3		 /* fewer have no spread to speak of */
#define AREA_MOST	 (1024ull << 20) /* every mode has as much of its own */
#define TOUR_PATIENCE_MS 40000		 /* what is noisy is not measured anew after that */
#define BARS_PATIENCE	 320 /* the same, in times of all samples of a mode: 9.6 minutes */

enum {
	OPT_AREA = 256,
	OPT_BARS,
	OPT_DIRECTION,
	OPT_EXPLAIN,
	OPT_FAMILY,
	OPT_FULL,
	OPT_HOT,
	OPT_INSTRUCTIONS,
	OPT_IN_FLIGHT,
	OPT_JSON,
	OPT_LAB,
	OPT_MODE,
	OPT_MTU,
	OPT_PATH,
	OPT_PEER,
	OPT_SAMPLES,
	OPT_SERVE,
	OPT_SIZE,
	OPT_TAP,
	OPT_TIME,
	OPT_TOUCH,
};

static const struct option options[] = {
	{ "area", required_argument, NULL, OPT_AREA },
	{ "bars", no_argument, NULL, OPT_BARS },
	{ "direction", required_argument, NULL, OPT_DIRECTION },
	{ "explain", no_argument, NULL, OPT_EXPLAIN },
	{ "family", required_argument, NULL, OPT_FAMILY },
	{ "full", no_argument, NULL, OPT_FULL },
	{ "help", no_argument, NULL, 'h' },
	{ "hot", no_argument, NULL, OPT_HOT },
	{ "in-flight", required_argument, NULL, OPT_IN_FLIGHT },
	{ "instructions", no_argument, NULL, OPT_INSTRUCTIONS },
	{ "json", required_argument, NULL, OPT_JSON },
	{ "lab", required_argument, NULL, OPT_LAB },
	{ "mode", required_argument, NULL, OPT_MODE },
	{ "mtu", required_argument, NULL, OPT_MTU },
	{ "path", required_argument, NULL, OPT_PATH },
	{ "peer", required_argument, NULL, OPT_PEER },
	{ "samples", required_argument, NULL, OPT_SAMPLES },
	{ "serve", required_argument, NULL, OPT_SERVE },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "tap", no_argument, NULL, OPT_TAP },
	{ "time", required_argument, NULL, OPT_TIME },
	{ "touch", no_argument, NULL, OPT_TOUCH },
	{ NULL, 0, NULL, 0 },
};

struct bench_cmd {
	struct bench_opts bench;
	const char *json, *serve;
	const struct row *before; /* the last row that was shown */
	const char *no_bars;	  /* an option that does not go with --bars */
};

static int usage_error(void)
{
	fprintf(stderr, "usage: %s", cmd_bench_usage);
	return 2;
}

/* ---- values; each returns -1 to go on, or says one line and returns 2 ---------------- */

static bool bytes_of(const char *text, uint64_t *out)
{
	unsigned shift = 0;
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || errno)
		return false;
	if (*end == 'K' || *end == 'M' || *end == 'G')
		shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 30;
	if (end[shift > 0] || *out > UINT64_MAX >> shift)
		return false;
	*out <<= shift;
	return true;
}

static int set_bytes(const char *name, const char *text, uint64_t least, uint64_t most,
		     uint64_t *out)
{
	if (bytes_of(text, out) && *out >= least && *out <= most)
		return -1;
	say("--%s takes bytes, such as 4096, 64K or 1M, from %llu to %llu", name,
	    (unsigned long long)least, (unsigned long long)most);
	return 2;
}

static int add_size(struct plan_opts *plan, const char *text)
{
	uint64_t size;
	int r = set_bytes("size", text, 1, 64 << 20, &size);

	if (r < 0 && plan->nr_sizes == PLAN_SIZES) {
		say("--size: %d sizes at the most", PLAN_SIZES);
		return 2;
	}
	if (r < 0)
		plan->sizes[plan->nr_sizes++] = size;
	return r;
}

static int unknown(const char *option, const char *text, const char *more)
{
	char safe[SAFE_NAME];

	say("--%s: there is no '%s'%s", option, text_safe(text, safe, sizeof(safe)), more);
	return 2;
}

static int add_mode(struct plan_opts *plan, const char *text)
{
	if (!plan_knows_mode(text))
		return unknown("mode", text, "; zcsock-bench(1) lists them");
	if (plan->nr_modes == PLAN_MODES) {
		say("--mode: %d modes at the most", PLAN_MODES);
		return 2;
	}
	plan->modes[plan->nr_modes++] = text;
	return -1;
}

static int add_bit(const char *option, unsigned *set, const char *const *names, int nr,
		   const char *text)
{
	int i = name_index(names, nr, text);

	if (i < 0)
		return unknown(option, text, "");
	*set |= 1u << i;
	return -1;
}

static int add_one(struct plan_opts *plan, int option, const char *text)
{
	switch (option) {
	case OPT_SIZE:
		return add_size(plan, text);
	case OPT_MODE:
		return add_mode(plan, text);
	case OPT_DIRECTION:
		return add_bit("direction", &plan->directions, direction_names, NR_DIRECTIONS,
			       text);
	case OPT_PATH:
		return add_bit("path", &plan->paths, path_names, NR_PATHS, text);
	default:
		return add_bit("family", &plan->families, family_names, NR_FAMILIES, text);
	}
}

/* The parts of a list stay where they are: modes are remembered by their address. */
static int add_list(struct plan_opts *plan, int option, char *list)
{
	char *text;
	int r = -1;

	while (r < 0 && (text = strsep(&list, ",")))
		r = add_one(plan, option, text);
	return r;
}

/* How the partner behaves: the same names and values as those of zcsock lab. */
static int set_lab(struct behave *behave, char *list)
{
	char why[200], *name;

	while ((name = strsep(&list, ","))) {
		char *value = strchr(name, '=');

		if (value)
			*value++ = '\0';
		if (behave_set_or_say(behave, name, value, why, sizeof(why)) < 0) {
			say("--lab: %s", why);
			return 2;
		}
	}
	return -1;
}

/* false: it takes a value. */
static bool set_flag(struct bench_opts *bench, int option)
{
	switch (option) {
	case OPT_BARS:
		bench->bars = true;
		return true;
	case OPT_EXPLAIN:
		bench->explain = true;
		return true;
	case OPT_FULL:
		bench->plan.full = true;
		return true;
	case OPT_HOT:
		bench->hot = true;
		return true;
	case OPT_INSTRUCTIONS:
		bench->instructions = true;
		return true;
	case OPT_TAP:
		bench->tap = true;
		return true;
	case OPT_TOUCH:
		bench->touch = true;
		return true;
	default:
		return false;
	}
}

static int set(struct bench_cmd *cmd, int option, char *value)
{
	struct bench_opts *bench = &cmd->bench;
	uint64_t bytes;
	int r;

	if (set_flag(bench, option))
		return -1;
	switch (option) {
	case OPT_AREA:
		return set_bytes("area", value, 4096, AREA_MOST, &bench->area);
	case OPT_MTU:
		r = set_bytes("mtu", value, 1280, 65535, &bytes);
		bench->mtu = (unsigned)bytes;
		return r;
	case OPT_IN_FLIGHT:
		return text_number("in-flight", value, 1, IN_FLIGHT_MOST, &bench->in_flight);
	case OPT_LAB:
		return set_lab(&bench->behave, value);
	case OPT_SAMPLES:
		return text_number("samples", value, LEAST_SAMPLES, STATS_MAX, &bench->samples);
	case OPT_TIME:
		return text_number("time", value, 1, 10000, &bench->sample_ms);
	case OPT_JSON:
		cmd->json = value;
		return -1;
	case OPT_PEER:
		bench->peer = value;
		bench->plan.peer = true;
		return -1;
	case OPT_SERVE:
		cmd->serve = value;
		return -1;
	case 'h':
		printf("usage: %s", cmd_bench_usage);
		return 0;
	case '?':
		return usage_error(); /* getopt said what is wrong */
	default:
		return add_list(&bench->plan, option, value);
	}
}

/* What --bars measures is given; this is about how, and about what is told. */
static bool goes_with_bars(int option)
{
	return option == OPT_BARS || option == OPT_EXPLAIN || option == OPT_JSON ||
	       option == OPT_SAMPLES || option == OPT_TIME;
}

static int parse(int argc, char **argv, struct bench_cmd *cmd)
{
	int option, nr = 0, r = -1, index;

	optind = 1;
	while (r < 0 && (option = getopt_long(argc, argv, "h", options, &index)) >= 0) {
		r = set(cmd, option, optarg);
		if (r < 0 && !goes_with_bars(option))
			cmd->no_bars = options[index].name;
		nr++;
	}
	if (r < 0 && optind < argc) {
		say("'%s' is one argument too many", argv[optind]);
		return usage_error();
	}
	if (r < 0 && cmd->bench.hot && cmd->bench.area) {
		say("--hot and --area exclude each other");
		return 2;
	}
	if (r < 0 && cmd->serve && nr > 1) {
		say("--serve stands alone: what is measured is said where it is measured");
		return 2;
	}
	if (r < 0 && cmd->bench.bars && cmd->no_bars) {
		say("--bars and --%s exclude each other", cmd->no_bars);
		return 2;
	}
	return r;
}

/* ---- what it does -------------------------------------------------------------------- */

/* With --json - the object alone is on standard output. */
static bool shows_table(const struct bench_cmd *cmd)
{
	return !cmd->json || strcmp(cmd->json, "-") != 0;
}

static void progress(void *user, const struct row *rows, size_t nr)
{
	struct bench_cmd *cmd = user;

	report_rows(rows, nr, cmd->before);
	cmd->before = rows;
}

/* Before anything is measured: it is a pity to learn only then that it cannot be written. */
static FILE *open_json(const struct bench_cmd *cmd)
{
	FILE *file = shows_table(cmd) ? fopen(cmd->json, "ae") : stdout;

	if (!file)
		say("%s: %s", cmd->json, strerror(errno));
	return file;
}

/* Of rows, or of bars. */
static int write_json(const struct bench_cmd *cmd, FILE *file, const struct results *results,
		      const struct bars_results *bars)
{
	bool ok;

	if (file != stdout)			   /* main() sees whether that went well */
		(void)!ftruncate(fileno(file), 0); /* a pipe has nothing in it to begin with */
	ok = results ? report_json(results, file) : bars_report_json(bars, file);
	if (file == stdout || (fclose(file) == 0 && ok))
		return 0;
	say("%s: %s", cmd->json, strerror(errno));
	return 1;
}

/* The exit status. */
static int tell(const struct bench_cmd *cmd, const struct results *results, int r, const char *why)
{
	if (r == 0 && results->lab[0])
		say("no lab, so over loopback only: %s", results->lab);
	if (r == 0 && results->instructions[0])
		say("no instructions were counted: %s", results->instructions);
	if (r < 0)
		say("%s", why);
	else if (shows_table(cmd))
		report_summary(results);
	return r == -EINVAL ? 2 : r < 0 ? 1 : 0;
}

static int measure(struct bench_cmd *cmd)
{
	struct results results;
	FILE *json = NULL;
	char why[400];
	int r, status;

	if (cmd->json && !(json = open_json(cmd)))
		return 1;
	if (shows_table(cmd))
		cmd->bench.progress = progress;
	r = bench_run(&cmd->bench, &results, why, sizeof(why));
	status = tell(cmd, &results, r, why);
	if (json && r != -EINVAL && write_json(cmd, json, &results, NULL) != 0)
		status = 1;
	bench_free(&results);
	return status;
}

/* 0: the library reaches all of them. */
static int measure_bars(struct bench_cmd *cmd)
{
	struct bars_results results;
	bool shows = shows_table(cmd);
	FILE *json = NULL;
	char why[400];
	int r, status;

	if (cmd->json && !(json = open_json(cmd)))
		return 1;
	if (shows)
		bars_report_heading();
	r = bars_run(&cmd->bench, shows ? bars_report_one : NULL, &results, why, sizeof(why));
	status = r < 0 || bars_count(results.bars, nr_bars, BAR_MET) < nr_bars;
	if (r < 0)
		say("%s", why);
	else if (shows)
		bars_report_summary(&results);
	if (json && write_json(cmd, json, NULL, &results) != 0)
		status = 1;
	bars_free(&results);
	return status;
}

static int serve(const char *where)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	char why[400];
	int r;

	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		/* An ordinary end: there is nothing to tidy up. */
		if (signal(sigs[i], SIG_DFL) == SIG_IGN)
			signal(sigs[i], SIG_IGN);
	}
	r = bench_serve(where, why, sizeof(why));
	say("%s", why);
	return r == -EINVAL ? 2 : 1;
}

/* How long it takes, and what for. */
static void choose_effort(struct bench_opts *bench)
{
	bool full = bench->plan.full;

	bench->instructions |= full;
	if (!bench->samples)
		bench->samples = TOUR_SAMPLES;
	if (!bench->sample_ms)
		bench->sample_ms = full ? FULL_MS : bench->bars ? BARS_MS : TOUR_MS;
	bench->repeats = 5;
	if (bench->bars)
		bench->patience_ms = bench->samples * bench->sample_ms * BARS_PATIENCE;
	else if (!full)
		bench->patience_ms = TOUR_PATIENCE_MS;
}

int cmd_bench(int argc, char **argv)
{
	struct bench_cmd cmd = { .bench = { .stop = stop_asked, .behave = behave_default } };
	int r;

	if (argc > 2 && strcmp(argv[1], "--worker") == 0)
		return bench_worker(argc - 2, argv + 2);
	if (argc > 1 && strcmp(argv[1], "--files") == 0)
		return cmd_files(argc, argv);
	r = parse(argc, argv, &cmd);
	if (r >= 0)
		return r;
	if (cmd.serve)
		return serve(cmd.serve);
	cmd.bench.user = &cmd;
	choose_effort(&cmd.bench);
	return cmd.bench.bars ? measure_bars(&cmd) : measure(&cmd);
}
