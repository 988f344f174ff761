// SPDX-License-Identifier: MIT
/*
 * sys.c - the real kernel behind the table of sys.h
 *
 * The only file of the library that makes system calls, but for those of io_uring (sys_ring.c). It
 * decides three things for all of them and nothing else: how errors are returned (negative, errno
 * untouched), which calls are repeated when a signal handler interrupted them, and that no
 * descriptor survives exec.
 */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "build with _FILE_OFFSET_BITS=64");

/* The value of a call, a negative errno for -1; errno is as before. */
#define CALL(call)                                                                                 \
	({                                                                                         \
		int saved_ = errno;                                                                \
		__typeof__(call) ret_ = (call);                                                    \
		if (ret_ < 0)                                                                      \
			ret_ = -errno;                                                             \
		errno = saved_;                                                                    \
		ret_;                                                                              \
	})

/* The same for calls that did nothing when they return EINTR. */
#define CALL_AGAIN(call)                                                                           \
	({                                                                                         \
		__typeof__(call) again_;                                                           \
		do                                                                                 \
			again_ = CALL(call);                                                       \
		while (again_ == -EINTR);                                                          \
		again_;                                                                            \
	})

/* ---- sockets -------------------------------------------------------------------------------- */

static int kernel_socket(int domain, int type, int protocol)
{
	return CALL(socket(domain, type | SOCK_CLOEXEC, protocol));
}

static int kernel_close(int fd)
{
	int ret = CALL(close(fd));

	/*
	 * Linux frees the descriptor before it can be interrupted: again would close a stranger's.
	 */
	return ret == -EINTR ? 0 : ret;
}

static int kernel_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	/* An interrupted attempt goes on in the background: again would say EALREADY. */
	return CALL(connect(fd, addr, len));
}

static int kernel_shutdown(int fd, int how)
{
	return CALL(shutdown(fd, how));
}

static ssize_t kernel_send(int fd, const struct iovec *v, int flags)
{
	return CALL_AGAIN(send(fd, v->iov_base, v->iov_len, flags | MSG_NOSIGNAL));
}

static ssize_t kernel_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return CALL_AGAIN(sendmsg(fd, msg, flags | MSG_NOSIGNAL));
}

static int kernel_sendmmsg(int fd, struct mmsghdr *msgs, unsigned nr, int flags)
{
	return CALL_AGAIN(sendmmsg(fd, msgs, nr, flags | MSG_NOSIGNAL));
}

static ssize_t kernel_recv(int fd, void *buf, size_t len, int flags)
{
	return CALL_AGAIN(recv(fd, buf, len, flags));
}

static ssize_t kernel_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return CALL_AGAIN(recvmsg(fd, msg, flags));
}

static int kernel_recvmmsg(int fd, struct mmsghdr *msgs, unsigned nr, int flags)
{
	return CALL_AGAIN(recvmmsg(fd, msgs, nr, flags, NULL));
}

/*
 * sendfile(2) and splice(2) know no MSG_NOSIGNAL. The kernel sends SIGPIPE to the calling thread
 * before the call returns, so blocking it in this thread is enough; one that was pending before is
 * not ours to take. The signal can come with a short count as well: a first piece was taken, the
 * next one failed.
 */
struct no_sigpipe {
	sigset_t pipe_only, before;
	bool was_pending;
};

static void sigpipe_off(struct no_sigpipe *n)
{
	sigset_t pending;

	n->was_pending = false;
	sigemptyset(&n->pipe_only);
	sigaddset(&n->pipe_only, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &n->pipe_only, &n->before);
	/* What is pending and not blocked is delivered at once, so only a blocked one can wait. */
	if (sigismember(&n->before, SIGPIPE) == 1 && CALL(sigpending(&pending)) == 0)
		n->was_pending = sigismember(&pending, SIGPIPE) == 1;
}

static void sigpipe_on(const struct no_sigpipe *n, bool may_have_come)
{
	static const struct timespec now = { 0, 0 };

	if (may_have_come && !n->was_pending)
		(void)CALL_AGAIN(sigtimedwait(&n->pipe_only, NULL, &now));
	if (sigismember(&n->before, SIGPIPE) != 1)
		pthread_sigmask(SIG_SETMASK, &n->before, NULL);
}

static ssize_t kernel_sendfile(int sock, int file, uint64_t *off, size_t len)
{
	off_t pos = (off_t)*off;
	struct no_sigpipe guard;
	ssize_t ret;

	sigpipe_off(&guard);
	ret = CALL_AGAIN(sendfile(sock, file, &pos, len));
	*off = (uint64_t)pos;
	sigpipe_on(&guard, ret != (ssize_t)len);
	return ret;
}

static ssize_t kernel_splice(int in, int out, size_t len)
{
	struct no_sigpipe guard;
	ssize_t ret;

	sigpipe_off(&guard);
	ret = CALL_AGAIN(splice(in, NULL, out, NULL, len, SPLICE_F_NONBLOCK));
	sigpipe_on(&guard, ret != (ssize_t)len);
	return ret;
}

static int kernel_pipe_bytes(int fd)
{
	int bytes = 0, ret = CALL(fcntl(fd, F_GETPIPE_SZ));

	if (ret >= 0)
		ret = CALL(ioctl(fd, FIONREAD, &bytes));
	return ret < 0 ? ret : bytes;
}

static int kernel_pipe_room(int fd)
{
	struct pollfd end = { fd, POLLOUT, 0 };
	int ret = CALL(fcntl(fd, F_GETPIPE_SZ)), flags = CALL(fcntl(fd, F_GETFL));

	if (ret < 0 || flags < 0)
		return ret < 0 ? ret : flags;
	if ((flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	/* pipe_poll asks what splice asks before it takes anything from the socket. */
	ret = CALL_AGAIN(poll(&end, 1, 0));
	if (ret > 0 && end.revents & POLLERR)
		return -EPIPE;
	return ret;
}

static int kernel_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	return CALL(getsockopt(fd, level, name, val, len));
}

static int kernel_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	return CALL(setsockopt(fd, level, name, val, len));
}

static int kernel_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return CALL(getsockname(fd, addr, len));
}

static int kernel_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return CALL(getpeername(fd, addr, len));
}

static int kernel_ioctl(int fd, unsigned long request, void *arg)
{
	return CALL(ioctl(fd, request, arg));
}

static int kernel_set_nonblock(int fd, bool on)
{
	int flags = CALL(fcntl(fd, F_GETFL));
	int ret;

	if (flags < 0)
		return flags;
	if (!!(flags & O_NONBLOCK) == on)
		return 0;
	ret = CALL(fcntl(fd, F_SETFL, flags ^ O_NONBLOCK));
	return ret < 0 ? ret : 1;
}

/* ---- files ---------------------------------------------------------------------------------- */

static ssize_t kernel_pwritev(int file, const struct iovec *v, int nr, uint64_t off)
{
	return CALL_AGAIN(pwritev(file, v, nr, (off_t)off));
}

static int kernel_fcntl(int fd, int cmd, int arg)
{
	return CALL(fcntl(fd, cmd, arg));
}

/* Since Linux 6.1; before it nobody says, and a guess could be wrong in the middle of a file. */
static int kernel_dio_align(int file, uint32_t *mem_out, uint32_t *block_out)
{
	struct statx st = { 0 };
	int ret = CALL(statx(file, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st));

	if (ret < 0)
		return ret;
	if (!(st.stx_mask & STATX_DIOALIGN) || !st.stx_dio_mem_align || !st.stx_dio_offset_align)
		return -EOPNOTSUPP;
	*mem_out = st.stx_dio_mem_align;
	*block_out = st.stx_dio_offset_align;
	return 0;
}

/* ---- memory --------------------------------------------------------------------------------- */

static void *kernel_mmap(void *addr, size_t len, int prot, int flags, int fd)
{
	int saved = errno;
	void *mem = mmap(addr, len, prot, flags, fd, 0);

	errno = saved;
	return mem == MAP_FAILED ? NULL : mem;
}

static int kernel_munmap(void *addr, size_t len)
{
	return CALL(munmap(addr, len));
}

static int kernel_madvise(void *addr, size_t len, int advice)
{
	return CALL(madvise(addr, len, advice));
}

/* ---- waiting -------------------------------------------------------------------------------- */

static int kernel_epoll_create(void)
{
	return CALL(epoll_create1(EPOLL_CLOEXEC));
}

static int kernel_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
	return CALL(epoll_ctl(ep, op, fd, ev));
}

static int kernel_epoll_wait(int ep, struct epoll_event *evs, int max, int timeout_ms)
{
	/* -EINTR is an answer here: whoever waits wants to see what the signal was about. */
	return CALL(epoll_wait(ep, evs, max, timeout_ms));
}

static int kernel_eventfd(void)
{
	return CALL(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

static int kernel_timerfd(void)
{
	return CALL(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

static int kernel_timer_set(int fd, uint64_t at_ns)
{
	struct itimerspec at = {
		.it_value = { (time_t)(at_ns / 1000000000), (long)(at_ns % 1000000000) },
	};

	return CALL(timerfd_settime(fd, TFD_TIMER_ABSTIME, &at, NULL));
}

static ssize_t kernel_read(int fd, void *buf, size_t len)
{
	return CALL_AGAIN(read(fd, buf, len));
}

static ssize_t kernel_write(int fd, const void *buf, size_t len)
{
	/* For eventfds: on a socket write(2) would raise SIGPIPE, those are sent to by sendmsg. */
	return CALL_AGAIN(write(fd, buf, len));
}

static uint64_t kernel_clock_ns(bool coarse)
{
	struct timespec now;

	/* Cannot fail: both clocks are there since Linux 2.6.32. */
	clock_gettime(coarse ? CLOCK_MONOTONIC_COARSE : CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t kernel_cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

/* ---- the machine ---------------------------------------------------------------------------- */

static ssize_t kernel_read_file(const char *path, char *buf, size_t len)
{
	ssize_t got;
	int fd;

	if (len == 0)
		return -EINVAL;
	fd = CALL_AGAIN(open(path, O_RDONLY | O_CLOEXEC));
	if (fd < 0)
		return fd;
	/* Files of /proc and /sys that fit in a page are given whole by one read. */
	got = kernel_read(fd, buf, len - 1);
	buf[got < 0 ? 0 : got] = '\0';
	kernel_close(fd);
	return got;
}

static bool has_cap_ipc_lock(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	if (CALL(syscall(SYS_capget, &head, data)) < 0)
		return false;
	return data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK);
}

/*
 * mm_account_pinned_pages() asks capable(CAP_IPC_LOCK): in the initial user namespace, whatever the
 * capability sets say inside another one. "root" of a container has the capability and is limited
 * all the same. The initial namespace maps every id to itself in one line; one that somebody made
 * to look exactly like it is taken for it, which costs a few sends that fail with ENOBUFS and are
 * copied.
 */
static bool in_initial_user_namespace(void)
{
	unsigned int inside, outside, count;
	char map[128];

	if (kernel_read_file("/proc/self/uid_map", map, sizeof(map)) <= 0)
		return false;
	if (sscanf(map, "%u %u %u", &inside, &outside, &count) != 3)
		return false;
	return inside == 0 && outside == 0 && count == UINT32_MAX;
}

static uint64_t kernel_memlock_limit(void)
{
	struct rlimit limit;

	if (CALL(getrlimit(RLIMIT_MEMLOCK, &limit)) < 0)
		return 0;
	if (limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	if (has_cap_ipc_lock() && in_initial_user_namespace())
		return UINT64_MAX;
	return limit.rlim_cur;
}

const struct zcsi_sys zcsi_sys_kernel = {
	.socket = kernel_socket,
	.close = kernel_close,
	.connect = kernel_connect,
	.shutdown = kernel_shutdown,
	.send = kernel_send,
	.recv = kernel_recv,
	.sendmsg = kernel_sendmsg,
	.sendmmsg = kernel_sendmmsg,
	.recvmsg = kernel_recvmsg,
	.recvmmsg = kernel_recvmmsg,
	.sendfile = kernel_sendfile,
	.splice = kernel_splice,
	.pipe_bytes = kernel_pipe_bytes,
	.pipe_room = kernel_pipe_room,
	.getsockopt = kernel_getsockopt,
	.setsockopt = kernel_setsockopt,
	.getsockname = kernel_getsockname,
	.getpeername = kernel_getpeername,
	.ioctl = kernel_ioctl,
	.set_nonblock = kernel_set_nonblock,
	.pwritev = kernel_pwritev,
	.fcntl = kernel_fcntl,
	.dio_align = kernel_dio_align,
	.mmap = kernel_mmap,
	.munmap = kernel_munmap,
	.madvise = kernel_madvise,
	.epoll_create = kernel_epoll_create,
	.epoll_ctl = kernel_epoll_ctl,
	.epoll_wait = kernel_epoll_wait,
	.eventfd = kernel_eventfd,
	.timerfd = kernel_timerfd,
	.timer_set = kernel_timer_set,
	.read = kernel_read,
	.write = kernel_write,
	.clock_ns = kernel_clock_ns,
	.cpu_ns = kernel_cpu_ns,
	.read_file = kernel_read_file,
	.memlock_limit = kernel_memlock_limit,
#ifdef HAVE_LIBURING
	.ring = &zcsi_ring_kernel,
#endif
};

const struct zcsi_sys *zcsi_sys = &zcsi_sys_kernel;
