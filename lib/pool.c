// SPDX-License-Identifier: MIT
/*
 * pool.c - slabs of 2 MiB, cut into runs of pages
 *
 *	page	free		its bit in `used` is clear
 *		live		in a buffer with references
 *		lost		in a condemned buffer without references: used for ever
 *	slab	nr_live > 0	stays
 *		all free	idle: kept up to `retain` bytes, for the next allocation
 *		free and lost	unmapped at once, the only way in which lost pages go
 *
 * A large buffer's slab has one entry in place of 512 pages, and is otherwise the same.
 */
#include "pool.h"

#include "sys.h"
#include "zcsock.h"

#include <stdlib.h>

#define SLAB_PAGES (ZCSI_HUGE / ZCSI_PAGE)

/* What `start` leads to is valid at the first page of a buffer only. */
struct pool_page {
	uint32_t refs;	  /* 0: not live */
	uint16_t start;	  /* of a page in a buffer: the buffer's first page */
	uint16_t nr : 10; /* pages */
	uint16_t internal : 1;
	uint16_t condemned : 1;
};

struct pool_slab {
	struct list all;
	char *base;
	size_t len;	  /* ZCSI_HUGE; more: one large buffer */
	uint32_t nr_used; /* pages that are not free */
	uint32_t nr_live; /* of them, in buffers with references */
	uint16_t tag;	  /* of pool_mapping; 0: none */
	uint64_t used[SLAB_PAGES / 64];
	struct pool_page pages[];
};

static struct pool_slab *slab_of(struct list *e)
{
	return container_of(e, struct pool_slab, all);
}

static bool is_large(const struct pool_slab *slab)
{
	return slab->len > ZCSI_HUGE;
}

static size_t buffer_len(const struct pool_slab *slab, const struct pool_page *start)
{
	return is_large(slab) ? slab->len : (size_t)start->nr * ZCSI_PAGE;
}

static uint64_t *used_by(struct pool *p, const struct pool_page *start)
{
	return start->internal ? &p->used_internal : &p->used;
}

/* ---- from an address to its slab ------------------------------------------------------------ */

/*
 * The slot of a key, or the free one where it would go. Neighbours in memory are neighbours here.
 */
static uint32_t table_find(const struct pool *p, uintptr_t key)
{
	uint32_t mask = p->nr_slots - 1;
	uint32_t i = (uint32_t)key & mask;

	while (p->slots[i].slab && p->slots[i].key != key)
		i = (i + 1) & mask;
	return i;
}

static void table_put(struct pool *p, uintptr_t key, struct pool_slab *slab)
{
	p->slots[table_find(p, key)] = (struct pool_slot){ key, slab };
	p->nr_slabs++;
}

/* Empties the slot of a key that is there; entries behind it that it kept from home move up. */
static void table_remove(struct pool *p, uintptr_t key)
{
	uint32_t mask = p->nr_slots - 1;
	uint32_t hole = table_find(p, key);

	for (uint32_t i = (hole + 1) & mask; p->slots[i].slab; i = (i + 1) & mask) {
		/* Nearer to its home than the hole is: it would be lost before it. */
		if (((i - (uint32_t)p->slots[i].key) & mask) < ((i - hole) & mask))
			continue;
		p->slots[hole] = p->slots[i];
		hole = i;
	}
	p->slots[hole].slab = NULL;
	p->nr_slabs--;
}

/* Room for `more` entries at half load. */
static bool table_grow(struct pool *p, size_t more)
{
	struct pool_slot *old = p->slots;
	uint32_t nr_old = p->nr_slots;
	size_t nr = nr_old ? nr_old : 16;
	struct pool_slot *slots;

	while (nr < 2 * (p->nr_slabs + more))
		nr *= 2;
	if (nr == nr_old)
		return true;
	slots = nr <= UINT32_MAX / 2 ? calloc(nr, sizeof(*slots)) : NULL;
	if (!slots)
		return false;
	p->slots = slots;
	p->nr_slots = (uint32_t)nr;
	p->nr_slabs = 0;
	for (uint32_t i = 0; i < nr_old; i++)
		if (old[i].slab)
			table_put(p, old[i].key, old[i].slab);
	free(old);
	return true;
}

struct place {
	struct pool_slab *slab;
	struct pool_page *start; /* of the buffer; NULL: no live buffer is there */
	size_t offset;		 /* into the buffer */
};

static struct place find_live(const struct pool *p, const void *addr)
{
	uintptr_t key = (uintptr_t)addr / ZCSI_HUGE;
	struct place at = { .slab = p->nr_slots ? p->slots[table_find(p, key)].slab : NULL };
	struct pool_page *start;
	size_t page;

	if (!at.slab)
		return at;
	at.offset = (size_t)((const char *)addr - at.slab->base);
	page = is_large(at.slab) ? 0 : at.offset / ZCSI_PAGE;
	start = &at.slab->pages[at.slab->pages[page].start];
	at.offset -= (size_t)(start - at.slab->pages) * ZCSI_PAGE;
	/* A page that is free may name a start of former times. */
	if (start->refs > 0 && at.offset < buffer_len(at.slab, start))
		at.start = start;
	return at;
}

/* ---- slabs ----------------------------------------------------------------------------------- */

/* A slab that is wholly free, and counted as idle. */
static struct pool_slab *slab_new(struct pool *p, size_t len)
{
	size_t nr = len > ZCSI_HUGE ? 1 : SLAB_PAGES;
	struct pool_slab *slab = calloc(1, sizeof(*slab) + nr * sizeof(slab->pages[0]));

	if (!slab)
		return NULL;
	if (table_grow(p, len / ZCSI_HUGE))
		slab->base = pool_map(p, len);
	if (!slab->base) {
		free(slab);
		return NULL;
	}
	slab->len = len;
	for (size_t at = 0; at < len; at += ZCSI_HUGE)
		table_put(p, (uintptr_t)(slab->base + at) / ZCSI_HUGE, slab);
	list_add_tail(&p->all, &slab->all);
	p->mapped += len;
	p->idle += len;
	return slab;
}

/* Its condemned buffers leave the books. */
static void forget_lost(struct pool *p, const struct pool_slab *slab)
{
	for (uint32_t i = 0; i < (is_large(slab) ? 1 : SLAB_PAGES); i++) {
		const struct pool_page *page = &slab->pages[i];
		size_t len = page->condemned ? buffer_len(slab, page) : 0;

		p->condemned -= len;
		*used_by(p, page) -= len;
	}
}

/*
 * A slab without live pages. It stays where splitting a mapping in two is refused: a limit, ENOMEM.
 */
static void slab_unmap(struct pool *p, struct pool_slab *slab)
{
	if (zcsi_sys->munmap(slab->base, slab->len) < 0)
		return;
	if (slab->tag && p->forget)
		p->forget(p->forget_arg, slab->tag);
	for (size_t at = 0; at < slab->len; at += ZCSI_HUGE)
		table_remove(p, (uintptr_t)(slab->base + at) / ZCSI_HUGE);
	if (slab->nr_used == 0)
		p->idle -= slab->len;
	forget_lost(p, slab);
	p->mapped -= slab->len;
	if (p->hint == slab)
		p->hint = NULL;
	list_del(&slab->all);
	free(slab);
}

/*
 * The last live page of `fresh` went. Lost pages go with their slab; of idle slabs those beyond
 * `retain` go, this one last: its memory is the warmest. What could not be unmapped an earlier time
 * is tried again.
 */
static void sweep(struct pool *p, struct pool_slab *fresh)
{
	if (fresh->nr_used > 0 || fresh->len > p->retain) {
		slab_unmap(p, fresh);
		fresh = NULL;
	}
	for (struct list *e = p->all.next; e != &p->all;) {
		struct pool_slab *slab = slab_of(e);

		e = e->next;
		if (slab->nr_live > 0 || slab == fresh)
			continue;
		if (slab->nr_used > 0 || p->idle > p->retain)
			slab_unmap(p, slab);
	}
}

/* ---- runs of pages -------------------------------------------------------------------------- */

/* The first page at or after `from` that is used, or that is not; SLAB_PAGES: none. */
static uint32_t next_page(const struct pool_slab *slab, uint32_t from, bool used)
{
	while (from < SLAB_PAGES) {
		uint64_t word = slab->used[from / 64];

		word = (used ? word : ~word) >> (from % 64);
		if (word)
			return from + (uint32_t)__builtin_ctzll(word);
		from = (from | 63) + 1;
	}
	return SLAB_PAGES;
}

/* The first of nr free pages in a row, or SLAB_PAGES. */
static uint32_t find_run(const struct pool_slab *slab, uint32_t nr)
{
	uint32_t start, end;

	/* In use, but nothing in it live: it should be unmapped already. */
	if (is_large(slab) || SLAB_PAGES - slab->nr_used < nr || (slab->nr_used && !slab->nr_live))
		return SLAB_PAGES;
	for (start = next_page(slab, 0, false); start + nr <= SLAB_PAGES;
	     start = next_page(slab, end, false)) {
		end = next_page(slab, start, true);
		if (end - start >= nr)
			return start;
	}
	return SLAB_PAGES;
}

static void flip(struct pool_slab *slab, uint32_t start, uint32_t nr)
{
	for (uint32_t i = start; i < start + nr; i++)
		slab->used[i / 64] ^= 1ull << (i % 64);
}

static char *take(struct pool *p, struct pool_slab *slab, uint32_t start, uint32_t nr,
		  enum pool_for who)
{
	if (slab->nr_used == 0)
		p->idle -= slab->len;
	flip(slab, start, nr);
	for (uint32_t i = start; i < start + nr; i++)
		slab->pages[i].start = (uint16_t)start;
	slab->pages[start].refs = 1;
	slab->pages[start].nr = nr & 0x3ff;
	slab->pages[start].internal = who == POOL_INTERNAL;
	slab->nr_used += nr;
	slab->nr_live += nr;
	*used_by(p, &slab->pages[start]) += buffer_len(slab, &slab->pages[start]);
	return slab->base + (size_t)start * ZCSI_PAGE;
}

static char *alloc_small(struct pool *p, uint32_t nr, enum pool_for who)
{
	struct pool_slab *slab = p->hint;
	uint32_t start = slab ? find_run(slab, nr) : SLAB_PAGES;
	struct list *e;

	for (e = p->all.next; start == SLAB_PAGES && e != &p->all; e = e->next) {
		slab = slab_of(e);
		start = find_run(slab, nr);
	}
	if (start == SLAB_PAGES) {
		slab = slab_new(p, ZCSI_HUGE);
		if (!slab)
			return NULL;
		start = 0;
	}
	p->hint = slab;
	return take(p, slab, start, nr, who);
}

static char *alloc_large(struct pool *p, size_t len, enum pool_for who)
{
	struct pool_slab *slab;

	for (struct list *e = p->all.next; e != &p->all; e = e->next) {
		if (slab_of(e)->nr_used == 0 && slab_of(e)->len == len)
			return take(p, slab_of(e), 0, 1, who);
	}
	slab = slab_new(p, len);
	return slab ? take(p, slab, 0, 1, who) : NULL;
}

/* ---- buffers -------------------------------------------------------------------------------- */

void pool_init(struct pool *p, uint64_t max, uint64_t retain, uint32_t huge)
{
	*p = (struct pool){
		.max = max,
		.retain = retain,
		.huge = huge ? huge : ZCS_HUGE_AUTO,
		.page = ZCSI_PAGE,
		.backing = "not used yet",
	};
	list_init(&p->all);
}

void pool_fini(struct pool *p)
{
	while (!list_is_empty(&p->all)) {
		struct pool_slab *slab = slab_of(p->all.next);

		(void)zcsi_sys->munmap(slab->base, slab->len);
		list_del(&slab->all);
		free(slab);
	}
	free(p->slots);
	pool_init(p, p->max, p->retain, p->huge);
}

void *pool_alloc(struct pool *p, size_t len, size_t *got, enum pool_for who)
{
	size_t room = len > ZCSI_HUGE ? (len + ZCSI_HUGE - 1) & ~(size_t)(ZCSI_HUGE - 1)
				      : (size_t)page_up(len ? len : 1);
	char *mem = NULL;

	/* Above half of the address space, rounding up could wrap. */
	if (len <= SIZE_MAX / 2 && (who == POOL_INTERNAL || p->used + room <= p->max))
		mem = room > ZCSI_HUGE ? alloc_large(p, room, who)
				       : alloc_small(p, (uint32_t)(room / ZCSI_PAGE), who);
	if (!mem)
		p->starved |= who == POOL_CALLER;
	else if (got)
		*got = room;
	return mem;
}

bool pool_owns(const struct pool *p, const void *addr, size_t len)
{
	struct place at = find_live(p, addr);

	return at.start && len <= buffer_len(at.slab, at.start) - at.offset;
}

void *pool_start(const struct pool *p, const void *addr)
{
	struct place at = find_live(p, addr);

	return at.start ? (char *)(uintptr_t)addr - at.offset : NULL;
}

struct pool_mapping pool_mapping(const struct pool *p, const void *addr, size_t len)
{
	struct pool_slab *slab = find_live(p, addr).slab;

	if (!slab || len > slab->len - (size_t)((const char *)addr - slab->base))
		return (struct pool_mapping){ 0 };
	return (struct pool_mapping){ &slab->tag, slab->base, slab->len };
}

bool pool_is_start(const struct pool *p, const void *addr)
{
	return addr && pool_start(p, addr) == addr;
}

bool pool_is_callers(const struct pool *p, const void *addr)
{
	struct place at = find_live(p, addr);

	return at.start && !at.start->internal;
}

void pool_ref(struct pool *p, const void *addr, uint32_t nr)
{
	struct place at = find_live(p, addr);

	if (at.start)
		at.start->refs += nr;
}

void pool_unref(struct pool *p, const void *addr)
{
	struct place at = find_live(p, addr);
	struct pool_slab *slab = at.slab;

	if (!at.start || --at.start->refs > 0)
		return;
	slab->nr_live -= at.start->nr;
	if (!at.start->condemned) {
		*used_by(p, at.start) -= buffer_len(slab, at.start);
		flip(slab, at.start->start, at.start->nr);
		slab->nr_used -= at.start->nr;
	}
	if (slab->nr_used == 0)
		p->idle += slab->len;
	if (slab->nr_live == 0)
		sweep(p, slab);
}

void pool_condemn(struct pool *p, const void *addr)
{
	struct place at = find_live(p, addr);

	if (!at.start || at.start->condemned)
		return;
	at.start->condemned = 1;
	p->condemned += buffer_len(at.slab, at.start);
}
