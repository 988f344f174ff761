// SPDX-License-Identifier: MIT
/*
 * Runs the promises. Exit status: 0, or 1 when one is broken of which that is not known for this
 * kernel, or 2 for a wrong use. With one name,
 * 77 when that one cannot be told here, as test runners want it; the reason is the last line.
 */
#include "promise.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define EXIT_BROKEN 1
#define EXIT_USAGE  2
#define EXIT_SKIP   77
#define KNOWN	    "known of this kernel"

enum form {
	PLAIN,
	TAP,
	LIST,
};

static const char usage[] = "usage: promises [--tap | --list] [NAME]...\n";

static bool is_known(const struct promise *p)
{
	struct utsname u;

	uname(&u);
	return promise_is_known_broken(p, u.release);
}

static void head(enum form form, int nr)
{
	if (form == TAP)
		printf("TAP version 13\n1..%d\n", nr);
}

static void tap_line(const struct promise *p, const struct promise_result *res, int nr)
{
	printf("%sok %d - %s", res->verdict == PROMISE_BROKEN ? "not " : "", nr, p->id);
	if (res->verdict == PROMISE_CANNOT_TELL)
		printf(" # SKIP %s", res->why);
	else if (res->verdict == PROMISE_BROKEN && is_known(p))
		printf(" # TODO %s", KNOWN);
	putchar('\n');
	if (res->verdict == PROMISE_BROKEN)
		printf("# %s\n", res->why);
}

static void line(enum form form, const struct promise *p, const struct promise_result *res, int nr)
{
	if (form == TAP)
		tap_line(p, res, nr);
	else
		printf("%-11s  %s%s%s%s\n", promise_verdict_name(res->verdict), p->id,
		       res->why[0] ? ": " : "", res->why,
		       res->verdict == PROMISE_BROKEN && is_known(p) ? "; " KNOWN : "");
	fflush(stdout);
}

static int wanted(const struct promise *p, char **names, int nr_names)
{
	int i;

	for (i = 0; i < nr_names; i++) {
		if (!strcmp(p->id, names[i]))
			return 1;
	}
	return nr_names == 0;
}

static int count(char **names, int nr_names)
{
	int i, nr = 0;

	for (i = 0; promise_table[i]; i++)
		nr += wanted(promise_table[i], names, nr_names);
	return nr;
}

static int run_all(enum form form, char **names, int nr_names)
{
	struct promise_result res;
	int i, nr = 0, news = 0, seen[3] = { 0 };

	head(form, count(names, nr_names));
	for (i = 0; promise_table[i]; i++) {
		if (!wanted(promise_table[i], names, nr_names))
			continue;
		promise_run(promise_table[i], &res);
		seen[res.verdict]++;
		news += res.verdict == PROMISE_BROKEN && !is_known(promise_table[i]);
		line(form, promise_table[i], &res, ++nr);
	}
	if (form == PLAIN && nr > 1)
		printf("%d hold, %d broken, %d cannot tell\n", seen[PROMISE_HOLDS],
		       seen[PROMISE_BROKEN], seen[PROMISE_CANNOT_TELL]);
	if (news)
		return EXIT_BROKEN;
	return form == PLAIN && nr == 1 && seen[PROMISE_CANNOT_TELL] ? EXIT_SKIP : 0;
}

/* A line for each: name, sentence, where it is defined, what the library does otherwise. */
static void list(void)
{
	int i;

	for (i = 0; promise_table[i]; i++) {
		const struct promise *p = promise_table[i];

		printf("%s\t%s\t%s\t%s\n", p->id, p->sentence, p->source, p->otherwise);
	}
}

int main(int argc, char **argv)
{
	enum form form = PLAIN;
	int i, nr;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--tap"))
			form = TAP;
		else if (!strcmp(argv[i], "--list"))
			form = LIST;
		else
			return fputs(usage, stderr), EXIT_USAGE;
	}
	nr = count(argv + i, argc - i);
	if (!nr || (argc > i && nr != argc - i)) {
		fputs("promises: no such promise; see --list\n", stderr);
		return EXIT_USAGE;
	}
	if (form == LIST)
		return list(), 0;
	return run_all(form, argv + i, argc - i);
}
