/* SPDX-License-Identifier: MIT */
/*
 * control.h - the control port: lines of text over TCP, each answered by one line
 *
 *	rtt 20ms       any option of behave.h, from now on
 *	reset          a RST on every connection
 *	stats          "ok connections=1 ..."
 *
 * An answer is "ok", with what was asked for, or "error: " and a reason.
 */
#ifndef ZCSOCK_LAB_CONTROL_H
#define ZCSOCK_LAB_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "lab.h"

#define CONTROL_CLIENTS 16

struct partner;

struct control {
	struct partner *partner;
	int epoll, listener, parent;
	bool parent_gone;
	struct control_client {
		int fd; /* -1: free */
		size_t len;
		char line[LAB_LINE];
	} clients[CONTROL_CLIENTS];
};

/* Waits also for `ring` and for the end of `parent`. A negative errno. */
int control_open(struct control *c, struct partner *p, int parent, int listener, int ring);
void control_wait(struct control *c, const struct timespec *timeout);

#endif
