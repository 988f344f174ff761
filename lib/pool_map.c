// SPDX-License-Identifier: MIT
/*
 * pool_map.c - memory for the slabs of a pool: huge pages where they are to be had
 */
#include "pool.h"

#include "sys.h"
#include "zcsock.h"

#include <linux/mman.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/*
 * mmap(MAP_HUGETLB) only reserves. Where a control group allows fewer pages than were reserved, as
 * container hosts do, or the memory policy has none, the first touch is a SIGBUS. Filling the pages
 * now makes that an error instead (MADV_POPULATE_WRITE, Linux 5.14); where that cannot be asked
 * for, such pages are left alone.
 */
static char *map_hugetlb(size_t len)
{
	char *mem = zcsi_sys->mmap(NULL, len, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1);

	if (mem && zcsi_sys->madvise(mem, len, MADV_POPULATE_WRITE) < 0) {
		(void)zcsi_sys->munmap(mem, len);
		mem = NULL;
	}
	return mem;
}

/* What cannot be trimmed away stays behind as untouched address space, which costs nothing. */
static char *map_aligned(size_t len)
{
	char *mem = zcsi_sys->mmap(NULL, len + ZCSI_HUGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1);
	size_t head;

	if (!mem)
		return NULL;
	head = -(uintptr_t)mem & (ZCSI_HUGE - 1);
	if (head)
		(void)zcsi_sys->munmap(mem, head);
	(void)zcsi_sys->munmap(mem + head + len, ZCSI_HUGE - head);
	return mem + head;
}

static bool is_thp_on(void)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
	char text[64];

	if (zcsi_sys->read_file(path, text, sizeof(text)) <= 0)
		return false;
	return strstr(text, "[always]") || strstr(text, "[madvise]");
}

char *pool_map(struct pool *p, size_t len)
{
	char *mem;

	if (p->huge == ZCS_HUGE_AUTO && !p->hugetlb_tried) {
		mem = map_hugetlb(len);
		if (mem) {
			p->page = ZCSI_HUGE;
			p->backing = "hugetlb";
			return mem;
		}
		/* There may be one page where there are not many. */
		p->hugetlb_tried = len == ZCSI_HUGE;
	}
	mem = map_aligned(len);
	if (!mem)
		return NULL;
	p->page = ZCSI_PAGE;
	p->backing = "4 KiB pages";
	if (p->huge == ZCS_HUGE_NEVER) {
		(void)zcsi_sys->madvise(mem, len, MADV_NOHUGEPAGE);
	} else if (is_thp_on() && zcsi_sys->madvise(mem, len, MADV_HUGEPAGE) == 0) {
		p->page = ZCSI_HUGE;
		p->backing = "transparent huge pages";
	}
	return mem;
}
