// SPDX-License-Identifier: MIT
/* The stream of tests/net as the lab's partner knows it: every connection carries its pattern. */
#include "net/net.h"

#include "lab/pattern.h"

static const uint8_t *pattern(void)
{
	static uint8_t *made; /* as long as the program runs */

	if (!made)
		made = pattern_new();
	assert_non_null(made);
	return made;
}

void stream_fill(uint64_t seed, uint64_t pos, void *buf, size_t len)
{
	char *at = buf;

	(void)seed;
	while (len) {
		size_t n = len < PATTERN_PIECE ? len : PATTERN_PIECE;

		memcpy(at, pattern_at(pattern(), pos), n);
		at += n;
		pos += n;
		len -= n;
	}
}

size_t stream_check(uint64_t seed, uint64_t pos, const void *buf, size_t len)
{
	(void)seed;
	return pattern_check(pattern(), pos, buf, len);
}

uint64_t net_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}
