// SPDX-License-Identifier: MIT
/*
 * span_file.c - received spans -> file
 *
 * Of a descriptor with O_DIRECT the disk reads the kernel's receive pages themselves: no copy, and
 * nothing in the page cache [rx_mapped_pages_write_direct]. That takes alignment, so a span is cut
 * into what is aligned and what is not, and O_DIRECT is taken off the descriptor for the rest. No
 * page of the file is written in both ways: the kernel would write it out in between.
 */
#include "conn.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

#define NR_PIECES 256 /* in one call; 4 KiB of stack */

struct writer {
	int file, flags; /* as they are now */
	uint64_t off;	 /* of the first piece that waits */
	uint64_t end;	 /* behind the last one */
	uint64_t direct; /* bytes that went past the page cache */
	uint32_t mem;	 /* alignment of memory, and of offset and length, in bytes */
	uint32_t block;	 /* 0: nothing is direct */
	bool way;	 /* the pieces that wait go directly */
	int nr;
	struct iovec pieces[NR_PIECES];
};

/* The way of this descriptor from now on, for all who share it. */
static int set_direct(struct writer *w, bool on)
{
	int flags = on ? w->flags | O_DIRECT : w->flags & ~O_DIRECT;
	int r = flags == w->flags ? 0 : zcsi_sys->fcntl(w->file, F_SETFL, flags);

	if (r == 0)
		w->flags = flags;
	return r;
}

static int open_writer(struct writer *w, int file, uint64_t off)
{
	uint32_t block = 0;
	int flags = zcsi_sys->fcntl(file, F_GETFL, 0);

	if (flags < 0)
		return flags;
	/* pwritev(2) would ignore the offset. */
	if (flags & O_APPEND || off > INT64_MAX)
		return -EINVAL;
	w->file = file;
	w->flags = flags;
	w->off = w->end = off;
	w->direct = 0;
	w->block = 0;
	w->nr = 0;
	w->way = false;
	if (flags & O_DIRECT && zcsi_sys->dio_align(file, &w->mem, &block) == 0 && block)
		w->block = block > ZCSI_PAGE ? block : ZCSI_PAGE;
	return 0;
}

/* So many bytes of the pieces that wait are in the file. */
static void advance(struct writer *w, size_t bytes)
{
	int i = 0;

	w->off += bytes;
	w->direct += w->way ? bytes : 0;
	for (; i < w->nr && bytes >= w->pieces[i].iov_len; i++)
		bytes -= w->pieces[i].iov_len;
	w->nr -= i;
	for (int j = 0; j < w->nr; j++)
		w->pieces[j] = w->pieces[i + j];
	if (w->nr) {
		w->pieces[0].iov_base = (char *)w->pieces[0].iov_base + bytes;
		w->pieces[0].iov_len -= bytes;
	}
}

/* Not this way, whatever statx(2) said: memory that cannot be pinned, a file system that cannot. */
static void go_by_cache(struct writer *w)
{
	w->way = false;
	w->block = 0;
}

/* All that waits, in one call if the kernel takes it whole. */
static int flush(struct writer *w)
{
	while (w->nr) {
		ssize_t r = set_direct(w, w->way);

		if (r == 0)
			r = zcsi_sys->pwritev(w->file, w->pieces, w->nr, w->off);
		if (r > 0)
			advance(w, (size_t)r);
		else if (w->way && (r == -EINVAL || r == -EFAULT))
			go_by_cache(w);
		else
			return r < 0 ? (int)r : -EIO;
	}
	return 0;
}

static int add(struct writer *w, const char *base, size_t len, bool way)
{
	int r = 0;

	if (!len)
		return 0;
	if (w->nr == NR_PIECES || w->way != way)
		r = flush(w);
	if (r < 0)
		return r;
	w->way = way && w->block; /* flush may have found out that it is none */
	w->pieces[w->nr++] = (struct iovec){ .iov_base = (void *)base, .iov_len = len };
	w->end += len;
	return 0;
}

/* Cuts [base, base + len) in three: up to the next block of the file, whole blocks, the rest. */
static int add_span(struct writer *w, const char *base, size_t len)
{
	size_t head = w->block ? (w->block - w->end % w->block) % w->block : len;
	size_t middle = 0;
	int r;

	if (head < len && ((uintptr_t)base + head) % w->mem == 0)
		middle = (len - head) / w->block * w->block;
	if (!middle)
		return add(w, base, len, false);
	r = add(w, base, head, false);
	if (r == 0)
		r = add(w, base + head, middle, true);
	return r < 0 ? r : add(w, base + head + middle, len - head - middle, false);
}

/* Spans of this context, or the caller's own memory. */
static bool all_are_of(const struct zcs_ctx *ctx, const struct zcs_span *spans, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (spans[i].priv[0] && !span_is_of(ctx, &spans[i]))
			return false;
	return true;
}

ZCS_EXPORT int64_t zcs_span_write(struct zcs_ctx *ctx, int file, uint64_t off,
				  const struct zcs_span *spans, size_t nr, uint64_t *direct_out)
{
	struct writer w;
	bool direct;
	int r;

	if (direct_out)
		*direct_out = 0;
	if (!all_are_of(ctx, spans, nr))
		return -EINVAL;
	r = open_writer(&w, file, off);
	if (r < 0)
		return r;
	direct = w.flags & O_DIRECT;
	for (size_t i = 0; i < nr && r == 0; i++)
		r = add_span(&w, spans[i].base, spans[i].len);
	if (r == 0)
		r = flush(&w);
	(void)set_direct(&w, direct);
	if (direct_out)
		*direct_out = w.direct;
	return r < 0 && w.off == off ? r : (int64_t)(w.off - off);
}
