/* SPDX-License-Identifier: MIT */
/*
 * door.h - the receiver waits here until somebody proves that he knows the key
 *
 * Up to DOOR_MAX strangers are heard at the same time, each for a few seconds at most, so a silent
 * one delays nobody. When all places are taken one of them, drawn by lot, makes room: whoever
 * floods the door cannot choose whom he pushes out. Nobody here can make the program allocate
 * memory or touch the disk.
 */
#ifndef ZCSOCK_DOOR_H
#define ZCSOCK_DOOR_H

#include "url.h"

#define DOOR_MAX 64
#define DOOR_MS	 5000 /* for the whole handshake */

/*
 * The socket of the first peer that proved it, or a negative errno (-EINTR: stopped). One line is
 * said for each that failed, until they get too many.
 */
int door_wait(int listener, const struct key *key, int handshake_ms);

#endif
