/* SPDX-License-Identifier: MIT */
/*
 * map.c - raw-map: receives by mapping the kernel's own pages (TCP_ZEROCOPY_RECEIVE, tcp(7)) into
 * a window of one message
 *
 * What was mapped must be unmapped before more can be. The call does that itself, unless it is told
 * that the window is clean: that takes a system call more, but locks the socket for less long.
 */
#include <err.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "raw.h"

#define PAGE  4096
#define SPILL 65536 /* what cannot be mapped ends with its packet */
#define CLEAN 65536 /* windows of this size and more are unmapped by a call of our own */

/* Any TCP socket's will do. Not that of the receiver: a mapping keeps its socket open. */
static char *make_window(size_t len)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *window = fd < 0 ? MAP_FAILED : mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);

	if (window == MAP_FAILED)
		err(1, "a window to receive into");
	close(fd);
	return window;
}

/*
 * No copy buffer is given along: where the window ends in the middle of a packet, the kernel would
 * copy into it what it can map the next time.
 */
static void map(struct bench *b, int fd, char *window, struct tcp_zerocopy_receive *z)
{
	socklen_t len = sizeof(*z);

	*z = (struct tcp_zerocopy_receive){
		.address = (uintptr_t)window,
		.length = (uint32_t)b->size,
		.flags = b->size >= CLEAN ? TCP_RECEIVE_ZEROCOPY_FLAG_TLB_CLEAN_HINT : 0,
	};
	b->count.calls++;
	if (getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, z, &len) < 0) {
		if (errno == EIO)
			bench_ended();
		err(1, "TCP_ZEROCOPY_RECEIVE");
	}
	if (z->err)
		errx(1, "connection: %s", strerror(-z->err));
	bench_touch(b, window, z->length);
	if (z->length && z->flags && madvise(window, z->length, MADV_DONTNEED) < 0)
		err(1, "MADV_DONTNEED");
	b->count.mapped += z->length;
	b->count.bytes += z->length;
}

/* What has to be copied before mapping can go on; what is not there yet is asked for again. */
static void copy(struct bench *b, int fd, char *spill, struct tcp_zerocopy_receive *z)
{
	ssize_t n = recv(fd, spill, z->recv_skip_hint < SPILL ? z->recv_skip_hint : SPILL, 0);

	b->count.calls++;
	if (n < 0)
		err(1, "recv");
	bench_touch(b, spill, (size_t)n);
	z->inq -= (uint32_t)n;
	b->count.bytes += (size_t)n;
}

void raw_map(struct bench *b)
{
	char *window = make_window(b->size), *spill = bench_memory(SPILL, b->huge);
	struct pollfd pollfd = { .fd = bench_connect(b, &b->to), .events = POLLIN };
	struct tcp_zerocopy_receive z = { 0 };

	if (b->size % PAGE)
		errx(1, "raw-map: the size must be whole pages");
	bench_expect(pollfd.fd, b->size);
	b->maps = true;
	while (bench_more(b)) {
		if (!z.inq && poll(&pollfd, 1, -1) < 0)
			err(1, "poll");
		map(b, pollfd.fd, window, &z);
		if (z.recv_skip_hint)
			copy(b, pollfd.fd, spill, &z);
	}
}
