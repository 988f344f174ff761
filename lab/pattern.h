/* SPDX-License-Identifier: MIT */
/* pattern.h - the bytes that the source sends, which a receiver can check at any offset */
#ifndef ZCSOCK_LAB_PATTERN_H
#define ZCSOCK_LAB_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * It repeats after 251 pages: 251 is a prime, so a stream that is shifted by any power of two
 * shows. It fits into the cache, so that the source reads no memory.
 */
#define PATTERN_PERIOD (251 * 4096)
#define PATTERN_PIECE  65536 /* the longest that can be looked at at once */

/* PATTERN_PERIOD + PATTERN_PIECE bytes to be freed by free(); NULL: no memory. */
uint8_t *pattern_new(void);

static inline const uint8_t *pattern_at(const uint8_t *pattern, uint64_t off)
{
	return pattern + off % PATTERN_PERIOD;
}

/* The index of the first byte that is not the stream's at `off`; len when there is none. */
size_t pattern_check(const uint8_t *pattern, uint64_t off, const void *data, size_t len);

#endif
