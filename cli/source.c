/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hole.h"
#include "source.h"
#include "text.h"

#define PIPE_BYTES                                                                                 \
	(1 << 20) /* what one CHUNK takes, and the most that users without privilege get */

static bool is_stdin(const char *path)
{
	return strcmp(path, "-") == 0;
}

const char *source_name(const char *path, const char *chosen)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char safe[SAFE_NAME];

	if (chosen)
		return chosen;
	if (is_stdin(path))
		return "stdin";
	if (proto_name_check(name, strlen(name)) < 0) {
		say("%s: %s", text_safe(path, safe, sizeof(safe)), proto_code_text(PROTO_BAD_NAME));
		return NULL;
	}
	return name;
}

static int open_file(struct source *source)
{
	char safe[SAFE_NAME];
	const char *why = NULL;

	text_safe(source->path, safe, sizeof(safe));
	/* O_NONBLOCK: a pipe without a writer must not hang us, it is refused below. */
	source->fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (source->fd < 0 || fstat(source->fd, &source->before) < 0)
		why = strerror(errno);
	else if (S_ISDIR(source->before.st_mode))
		why = "is a directory";
	else if (!S_ISREG(source->before.st_mode))
		why = "is not a regular file; '-' sends standard input";
	if (!why) {
		(void)posix_fadvise(source->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		return 0;
	}
	say("%s: %s", safe, why);
	source_close(source);
	return -1;
}

int source_open(struct source *source, const char *path, const char *chosen)
{
	*source = (struct source){ .path = path, .fd = -1 };
	source->name = source_name(path, chosen);
	if (!source->name)
		return -1;
	if (!is_stdin(path))
		return open_file(source);
	source->stream = true;
	source->fd = STDIN_FILENO;
	(void)fcntl(STDIN_FILENO, F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}

uint64_t source_size(const struct source *source)
{
	return source->stream ? PROTO_UNKNOWN : (uint64_t)source->before.st_size;
}

int64_t source_read(struct source *source, void *buf, size_t len)
{
	struct pollfd pollfd = { .fd = source->fd, .events = POLLIN };
	uint64_t left = source_size(source) - source->at;
	ssize_t n;

	if (source->stream) {
		/*
		 * Not O_NONBLOCK: that would be set for everybody who shares this terminal or pipe.
		 */
		if (poll(&pollfd, 1, 0) == 0)
			return -EAGAIN;
		n = read(source->fd, buf, len);
	} else {
		n = pread(source->fd, buf, len < left ? len : (size_t)left, (off_t)source->at);
	}
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	source->at += (uint64_t)n;
	return n;
}

int source_map(struct source *source)
{
	size_t len = (size_t)source->before.st_size;
	void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, source->fd, 0);
	int r;

	if (map == MAP_FAILED)
		return -errno;
	r = hole_watch(map, len);
	if (r < 0)
		munmap(map, len);
	else
		source->map = map;
	return r;
}

const char *source_piece(struct source *source, size_t *len)
{
	uint64_t left = source_size(source) - source->at;
	char *piece = source->map + source->at;

	if (left == 0)
		return NULL;
	if (*len > left)
		*len = (size_t)left;
	/* Since Linux 5.14: in one call what else are many faults. It may fail: then they are. */
	(void)madvise(piece, *len, MADV_POPULATE_READ);
	source->at += *len;
	return piece;
}

enum proto_code source_check(const struct source *source)
{
	struct stat now;
	char byte;

	if (source->stream)
		return PROTO_OK;
	if (source->at < source_size(source))
		return PROTO_SHRANK;
	if (fstat(source->fd, &now) < 0)
		return PROTO_IO;
	/* Reading tells the truth about files that have no size to show, as those in /proc. */
	if (pread(source->fd, &byte, 1, (off_t)source->at) > 0)
		return PROTO_GREW;
	if (now.st_size < source->before.st_size)
		return PROTO_SHRANK;
	if (now.st_mtim.tv_sec != source->before.st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != source->before.st_mtim.tv_nsec)
		return PROTO_CHANGED;
	return PROTO_OK;
}

void source_close(struct source *source)
{
	if (source->map) {
		(void)hole_watch(NULL, 0);
		munmap(source->map, (size_t)source->before.st_size);
		source->map = NULL;
	}
	if (source->fd >= 0 && !source->stream)
		close(source->fd);
	source->fd = -1;
}
