/* SPDX-License-Identifier: MIT */
/*
 * ledger.h - which numbers of flagged calls are still out
 *
 * The kernel counts successful calls with MSG_ZEROCOPY per socket, in 32 bits, and tells on the
 * error queue which ranges of them are done (msg_zerocopy.rst). It tells nobody the number of a
 * call, so the ledger mirrors the counter. Numbers here are widened to 64 bits and never wrap.
 *
 *	base <= next
 *	every number below base is settled (or was never ours)
 *	numbers in [base, next) are out, but for those whose bit is set
 *
 * Notifications may come merged, split, in any order, twice, or across the 32-bit wrap (then the
 * kernel's low is greater than its high). What does not name a number that is out is counted and
 * otherwise ignored; a range that reaches past `next` names calls that were never made, so nothing
 * of it can be believed: it settles nothing, because releasing memory early corrupts data. A 32-bit
 * number is taken to lie within 2^31 of base, on either side; one that would then lie before 0 is
 * past `next`.
 *
 * A range that starts at base while nothing above it is settled, which is nearly every range on
 * TCP, costs no look at the bits.
 */
#ifndef ZCSI_LEDGER_H
#define ZCSI_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger {
	uint64_t base;	   /* lowest number that is not settled */
	uint64_t next;	   /* the number that the next flagged call will take */
	uint64_t *bits;	   /* settled ones of [base, next), by number modulo nr_bits; NULL: few */
	uint64_t few;	   /* the bits until more than 64 numbers are out */
	uint32_t nr_bits;  /* capacity: a power of two, at least 64 */
	uint32_t nr_set;   /* bits that are set; the one of base never is */
	uint32_t distrust; /* ranges that reached past next; stays at its maximum */
	uint32_t unknown;  /* numbers notified that were not out; the same */
};

/* What one notification settled: numbers [lo, hi), fresh of them for the first time. */
struct ledger_settled { /* lo == hi: nothing */
	uint64_t lo;
	uint64_t hi;
	uint64_t fresh;
};

void ledger_init(struct ledger *l, uint64_t first);
/* Afterwards as ledger_init made it, with nothing out; may be repeated. */
void ledger_fini(struct ledger *l);
/* Of ledger_reserve, the part that needs memory. */
int ledger_grow(struct ledger *l);
/* A notification of [lo, hi] in the kernel's 32-bit numbers. */
struct ledger_settled ledger_settle(struct ledger *l, uint32_t lo, uint32_t hi);
/* Of ledger_is_settled, the part that looks at bits: lo < hi, base < hi. */
bool ledger_look(const struct ledger *l, uint64_t lo, uint64_t hi);
/* Nothing is out and the next call will take `first` (adoption). What was out is forgotten. */
void ledger_rebase(struct ledger *l, uint64_t first);
/* Gives memory back when nothing is out. */
void ledger_trim(struct ledger *l);

/* Whether every number in [lo, hi) is settled; what was not taken yet is not. */
static inline bool ledger_is_settled(const struct ledger *l, uint64_t lo, uint64_t hi)
{
	return hi <= l->base || lo >= hi || ledger_look(l, lo, hi);
}

static inline uint64_t ledger_out(const struct ledger *l)
{
	return l->next - l->base;
}

/*
 * Room for one more number, so that taking it cannot fail. 0, or -ENOMEM (also with 2^30 numbers
 * out): do not flag this call.
 */
static inline int ledger_reserve(struct ledger *l)
{
	return ledger_out(l) < l->nr_bits ? 0 : ledger_grow(l);
}

/* The number of a flagged call that the kernel accepted; ledger_reserve came before. */
static inline uint64_t ledger_take(struct ledger *l)
{
	return l->next++;
}

/* The last number that was taken was none after all, unless a notification settled it. */
void ledger_take_back(struct ledger *l);

#endif
