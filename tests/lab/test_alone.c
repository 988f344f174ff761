// SPDX-License-Identifier: MIT
/* A lab as a whole: its control port, several beside each other, and that nothing is left of it. */
#include "far.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* ---- the control port ------------------------------------------------------------------------ */

static int tell(const char *line, char *answer)
{
	return lab_tell(line, answer, 1024);
}

static void control__answers(void **state)
{
	char answer[1024];

	(void)state;
	FAR_PLAIN();
	assert_int_equal(tell("rtt 5ms", answer), 0);
	assert_string_equal(answer, "");
	assert_int_equal(tell("hold-acks", answer), 0);
	assert_int_equal(tell("stats", answer), 0);
	assert_ptr_equal(strstr(answer, "connections=0 open=0 received=0 "), answer);
	assert_int_equal(tell("reset", answer), 0);
	assert_int_equal(tell("rtt", answer), -EINVAL);
	assert_string_equal(answer,
			    "error: rtt takes a time with its unit, such as 20us, 5ms or 1s");
	assert_int_equal(tell("payload 0", answer), -EINVAL);
	assert_string_equal(answer, "error: payload: '0' is out of bounds");
	assert_int_equal(tell("laugh", answer), -EINVAL);
	assert_string_equal(answer, "error: there is no 'laugh'");
	assert_int_equal(tell("", answer), -EINVAL);
}

static void hears(int fd, const char *text)
{
	size_t len = strlen(text), at = 0;
	char buf[1024];

	while (at < len) {
		ssize_t n = recv(fd, buf + at, sizeof(buf) - 1 - at, 0);

		assert_true(n > 0);
		at += (size_t)n;
	}
	buf[at] = '\0';
	assert_string_equal(buf, text);
}

/* Lines are lines, however they come in. */
static void control__lines_in_pieces(void **state)
{
	static const char two[] = "hold-acks yes\nloss 200%\n", begin[] = "rst-", end[] = "at 5\n";
	int fd;

	(void)state;
	FAR_PLAIN();
	fd = far_connect(NET_V6, LAB_PORT_CONTROL);
	assert_int_equal(send(fd, two, strlen(two), 0), strlen(two));
	hears(fd, "ok\nerror: loss: '200%' is out of bounds\n");
	assert_int_equal(send(fd, begin, strlen(begin), 0), strlen(begin));
	far_tell("hold-acks no"); /* somebody else, meanwhile */
	assert_int_equal(send(fd, end, strlen(end), 0), strlen(end));
	hears(fd, "ok\n");
	close(fd);
}

static void control__no_command_is_that_long(void **state)
{
	char text[2 * LAB_LINE];
	int fd;

	(void)state;
	FAR_PLAIN();
	memset(text, 'x', sizeof(text));
	fd = far_connect(NET_V4, LAB_PORT_CONTROL);
	assert_int_equal(send(fd, text, sizeof(text), 0), sizeof(text));
	assert_true(recv(fd, text, sizeof(text), 0) <= 0);
	close(fd);
	far_tell("reset");
}

static void control__many_who_ask(void **state)
{
	char answer[1024];
	int i, fds[20];

	(void)state;
	FAR_PLAIN();
	for (i = 0; i < 20; i++)
		fds[i] = far_connect(NET_V4, LAB_PORT_CONTROL);
	assert_true(tell("stats", answer) < 0); /* it says nothing, but it ends */
	for (i = 0; i < 20; i++)
		close(fds[i]);
	FAR_UNTIL(tell("stats", answer) == 0);
}

/* ---- several --------------------------------------------------------------------------------- */

/* In a child of its own. Says on `ready` that its lab runs, and waits for all to say so. */
static void one_of_two(int ready, int go, const char *rtt, uint32_t least_us)
{
	static char mem[2 * MIB];
	size_t at = 0;
	char c = 'x';
	int fd;

	FAR_START(rtt, "verify");
	fd = far_connect(NET_V4, LAB_PORT_SINK);
	assert_int_equal(write(ready, &c, 1), 1);
	assert_int_equal(read(go, &c, 1), 1);
	stream_fill(0, 0, mem, sizeof(mem));
	while (at < sizeof(mem)) {
		ssize_t n = send(fd, mem + at, sizeof(mem) - at, 0);

		assert_true(n > 0);
		at += (size_t)n;
	}
	FAR_UNTIL(net_unacked(fd) == 0);
	assert_int_equal(far_stat("connections"), 1);
	assert_int_equal(far_stat("received"), sizeof(mem));
	assert_true(far_info(fd).tcpi_min_rtt >= least_us);
	far_was_right();
	far_stop();
}

static pid_t fork_one(int ready, int go, const char *rtt, uint32_t least_us)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		alarm(NET_MS / 1000);
		one_of_two(ready, go, rtt, least_us);
		_exit(0);
	}
	return pid;
}

/* The same addresses and ports, and nothing of the one shows in the other. */
static void two_side_by_side(void **state)
{
	int ready[2], go[2], i, status;
	pid_t pids[2];
	char c[2];

	(void)state;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pids[0] = fork_one(ready[1], go[0], "rtt 0ns", 0);
	pids[1] = fork_one(ready[1], go[0], "rtt 5ms", 5000);
	close(ready[1]);
	for (i = 0; i < 2; i++)
		assert_int_equal(read(ready[0], c, 1), 1);
	assert_int_equal(write(go[1], "xx", 2), 2);
	for (i = 0; i < 2; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	close(ready[0]);
	close(go[0]);
	close(go[1]);
}

static void one_after_another(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		FAR_PLAIN();
		close(far_connect(NET_V4, LAB_PORT_SINK));
		far_stop();
	}
}

/* ---- what is left ---------------------------------------------------------------------------- */

/* Waits for all who are or become children of this process; how many there were. */
static int bury_all(void)
{
	int nr = 0;

	while (wait(NULL) > 0)
		nr++;
	assert_int_equal(errno, ECHILD);
	return nr;
}

/* Whose parent ends is ours: nobody gets lost. */
static void adopt(void)
{
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
}

static void stopped(void)
{
	pid_t partner;
	int near;

	adopt();
	FAR_PLAIN();
	close(far_connect(NET_V4, LAB_PORT_ECHO));
	partner = far_lab()->partner;
	near = dup(far_lab()->near);
	assert_true(if_nametoindex(LAB_NEAR_DEVICE) > 0);
	far_stop();
	assert_int_equal(kill(partner, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(bury_all(), 1); /* who echoes */
	/* The pair goes with the far namespace, although somebody still looks at the near one. */
	assert_int_equal(setns(near, CLONE_NEWNET), 0);
	FAR_UNTIL(if_nametoindex(LAB_NEAR_DEVICE) == 0);
}

static void stop__leaves_nothing(void **state)
{
	(void)state;
	net_in_child(stopped);
}

static void be_killed(int told)
{
	pid_t partner;

	FAR_PLAIN();
	partner = far_lab()->partner;
	assert_int_equal(write(told, &partner, sizeof(partner)), sizeof(partner));
	for (;;)
		pause();
}

static void killed(void)
{
	pid_t partner, starter;
	int told[2], near;
	char path[64];

	adopt();
	assert_int_equal(pipe(told), 0);
	starter = fork();
	if (starter == 0)
		be_killed(told[1]);
	assert_int_equal(read(told[0], &partner, sizeof(partner)), sizeof(partner));
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)starter);
	near = open(path, O_RDONLY);
	assert_true(near >= 0);
	kill(starter, SIGKILL);
	assert_int_equal(bury_all(), 3);
	assert_int_equal(kill(partner, 0), -1);
	assert_int_equal(setns(near, CLONE_NEWNET), 0);
	FAR_UNTIL(if_nametoindex(LAB_NEAR_DEVICE) == 0);
}

/* Also when who started it had no time to stop it. */
static void killed__leaves_nothing(void **state)
{
	(void)state;
	net_in_child(killed);
}

/* ---- what does not work ---------------------------------------------------------------------- */

static int start(unsigned mtu, char *why, size_t len)
{
	struct lab_opts opts = { .mtu = mtu, .cpu = -1, .behave = behave_default };
	struct lab lab;

	return lab_start(&opts, &lab, why, len);
}

static void without_rights(void)
{
	char why[400] = "";

	adopt();
	if (!net_drop_root())
		_exit(77);
	assert_int_equal(start(0, why, sizeof(why)), -EPERM);
	assert_non_null(strstr(why, "root"));
	assert_int_equal(bury_all(), 0);
}

static void start__without_rights(void **state)
{
	(void)state;
	net_in_child(without_rights);
}

static void without_an_mtu(void)
{
	char why[400] = "";

	adopt();
	assert_true(start(20, why, sizeof(why)) < 0); /* less than any device has */
	assert_non_null(strstr(why, "veth"));
	assert_int_equal(bury_all(), 0);
}

static void start__says_what_failed(void **state)
{
	(void)state;
	net_in_child(without_an_mtu);
}

/* The second partner was forked with a copy of all that the first one's end hangs on. */
static void stop__the_first_of_two(void **state)
{
	struct lab_opts opts = { .cpu = -1, .behave = behave_default };
	struct lab one, two;
	char why[400];

	(void)state;
	assert_int_equal(lab_start(&opts, &one, why, sizeof(why)), 0);
	assert_int_equal(lab_start(&opts, &two, why, sizeof(why)), 0);
	lab_stop(&one);
	lab_stop(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAR_TEST(control__answers),
		FAR_TEST(control__lines_in_pieces),
		FAR_TEST(control__no_command_is_that_long),
		FAR_TEST(control__many_who_ask),
		FAR_TEST(two_side_by_side),
		FAR_TEST(one_after_another),
		FAR_TEST(stop__leaves_nothing),
		FAR_TEST(stop__the_first_of_two),
		FAR_TEST(killed__leaves_nothing),
		FAR_TEST(start__without_rights),
		FAR_TEST(start__says_what_failed),
	};

	return FAR_MAIN(tests);
}
