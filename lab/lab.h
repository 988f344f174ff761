/* SPDX-License-Identifier: MIT */
/*
 * lab.h - a virtual network: a namespace to be in, and a partner that can be reached from there
 *
 * The partner offers three services over IPv4 and IPv6, on the ports of their RFCs (wire.h): it
 * takes in and drops (discard, 9; UDP too), sends without end (chargen, 19), or echoes (7). Another
 * port takes commands (control.h). A lab vanishes with the process that made it.
 */
#ifndef ZCSOCK_LAB_H
#define ZCSOCK_LAB_H

#include <stddef.h>
#include <sys/types.h>

#include "behave.h"
#include "net.h"
#include "wire.h"

#define LAB_MTU	 9000
#define LAB_LINE 128 /* bytes of a line for the control port */

struct lab_opts {
	unsigned mtu; /* 1280 to 65535; 0: LAB_MTU */
	int cpu;      /* that the partner runs on; -1: the last one that this process may use */
	struct behave behave; /* copy behave_default first */
};

struct lab {
	pid_t partner;
	int near; /* the namespace */
	int link; /* the partner ends when it is closed */
	int cpu;
};

/*
 * Needs CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_BPF in the initial user namespace: root. A negative
 * errno; then `why` says in words what is missing and how to get it.
 */
int lab_start(const struct lab_opts *opts, struct lab *lab_out, char *why, size_t len);
/* The calling thread is in the near namespace from now on. A negative errno. */
int lab_enter(const struct lab *lab);
/* Keeps the calling process off the partner's processor, if there is another one. */
void lab_make_room(const struct lab *lab);
/* Sends one line to the control port, from the near namespace; the answer without "ok ". */
int lab_tell(const char *line, char *answer, size_t len);
void lab_stop(struct lab *lab);

#endif
