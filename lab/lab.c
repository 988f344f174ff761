/* SPDX-License-Identifier: MIT */
#include "lab.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <unistd.h>

#include "echo.h"
#include "net.h"
#include "partner.h"

/* What the partner says once, with the near namespace's descriptor, when it is ready or failed. */
struct report {
	int error;
	char why[200];
};

/* ---- the partner's side -------------------------------------------------------- */

static int listen_on(uint16_t port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), off = 0;

	if (fd >= 0 && (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
			bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, 64) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A child that ends with its parent, whatever ended that. 0: this is the child. */
static pid_t fork_bound(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		/* The terminal's signals are for those who decide when the lab ends. */
		signal(SIGINT, SIG_IGN);
		signal(SIGQUIT, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
	}
	return pid;
}

static int run_on(int cpu, struct report *report)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == 0)
		return 0;
	snprintf(report->why, sizeof(report->why), "the partner cannot run on processor %d", cpu);
	return -ENODEV;
}

static int start_echo(void)
{
	int listener = listen_on(LAB_PORT_ECHO);
	pid_t pid = listener < 0 ? -1 : fork_bound();

	if (pid == 0) {
		echo_run(listener);
		_exit(1);
	}
	if (listener >= 0)
		close(listener);
	return pid < 0 ? -errno : 0;
}

static int build(struct partner *p, const struct lab_opts *opts, int *near, int *control,
		 struct report *report)
{
	int r = lab_net_make(opts->mtu, near, report->why, sizeof(report->why));

	if (r < 0)
		return r;
	r = partner_open(p, &opts->behave, report->why, sizeof(report->why));
	if (r < 0)
		return r;
	*control = listen_on(LAB_PORT_CONTROL);
	if (*control < 0 || start_echo() < 0) {
		r = -errno;
		snprintf(report->why, sizeof(report->why), "listening: %s", strerror(errno));
	}
	return r;
}

static int say(int link, const struct report *report, int near)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)report, sizeof(*report) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (near >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &near, sizeof(near));
	}
	return sendmsg(link, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void be_partner(const struct lab_opts *opts, int cpu, int link)
{
	struct partner *p = calloc(1, sizeof(*p)); /* the system zeroes only what is touched */
	struct report report = { 0 };
	int near = -1, control = -1;

	report.error = run_on(cpu, &report);
	if (opts->cpu < 0)
		report.error = 0; /* nobody asked for that one */
	if (report.error == 0 && !p) {
		report.error = -ENOMEM;
		snprintf(report.why, sizeof(report.why), "%s", strerror(ENOMEM));
	}
	if (report.error == 0)
		report.error = build(p, opts, &near, &control, &report);
	if (say(link, &report, report.error ? -1 : near) < 0 || report.error)
		_exit(1);
	close(near);
	_exit(partner_run(p, link, control) < 0 ? 1 : 0);
}

/* ---- the side of who starts it --------------------------------------------------- */

static int last_cpu(void)
{
	cpu_set_t set;
	int cpu = CPU_SETSIZE - 1;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 0;
	while (cpu > 0 && !CPU_ISSET(cpu, &set))
		cpu--;
	return cpu;
}

static int hear(int link, struct report *report, int *near_out)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { report, sizeof(*report) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	ssize_t n;

	do {
		n = recvmsg(link, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n != sizeof(*report)) {
		report->error = -EPIPE;
		snprintf(report->why, sizeof(report->why), "the partner ended at once");
	} else if (report->error == 0 && CMSG_FIRSTHDR(&msg)) {
		memcpy(near_out, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(*near_out));
	}
	return report->error;
}

#define LAB_KERNEL_NEEDS                                                                           \
	"NET_NS, VETH, IPV6, PACKET, BPF_SYSCALL, NET_SCH_INGRESS, NET_CLS_ACT, NET_CLS_BPF"

static int explain(int r, const struct report *report, char *why, size_t len)
{
	if (r == -EPERM)
		snprintf(why, len, "%s: the lab needs root (in no container): try sudo",
			 report->why);
	else if (r == -ENOSYS || r == -EINVAL || r == -ENOENT || r == -EOPNOTSUPP ||
		 r == -EAFNOSUPPORT)
		snprintf(why, len, "%s: perhaps the kernel lacks one of CONFIG_" LAB_KERNEL_NEEDS,
			 report->why);
	else
		snprintf(why, len, "%s", report->why);
	return r;
}

int lab_start(const struct lab_opts *opts, struct lab *lab_out, char *why, size_t len)
{
	struct lab lab = { .near = -1, .cpu = opts->cpu < 0 ? last_cpu() : opts->cpu };
	struct lab_opts mine = *opts;
	struct report report = { 0 };
	int pair[2], r;

	if (mine.mtu == 0)
		mine.mtu = LAB_MTU;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		snprintf(why, len, "%s", strerror(errno));
		return -errno;
	}
	lab.link = pair[0];
	lab.partner = fork_bound();
	if (lab.partner == 0) {
		close(pair[0]);
		be_partner(&mine, lab.cpu, pair[1]);
	}
	close(pair[1]);
	r = hear(lab.link, &report, &lab.near);
	if (r < 0) {
		lab_stop(&lab);
		return explain(r, &report, why, len);
	}
	*lab_out = lab;
	return 0;
}

int lab_enter(const struct lab *lab)
{
	return setns(lab->near, CLONE_NEWNET) < 0 ? -errno : 0;
}

void lab_make_room(const struct lab *lab)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) < 2)
		return;
	CPU_CLR(lab->cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

/* Elsewhere than in a lab the partner's address is somebody else's, who may take all day. */
static int prepare(int fd)
{
	static const char device[] = LAB_NEAR_DEVICE;
	struct timeval limit = { .tv_sec = 5 };

	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, sizeof(device)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	return 0;
}

static int ask(int fd, const char *line, char *answer, size_t len)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(LAB_PORT_CONTROL) };
	int r = prepare(fd);
	size_t at = 0;

	memcpy(&to.sin_addr, lab_far4, sizeof(to.sin_addr));
	if (r < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || dprintf(fd, "%s\n", line) < 0)
		return -errno;
	while (at < len - 1 && (at == 0 || answer[at - 1] != '\n')) {
		ssize_t n = recv(fd, answer + at, len - 1 - at, 0);

		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		at += (size_t)n;
	}
	answer[at - 1] = '\0';
	return 0;
}

int lab_tell(const char *line, char *answer, size_t len)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : ask(fd, line, answer, len);

	if (fd >= 0)
		close(fd);
	if (r == 0 && strncmp(answer, "ok", 2) != 0)
		return -EINVAL;
	if (r == 0)
		memmove(answer, answer + (answer[2] ? 3 : 2), strlen(answer) - 1);
	return r;
}

void lab_stop(struct lab *lab)
{
	/* Not close alone: who was forked meanwhile, such as another lab, has a copy of it. */
	shutdown(lab->link, SHUT_RDWR);
	close(lab->link);
	if (lab->near >= 0)
		close(lab->near);
	if (lab->partner > 0) {
		while (waitpid(lab->partner, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*lab = (struct lab){ .near = -1, .link = -1 };
}
