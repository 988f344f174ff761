/* SPDX-License-Identifier: MIT */
/* mover.c - what movers have in common: connections, memory, notifications */
#include "mover.h"

#include <err.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE    ((size_t)2 << 20)
#define CACHE_LINE   64
#define UDP_BUFFER   (4 << 20) /* as TCP may have; the default has room for a few calls only */
#define EXPECT_MAX   (1u << 20)
#define REAP_BATCH   8
#define REAP_CONTROL 256 /* what does not fit is lost: a notification, and a timestamp beside it */

/* The kernel doubles what it is told, and tells only root more than net.core.rmem_max. */
static void set_buffer(int fd, size_t bytes)
{
	int half = (int)(bytes / 2);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &half, sizeof(half)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &half, sizeof(half)) < 0)
		err(1, "SO_RCVBUF");
}

int bench_connect(const struct bench *b, const struct bench_place *place)
{
	int type = b->udp ? SOCK_DGRAM : SOCK_STREAM;
	int fd = socket(place->addr.ss_family, type | SOCK_CLOEXEC, 0);
	int room = UDP_BUFFER;

	if (fd < 0)
		err(1, "socket");
	if (b->udp && setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) < 0)
		err(1, "SO_SNDBUF");
	if (b->buffer)
		set_buffer(fd, b->buffer); /* before the window's scale is agreed on */
	if (connect(fd, (const struct sockaddr *)&place->addr, place->len) < 0)
		err(1, "connect");
	return fd;
}

void bench_expect(int fd, size_t bytes)
{
	int mark = bytes < EXPECT_MAX ? (int)bytes : (int)EXPECT_MAX;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark)) < 0)
		err(1, "SO_RCVLOWAT");
}

void bench_ended(void)
{
	errx(1, "the peer closed the connection");
}

/* ---- memory --------------------------------------------------------------------------------- */

/* Each word tells its place, so that a receiver can see whether the right bytes came. */
static void fill(char *mem, size_t len)
{
	for (size_t i = 0; i < len; i += sizeof(i))
		memcpy(mem + i, &i, sizeof(i));
}

char *bench_memory(size_t len, bool huge)
{
	char *mem;

	len = (len + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	mem = mmap(NULL, len + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
	if (mem == MAP_FAILED)
		err(1, "memory");
	mem += -(uintptr_t)mem & (HUGE_PAGE - 1);
	/* Fails where there is no such thing, and then there is nothing to choose. */
	(void)madvise(mem, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	fill(mem, len);
	return mem;
}

void bench_source(struct bench *b)
{
	b->mem = bench_memory(b->area, b->huge);
}

void bench_touch(struct bench *b, const void *data, size_t len)
{
	const unsigned char *bytes = data;
	unsigned sum = 0;

	if (!b->touch)
		return;
	for (size_t i = 0; i < len; i += CACHE_LINE)
		sum += bytes[i];
	b->seen = sum;
}

/* ---- notifications -------------------------------------------------------------------------- */

void bench_zerocopy(struct bench *b, int fd)
{
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) < 0)
		err(1, "SO_ZEROCOPY");
	b->lends = true;
}

static void take_note(struct bench *b, struct msghdr *mh)
{
	if (mh->msg_flags & MSG_CTRUNC)
		errx(1, "a notification was cut off");
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		struct sock_extended_err note;
		uint32_t calls;

		if (!(cm->cmsg_level == SOL_IP && cm->cmsg_type == IP_RECVERR) &&
		    !(cm->cmsg_level == SOL_IPV6 && cm->cmsg_type == IPV6_RECVERR))
			continue;
		memcpy(&note, CMSG_DATA(cm), sizeof(note));
		if (note.ee_errno != 0 || note.ee_origin != SO_EE_ORIGIN_ZEROCOPY)
			continue;
		calls = note.ee_data - note.ee_info + 1; /* both ends are meant, and may wrap */
		b->count.notes++;
		b->out -= calls < b->out ? calls : b->out;
		if (!(note.ee_code & SO_EE_CODE_ZEROCOPY_COPIED))
			b->count.zerocopied += (uint64_t)calls * b->size;
	}
}

void bench_settle(struct bench *b, int fd)
{
	struct pollfd pollfd = { .fd = fd }; /* POLLERR is always asked for */

	while (b->in_flight && b->out >= b->in_flight) {
		if (poll(&pollfd, 1, -1) < 0)
			err(1, "poll");
		bench_reap(b, fd);
	}
}

/* Several messages per system call: that a lone one was the last then costs no other call. */
void bench_reap(struct bench *b, int fd)
{
	char control[REAP_BATCH][REAP_CONTROL] __attribute__((aligned(8)));
	struct mmsghdr msgs[REAP_BATCH];
	int n;

	b->unread = 0;
	do {
		memset(msgs, 0, sizeof(msgs));
		for (int i = 0; i < REAP_BATCH; i++) {
			msgs[i].msg_hdr.msg_control = control[i];
			msgs[i].msg_hdr.msg_controllen = sizeof(control[i]);
		}
		n = recvmmsg(fd, msgs, REAP_BATCH, MSG_ERRQUEUE | MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			take_note(b, &msgs[i].msg_hdr);
	} while (n == REAP_BATCH);
}
