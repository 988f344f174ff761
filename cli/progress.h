/* SPDX-License-Identifier: MIT */
/* progress.h - one line on a terminal that shows how far a file is; nothing anywhere else */
#ifndef ZCSOCK_PROGRESS_H
#define ZCSOCK_PROGRESS_H

#include <stdint.h>

/* name: printable. size: UINT64_MAX when unknown. */
void progress_begin(const char *name, uint64_t size);
/* uncopied: percent of the bytes so far that no copy was made of. Draws a few times per second. */
void progress_at(uint64_t done, double uncopied);
/* true: progress_at would draw now; saves the reading of statistics. */
int progress_due(void);
/* Before other output. */
void progress_clear(void);

/* "1.5 GiB" and the like, into a buffer of 16 bytes. */
const char *progress_bytes(uint64_t bytes, char out[16]);

#endif
