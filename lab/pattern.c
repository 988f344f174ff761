/* SPDX-License-Identifier: MIT */
#include "pattern.h"

#include <stdlib.h>
#include <string.h>

uint8_t *pattern_new(void)
{
	uint8_t *pattern = aligned_alloc(4096, PATTERN_PERIOD + PATTERN_PIECE);

	if (!pattern)
		return NULL;
	for (uint64_t i = 0; i < PATTERN_PERIOD / 8; i++) {
		uint64_t word = (i + 1) * 0x9e3779b97f4a7c15;

		word = (word ^ word >> 32) * 0xd6e8feb86659fd93;
		memcpy(pattern + i * 8, &word, 8);
	}
	memcpy(pattern + PATTERN_PERIOD, pattern, PATTERN_PIECE);
	return pattern;
}

size_t pattern_check(const uint8_t *pattern, uint64_t off, const void *data, size_t len)
{
	const uint8_t *at = data;
	size_t done = 0;

	while (done < len) {
		size_t n = len - done < PATTERN_PIECE ? len - done : PATTERN_PIECE;
		const uint8_t *right = pattern_at(pattern, off + done);

		if (memcmp(at + done, right, n) != 0) {
			while (at[done] == *right++)
				done++;
			return done;
		}
		done += n;
	}
	return len;
}
