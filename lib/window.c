// SPDX-License-Identifier: MIT
/*
 * window.c - the mapping behind the ring of addresses
 *
 * Pages get into it by a receive (getsockopt TCP_ZEROCOPY_RECEIVE) and out of it by
 * madvise(MADV_DONTNEED) only; every mapping call may therefore say that its range is clean. Were
 * it not, the kernel would find out, clean it and go on (tcp_zerocopy_vm_insert_batch_error):
 * slower, and whoever still holds what lay there would see other bytes.
 */
#include "window.h"

#include "internal.h"
#include "sys.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>

#define SEG_LEN ((size_t)RING_SEG_PAGES * ZCSI_PAGE)

static int tcp_socket(void)
{
	int fd = zcsi_sys->socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);

	/* A kernel or a sandbox may have one family only. The kind of socket is what counts. */
	if (fd == -EAFNOSUPPORT || fd == -EACCES || fd == -EPERM)
		fd = zcsi_sys->socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP);
	return fd;
}

/* Maps len bytes at a 2 MiB boundary: one page table for each segment, shared with nobody. */
static int map_window(struct window *w, size_t len, int fd)
{
	char *mem = zcsi_sys->mmap(NULL, len + ZCSI_HUGE, PROT_READ, MAP_SHARED, fd);
	size_t head;

	if (!mem)
		return -ENOMEM;
	head = -(uintptr_t)mem & (ZCSI_HUGE - 1);
	/*
	 * What cannot be trimmed stays behind as empty address space, never filled, never touched.
	 */
	if (head)
		(void)zcsi_sys->munmap(mem, head);
	(void)zcsi_sys->munmap(mem + head + len, ZCSI_HUGE - head);
	w->base = mem + head;
	w->len = len;
	return 0;
}

/*
 * How much of the option's struct this kernel knows. Nothing is queued on the socket, so the call
 * does nothing; the address must be the window's for kernels that look it up first (before 5.12).
 * Newer kernels take a shorter struct and fill what fits, older ones cut a longer one and say so in
 * the length, the oldest want exactly theirs and say EINVAL.
 */
static int probe_option(struct window *w, int fd)
{
	static const socklen_t lens[] = { WINDOW_OPT_ALL, WINDOW_OPT_COPYBUF, WINDOW_OPT_ERR,
					  WINDOW_OPT_MAP };
	const size_t nr = sizeof(lens) / sizeof(lens[0]);
	int ret = -EINVAL;
	socklen_t len = 0;

	for (size_t i = 0; i < nr && ret == -EINVAL; i++) {
		/* The address comes first, everything else is zero. */
		uint64_t opt[WINDOW_OPT_ALL / 8] = { (uintptr_t)w->base };

		len = lens[i];
		ret = zcsi_sys->getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, opt, &len);
	}
	if (ret < 0)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < nr; i++) {
		if (len >= lens[i]) {
			w->optlen = lens[i];
			return 0;
		}
	}
	return -EOPNOTSUPP;
}

static int set_up(struct window *w, size_t len, int own_fd, int data_fd)
{
	int ret = map_window(w, len, GUARD(10) ? own_fd : data_fd);

	if (ret == 0)
		ret = probe_option(w, own_fd);
	/*
	 * Page tables of this kind of mapping are copied by fork: the child would hold the pages.
	 */
	if (ret == 0)
		ret = zcsi_sys->madvise(w->base, w->len, MADV_DONTFORK);
	if (ret == 0)
		ret = ring_init(&w->ring, (uint32_t)(len / SEG_LEN));
	return ret;
}

int window_open(struct window *w, size_t len, int data_fd)
{
	int fd, ret;

	*w = (struct window){ .base = NULL };
	if (len > SIZE_MAX / 4)
		return -ENOMEM;
	len = len ? (len + SEG_LEN - 1) & ~(SEG_LEN - 1) : SEG_LEN;
	fd = tcp_socket();
	if (fd < 0)
		return fd;
	ret = set_up(w, len, fd, data_fd);
	zcsi_sys->close(fd);
	if (ret < 0)
		window_close(w);
	return ret;
}

void window_close(struct window *w)
{
	if (w->base)
		(void)zcsi_sys->munmap(w->base, w->len);
	ring_fini(&w->ring);
	*w = (struct window){ .base = NULL };
}

static uint32_t page_of(const struct window *w, const void *addr)
{
	return (uint32_t)((size_t)((const char *)addr - w->base) / ZCSI_PAGE);
}

/*
 * Unmaps a run of pages in halves: the kernel takes the page table as well when one call covers the
 * 2 MiB that it describes (CONFIG_PT_RECLAIM), and the next receive would have to build it again.
 */
static int unmap_run(const struct window *w, struct ring_run run)
{
	char *start = w->base + (size_t)run.page * ZCSI_PAGE;
	size_t len = (size_t)run.nr * ZCSI_PAGE;
	size_t first = len < SEG_LEN ? len : SEG_LEN / 2;
	int ret = zcsi_sys->madvise(start, first, MADV_DONTNEED);

	if (ret == 0 && first < len)
		ret = zcsi_sys->madvise(start + first, len - first, MADV_DONTNEED);
	return ret;
}

/* A segment that cannot be unmapped stays dirty: unused, and tried again with the next one. */
static void purge(struct window *w)
{
	struct ring_run run;

	while ((run = ring_dirty(&w->ring)).nr > 0) {
		bool measure = later_is_due(&w->unmap);
		uint64_t from = measure ? zcsi_sys->cpu_ns() : 0;

		if (unmap_run(w, run) < 0)
			return;
		if (measure)
			later_note(&w->unmap, zcsi_sys->cpu_ns() - from,
				   (uint64_t)run.nr * ZCSI_PAGE);
		ring_cleaned(&w->ring, run.page);
	}
}

size_t window_room(struct window *w, size_t want, char **addr)
{
	struct ring_run run;

	if (!w->base || want < ZCSI_PAGE)
		return 0;
	want = min_u64(want / ZCSI_PAGE, RING_SEG_PAGES);
	run = ring_room(&w->ring, (uint32_t)want);
	if (run.nr == 0) {
		purge(w);
		run = ring_room(&w->ring, (uint32_t)want);
	}
	if (run.nr > 0)
		*addr = w->base + (size_t)run.page * ZCSI_PAGE;
	return (size_t)run.nr * ZCSI_PAGE;
}

void window_commit(struct window *w, const char *addr, size_t len)
{
	ring_commit(&w->ring, page_of(w, addr), (uint32_t)(len / ZCSI_PAGE));
}

bool window_owns(const struct window *w, const void *addr)
{
	return w->base && (uintptr_t)addr - (uintptr_t)w->base < w->len;
}

bool window_release(struct window *w, const void *addr, size_t len)
{
	if (!window_owns(w, addr) || ((uintptr_t)addr | len) % ZCSI_PAGE || len > SEG_LEN)
		return false;
	if (!ring_release(&w->ring, page_of(w, addr), (uint32_t)(len / ZCSI_PAGE)))
		return false;
	purge(w);
	return true;
}
