// SPDX-License-Identifier: MIT
/* A lab for each test. */
#include "far.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>

static struct lab lab;
static bool running, uncopied;
static int home = -1; /* the namespace that we started in */
static cpu_set_t processors;

/* ---- start and stop -------------------------------------------------------------------------- */

static void set_option(struct lab_opts *opts, const char *line)
{
	char name[LAB_LINE], why[200];
	char *value;

	snprintf(name, sizeof(name), "%s", line);
	value = strchr(name, ' ');
	if (value)
		*value++ = '\0';
	if (strcmp(name, "mtu") == 0)
		opts->mtu = (unsigned)atoi(value);
	else if (behave_set_or_say(&opts->behave, name, value, why, sizeof(why)) < 0)
		fail_msg("%s", why);
}

void far_start(const char *const *lines)
{
	struct lab_opts opts = { .cpu = -1, .behave = behave_default };
	char why[400];

	for (; *lines; lines++)
		set_option(&opts, *lines);
	if (lab_start(&opts, &lab, why, sizeof(why)) < 0)
		fail_msg("%s", why);
	running = true;
	assert_int_equal(lab_enter(&lab), 0);
	lab_make_room(&lab);
}

void far_stop(void)
{
	if (running)
		lab_stop(&lab);
	running = false;
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	sched_setaffinity(0, sizeof(processors), &processors);
}

struct lab *far_lab(void)
{
	return &lab;
}

int far_teardown(void **state)
{
	(void)state;
	alarm(0);
	far_stop();
	return 0;
}

/* In a lab: whether what is lent on the way to the partner is not copied. */
static bool lent_is_lent(void)
{
	union {
		struct cmsghdr align;
		char buf[512];
	} control;
	struct msghdr msg = { .msg_control = control.buf, .msg_controllen = sizeof(control.buf) };
	struct pollfd pf = { .fd = far_connect(NET_V4, LAB_PORT_SINK) };
	static char mem[16384];
	struct sock_extended_err err;

	net_set(pf.fd, SOL_SOCKET, SO_ZEROCOPY, 1);
	assert_int_equal(send(pf.fd, mem, sizeof(mem), MSG_ZEROCOPY), sizeof(mem));
	assert_int_equal(poll(&pf, 1, NET_MS), 1);
	assert_int_equal(recvmsg(pf.fd, &msg, MSG_ERRQUEUE), 0);
	memcpy(&err, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(err));
	close(pf.fd);
	assert_int_equal(err.ee_origin, SO_EE_ORIGIN_ZEROCOPY);
	return !(err.ee_code & SO_EE_CODE_ZEROCOPY_COPIED);
}

/* What is missing is a reason to skip; not, that no lab can be made although nothing is missing. */
static int try_a_lab(void)
{
	struct lab_opts opts = { .cpu = -1, .behave = behave_default };
	char why[400];
	int r = lab_start(&opts, &lab, why, sizeof(why));

	if (r == 0 && lab_enter(&lab) == 0) {
		uncopied = lent_is_lent();
		running = true;
		far_stop();
		return 0;
	}
	if (r == -EPERM || r == -EACCES || r == -ENOSYS || r == -EOPNOTSUPP) {
		printf("skipped: %s\n", why);
		return 77;
	}
	printf("no lab: %s\n", why);
	return 1;
}

int far_main(const char *name, const struct CMUnitTest *tests, size_t nr)
{
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0 || sched_getaffinity(0, sizeof(processors), &processors) < 0)
		return 1;
	r = try_a_lab();
	if (r)
		return r;
	net_watch_time();
	return _cmocka_run_group_tests(name, tests, nr, NULL, NULL);
}

/* ---- the partner ----------------------------------------------------------------------------- */

void far_tell(const char *line)
{
	char answer[1024];
	int r = lab_tell(line, answer, sizeof(answer));

	if (r < 0)
		fail_msg("%s: %s", line, r == -EINVAL ? answer : strerror(-r));
}

uint64_t far_stat(const char *name)
{
	char answer[1024], *at;
	size_t len = strlen(name);

	assert_int_equal(lab_tell("stats", answer, sizeof(answer)), 0);
	for (at = strtok(answer, " "); at; at = strtok(NULL, " "))
		if (strncmp(at, name, len) == 0 && at[len] == '=')
			return strtoull(at + len + 1, NULL, 10);
	fail_msg("no %s in the statistics", name);
	return 0;
}

void far_was_right(void)
{
	assert_int_equal(far_stat("wrong"), 0);
	assert_true(far_stat("verified") > 0);
}

/* The timeout cannot be set before Linux 6.11, and is 200 ms then. */
void far_is_patient(void)
{
	assert_int_equal(net_sysctl("ipv4/tcp_early_retrans", "0"), 0);
	net_sysctl("ipv4/tcp_rto_min_us", "5000000");
}

void far_address(enum net_family family, uint16_t port, struct sockaddr_storage *to_out,
		 socklen_t *len_out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)to_out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to_out;
	const char *text = family == NET_V6 ? LAB_FAR6 : "::ffff:" LAB_FAR4;

	memset(to_out, 0, sizeof(*to_out));
	if (family == NET_V4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		assert_int_equal(inet_pton(AF_INET, LAB_FAR4, &v4->sin_addr), 1);
		*len_out = sizeof(*v4);
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
		*len_out = sizeof(*v6);
	}
}

int far_connect(enum net_family family, uint16_t port)
{
	struct timeval most = { .tv_sec = NET_MS / 1000 };
	struct sockaddr_storage to;
	socklen_t len;
	int fd;

	far_address(family, port, &to, &len);
	fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most)), 0);
	if (connect(fd, (struct sockaddr *)&to, len) < 0)
		fail_msg("connect: %s", strerror(errno));
	net_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return fd;
}

struct tcp_info far_info(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info;
}

void far_needs_uncopied(void)
{
	if (!uncopied) {
		print_message("this kernel copies on the way to the partner\n");
		skip();
	}
}
