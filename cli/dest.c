/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dest.h"
#include "proto.h"
#include "text.h"

#define DIRECT_MIN   (1 << 20) /* bytes of a file: below, the page cache costs less */
#define DIRECT_BLOCK 4096      /* what the pages of a receive are aligned to */

static int dir_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		say("%s: %s", path, strerror(errno));
		return -1;
	}
	return fd;
}

int dest_dir_open(struct dest_dir *dir, const char *place, bool force)
{
	struct stat st;
	const char *slash;
	char parent[4096];
	size_t len;

	*dir = (struct dest_dir){ .fd = -1, .force = force };
	if (!place || (stat(place, &st) == 0 && S_ISDIR(st.st_mode)))
		return dir->fd = dir_open(place ? place : ".");
	slash = strrchr(place, '/');
	dir->only = slash ? slash + 1 : place;
	if (slash && !slash[1]) {
		say("%s: there is no such directory", place);
		return -1;
	}
	if (proto_name_check(dir->only, strlen(dir->only)) < 0) {
		say("-o: the file's name is longer than 255 bytes, or holds control characters");
		return -1;
	}
	len = slash ? (size_t)(slash - place) + 1 : 0;
	if (len >= sizeof(parent)) {
		say("-o: the path is too long");
		return -1;
	}
	memcpy(parent, place, len);
	parent[len] = '\0';
	return dir->fd = dir_open(len ? parent : ".");
}

void dest_dir_close(struct dest_dir *dir)
{
	if (dir->fd >= 0)
		close(dir->fd);
	dir->fd = -1;
}

/* What is there already? Later, commit asks the kernel again without a gap in between. */
static int look(struct dest *dest)
{
	mode_t mask = umask(0);
	struct stat st;

	umask(mask);
	dest->mode = 0666 & ~mask;
	if (fstatat(dest->dir->fd, dest->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!dest->dir->force)
		return -EEXIST;
	if (!S_ISREG(st.st_mode))
		return -EISDIR;
	dest->mode = st.st_mode & 0777;
	return 0;
}

static int has_room(int dir, uint64_t size)
{
	struct statvfs fs;

	/* f_bfree, not f_bavail: some of it may be for root only, and this may be root. */
	if (size != UINT64_MAX && fstatvfs(dir, &fs) == 0 && fs.f_blocks > 0 &&
	    (unsigned __int128)fs.f_bfree * fs.f_frsize < size)
		return -ENOSPC;
	return 0;
}

static int open_part(struct dest *dest)
{
	struct open_how how = {
		.flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		.mode = 0600,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	uint8_t random[8];
	char text[17];
	int fd;

	randombytes_buf(random, sizeof(random));
	sodium_bin2hex(text, sizeof(text), random, sizeof(random));
	snprintf(dest->part, sizeof(dest->part), ".zcsock-%s.part", text);
	fd = (int)syscall(SYS_openat2, dest->dir->fd, dest->part, &how, sizeof(how));
	/* Seccomp filters of containers refuse openat2; the name of our own making is harmless. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(dest->dir->fd, dest->part, (int)how.flags | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	dest->fd = fd;
	return 0;
}

/* Linux says since 6.1 how to align; 0: this file system has no direct writes, or does not say. */
static uint32_t direct_block(int fd, uint32_t *align_out)
{
	struct statx st = { 0 };

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) < 0 ||
	    !(st.stx_mask & STATX_DIOALIGN) || !st.stx_dio_mem_align)
		return 0;
	*align_out = st.stx_dio_mem_align;
	return st.stx_dio_offset_align;
}

/* Small files cost less through the page cache, and of one without a size nobody knows. */
static void choose_way(struct dest *dest, uint64_t size, enum file_way way)
{
	uint32_t block = direct_block(dest->fd, &dest->align);
	int flags = fcntl(dest->fd, F_GETFL);

	if (way == FILE_WRITE)
		dest->why = "asked for";
	else if (!block || block > DIRECT_BLOCK)
		dest->why = "the file system does not write past the page cache";
	else if (way == FILE_AUTO && size == UINT64_MAX)
		dest->why = "the size is not known before";
	else if (way == FILE_AUTO && size < DIRECT_MIN)
		dest->why = "the file is small";
	else if (flags < 0 || fcntl(dest->fd, F_SETFL, flags | O_DIRECT) < 0)
		dest->why = "the file system refuses O_DIRECT";
	else
		dest->direct = true;
	if (dest->direct)
		dest->why = way == FILE_DIRECT ? "asked for" : "it costs less";
	dest->may_leave = dest->direct && way == FILE_AUTO;
}

static void leave_direct(struct dest *dest, const char *why)
{
	int flags = fcntl(dest->fd, F_GETFL);

	if (flags < 0 || fcntl(dest->fd, F_SETFL, flags & ~O_DIRECT) < 0 ||
	    lseek(dest->fd, (off_t)dest->size, SEEK_SET) < 0)
		return;
	dest->direct = dest->may_leave = false;
	dest->why = why;
}

int dest_begin(struct dest *dest, const struct dest_dir *dir, const char *name, uint64_t size,
	       enum file_way way)
{
	int r;

	*dest = (struct dest){ .dir = dir, .fd = -1 };
	if (proto_name_check(name, strlen(name)) < 0)
		return -EINVAL;
	strcpy(dest->name, name);
	r = look(dest);
	if (r == 0)
		r = has_room(dir->fd, size);
	if (r == 0)
		r = open_part(dest);
	if (r == 0)
		choose_way(dest, size, way);
	return r;
}

int dest_write(struct dest *dest, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = write(dest->fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		dest->size += (uint64_t)n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int dest_write_spans(struct dest *dest, struct zcs_ctx *ctx, struct zcs_span *spans, size_t nr)
{
	while (nr > 0) {
		uint64_t direct;
		int64_t n = zcs_span_write(ctx, dest->fd, dest->size, spans, nr, &direct);

		if (n < 0)
			return (int)n;
		dest->size += (uint64_t)n;
		dest->bytes_direct += direct;
		/* What is left was in front of an error, which the next call meets first. */
		for (; nr > 0 && (uint64_t)n >= spans->len; nr--)
			n -= (int64_t)spans++->len;
		if (nr > 0) {
			spans->base = (const char *)spans->base + n;
			spans->len -= (size_t)n;
		}
	}
	/* What comes in odd pieces is out of step with the disk's blocks, for ever. */
	if (dest->may_leave && dest->bytes_direct < dest->size / 2)
		leave_direct(dest, "most of it was out of step with the file's blocks");
	return 0;
}

enum file_way dest_way(const struct dest *dest)
{
	return dest->direct ? FILE_DIRECT : FILE_WRITE;
}

int dest_sync(struct dest *dest)
{
	if (fchmod(dest->fd, dest->mode) < 0 && errno != EPERM && errno != ENOTSUP)
		return -errno;
	return fsync(dest->fd) < 0 ? -errno : 0;
}

static int give_name(const struct dest *dest)
{
	int dir = dest->dir->fd;

	if (dest->dir->force)
		return renameat(dir, dest->part, dir, dest->name) < 0 ? -errno : 0;
	if (renameat2(dir, dest->part, dir, dest->name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* NFS knows no RENAME_NOREPLACE; a link does not replace either. */
	if (linkat(dir, dest->part, dir, dest->name, 0) < 0)
		return -errno;
	return unlinkat(dir, dest->part, 0) < 0 ? -errno : 0;
}

int dest_commit(struct dest *dest)
{
	struct stat st;
	int r;

	/* Between begin and now a link or a pipe may have taken the name: not ours to replace. */
	if (dest->dir->force && fstatat(dest->dir->fd, dest->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISREG(st.st_mode))
		r = -EISDIR;
	else
		r = give_name(dest);
	if (r < 0) {
		dest_discard(dest);
		return r;
	}
	r = close(dest->fd) < 0 && errno != EINTR ? -errno : 0;
	dest->fd = -1;
	/*
	 * Some file systems cannot sync a directory and say EINVAL; theirs is durable or never is.
	 */
	if (fsync(dest->dir->fd) < 0 && errno != EINVAL && errno != EBADF)
		return -errno;
	return r;
}

void dest_discard(struct dest *dest)
{
	if (dest->fd < 0)
		return;
	unlinkat(dest->dir->fd, dest->part, 0);
	close(dest->fd);
	dest->fd = -1;
}
