// SPDX-License-Identifier: MIT
/*
 * pool.c against a model: every page of a live buffer carries its owner's mark, and memory that was
 * condemned must not be seen again before it was unmapped.
 */
#include "unit.h"

#include "pool.h"
#include "slowness.h"
#include "sys.h"
#include "zcsock.h"

#include <errno.h>
#include <linux/mman.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE ((size_t)ZCSI_PAGE)
#define HUGE ((size_t)ZCSI_HUGE)
#define MIB  ((size_t)1 << 20)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* ---- a kernel that fails on request ------------------------------------------------------ */

static struct {
	bool mmap_fails;
	uintptr_t scatter; /* where the next mapping goes, far from the last; 0: anywhere */
	bool munmap_fails;
	bool hugetlb_is_there;
	bool populate_fails;
	bool thp_fails;
	const char *thp; /* what the file says; NULL: there is none */
	int hugetlb_asked;
	int nr_munmap;
	int64_t mapped;
	int last_advice;
} fake;

struct range {
	char *base;
	size_t len;
};

#define NR_LOST 4096
static struct range lost[NR_LOST]; /* condemned, dead and still mapped */
static size_t nr_lost;

static void *fake_mmap(void *addr, size_t len, int prot, int flags, int fd)
{
	void *mem;

	if (flags & MAP_HUGETLB) {
		fake.hugetlb_asked++;
		if (!fake.hugetlb_is_there)
			return NULL;
		mem = aligned_alloc(HUGE, len); /* stands in for the page; unmapped below by free */
		assert_non_null(mem);
		fake.mapped += (int64_t)len;
		return mem;
	}
	if (fake.mmap_fails)
		return NULL;
	if (fake.scatter) {
		addr = (void *)fake.scatter;
		fake.scatter += (uintptr_t)1 << 31;
	}
	mem = zcsi_sys_kernel.mmap(addr, len, prot, flags, fd);
	if (mem)
		fake.mapped += (int64_t)len;
	return mem;
}

static int fake_munmap(void *addr, size_t len)
{
	char *base = addr;
	size_t i = 0;

	if (fake.munmap_fails)
		return -ENOMEM;
	fake.nr_munmap++;
	fake.mapped -= (int64_t)len;
	while (i < nr_lost) {
		if (lost[i].base >= base && lost[i].base < base + len)
			lost[i] = lost[--nr_lost];
		else
			i++;
	}
	if (fake.hugetlb_is_there) {
		free(addr);
		return 0;
	}
	return zcsi_sys_kernel.munmap(addr, len);
}

static int fake_madvise(void *addr, size_t len, int advice)
{
	fake.last_advice = advice;
	if (advice == MADV_POPULATE_WRITE)
		return fake.populate_fails ? -EFAULT : 0;
	if (fake.thp_fails)
		return -EINVAL;
	return zcsi_sys_kernel.madvise(addr, len, advice);
}

static ssize_t fake_read_file(const char *path, char *buf, size_t len)
{
	assert_string_equal(path, "/sys/kernel/mm/transparent_hugepage/enabled");
	if (!fake.thp)
		return -ENOENT;
	return snprintf(buf, len, "%s\n", fake.thp);
}

static struct zcsi_sys fake_sys;

static int set_up(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake.thp = "always madvise [never]";
	nr_lost = 0;
	fake_sys = zcsi_sys_kernel;
	fake_sys.mmap = fake_mmap;
	fake_sys.munmap = fake_munmap;
	fake_sys.madvise = fake_madvise;
	fake_sys.read_file = fake_read_file;
	zcsi_sys = &fake_sys;
	return 0;
}

/* Whatever a test did, nothing may stay mapped and nothing may be left in the books. */
static void end(struct pool *p)
{
	assert_int_equal(p->used, 0);
	assert_int_equal(p->used_internal, 0);
	assert_int_equal(p->condemned, 0);
	assert_int_equal(p->idle, p->mapped);
	assert_int_equal(fake.mapped, p->mapped);
	pool_fini(p);
	assert_int_equal(fake.mapped, 0);
}

/* ---- one thing at a time ----------------------------------------------------------------- */

static void alloc__rounds_up_to_pages(void **state)
{
	static const size_t lens[] = {
		0, 1, 4095, 4096, 4097, 65536, 2 * MIB, 2 * MIB + 1, 5 * MIB
	};
	static const size_t want[] = { 4096,  4096,    4096,	4096,	8192,
				       65536, 2 * MIB, 4 * MIB, 6 * MIB };
	struct pool p;

	(void)state;
	pool_init(&p, 64 * MIB, 4 * MIB, ZCS_HUGE_THP);
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t got = 0;
		char *buf = pool_alloc(&p, lens[i], &got, POOL_CALLER);

		assert_non_null(buf);
		assert_int_equal(got, want[i]);
		assert_int_equal((uintptr_t)buf % PAGE, 0);
		assert_int_equal(p.used, got);
		memset(buf, 0xaa, got);
		pool_unref(&p, buf + got - 1);
	}
	end(&p);
}

static void alloc__refuses_absurd_lengths(void **state)
{
	struct pool p;

	(void)state;
	pool_init(&p, UINT64_MAX, 0, ZCS_HUGE_THP);
	assert_null(pool_alloc(&p, SIZE_MAX, NULL, POOL_CALLER));
	assert_null(pool_alloc(&p, SIZE_MAX / 2 + 1, NULL, POOL_INTERNAL));
	assert_null(pool_alloc(&p, (size_t)1 << 62, NULL, POOL_INTERNAL));
	end(&p);
}

static void alloc__max_binds_the_caller_only(void **state)
{
	struct pool p;
	void *a, *b;

	(void)state;
	pool_init(&p, 64 * 1024, 0, ZCS_HUGE_THP);
	a = pool_alloc(&p, 60 * 1024, NULL, POOL_CALLER);
	assert_non_null(a);
	assert_null(pool_alloc(&p, 8 * 1024, NULL, POOL_CALLER));
	assert_true(p.starved);
	p.starved = false;
	b = pool_alloc(&p, 8 * 1024, NULL, POOL_INTERNAL);
	assert_non_null(b);
	assert_int_equal(p.used_internal, 8 * 1024);
	pool_unref(&p, a);
	assert_non_null(a = pool_alloc(&p, 64 * 1024, NULL, POOL_CALLER));
	assert_false(p.starved);
	pool_unref(&p, a);
	pool_unref(&p, b);
	end(&p);
}

static void alloc__without_memory(void **state)
{
	struct pool p;
	void *a;

	(void)state;
	pool_init(&p, 64 * MIB, 0, ZCS_HUGE_AUTO);
	fake.mmap_fails = true;
	assert_null(pool_alloc(&p, 1, NULL, POOL_INTERNAL));
	assert_false(p.starved);
	assert_null(pool_alloc(&p, 1, NULL, POOL_CALLER));
	assert_null(pool_alloc(&p, 5 * MIB, NULL, POOL_CALLER));
	assert_true(p.starved);
	assert_int_equal(p.mapped, 0);
	fake.mmap_fails = false;
	assert_non_null(a = pool_alloc(&p, 1, NULL, POOL_CALLER));
	pool_unref(&p, a);
	end(&p);
}

static void owns__whole_ranges_of_live_buffers(void **state)
{
	char here[16];
	struct pool p;
	char *a, *b;

	(void)state;
	pool_init(&p, 64 * MIB, 4 * MIB, ZCS_HUGE_THP);
	assert_false(pool_owns(&p, here, 1));
	a = pool_alloc(&p, 3 * PAGE, NULL, POOL_CALLER);
	b = pool_alloc(&p, PAGE, NULL, POOL_CALLER);
	assert_ptr_equal(b, a + 3 * PAGE);
	assert_true(pool_owns(&p, a, 3 * PAGE));
	assert_true(pool_owns(&p, a + 3 * PAGE - 1, 1));
	assert_false(pool_owns(&p, a, 3 * PAGE + 1));
	assert_false(pool_owns(&p, a + 1, SIZE_MAX));
	assert_false(pool_owns(&p, b + PAGE, 1));
	assert_false(pool_owns(&p, NULL, 0));
	assert_true(pool_is_start(&p, b));
	assert_false(pool_is_start(&p, b + 1));
	assert_false(pool_is_start(&p, NULL));
	assert_ptr_equal(pool_start(&p, b - 1), a);
	assert_null(pool_start(&p, here));
	pool_unref(&p, a);
	assert_false(pool_owns(&p, a, 1));
	assert_null(pool_start(&p, a + PAGE));
	pool_ref(&p, a, 1); /* nobody's */
	pool_unref(&p, here);
	/* Pages in the middle of what was one buffer are looked up right when they are several. */
	assert_ptr_equal(pool_alloc(&p, PAGE, NULL, POOL_CALLER), a);
	assert_false(pool_owns(&p, a + PAGE, 1));
	pool_unref(&p, a);
	pool_unref(&p, b);
	end(&p);
}

static void ref__anywhere_in_the_buffer(void **state)
{
	struct pool p;
	char *a, *big;

	(void)state;
	pool_init(&p, 64 * MIB, 0, ZCS_HUGE_THP);
	a = pool_alloc(&p, 64 * 1024, NULL, POOL_CALLER);
	big = pool_alloc(&p, 7 * MIB, NULL, POOL_CALLER);
	pool_ref(&p, a + 12345, 1);
	pool_ref(&p, big + 6 * MIB + 1, 1);
	pool_unref(&p, a);
	pool_unref(&p, big);
	assert_true(pool_owns(&p, a, 64 * 1024));
	assert_true(pool_owns(&p, big + MIB, 6 * MIB));
	assert_ptr_equal(pool_start(&p, big + 5 * MIB), big);
	assert_int_equal(p.nr_slabs, 1 + 4);
	pool_unref(&p, a + 65535);
	pool_unref(&p, big + 4 * MIB);
	assert_false(pool_owns(&p, a, 1));
	assert_false(pool_owns(&p, big, 1));
	assert_int_equal(p.mapped, 0);
	end(&p);
}

/* ---- what stays mapped ------------------------------------------------------------------- */

static void retain__keeps_the_warmest(void **state)
{
	struct pool p;
	char *slab[4], *big;

	(void)state;
	pool_init(&p, 64 * MIB, 4 * MIB, ZCS_HUGE_THP);
	for (int i = 0; i < 4; i++)
		slab[i] = pool_alloc(&p, HUGE, NULL, POOL_CALLER);
	assert_int_equal(p.mapped, 8 * MIB);
	for (int i = 0; i < 4; i++)
		pool_unref(&p, slab[i]);
	assert_int_equal(p.mapped, 4 * MIB);
	slab[0] = pool_alloc(&p, HUGE, NULL, POOL_CALLER);
	slab[1] = pool_alloc(&p, HUGE, NULL, POOL_CALLER);
	assert_true(slab[0] == slab[3] || slab[1] == slab[3]);
	pool_unref(&p, slab[0]);
	pool_unref(&p, slab[1]);

	/* The one that became free last stays, wherever it stands. */
	for (int i = 0; i < 3; i++)
		slab[i] = pool_alloc(&p, HUGE, NULL, POOL_CALLER);
	for (int i = 2; i >= 0; i--)
		pool_unref(&p, slab[i]);
	slab[1] = pool_alloc(&p, HUGE, NULL, POOL_CALLER);
	slab[2] = pool_alloc(&p, HUGE, NULL, POOL_CALLER);
	assert_true(slab[1] == slab[0] || slab[2] == slab[0]);
	pool_unref(&p, slab[1]);
	pool_unref(&p, slab[2]);

	/* A large one displaces small ones and is found again; one beyond the limit does not. */
	big = pool_alloc(&p, 3 * MIB, NULL, POOL_CALLER);
	pool_unref(&p, big);
	assert_int_equal(p.mapped, 4 * MIB);
	assert_ptr_equal(pool_alloc(&p, 4 * MIB, NULL, POOL_CALLER), big);
	pool_unref(&p, big);
	pool_unref(&p, pool_alloc(&p, 5 * MIB, NULL, POOL_CALLER));
	assert_int_equal(p.mapped, 4 * MIB);
	end(&p);
}

static void many_slabs(uint64_t seed)
{
	enum { NR = 300 };
	struct rng rng = rng_seeded(seed);
	char *slab[NR];
	struct pool p;

	pool_init(&p, UINT64_MAX, 0, ZCS_HUGE_NEVER);
	for (int i = 0; i < NR; i++)
		slab[i] = pool_alloc(&p, i % 3 ? HUGE : 2 * HUGE, NULL, POOL_INTERNAL);
	for (int left = NR; left > 0; left--) {
		int64_t i = rng_between(&rng, 0, left - 1);

		pool_unref(&p, slab[i]);
		slab[i] = slab[left - 1];
		for (int j = 0; j < left - 1; j++)
			assert_true(pool_is_start(&p, slab[j]));
	}
	assert_int_equal(p.nr_slabs, 0);
	end(&p);
}

static void table__many_slabs_come_and_go(void **state)
{
	(void)state;
	many_slabs(7);
	/* 2 GiB apart, every slab wants the same slot of the table. */
	fake.scatter = (uintptr_t)0x200000000000;
	many_slabs(8);
}

/* ---- backing ----------------------------------------------------------------------------- */

static void check_backing(uint32_t huge, uint32_t page, const char *words, int asked)
{
	struct pool p;
	void *a, *b;

	fake.hugetlb_asked = 0;
	pool_init(&p, 64 * MIB, 0, huge);
	a = pool_alloc(&p, HUGE, NULL, POOL_CALLER);
	b = pool_alloc(&p, HUGE, NULL, POOL_CALLER);
	assert_int_equal(p.page, page);
	assert_string_equal(p.backing, words);
	assert_int_equal(fake.hugetlb_asked, asked);
	assert_int_equal((uintptr_t)a % HUGE, 0);
	assert_int_equal((uintptr_t)b % HUGE, 0);
	pool_unref(&p, a);
	pool_unref(&p, b);
	end(&p);
}

static void backing__what_is_to_be_had(void **state)
{
	(void)state;
	check_backing(ZCS_HUGE_AUTO, 4096, "4 KiB pages", 1);
	fake.thp = "always [madvise] never";
	check_backing(0, HUGE, "transparent huge pages", 1);
	check_backing(ZCS_HUGE_THP, HUGE, "transparent huge pages", 0);
	fake.thp = "[always] madvise never";
	check_backing(ZCS_HUGE_THP, HUGE, "transparent huge pages", 0);
	check_backing(ZCS_HUGE_NEVER, 4096, "4 KiB pages", 0);
	assert_int_equal(fake.last_advice, MADV_NOHUGEPAGE);
	fake.thp_fails = true;
	check_backing(ZCS_HUGE_AUTO, 4096, "4 KiB pages", 1);
	check_backing(ZCS_HUGE_NEVER, 4096, "4 KiB pages", 0);
	fake.thp = NULL;
	check_backing(ZCS_HUGE_THP, 4096, "4 KiB pages", 0);
}

static void backing__hugetlb(void **state)
{
	(void)state;
	fake.hugetlb_is_there = true;
	check_backing(ZCS_HUGE_AUTO, HUGE, "hugetlb", 2);
}

/* A control group that has none of the reserved pages for us: SIGBUS, were they touched. */
static void backing__hugetlb_that_cannot_be_filled(void **state)
{
	struct pool p;
	char *a;

	(void)state;
	fake.hugetlb_is_there = true;
	fake.populate_fails = true;
	fake.mmap_fails = true;
	pool_init(&p, 64 * MIB, 0, ZCS_HUGE_AUTO);
	assert_null(pool_alloc(&p, 5 * MIB, NULL, POOL_CALLER));
	assert_false(p.hugetlb_tried); /* that many: no; one: perhaps */
	assert_null(pool_alloc(&p, 1, NULL, POOL_CALLER));
	assert_int_equal(fake.nr_munmap, 2);
	assert_int_equal(fake.mapped, 0);
	fake.mmap_fails = fake.hugetlb_is_there = false;
	assert_non_null(a = pool_alloc(&p, 1, NULL, POOL_CALLER));
	assert_int_equal(fake.hugetlb_asked, 2);
	pool_unref(&p, a);
	end(&p);
}

/* ---- condemned --------------------------------------------------------------------------- */

static void condemn__pages_never_come_back(void **state)
{
	struct pool p;
	char *a, *b, *c;

	(void)state;
	pool_init(&p, 64 * MIB, 4 * MIB, ZCS_HUGE_THP);
	a = pool_alloc(&p, 16 * PAGE, NULL, POOL_CALLER);
	b = pool_alloc(&p, PAGE, NULL, POOL_CALLER);
	pool_ref(&p, a + PAGE, 1);
	pool_condemn(&p, a + 2 * PAGE);
	pool_condemn(&p, a); /* once is enough */
	assert_int_equal(p.condemned, 16 * PAGE);
	assert_true(pool_owns(&p, a, 16 * PAGE)); /* still lent elsewhere */
	pool_unref(&p, a);
	pool_unref(&p, a);
	assert_false(pool_owns(&p, a, 1));
	assert_int_equal(p.condemned, 16 * PAGE);
	assert_int_equal(p.used, 17 * PAGE); /* lost pages still count against the limit */
	c = pool_alloc(&p, 16 * PAGE, NULL, POOL_INTERNAL);
	assert_ptr_equal(c, b + PAGE);
	pool_condemn(&p, a); /* no longer anybody's */
	pool_unref(&p, b);
	assert_int_equal(p.condemned, 16 * PAGE);
	pool_unref(&p, c);
	assert_int_equal(p.mapped, 0); /* not idle: gone, whatever `retain` says */
	end(&p);
}

static void condemn__after_the_callers_free(void **state)
{
	struct pool p;
	char *a;

	(void)state;
	pool_init(&p, 64 * MIB, 4 * MIB, ZCS_HUGE_THP);
	a = pool_alloc(&p, PAGE, NULL, POOL_INTERNAL);
	pool_ref(&p, a, 1); /* a message */
	pool_unref(&p, a);
	pool_condemn(&p, a);
	assert_int_equal(p.condemned, PAGE);
	pool_unref(&p, a);
	assert_int_equal(p.condemned, 0);
	assert_int_equal(p.mapped, 0);
	end(&p);
}

static void condemn__large(void **state)
{
	struct pool p;
	char *a;

	(void)state;
	pool_init(&p, 64 * MIB, 64 * MIB, ZCS_HUGE_THP);
	a = pool_alloc(&p, 5 * MIB, NULL, POOL_CALLER);
	pool_condemn(&p, a + 4 * MIB);
	assert_int_equal(p.condemned, 6 * MIB);
	pool_unref(&p, a + 3 * MIB);
	assert_int_equal(p.mapped, 0);
	end(&p);
}

static void condemn__waits_until_it_can_be_unmapped(void **state)
{
	struct pool p;
	char *a, *b;

	(void)state;
	pool_init(&p, 64 * MIB, 4 * MIB, ZCS_HUGE_THP);
	a = pool_alloc(&p, PAGE, NULL, POOL_CALLER);
	pool_condemn(&p, a);
	fake.munmap_fails = true;
	pool_unref(&p, a);
	assert_int_equal(p.condemned, PAGE);
	b = pool_alloc(&p, PAGE, NULL, POOL_CALLER);
	assert_int_not_equal((uintptr_t)a / HUGE, (uintptr_t)b / HUGE);
	pool_unref(&p, b);
	assert_int_equal(p.condemned, PAGE);
	fake.munmap_fails = false;
	fake.mapped -= (int64_t)HUGE; /* what could not be trimmed off b's slab */
	b = pool_alloc(&p, PAGE, NULL, POOL_CALLER);
	pool_unref(&p, b);
	assert_int_equal(p.condemned, 0);
	assert_int_equal(p.mapped, HUGE);
	end(&p);
}

/* ---- the model --------------------------------------------------------------------------- */

#define NR_BUFS 200

struct buf {
	char *base;
	size_t len;
	uint64_t mark;
	unsigned refs;
	bool condemned;
	bool internal;
};

static struct buf bufs[NR_BUFS];
static size_t nr_bufs;

static void check_marks(const struct buf *b)
{
	for (size_t at = 0; at < b->len; at += PAGE)
		assert_int_equal(*(uint64_t *)(b->base + at), b->mark + at);
}

static void check_is_not_lost(const struct buf *b)
{
	for (size_t i = 0; i < nr_lost; i++)
		assert_true(lost[i].base >= b->base + b->len ||
			    lost[i].base + lost[i].len <= b->base);
}

static void model_alloc(struct pool *p, struct rng *rng)
{
	static const size_t sizes[] = { PAGE, 16 * PAGE, 256 * PAGE, 512 * PAGE, 1200 * PAGE };
	size_t want = (size_t)rng_between(rng, 1, (int64_t)sizes[rng_between(rng, 0, 4)]);
	struct buf *b = &bufs[nr_bufs];

	*b = (struct buf){ .refs = 1, .mark = rng_next(rng), .internal = rng_percent(rng, 20) };
	b->base = pool_alloc(p, want, &b->len, b->internal ? POOL_INTERNAL : POOL_CALLER);
	if (!b->base)
		return;
	assert_true(b->len >= want);
	check_is_not_lost(b);
	for (size_t at = 0; at < b->len; at += PAGE)
		*(uint64_t *)(b->base + at) = b->mark + at;
	nr_bufs++;
}

static void model_unref(struct pool *p, struct rng *rng, struct buf *b)
{
	if (b->refs == 1) {
		check_marks(b);
		if (b->condemned && nr_lost < NR_LOST)
			lost[nr_lost++] = (struct range){ b->base, b->len };
	}
	pool_unref(p, b->base + rng_between(rng, 0, (int64_t)b->len - 1));
	if (--b->refs == 0)
		*b = bufs[--nr_bufs];
}

static void model_step(struct pool *p, struct rng *rng)
{
	struct buf *b = nr_bufs ? &bufs[rng_between(rng, 0, (int64_t)nr_bufs - 1)] : NULL;
	int64_t what = rng_between(rng, 0, 99);

	fake.munmap_fails = rng_percent(rng, 2);
	if (!b || (what < 35 && nr_bufs < NR_BUFS)) {
		fake.munmap_fails =
			false; /* trimming would leave more mapped than the model counts */
		model_alloc(p, rng);
	} else if (what < 45) {
		pool_ref(p, b->base + rng_between(rng, 0, (int64_t)b->len - 1), 1);
		b->refs++;
	} else if (what < 50) {
		pool_condemn(p, b->base);
		b->condemned = true;
	} else {
		model_unref(p, rng, b);
	}
	fake.munmap_fails = false;
}

static void check_books(const struct pool *p)
{
	uint64_t used[2] = { 0, 0 }, gone = 0, condemned = 0;

	for (size_t i = 0; i < nr_bufs; i++) {
		used[bufs[i].internal] += bufs[i].len;
		condemned += bufs[i].condemned ? bufs[i].len : 0;
	}
	for (size_t i = 0; i < nr_lost; i++)
		gone += lost[i].len;
	assert_int_equal(p->used + p->used_internal, used[0] + used[1] + gone);
	assert_int_equal(p->condemned, condemned + gone);
	assert_true(p->used >= used[0] && p->used_internal >= used[1]);
	assert_int_equal(p->mapped, fake.mapped);
}

static void run_model(uint64_t seed)
{
	struct rng rng = rng_seeded(seed);
	struct pool p;

	nr_bufs = nr_lost = 0;
	pool_init(&p, 24 * MIB, (uint64_t)rng_between(&rng, 0, 8) * MIB, ZCS_HUGE_NEVER);
	for (int i = 0; i < 3000; i++) {
		model_step(&p, &rng);
		check_books(&p);
	}
	while (nr_bufs)
		model_unref(&p, &rng, &bufs[nr_bufs - 1]);
	/* Whatever was stuck goes with the next slab that empties. */
	pool_unref(&p, pool_alloc(&p, HUGE, NULL, POOL_INTERNAL));
	end(&p);
}

static void model__random_operations(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= tries(20); seed++)
		run_model(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(alloc__rounds_up_to_pages, set_up),
		cmocka_unit_test_setup(alloc__refuses_absurd_lengths, set_up),
		cmocka_unit_test_setup(alloc__max_binds_the_caller_only, set_up),
		cmocka_unit_test_setup(alloc__without_memory, set_up),
		cmocka_unit_test_setup(owns__whole_ranges_of_live_buffers, set_up),
		cmocka_unit_test_setup(ref__anywhere_in_the_buffer, set_up),
		cmocka_unit_test_setup(retain__keeps_the_warmest, set_up),
		cmocka_unit_test_setup(table__many_slabs_come_and_go, set_up),
		cmocka_unit_test_setup(backing__what_is_to_be_had, set_up),
		cmocka_unit_test_setup(backing__hugetlb, set_up),
		cmocka_unit_test_setup(backing__hugetlb_that_cannot_be_filled, set_up),
		cmocka_unit_test_setup(condemn__pages_never_come_back, set_up),
		cmocka_unit_test_setup(condemn__after_the_callers_free, set_up),
		cmocka_unit_test_setup(condemn__large, set_up),
		cmocka_unit_test_setup(condemn__waits_until_it_can_be_unmapped, set_up),
		cmocka_unit_test_setup(model__random_operations, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
