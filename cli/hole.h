/* SPDX-License-Identifier: MIT */
/*
 * hole.h - a mapped file that shrinks must not kill the process
 *
 * Touching a page of a mapping that lies behind the file's new end raises SIGBUS. For one mapping
 * the signal is answered with zeros, and noted; any other SIGBUS kills as ever. Of one thread.
 */
#ifndef ZCSOCK_HOLE_H
#define ZCSOCK_HOLE_H

#include <stdbool.h>
#include <stddef.h>

/* From now on [base, base + len) is watched, in place of what was; NULL: nothing. 0 or -errno. */
int hole_watch(void *base, size_t len);
/* Whether anything behind the file's end was touched since. */
bool hole_found(void);

#endif
