/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zcsock.h>

#include "opts.h"
#include "proto.h"
#include "text.h"

const char opts_send_usage[] = "zcsock send [--key-file FILE] [--timeout SECONDS] [--name NAME]\n"
			       "            [--copy | --zerocopy] [--file-way WAY] [--json]\n"
			       "            FILE... zcsock://HOST:PORT[/KEY]\n";

const char opts_recv_usage[] = "zcsock recv [-o FILE|DIR] [--force] [--listen ADDR:PORT]\n"
			       "            [--key-file FILE] [--timeout SECONDS]\n"
			       "            [--copy | --zerocopy] [--trust-peer]\n"
			       "            [--file-way WAY] [--json]\n";

enum {
	OPT_COPY = 256,
	OPT_FILE_WAY,
	OPT_FORCE,
	OPT_JSON,
	OPT_KEY_FILE,
	OPT_LISTEN,
	OPT_NAME,
	OPT_TIMEOUT,
	OPT_TRUST_PEER,
	OPT_ZEROCOPY,
};

static const struct option send_options[] = {
	{ "copy", no_argument, NULL, OPT_COPY },
	{ "file-way", required_argument, NULL, OPT_FILE_WAY },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "key-file", required_argument, NULL, OPT_KEY_FILE },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "zerocopy", no_argument, NULL, OPT_ZEROCOPY },
	{ NULL, 0, NULL, 0 },
};

static const struct option recv_options[] = {
	{ "copy", no_argument, NULL, OPT_COPY },
	{ "file-way", required_argument, NULL, OPT_FILE_WAY },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "key-file", required_argument, NULL, OPT_KEY_FILE },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "output", required_argument, NULL, 'o' },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "trust-peer", no_argument, NULL, OPT_TRUST_PEER },
	{ "zerocopy", no_argument, NULL, OPT_ZEROCOPY },
	{ NULL, 0, NULL, 0 },
};

static int usage_error(const char *usage)
{
	fprintf(stderr, "usage: %s", usage);
	return 2;
}

static int set_timeout(struct opts *opts, const char *text)
{
	char *end;
	long seconds;

	errno = 0;
	seconds = strtol(text, &end, 10);
	if (end == text || *end || errno || seconds < 1 || seconds > 86400) {
		say("--timeout takes seconds, 1 to 86400");
		return 2;
	}
	opts->timeout_ms = (int)seconds * 1000;
	return -1;
}

static int set_way(struct opts *opts, unsigned way)
{
	if (opts->way && opts->way != way) {
		say("--copy and --zerocopy exclude each other");
		return 2;
	}
	opts->way = way;
	return -1;
}

static int set_name(struct opts *opts, const char *name)
{
	if (proto_name_check(name, strlen(name)) < 0) {
		say("--name: %s", proto_code_text(PROTO_BAD_NAME));
		return 2;
	}
	opts->name = name;
	return -1;
}

static int set_file_way(struct opts *opts, const char *name, bool send)
{
	opts->file_way = file_way_named(name, send ? FILE_SEND_WAYS : FILE_RECV_WAYS);
	if (opts->file_way < FILE_NR_WAYS)
		return -1;
	say("--file-way takes %s", send ? "auto, read, sendfile or map" : "auto, write or direct");
	return 2;
}

static int set(struct opts *opts, int option, const char *usage)
{
	switch (option) {
	case OPT_COPY:
		return set_way(opts, ZCS_WAY_COPY);
	case OPT_ZEROCOPY:
		return set_way(opts, ZCS_WAY_ZEROCOPY);
	case OPT_FILE_WAY:
		return set_file_way(opts, optarg, usage == opts_send_usage);
	case OPT_TIMEOUT:
		return set_timeout(opts, optarg);
	case OPT_NAME:
		return set_name(opts, optarg);
	case OPT_FORCE:
		opts->force = true;
		return -1;
	case OPT_JSON:
		opts->json = true;
		return -1;
	case OPT_KEY_FILE:
		opts->key_file = optarg;
		return -1;
	case OPT_LISTEN:
		opts->listen = optarg;
		return -1;
	case OPT_TRUST_PEER:
		opts->trust_peer = true;
		return -1;
	case 'o':
		opts->out = optarg;
		return -1;
	case 'h':
		printf("usage: %s", usage);
		return 0;
	default: /* getopt said what is wrong */
		return usage_error(usage);
	}
}

static int parse(int argc, char **argv, const struct option *options, const char *shorts,
		 const char *usage, struct opts *opts)
{
	int option, r = -1;

	*opts = (struct opts){ .timeout_ms = 30000 };
	optind = 1;
	while (r < 0 && (option = getopt_long(argc, argv, shorts, options, NULL)) >= 0)
		r = set(opts, option, usage);
	opts->args = argv + optind;
	opts->nr_args = argc - optind;
	return r;
}

int opts_send(int argc, char **argv, struct opts *opts_out)
{
	int r = parse(argc, argv, send_options, "h", opts_send_usage, opts_out);

	if (r >= 0)
		return r;
	if (opts_out->nr_args < 2 || !url_is(opts_out->args[opts_out->nr_args - 1])) {
		say("FILE... and then the URL that zcsock recv printed are needed");
		return usage_error(opts_send_usage);
	}
	if (opts_out->name && opts_out->nr_args > 2) {
		say("--name names one file, and here are more");
		return usage_error(opts_send_usage);
	}
	return -1;
}

int opts_recv(int argc, char **argv, struct opts *opts_out)
{
	int r = parse(argc, argv, recv_options, "ho:", opts_recv_usage, opts_out);

	if (r >= 0)
		return r;
	if (opts_out->nr_args > 0) {
		say("'%s' is one argument too many", opts_out->args[0]);
		return usage_error(opts_recv_usage);
	}
	if (opts_out->out && !opts_out->out[0]) {
		say("-o takes a file or a directory");
		return 2;
	}
	return -1;
}

int opts_key(const struct opts *opts, struct key *key_out)
{
	const char *text;

	if (opts->key_file) {
		int r = key_read(opts->key_file, key_out);

		if (r == 0)
			return 1;
		say("%s: %s", opts->key_file,
		    r == -EINVAL ? "a key is 32 hexadecimal digits" : strerror(-r));
		return -1;
	}
	text = getenv("ZCSOCK_KEY");
	if (!text)
		return 0;
	if (!key_parse(text, strlen(text), key_out)) {
		say("ZCSOCK_KEY: a key is 32 hexadecimal digits");
		return -1;
	}
	return 1;
}
