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

struct zcsi_sys {
	int (*socket)(int domain, int type, int protocol);
	int (*close)(int fd);
	int (*connect)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*shutdown)(int fd, int how);
	ssize_t (*sendmsg)(int fd, const struct msghdr *msg, int flags); /* + MSG_NOSIGNAL */
	ssize_t (*recvmsg)(int fd, struct msghdr *msg, int flags);
	/* sendfile(2) on a non-blocking socket; a SIGPIPE it causes is consumed. */
	ssize_t (*sendfile)(int sock, int file, uint64_t *off, size_t len);
	int (*getsockopt)(int fd, int level, int name, void *val, socklen_t *len);
	int (*setsockopt)(int fd, int level, int name, const void *val, socklen_t len);
	int (*getsockname)(int fd, struct sockaddr *addr, socklen_t *len);
	int (*getpeername)(int fd, struct sockaddr *addr, socklen_t *len);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	int (*set_nonblock)(int fd, bool on); /* 1: it was off (or on) before, 0: nothing changed */

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
};

extern const struct zcsi_sys zcsi_sys_kernel; /* the real one */
extern const struct zcsi_sys *zcsi_sys;	      /* the one in use; tests replace it */

#endif
