/* SPDX-License-Identifier: MIT */
/* opts.h - the command line of send and of recv */
#ifndef ZCSOCK_OPTS_H
#define ZCSOCK_OPTS_H

#include <stdbool.h>

#include "file_way.h"
#include "url.h"

struct opts {
	bool json;
	bool force;
	bool trust_peer;
	unsigned way; /* enum zcs_way; 0: the library's default */
	enum file_way file_way;
	int timeout_ms;
	const char *out;    /* recv -o */
	const char *listen; /* recv */
	const char *name;   /* send: of the one file, at the receiver */
	const char *key_file;
	char **args; /* what is left */
	int nr_args;
};

/* -1: go on; else the exit status: 0 after --help, 2 after one line about what is wrong. */
int opts_send(int argc, char **argv, struct opts *opts_out);
int opts_recv(int argc, char **argv, struct opts *opts_out);

/* The synopses, as the manual has them. */
extern const char opts_send_usage[];
extern const char opts_recv_usage[];

/*
 * The key of --key-file, else of the environment (ZCSOCK_KEY). 1: here it is; 0: there is none;
 * negative after one line was said.
 */
int opts_key(const struct opts *opts, struct key *key_out);

#endif
