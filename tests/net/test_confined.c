// SPDX-License-Identifier: MIT
/*
 * Processes that may do less: no locked memory, little option memory, no io_uring, no rights, the
 * system calls of a container. Whatever is missing, every byte arrives, and the reason is told.
 */
#include "net.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* What containers refuse with EPERM and a network program could think of. */
static const uint32_t refused[] = {
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_userfaultfd,
	SYS_bpf,
	SYS_perf_event_open,
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_kcmp,
	SYS_setns,
	SYS_unshare,
	SYS_mount,
	SYS_move_pages,
	SYS_mbind,
	SYS_set_mempolicy,
	SYS_keyctl,
	SYS_open_by_handle_at,
};
#define REFUSED (sizeof(refused) / sizeof(refused[0]))

static bool like_a_container(void)
{
	struct sock_filter filter[2 * REFUSED + 2] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog prog = { 2 * REFUSED + 2, filter };

	for (size_t i = 0; i < REFUSED; i++) {
		filter[2 * i + 1] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i], 0, 1);
		filter[2 * i + 2] =
			(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	}
	filter[2 * REFUSED + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

static bool without_locked_memory(void)
{
	struct rlimit none = { 0, 0 };

	return setrlimit(RLIMIT_MEMLOCK, &none) == 0;
}

/* The limit of kernels before 6.8, which cannot be set for a namespace, and need not be. */
static bool with_little_option_memory(void)
{
	int r = net_sysctl("core/optmem_max", "20480");

	return r == 0 || r == -ENOENT;
}

static void or_skip(bool confined)
{
	if (!confined) {
		print_message("cannot be confined like that: %s\n", strerror(errno));
		_exit(77);
	}
}

/* Everything works; the statistics and, when it is not NULL, what explain must say. */
static void all_works(enum zcs_ring ring, const char *why, struct zcs_stats *st)
{
	struct zcs_ctx_opts opts = { .size = sizeof(opts), .ring = ring };
	struct net_pair pair;
	struct talk t;

	net_pair(&pair, NET_V4, NET_LO);
	talk_open(&t, &opts, pair.near, pair.far);
	talk(&t);
	app_stats(t.app, st);
	if (why)
		app_says(t.app, why);
	talk_end(&t);
}

/* --- an unprivileged user with what every user has --- */

static void as_anybody(void)
{
	struct zcs_stats st;

	or_skip(net_drop_root());
	all_works(ZCS_RING_OFF, NULL, &st);
	assert_true(st.tx_bytes_lent > 0);
	all_works(ZCS_RING_TRY, NULL, &st);
}

static void confined__unprivileged(void **state)
{
	(void)state;
	net_in_child(as_anybody);
}

/* --- no locked memory --- */

static void no_locked_memory(void)
{
	struct zcs_stats st;

	or_skip(without_locked_memory() && net_drop_root());
	all_works(ZCS_RING_OFF, "RLIMIT_MEMLOCK", &st);
	assert_int_equal(st.tx_bytes_lent, 0);
	assert_true(st.tx_enobufs_memlock > 0);
	/* Some kernels charge nobody for what an IORING_OP_SENDMSG_ZC lends: 6.1, 6.12. */
	all_works(ZCS_RING_TRY, NULL, &st);
	assert_true(st.tx_bytes_lent || st.tx_reason == ZCS_R_MEMLOCK);
}

static void confined__no_locked_memory(void **state)
{
	(void)state;
	net_in_child(no_locked_memory);
}

/* --- option memory of 20 KiB --- */

/* More than it has room for, out at once. */
static void confined__little_option_memory(void **state)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .send_way = ZCS_WAY_ZEROCOPY,
				      .lent_max = ZCS_UNLIMITED };
	struct zcs_ctx_opts ctx_opts = { .size = sizeof(ctx_opts), .ring = ZCS_RING_OFF };
	struct net_pair pair;
	struct zcs_stats st;
	struct net net;
	struct app *app;
	struct peer *peer;

	(void)state;
	assert_true(with_little_option_memory());
	net_start(&net, &ctx_opts);
	net_pair(&pair, NET_V4, NET_LO);
	app = app_open(&net, pair.near, &opts);
	peer = peer_open(&net, pair.far);
	app->tx_seed = peer->rx_seed = 1;
	net_set(pair.near, SOL_SOCKET, SO_SNDBUFFORCE, 64 * MIB);
	net_silence(pair.far);
	for (int i = 0; i < 50; i++)
		assert_true(app_send(app, &(struct shape){ .len = 600 * KIB }) >= 0);
	app_stats(app, &st);
	assert_true(st.tx_enobufs_optmem > 0);
	app_says(app, "net.core.optmem_max");
	net_unsilence(pair.far);
	PUMP_UNTIL(&net, peer->rx_pos == app->tx_pos && app->out == 0);
	net_finish(&net);
	net_sysctl("core/optmem_max", "131072");
}

/* --- io_uring switched off, machine-wide --- */

/* Only where the machine is ours, as those of tests/vm are. */
static void confined__io_uring_disabled(void **state)
{
	int fd = getenv("ZCS_TEST_OWN_MACHINE")
			 ? open("/proc/sys/kernel/io_uring_disabled", O_WRONLY | O_CLOEXEC)
			 : -1;
	struct zcs_stats st;

	(void)state;
	if (fd < 0) {
		print_message("kernel.io_uring_disabled cannot be set here\n");
		skip();
	}
	assert_int_equal(pwrite(fd, "2", 1, 0), 1);
	all_works(ZCS_RING_TRY, "kernel.io_uring_disabled", &st);
	assert_int_equal(pwrite(fd, "0", 1, 0), 1);
	close(fd);
	assert_true(st.tx_bytes_lent > 0);
}

/* --- a container --- */

static void in_a_container(void)
{
	struct zcs_stats st;

	or_skip(like_a_container());
	all_works(ZCS_RING_TRY, "io_uring is forbidden", &st);
	assert_true(st.tx_bytes_lent > 0);
}

static void confined__container(void **state)
{
	(void)state;
	net_in_child(in_a_container);
}

/* --- all of it --- */

static void with_nothing(void)
{
	struct zcs_stats st;

	or_skip(with_little_option_memory() && without_locked_memory() && net_drop_root() &&
		like_a_container());
	all_works(ZCS_RING_TRY, "io_uring is forbidden", &st);
	assert_int_equal(st.tx_bytes_lent, 0);
	assert_int_equal(st.tx_reason, ZCS_R_MEMLOCK);
}

static void confined__everything(void **state)
{
	(void)state;
	net_in_child(with_nothing);
	net_sysctl("core/optmem_max", "131072");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(confined__unprivileged),
		NET_TEST(confined__no_locked_memory),
		NET_TEST(confined__little_option_memory),
		NET_TEST(confined__io_uring_disabled),
		NET_TEST(confined__container),
		NET_TEST(confined__everything),
	};

	return NET_MAIN(tests);
}
