/* SPDX-License-Identifier: MIT */
/*
 * sys.h - the seam to the kernel
 *
 * Every system call of the library goes through this table, so that tests can put a simulated
 * kernel behind it. The calls keep the meaning of their man pages, with two differences: they
 * return a negative errno instead of setting errno (which stays as the caller left it), and nothing
 * here ever raises SIGPIPE; only epoll_wait returns -EINTR.
 */
#ifndef ZCSI_SYS_H
#define ZCSI_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct epoll_event;
struct iovec;

/* ---- io_uring: sys_ring.c ------------------------------------------------------------------- */

struct sys_ring; /* a ring, as whoever serves the table sees it */

enum {
	RING_LINK = 1,	 /* the next request waits for this one, and is cancelled if it breaks */
	RING_LEND = 2,	 /* without a copy: a notification follows, if the result says so */
	RING_REPORT = 4, /* the notification shall say whether the kernel copied: Linux 6.2 */
	RING_MORE = 8,	 /* MSG_MORE */
};

/* To send all of it (MSG_WAITALL) on fd. */
struct ring_req {
	uint64_t tag;
	const void *base; /* with nr_vec 0: one piece ... */
	size_t len;
	const struct iovec *vec; /* ... else these, which nobody needs once submit returns */
	uint32_t nr_vec;
	int fd;
	int area; /* registered memory that the one piece lies in; -1: none */
	uint32_t flags;
};

enum {
	RING_TO_COME = 1, /* a notification with the same tag follows */
	RING_NOTE = 2,	  /* this is it: the memory is no longer in use */
	RING_COPIED = 4,  /* which says that the kernel copied */
};

struct ring_res {
	uint64_t tag;
	int32_t res; /* bytes, or a negative errno */
	uint32_t flags;
};

struct ring_ops {
	/* 0, -EOPNOTSUPP: the kernel is too old; -ENOSYS, -EPERM, -EACCES, -ENOMEM ... */
	int (*open)(struct sys_ring **out);
	void (*close)(struct sys_ring *ring);
	/* An edge for epoll when work comes where there was none, but for that of our own calls. */
	int (*fd)(const struct sys_ring *ring);
	/* Registers [base, base + len) as area, in place of what it was; NULL: as nothing. */
	int (*map)(struct sys_ring *ring, unsigned area, void *base, size_t len);
	/*
	 * How many were taken, at most RING_BATCH, or why none: of the others the kernel knows
	 * nothing. A chain goes on only while somebody works on it: here until `expect` results
	 * came, which should be no more than can come at once.
	 */
	int (*submit)(struct sys_ring *ring, const struct ring_req *reqs, unsigned nr,
		      unsigned expect);
	/* Whether entering would bring something. */
	bool (*has_work)(const struct sys_ring *ring);
	/* 0, or why it could not be entered. */
	int (*enter)(struct sys_ring *ring, unsigned expect);
	/* Results that are there, without a system call. */
	unsigned (*take)(struct sys_ring *ring, struct ring_res *out, unsigned max);
	/* Every request on fd ends; enter brings the results. */
	void (*cancel)(struct sys_ring *ring, int fd);
};

#define RING_BATCH 128
#define RING_AREAS 1024

extern const struct ring_ops zcsi_ring_kernel;

/* ---- everything else ------------------------------------------------------------------------ */

struct zcsi_sys {
	int (*socket)(int domain, int type, int protocol);
	int (*close)(int fd);
	int (*connect)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*shutdown)(int fd, int how);
	/* Of one piece: costs less than with a msghdr, which the kernel has to fetch. */
	ssize_t (*send)(int fd, const struct iovec *v, int flags); /* + MSG_NOSIGNAL */
	ssize_t (*recv)(int fd, void *buf, size_t len, int flags);
	ssize_t (*sendmsg)(int fd, const struct msghdr *msg, int flags);       /* + MSG_NOSIGNAL */
	int (*sendmmsg)(int fd, struct mmsghdr *msgs, unsigned nr, int flags); /* + MSG_NOSIGNAL */
	ssize_t (*recvmsg)(int fd, struct msghdr *msg, int flags);
	int (*recvmmsg)(int fd, struct mmsghdr *msgs, unsigned nr, int flags);
	/* sendfile(2) on a non-blocking socket; a SIGPIPE it causes is consumed. */
	ssize_t (*sendfile)(int sock, int file, uint64_t *off, size_t len);
	/* The same of splice(2): one of them is a pipe, which is never waited for. */
	ssize_t (*splice)(int in, int out, size_t len);
	int (*pipe_bytes)(int fd); /* in the pipe; -EBADF: it is none */
	int (*pipe_room)(int fd);  /* 0: it is full; -EPIPE: nobody reads it; -EBADF */
	int (*getsockopt)(int fd, int level, int name, void *val, socklen_t *len);
	int (*setsockopt)(int fd, int level, int name, const void *val, socklen_t len);
	int (*getsockname)(int fd, struct sockaddr *addr, socklen_t *len);
	int (*getpeername)(int fd, struct sockaddr *addr, socklen_t *len);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	int (*set_nonblock)(int fd, bool on); /* 1: it was off (or on) before, 0: nothing changed */

	ssize_t (*pwritev)(int file, const struct iovec *v, int nr, uint64_t off);
	int (*fcntl)(int fd, int cmd, int arg);
	/* What O_DIRECT asks of memory, and of offset and length; -EOPNOTSUPP: not to be had. */
	int (*dio_align)(int file, uint32_t *mem_out, uint32_t *block_out);

	void *(*mmap)(void *addr, size_t len, int prot, int flags, int fd); /* NULL: failed */
	int (*munmap)(void *addr, size_t len);
	int (*madvise)(void *addr, size_t len, int advice);

	int (*epoll_create)(void);
	int (*epoll_ctl)(int ep, int op, int fd, struct epoll_event *ev);
	int (*epoll_wait)(int ep, struct epoll_event *evs, int max, int timeout_ms);
	int (*eventfd)(void);
	int (*timerfd)(void);
	int (*timer_set)(int fd, uint64_t at_ns); /* CLOCK_MONOTONIC; 0: off */
	ssize_t (*read)(int fd, void *buf, size_t len);
	ssize_t (*write)(int fd, const void *buf, size_t len);
	uint64_t (*clock_ns)(
		bool coarse); /* CLOCK_MONOTONIC, or CLOCK_MONOTONIC_COARSE: 4 ms, cheap */

	uint64_t (*cpu_ns)(void); /* CPU time of this thread: 0.3 us, a system call */

	/* The start of a small file (/proc, /sys) as a string; its length. */
	ssize_t (*read_file)(const char *path, char *buf, size_t len);
	/* RLIMIT_MEMLOCK in bytes; UINT64_MAX where it does not bind (unlimited, CAP_IPC_LOCK). */
	uint64_t (*memlock_limit)(void);

	const struct ring_ops *ring; /* NULL: built without io_uring */
};

extern const struct zcsi_sys zcsi_sys_kernel; /* the real one */
extern const struct zcsi_sys *zcsi_sys;	      /* the one in use; tests replace it */

#endif
