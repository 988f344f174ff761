/* SPDX-License-Identifier: MIT */
/*
 * simk_mem.c - mappings, and references into the program's memory
 *
 * Memory is real. What is simulated: the pages of a TCP mapping (an area), which are there or not,
 * and that references of sends in flight keep the old bytes when memory is unmapped or replaced.
 */
#include "simk_int.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096ul

struct range {
	char *base;
	size_t len;
	unsigned char *filled; /* of an area: a byte per page; NULL: ordinary memory */
	struct sim_tcp *pins;  /* of an area: the socket that it holds open */
};

static struct range *ranges;
static size_t nr_ranges, max_ranges;

static char *max_ptr(char *a, char *b)
{
	return a > b ? a : b;
}

static char *min_ptr(char *a, char *b)
{
	return a < b ? a : b;
}

/* ---- references ------------------------------------------------------------------------------ */

static void keep_ref(struct piece *p, struct ref *r, const char *base, size_t len)
{
	if (!r->ptr || r->own || r->ptr + r->len <= base || r->ptr >= base + len)
		return;
	r->own = malloc(r->len);
	memcpy(r->own, r->ptr, r->len);
	sim_trace("  %zu bytes in flight are kept, socket %d", r->len, p->s->id);
}

static void keep_list(struct list *head, const char *base, size_t len)
{
	for (struct list *e = head->next; e != head; e = e->next) {
		struct piece *p = container_of(e, struct piece, list);

		for (unsigned i = 0; i < p->nr_refs; i++)
			keep_ref(p, &p->refs[i], base, len);
	}
}

/* The memory is about to go or to be replaced. */
static void keep_bytes(const char *base, size_t len)
{
	for (struct list *e = sim_socks.next; e != &sim_socks; e = e->next) {
		struct sim_tcp *s = container_of(e, struct sim_tcp, list);

		keep_list(&s->pieces, base, len);
		keep_list(&s->held, base, len);
	}
}

size_t kmem_readable(const void *addr, size_t len)
{
	char bytes[512];
	size_t done = 0;

	while (done < len) {
		struct iovec to = { bytes, 0 }, from[512];
		size_t n = 0, at = done;
		ssize_t got;

		for (; n < 512 && at < len; n++) {
			from[n] = (struct iovec){ (char *)addr + at, 1 };
			at = (((uintptr_t)addr + at) & ~(PAGE - 1)) + PAGE - (uintptr_t)addr;
		}
		to.iov_len = n;
		got = process_vm_readv(getpid(), &to, 1, from, n, 0);
		if (got < (ssize_t)n) {
			if (got <= 0)
				return done;
			return (size_t)((char *)from[got].iov_base - (char *)addr);
		}
		done = at < len ? at : len;
	}
	return len;
}

/* ---- what is mapped -------------------------------------------------------------------------- */

static void range_add(char *base, size_t len, unsigned char *filled, struct sim_tcp *pins)
{
	if (nr_ranges == max_ranges) {
		max_ranges = 2 * max_ranges + 16;
		ranges = realloc(ranges, max_ranges * sizeof(*ranges));
	}
	ranges[nr_ranges++] = (struct range){ base, len, filled, pins };
	if (pins)
		pins->pins++;
}

static unsigned char *part_of(const struct range *r, const char *from, size_t len)
{
	unsigned char *filled;

	if (!r->filled)
		return NULL;
	filled = malloc(len / PAGE + 1);
	memcpy(filled, r->filled + (size_t)(from - r->base) / PAGE, len / PAGE);
	return filled;
}

/* Takes [base, base + len) out of what is known; the number of bytes that were. */
static size_t range_cut(char *base, size_t len)
{
	size_t cut = 0;

	for (size_t i = 0; i < nr_ranges; i++) {
		struct range r = ranges[i];
		char *from = max_ptr(base, r.base), *to = min_ptr(base + len, r.base + r.len);

		if (from >= to)
			continue;
		cut += (size_t)(to - from);
		ranges[i--] = ranges[--nr_ranges];
		if (from > r.base)
			range_add(r.base, (size_t)(from - r.base),
				  part_of(&r, r.base, (size_t)(from - r.base)), r.pins);
		if (to < r.base + r.len)
			range_add(to, (size_t)(r.base + r.len - to),
				  part_of(&r, to, (size_t)(r.base + r.len - to)), r.pins);
		if (r.pins)
			ktcp_unpin(r.pins);
		free(r.filled);
	}
	return cut;
}

static struct range *area_of(const char *addr)
{
	for (size_t i = 0; i < nr_ranges; i++)
		if (ranges[i].filled && addr >= ranges[i].base &&
		    addr < ranges[i].base + ranges[i].len)
			return &ranges[i];
	return NULL;
}

static char *map_area(void *addr, size_t len, int prot, int flags, int fd)
{
	int err;
	struct sim_tcp *s = ktcp_of(fd, &err);
	char *base;

	if (!s || !s->k.map_optlen || (prot & (PROT_WRITE | PROT_EXEC)))
		return NULL;
	base = mmap(addr, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | (flags & MAP_FIXED), -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	range_add(base, len, calloc(len / PAGE + 1, 1), s);
	return base;
}

void *sim_sys_mmap(void *addr, size_t len, int prot, int flags, int fd)
{
	char *base;

	sim_enter("mmap", fd);
	len = (len + PAGE - 1) & ~(PAGE - 1);
	if (sim_pct(sim.mmap_fail_pct) || (flags & MAP_HUGETLB))
		return NULL;
	if (flags & MAP_FIXED) {
		keep_bytes(addr, len);
		range_cut(addr, len);
	}
	if (fd >= 0)
		return map_area(addr, len, prot, flags, fd);
	base = mmap(addr, len, prot, flags, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	range_add(base, len, NULL, NULL);
	return base;
}

int sim_sys_munmap(void *addr, size_t len)
{
	sim_enter("munmap", -1);
	len = (len + PAGE - 1) & ~(PAGE - 1);
	keep_bytes(addr, len);
	kring_unmapped(addr, len);
	if (range_cut(addr, len) != len)
		sim_fail("munmap of %zu bytes at %p, which are not all mapped", len, addr);
	return munmap(addr, len) < 0 ? -errno : 0;
}

int sim_sys_madvise(void *addr, size_t len, int advice)
{
	sim_enter("madvise", advice);
	if (area_of(addr)) {
		if (advice == MADV_DONTNEED)
			karea_zap(addr, len);
		else if (advice == MADV_FREE)
			return -EINVAL;
		return 0;
	}
	if (advice == MADV_DONTNEED || advice == MADV_FREE)
		keep_bytes(addr, len);
	return madvise(addr, len, advice) < 0 ? -errno : 0;
}

void kmem_end(void)
{
	for (size_t i = 0; i < nr_ranges; i++)
		sim_fail("%zu bytes at %p are still mapped", ranges[i].len, (void *)ranges[i].base);
	free(ranges);
	ranges = NULL;
	max_ranges = 0;
}

/* ---- areas ----------------------------------------------------------------------------------- */

size_t karea_room(const char *addr)
{
	struct range *r = area_of(addr);

	return r ? (size_t)(r->base + r->len - addr) / PAGE : 0;
}

bool karea_filled(const char *addr)
{
	struct range *r = area_of(addr);

	return r && r->filled[(size_t)(addr - r->base) / PAGE];
}

void karea_fill(char *addr, size_t len, uint32_t key, uint64_t pos)
{
	struct range *r = area_of(addr);

	mprotect(addr, len, PROT_READ | PROT_WRITE);
	sim_fill(addr, len, key, pos);
	mprotect(addr, len, PROT_READ);
	memset(r->filled + (size_t)(addr - r->base) / PAGE, 1, len / PAGE);
}

/* Gone: touching them is a fault from now on. */
void karea_zap(char *addr, size_t len)
{
	struct range *r = area_of(addr);

	len = (len + PAGE - 1) & ~(PAGE - 1);
	if (!r || addr + len > r->base + r->len)
		sim_fail("zap of %zu bytes at %p, past the end of the mapping", len, (void *)addr);
	keep_bytes(addr, len);
	memset(r->filled + (size_t)(addr - r->base) / PAGE, 0, len / PAGE);
	mprotect(addr, len, PROT_NONE);
	madvise(addr, len, MADV_DONTNEED);
}
