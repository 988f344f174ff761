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

/*
 * What both below do: writes the stream to `fill`, or compares it with `check`; the other is NULL.
 * They return the bytes done, 0 at a difference.
 */
struct job {
	uint64_t seed, pos;
	char *fill;
	const char *check;
	size_t len;
};

/* Whole words at a position that is one: most of a stream, and the quick way through it. */
static size_t whole_words(const struct job *j, size_t at)
{
	size_t start = at;

	for (; j->len - at >= 8; at += 8) {
		uint64_t word = word_at(j->seed, (j->pos + at) / 8);

		if (j->fill)
			memcpy(j->fill + at, &word, 8);
		else if (memcmp(j->check + at, &word, 8) != 0)
			break;
	}
	return at - start;
}

static size_t part_of_word(const struct job *j, size_t at)
{
	uint64_t word = word_at(j->seed, (j->pos + at) / 8);
	size_t skip = (j->pos + at) % 8;
	size_t n = 8 - skip < j->len - at ? 8 - skip : j->len - at;

	if (j->fill)
		memcpy(j->fill + at, (char *)&word + skip, n);
	else if (memcmp(j->check + at, (char *)&word + skip, n) != 0)
		return 0;
	return n;
}

static size_t words(const struct job *j)
{
	size_t at = 0, n = 1;

	for (; n && at < j->len; at += n)
		n = (j->pos + at) % 8 || j->len - at < 8 ? part_of_word(j, at) : whole_words(j, at);
	return at;
}

void stream_fill(uint64_t seed, uint64_t pos, void *buf, size_t len)
{
	struct job j = { .seed = seed, .pos = pos, .fill = buf, .len = len };

	words(&j);
}

size_t stream_check(uint64_t seed, uint64_t pos, const void *buf, size_t len)
{
	struct job j = { .seed = seed, .pos = pos, .check = buf, .len = len };
	size_t at = words(&j);

	if (at < len)
		while (j.check[at] == (char)(word_at(seed, (pos + at) / 8) >> (pos + at) % 8 * 8))
			at++;
	return at;
}
