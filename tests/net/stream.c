// SPDX-License-Identifier: MIT
/* A stream of bytes of which each is a function of its position: no piece can pass for another. */
#include "net.h"

uint64_t net_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint64_t word_at(uint64_t seed, uint64_t nr)
{
	uint64_t state = seed * 0xd1342543de82ef95 + nr * 0x9e3779b97f4a7c15;

	return net_random(&state);
}

static size_t words(uint64_t seed, uint64_t pos, char *fill, const char *check, size_t len)
{
	size_t at = 0;

	while (at < len) {
		uint64_t word = word_at(seed, (pos + at) / 8);
		size_t skip = (pos + at) % 8;
		size_t n = 8 - skip < len - at ? 8 - skip : len - at;

		if (fill)
			memcpy(fill + at, (char *)&word + skip, n);
		else if (memcmp(check + at, (char *)&word + skip, n) != 0)
			break;
		at += n;
	}
	if (check && at < len)
		while (check[at] == (char)(word_at(seed, (pos + at) / 8) >> (pos + at) % 8 * 8))
			at++;
	return at;
}

void stream_fill(uint64_t seed, uint64_t pos, void *buf, size_t len)
{
	words(seed, pos, buf, NULL, len);
}

size_t stream_check(uint64_t seed, uint64_t pos, const void *buf, size_t len)
{
	return words(seed, pos, NULL, buf, len);
}
