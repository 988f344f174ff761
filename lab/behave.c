/* SPDX-License-Identifier: MIT */
#include "behave.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB 1024ull
#define MIB (1024 * KIB)
#define SEC 1000000000ull
#define MAX UINT64_MAX

/* 64 MiB is what a scaled window can say with the factor that the partner offers. */
const struct behave behave_default = {
	.ack_bytes = 128 * KIB,
	.ack_time = 20000,
	.window = 64 * MIB,
	.zero_window_at = BEHAVE_NEVER,
	.payload = 4096,
	.length = BEHAVE_NEVER,
	.rst_at = BEHAVE_NEVER,
	.silent_at = BEHAVE_NEVER,
	.seed = 1,
};

#define OPTION(name, kind, member, least, most, help)                                              \
	{                                                                                          \
		name, kind, offsetof(struct behave, member), least, most, help                     \
	}

const struct behave_option behave_options[] = {
	OPTION("ack-bytes", BEHAVE_SIZE, ack_bytes, 1, MAX, "acknowledge when so many came"),
	OPTION("ack-time", BEHAVE_TIME, ack_time, 0, 60 * SEC, "or so long after the first"),
	OPTION("hold-acks", BEHAVE_FLAG, hold_acks, 0, 1, "acknowledge nothing until told"),
	OPTION("length", BEHAVE_OFFSET, length, 0, MAX, "the source ends its stream there"),
	OPTION("loss", BEHAVE_SHARE, loss, 0, 1, "lose that share of the data packets"),
	OPTION("partial-ack", BEHAVE_FLAG, partial_ack, 0, 1, "acknowledge parts of packets"),
	OPTION("payload", BEHAVE_SIZE, payload, 1, 32 * KIB, "bytes per frame of the source"),
	OPTION("rate", BEHAVE_SIZE, rate, 0, MAX, "bytes per second; 0: no limit"),
	OPTION("reorder", BEHAVE_SHARE, reorder, 0, 1, "delay that share of the data packets"),
	OPTION("rst-at", BEHAVE_OFFSET, rst_at, 0, MAX, "reset the connection there"),
	OPTION("rtt", BEHAVE_TIME, rtt, 0, 60 * SEC, "round-trip time"),
	OPTION("seed", BEHAVE_NUMBER, seed, 0, MAX, "of what is lost, reordered, cut"),
	OPTION("silent-at", BEHAVE_OFFSET, silent_at, 0, MAX, "say nothing more from there on"),
	OPTION("verify", BEHAVE_FLAG, verify, 0, 1, "check that the sink is sent the pattern"),
	OPTION("window", BEHAVE_SIZE, window, 0, 64 * MIB, "receive window of the sink"),
	OPTION("zero-window-at", BEHAVE_OFFSET, zero_window_at, 0, MAX, "close it there"),
};

const size_t nr_behave_options = sizeof(behave_options) / sizeof(behave_options[0]);

const char *behave_kind_text(enum behave_kind kind)
{
	static const char *const text[] = {
		[BEHAVE_SIZE] = "bytes, such as 4096, 64K, 1M or 2G",
		[BEHAVE_OFFSET] = "an offset in bytes, such as 0, 64K or 1M, or 'never'",
		[BEHAVE_TIME] = "a time with its unit, such as 20us, 5ms or 1s",
		[BEHAVE_SHARE] = "a share, such as 1% or 0.01",
		[BEHAVE_FLAG] = "yes or no",
		[BEHAVE_NUMBER] = "a number",
	};

	return text[kind];
}

/* ---- values: each returns 0, -EINVAL or -ERANGE -------------------------- */

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{ "", 1 }, { "K", KIB }, { "M", MIB }, { "G", KIB *MIB }, { NULL, 0 }
};
static const struct unit time_units[] = {
	{ "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", SEC }, { NULL, 0 }
};
static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

static int number(const char *text, const struct unit *unit, uint64_t *out)
{
	unsigned long long n;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	for (; unit->name; unit++) {
		if (strcmp(end, unit->name) == 0)
			return __builtin_mul_overflow(n, unit->factor, out) ? -ERANGE : 0;
	}
	return -EINVAL;
}

static int share(const char *text, double *out)
{
	double n;
	char *end;

	if ((text[0] < '0' || text[0] > '9') && text[0] != '.')
		return -EINVAL;
	n = strtod(text, &end);
	if (strcmp(end, "%") == 0)
		n /= 100;
	else if (*end)
		return -EINVAL;
	if (!(n >= 0 && n <= 1))
		return -ERANGE;
	*out = n;
	return 0;
}

static int flag(const char *text, bool *out)
{
	bool yes = !text || strcmp(text, "yes") == 0;

	if (!yes && strcmp(text, "no") != 0)
		return -EINVAL;
	*out = yes;
	return 0;
}

static int whole(const struct behave_option *option, const char *text, uint64_t *out)
{
	static const struct unit *const units[] = {
		[BEHAVE_SIZE] = size_units,
		[BEHAVE_OFFSET] = size_units,
		[BEHAVE_TIME] = time_units,
		[BEHAVE_NUMBER] = no_units,
	};
	uint64_t n;
	int r;

	if (option->kind == BEHAVE_OFFSET && strcmp(text, "never") == 0) {
		*out = BEHAVE_NEVER;
		return 0;
	}
	r = number(text, units[option->kind], &n);
	if (r < 0)
		return r;
	if (n < option->least || n > option->most)
		return -ERANGE;
	*out = n;
	return 0;
}

/* ---- options ------------------------------------------------------------- */

static const struct behave_option *find(const char *name)
{
	for (size_t i = 0; i < nr_behave_options; i++) {
		if (strcmp(behave_options[i].name, name) == 0)
			return &behave_options[i];
	}
	return NULL;
}

int behave_set(struct behave *b, const char *name, const char *value)
{
	const struct behave_option *option = find(name);
	void *member;

	if (!option)
		return -ENOENT;
	member = (char *)b + option->member;
	if (option->kind == BEHAVE_FLAG)
		return flag(value, member);
	if (!value)
		return -EINVAL;
	return option->kind == BEHAVE_SHARE ? share(value, member) : whole(option, value, member);
}

int behave_set_or_say(struct behave *b, const char *name, const char *value, char *why, size_t len)
{
	const struct behave_option *option = find(name);
	int r = behave_set(b, name, value);

	if (r == -ENOENT)
		snprintf(why, len, "there is no '%s'", name);
	else if (r == -ERANGE)
		snprintf(why, len, "%s: '%s' is out of bounds", name, value);
	else if (r < 0)
		snprintf(why, len, "%s takes %s", name, behave_kind_text(option->kind));
	return r;
}
