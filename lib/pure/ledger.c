// SPDX-License-Identifier: MIT
#include "ledger.h"
#include "guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FEW_BITS 64u
/* 32-bit numbers are told apart by their distance from base, which needs room on both sides. */
#define MAX_BITS (1u << 30)

/* The word with the bit of n. Bits outside [base, next) are 0: take and advance rely on it. */
static uint64_t *word(const struct ledger *l, uint64_t n)
{
	uint64_t *bits = l->bits ? l->bits : (uint64_t *)&l->few;

	return &bits[(n & (l->nr_bits - 1)) / 64];
}

/* The bits of the numbers from n up to end that share a word with n. */
static uint64_t word_mask(uint64_t n, uint64_t end)
{
	uint64_t nr = end - n;

	return (nr < 64 ? ((uint64_t)1 << nr) - 1 : ~(uint64_t)0) << (n % 64);
}

static uint64_t next_word(uint64_t n)
{
	return (n | 63) + 1;
}

/* A loop, not the builtin: that is a call into libgcc, and there is mostly nothing to count. */
static uint32_t nr_ones(uint64_t bits)
{
	uint32_t nr = 0;

	for (; bits; bits &= bits - 1)
		nr++;
	return nr;
}

void ledger_init(struct ledger *l, uint64_t first)
{
	*l = (struct ledger){ .base = first, .next = first, .nr_bits = FEW_BITS };
}

void ledger_fini(struct ledger *l)
{
	free(l->bits);
	ledger_init(l, l->next);
}

int ledger_grow(struct ledger *l)
{
	struct ledger old = *l;
	uint64_t n;

	if (old.nr_bits >= MAX_BITS)
		return -ENOMEM;
	l->bits = calloc(old.nr_bits / 32, sizeof(*l->bits));
	if (!l->bits) {
		l->bits = old.bits;
		return -ENOMEM;
	}
	l->nr_bits = old.nr_bits * 2;
	l->few = 0;
	/* Masked, for base and next share a word of the full ring unless base begins one. */
	for (n = old.base; n < old.next; n = next_word(n))
		*word(l, n) |= *word(&old, n) & word_mask(n, old.next);
	free(old.bits);
	return 0;
}

/* Sets the bits of [lo, hi); how many were not set before. */
static uint64_t mark(struct ledger *l, uint64_t lo, uint64_t hi)
{
	uint64_t fresh = hi - lo;
	uint64_t n;

	for (n = lo; n < hi; n = next_word(n)) {
		uint64_t *w = word(l, n);
		uint64_t m = word_mask(n, hi);

		fresh -= nr_ones(*w & m);
		*w |= m;
	}
	l->nr_set += fresh;
	return fresh;
}

/* Moves base over the settled numbers above it, and clears their bits for the next lap. */
static void advance(struct ledger *l)
{
	for (;;) {
		uint64_t *w = word(l, l->base);
		uint64_t out = ~(*w >> (l->base % 64));
		uint64_t end = next_word(l->base);
		uint64_t run = out ? (uint64_t)__builtin_ctzll(out) : 64;

		if (run < end - l->base)
			end = l->base + run;
		*w &= ~word_mask(l->base, end);
		l->nr_set -= end - l->base;
		l->base = end;
		if (end % 64 || !run)
			return;
	}
}

static void note_unknown(struct ledger *l, uint64_t nr)
{
	l->unknown = nr < UINT32_MAX - l->unknown ? l->unknown + (uint32_t)nr : UINT32_MAX;
}

/* [lo, hi) is within [base, next). */
static uint64_t settle(struct ledger *l, uint64_t lo, uint64_t hi)
{
	uint64_t fresh;

	if (lo == l->base && !l->nr_set) {
		l->base = hi;
		return hi - lo;
	}
	fresh = mark(l, lo, hi);
	note_unknown(l, hi - lo - fresh);
	if (lo == l->base)
		advance(l);
	return fresh;
}

struct ledger_settled ledger_settle(struct ledger *l, uint32_t lo, uint32_t hi)
{
	struct ledger_settled done = { .lo = l->base, .hi = l->base };
	/* In 32 bits first: lo > hi is a range across the wrap. Never 0. */
	uint64_t len = (uint64_t)(uint32_t)(hi - lo) + 1;
	int32_t ahead = (int32_t)(lo - (uint32_t)l->base);
	uint64_t first = l->base + (uint64_t)(int64_t)ahead;

	/* Guard 3: one notification speaks for many calls. */
	if (!GUARD(3))
		len = 1;
	if (first + len > l->next || (ahead < 0 && first > l->base)) {
		l->distrust += l->distrust < UINT32_MAX;
		note_unknown(l, len);
		return done;
	}
	if (first + len <= l->base) {
		note_unknown(l, len);
		return done;
	}
	done.hi = first + len;
	if (ahead < 0)
		note_unknown(l, l->base - first);
	/* Guard 4: later numbers may come first; what lies below a range is still out. */
	if (ahead > 0 && GUARD(4))
		done.lo = first;
	done.fresh = settle(l, done.lo, done.hi);
	return done;
}

void ledger_take_back(struct ledger *l)
{
	if (ledger_out(l) && !ledger_is_settled(l, l->next - 1, l->next))
		l->next--;
}

bool ledger_look(const struct ledger *l, uint64_t lo, uint64_t hi)
{
	uint64_t n;

	if (lo <= l->base || hi > l->next)
		return false;
	for (n = lo; n < hi; n = next_word(n)) {
		if (~*word(l, n) & word_mask(n, hi))
			return false;
	}
	return true;
}

void ledger_rebase(struct ledger *l, uint64_t first)
{
	if (l->bits)
		memset(l->bits, 0, l->nr_bits / 8);
	l->few = 0;
	l->nr_set = 0;
	l->base = l->next = first;
}

void ledger_trim(struct ledger *l)
{
	if (ledger_out(l) || !l->bits)
		return;
	free(l->bits);
	l->bits = NULL;
	l->few = 0;
	l->nr_bits = FEW_BITS;
}
