// SPDX-License-Identifier: MIT
/*
 * sys.c over the real kernel: what the table promises beyond the man pages.
 */
#include "unit.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MY_ERRNO 12345

static const struct zcsi_sys *sys = &zcsi_sys_kernel;

static void errors__are_returned_and_errno_is_kept(void **state)
{
	struct msghdr msg = { .msg_iov = NULL };
	struct iovec iov = { .iov_len = 0 };
	uint32_t word;
	char c;

	(void)state;
	errno = MY_ERRNO;
	assert_int_equal(sys->close(-1), -EBADF);
	assert_int_equal(sys->socket(-1, 0, 0), -EAFNOSUPPORT);
	assert_int_equal(sys->send(-1, &iov, 0), -EBADF);
	assert_int_equal(sys->sendmsg(-1, &msg, 0), -EBADF);
	assert_int_equal(sys->recv(-1, &c, 1, 0), -EBADF);
	assert_int_equal(sys->recvmsg(-1, &msg, 0), -EBADF);
	assert_int_equal(sys->read(-1, &c, 1), -EBADF);
	assert_int_equal(sys->write(-1, &c, 1), -EBADF);
	assert_int_equal(sys->shutdown(-1, SHUT_WR), -EBADF);
	assert_int_equal(sys->set_nonblock(-1, true), -EBADF);
	assert_int_equal(sys->pwritev(-1, &iov, 1, 0), -EBADF);
	assert_int_equal(sys->fcntl(-1, F_GETFL, 0), -EBADF);
	assert_int_equal(sys->dio_align(-1, &word, &word), -EBADF);
	assert_int_equal(sys->epoll_wait(-1, NULL, 1, 0), -EBADF);
	assert_int_equal(sys->timer_set(-1, 1), -EBADF);
	assert_int_equal(sys->munmap((void *)1, 1), -EINVAL);
	assert_null(sys->mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1));
	assert_int_equal(sys->read_file("/nowhere", &c, 1), -ENOENT);
	assert_int_equal(errno, MY_ERRNO);
}

static void descriptors__do_not_survive_exec(void **state)
{
	int fds[] = { sys->socket(AF_UNIX, SOCK_STREAM, 0), sys->epoll_create(), sys->eventfd(),
		      sys->timerfd() };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_true(fds[i] >= 0);
		assert_int_equal(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
		if (i >= 2)
			assert_int_equal(fcntl(fds[i], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
		assert_int_equal(sys->close(fds[i]), 0);
	}
}

static void set_nonblock__tells_whether_it_changed(void **state)
{
	int fd = sys->socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(sys->set_nonblock(fd, false), 0);
	assert_int_equal(sys->set_nonblock(fd, true), 1);
	assert_int_equal(sys->set_nonblock(fd, true), 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(sys->set_nonblock(fd, false), 1);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	sys->close(fd);
}

/* ---- SIGPIPE ----------------------------------------------------------------------------- */

static bool sigpipe_is_pending(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGPIPE);
}

static bool sigpipe_is_blocked(void)
{
	sigset_t now;

	pthread_sigmask(SIG_BLOCK, NULL, &now);
	return sigismember(&now, SIGPIPE);
}

static void block_sigpipe(bool on)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(on ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

/* A socket nobody listens to: every send raises SIGPIPE, and a raised one would end the test. */
static int broken_socket(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	return pair[0];
}

static void send__raises_no_signal(void **state)
{
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fd = broken_socket();

	(void)state;
	assert_int_equal(sys->sendmsg(fd, &msg, 0), -EPIPE);
	assert_int_equal(sys->send(fd, &iov, 0), -EPIPE);
	sys->close(fd);
}

static void sendfile__consumes_its_own_signal_only(void **state)
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int fd = broken_socket();
	uint64_t off = 10;
	sigset_t set;
	int sig;

	(void)state;
	errno = MY_ERRNO;
	assert_int_equal(sys->sendfile(fd, file, &off, 100), -EPIPE);
	assert_int_equal(off, 10);
	assert_false(sigpipe_is_blocked());

	block_sigpipe(true);
	assert_int_equal(sys->sendfile(fd, file, &off, 100), -EPIPE);
	assert_true(sigpipe_is_blocked());
	assert_false(sigpipe_is_pending());

	pthread_kill(pthread_self(), SIGPIPE);
	assert_int_equal(sys->sendfile(fd, file, &off, 100), -EPIPE);
	assert_true(sigpipe_is_pending());
	assert_int_equal(errno, MY_ERRNO);

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	assert_int_equal(sigwait(&set, &sig), 0);
	block_sigpipe(false);
	sys->close(fd);
	sys->close(file);
}

static void sendfile__moves_the_offset(void **state)
{
	int file = memfd_create("file", MFD_CLOEXEC);
	uint64_t off = 1;
	char text[3];
	int pair[2];

	(void)state;
	assert_int_equal(ftruncate(file, 16 << 20), 0);
	assert_int_equal(pwrite(file, "_ABC", 4, 0), 4);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(sys->sendfile(pair[0], file, &off, 3), 3);
	assert_int_equal(off, 4);
	assert_int_equal(read(pair[1], text, 3), 3);
	assert_memory_equal(text, "ABC", 3);
	assert_int_equal(lseek(file, 0, SEEK_CUR), 0);
	assert_int_equal(sys->set_nonblock(pair[0], true), 1);
	while (sys->sendfile(pair[0], file, &off, 16 << 20) > 0)
		assert_true(off < 16 << 20);
	assert_int_equal(sys->sendfile(pair[0], file, &off, 1), -EAGAIN);
	off = UINT64_MAX;
	assert_int_equal(sys->sendfile(pair[0], file, &off, 1), -EINVAL);
	close(pair[0]);
	close(pair[1]);
	sys->close(file);
}

/* ---- signals ----------------------------------------------------------------------------- */

static volatile sig_atomic_t nr_alarms;
static int alarm_fd;

/* The first one only interrupts, the second lets the call end. */
static void on_alarm(int sig)
{
	(void)sig;
	if (++nr_alarms == 2 && write(alarm_fd, "x", 1) != 1)
		abort();
}

static void start_alarms(int fd)
{
	struct sigaction act = { .sa_handler = on_alarm }; /* no SA_RESTART */
	struct itimerval often = { { 0, 10000 }, { 0, 10000 } };

	nr_alarms = 0;
	alarm_fd = fd;
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

static void stop_alarms(void)
{
	struct itimerval off = { { 0, 0 }, { 0, 0 } };

	setitimer(ITIMER_REAL, &off, NULL);
	signal(SIGALRM, SIG_DFL);
}

static void interrupted__calls_go_on(void **state)
{
	char c = 0;
	struct iovec iov = { .iov_base = &c, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	start_alarms(pair[1]);
	assert_int_equal(sys->recvmsg(pair[0], &msg, 0), 1);
	stop_alarms();
	assert_true(nr_alarms >= 2);
	start_alarms(pair[1]);
	assert_int_equal(sys->read(pair[0], &c, 1), 1);
	stop_alarms();
	close(pair[0]);
	close(pair[1]);
}

static void interrupted__epoll_wait_says_so(void **state)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int ep = sys->epoll_create();
	struct epoll_event ev;

	(void)state;
	start_alarms(null);
	assert_int_equal(sys->epoll_wait(ep, &ev, 1, -1), -EINTR);
	stop_alarms();
	sys->close(ep);
	close(null);
}

/* ---- clocks and files -------------------------------------------------------------------- */

static void timer__absolute_and_off(void **state)
{
	int fd = sys->timerfd();
	int ep = sys->epoll_create();
	struct epoll_event ev = { .events = EPOLLIN };
	uint64_t before = sys->clock_ns(false);
	uint64_t ticks;

	(void)state;
	assert_int_equal(sys->epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	assert_int_equal(sys->timer_set(fd, before + 20000000), 0);
	assert_int_equal(sys->read(fd, &ticks, 8), -EAGAIN);
	assert_int_equal(sys->epoll_wait(ep, &ev, 1, 10000), 1);
	assert_true(sys->clock_ns(false) - before >= 20000000);
	assert_int_equal(sys->timer_set(fd, 1), 0); /* long past: at once */
	assert_int_equal(sys->epoll_wait(ep, &ev, 1, 10000), 1);
	assert_int_equal(sys->timer_set(fd, 0), 0);
	assert_int_equal(sys->epoll_wait(ep, &ev, 1, 0), 0);
	assert_true(sys->clock_ns(true) <= sys->clock_ns(false));
	sys->close(fd);
	sys->close(ep);
}

static void read_file__is_a_string(void **state)
{
	char text[64], tiny[4] = "xxx";

	(void)state;
	assert_true(sys->read_file("/proc/self/uid_map", text, sizeof(text)) > 0);
	assert_true(strlen(text) > 0);
	assert_int_equal(sys->read_file("/proc/self/stat", tiny, sizeof(tiny)), 3);
	assert_int_equal(strlen(tiny), 3);
	assert_int_equal(sys->read_file("/proc/self/stat", tiny, 0), -EINVAL);
	assert_int_equal(sys->read_file("/proc", tiny, sizeof(tiny)), -EISDIR);
	assert_string_equal(tiny, "");
}

/* ---- locked memory ----------------------------------------------------------------------- */

enum { LIMIT = 65536 };

/* What memlock_limit says in a changed child: 0 the limit, 1 none, 2 else, 77 cannot change. */
static int limit_in_child(int (*change)(void))
{
	struct rlimit limit;
	int status;
	pid_t pid;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	limit.rlim_cur = LIMIT; /* the hard limit stays: not everybody may raise it again */
	pid = fork();
	if (pid == 0) {
		uint64_t got;

		if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || change() < 0)
			_exit(77);
		got = sys->memlock_limit();
		_exit(got == LIMIT ? 0 : got == UINT64_MAX ? 1 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static int change_nothing(void)
{
	return 0;
}

static int become_nobody(void)
{
	return getuid() == 0 ? setresuid(65534, 65534, 65534) : 0;
}

/* Root of a new user namespace: all capabilities, and none that counts for the limit. */
static int become_container_root(void)
{
	int fd;

	if (unshare(CLONE_NEWUSER) < 0)
		return -1;
	fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (write(fd, "0 0 1", 5) < 0)
		errno = 0; /* unmapped ids show the same */
	close(fd);
	return 0;
}

static int lift_limit(void)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	return setrlimit(RLIMIT_MEMLOCK, &none);
}

static void memlock__who_is_bound(void **state)
{
	char map[128];
	bool initial;
	int ret;

	(void)state;
	sys->read_file("/proc/self/uid_map", map, sizeof(map));
	initial = strstr(map, "4294967295") != NULL;
	assert_int_equal(limit_in_child(become_nobody), 0);
	if (geteuid() == 0 && initial)
		assert_int_equal(limit_in_child(change_nothing), 1);
	ret = limit_in_child(lift_limit);
	if (ret == 77)
		print_message("the limit cannot be lifted here: not tried without one\n");
	else
		assert_int_equal(ret, 1);
	ret = limit_in_child(become_container_root);
	if (ret == 77)
		print_message("no user namespaces here: not tried as a container's root\n");
	else
		assert_int_equal(ret, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors__are_returned_and_errno_is_kept),
		cmocka_unit_test(descriptors__do_not_survive_exec),
		cmocka_unit_test(set_nonblock__tells_whether_it_changed),
		cmocka_unit_test(send__raises_no_signal),
		cmocka_unit_test(sendfile__consumes_its_own_signal_only),
		cmocka_unit_test(sendfile__moves_the_offset),
		cmocka_unit_test(interrupted__calls_go_on),
		cmocka_unit_test(interrupted__epoll_wait_says_so),
		cmocka_unit_test(timer__absolute_and_off),
		cmocka_unit_test(read_file__is_a_string),
		cmocka_unit_test(memlock__who_is_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
