// SPDX-License-Identifier: MIT
/*
 * Two network namespaces of our own, without the ip command. As root by unshare, otherwise inside
 * a user namespace where the system allows one. Nothing outside them is changed.
 */
#include "net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>

static int near_ns = -1, far_ns = -1;
static bool in_user_ns;
static int veth; /* 0: not tried, 1: there, -1: cannot be had */

long net_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- interfaces --- */

static int if_request(const char *name, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret = -1;

	if (fd >= 0) {
		snprintf(ifr->ifr_name, IFNAMSIZ, "%s", name);
		ret = ioctl(fd, request, ifr);
		close(fd);
	}
	return ret;
}

static int if_up(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_UP };

	return if_request(name, SIOCSIFFLAGS, &ifr);
}

static void if_mtu(const char *name, unsigned mtu)
{
	struct ifreq ifr = { .ifr_mtu = (int)mtu };

	assert_int_equal(if_request(name, SIOCSIFMTU, &ifr), 0);
}

/* ZCS_TEST_NETEM is a command that makes a bad line of the device that it is given. */
static int impair(const char *name)
{
	const char *how = getenv("ZCS_TEST_NETEM");
	char command[256];

	if (!how)
		return 0;
	snprintf(command, sizeof(command), "%s %s", how, name);
	return system(command) == 0 ? 0 : -1;
}

bool net_line_is_bad(void)
{
	return getenv("ZCS_TEST_NETEM");
}

void net_lo_mtu(unsigned mtu)
{
	if_mtu("lo", mtu);
}

void net_veth_mtu(unsigned mtu)
{
	if_mtu("zcs0", mtu);
	net_go_far();
	if_mtu("zcs1", mtu);
	net_go_near();
}

/* --- rtnetlink --- */

struct request {
	struct nlmsghdr nh;
	char body[512];
};

static void *nl_put(struct request *r, const void *data, size_t len)
{
	void *at = (char *)r + NLMSG_ALIGN(r->nh.nlmsg_len);

	memcpy(at, data, len);
	r->nh.nlmsg_len = (uint32_t)(NLMSG_ALIGN(r->nh.nlmsg_len) + len);
	return at;
}

static struct rtattr *nl_attr(struct request *r, uint16_t type, const void *data, size_t len)
{
	struct rtattr attr = { .rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type };
	struct rtattr *at = nl_put(r, &attr, sizeof(attr));

	if (len)
		nl_put(r, data, len);
	return at;
}

static void nl_end(struct request *r, struct rtattr *nest)
{
	nest->rta_len = (uint16_t)((char *)r + NLMSG_ALIGN(r->nh.nlmsg_len) - (char *)nest);
}

static void nl_begin(struct request *r, uint16_t type, uint16_t flags)
{
	memset(r, 0, sizeof(*r));
	r->nh.nlmsg_len = NLMSG_HDRLEN;
	r->nh.nlmsg_type = type;
	r->nh.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
}

static int nl_do(struct request *r)
{
	struct {
		struct nlmsghdr nh;
		struct nlmsgerr err;
		char rest[1024];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int ret = -EIO;

	if (fd < 0)
		return -errno;
	if (send(fd, r, r->nh.nlmsg_len, 0) > 0 && recv(fd, &answer, sizeof(answer), 0) > 0 &&
	    answer.nh.nlmsg_type == NLMSG_ERROR)
		ret = answer.err.error;
	close(fd);
	return ret;
}

static int make_veth(void)
{
	struct ifinfomsg ifi = { 0 };
	struct rtattr *info, *data, *other;
	struct request r;

	nl_begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	nl_put(&r, &ifi, sizeof(ifi));
	nl_attr(&r, IFLA_IFNAME, "zcs0", 5);
	info = nl_attr(&r, IFLA_LINKINFO, NULL, 0);
	nl_attr(&r, IFLA_INFO_KIND, "veth", 4);
	data = nl_attr(&r, IFLA_INFO_DATA, NULL, 0);
	other = nl_attr(&r, VETH_INFO_PEER, NULL, 0);
	nl_put(&r, &ifi, sizeof(ifi));
	nl_attr(&r, IFLA_IFNAME, "zcs1", 5);
	nl_attr(&r, IFLA_NET_NS_FD, &far_ns, sizeof(far_ns));
	nl_end(&r, other);
	nl_end(&r, data);
	nl_end(&r, info);
	return nl_do(&r);
}

static int add_address(const char *name, const char *text, int prefix)
{
	struct ifaddrmsg ifa = { .ifa_prefixlen = (uint8_t)prefix, .ifa_flags = IFA_F_NODAD };
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	size_t len = family == AF_INET ? 4 : 16;
	struct request r;
	char addr[16];

	ifa.ifa_family = (uint8_t)family;
	ifa.ifa_index = if_nametoindex(name);
	inet_pton(family, text, addr);
	nl_begin(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	nl_put(&r, &ifa, sizeof(ifa));
	nl_attr(&r, IFA_LOCAL, addr, len);
	nl_attr(&r, IFA_ADDRESS, addr, len);
	return nl_do(&r);
}

static int forget_far(void)
{
	struct ndmsg nd = { .ndm_family = AF_INET, .ndm_state = NUD_PERMANENT };
	struct request r;
	char addr[4];

	nd.ndm_ifindex = (int)if_nametoindex("zcs0");
	inet_pton(AF_INET, "10.99.0.2", addr);
	nl_begin(&r, RTM_DELNEIGH, 0);
	nl_put(&r, &nd, sizeof(nd));
	nl_attr(&r, NDA_DST, addr, sizeof(addr));
	return nl_do(&r);
}

void net_veth_drops(bool drops)
{
	struct tcmsg tc = { .tcm_parent = TC_H_ROOT };
	struct tc_fifo_qopt none = { .limit = 0 };
	struct request r;

	tc.tcm_ifindex = (int)if_nametoindex("zcs0");
	nl_begin(&r, drops ? RTM_NEWQDISC : RTM_DELQDISC, drops ? NLM_F_CREATE | NLM_F_REPLACE : 0);
	nl_put(&r, &tc, sizeof(tc));
	if (drops) {
		nl_attr(&r, TCA_KIND, "pfifo", 6);
		nl_attr(&r, TCA_OPTIONS, &none, sizeof(none));
	}
	assert_int_equal(nl_do(&r), 0);
}

/* --- the second namespace --- */

void net_go_far(void)
{
	assert_int_equal(setns(far_ns, CLONE_NEWNET), 0);
}

void net_go_near(void)
{
	if (near_ns >= 0)
		assert_int_equal(setns(near_ns, CLONE_NEWNET), 0);
}

static bool set_up_veth(void)
{
	int ret;

	near_ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (near_ns < 0 || unshare(CLONE_NEWNET) < 0)
		return false;
	far_ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	ret = if_up("lo");
	net_go_near();
	if (ret < 0 || make_veth() < 0)
		return false;
	ret = add_address("zcs0", "10.99.0.1", 24) | add_address("zcs0", "fd99::1", 64);
	ret |= if_up("zcs0") | impair("zcs0");
	net_go_far();
	ret |= add_address("zcs1", "10.99.0.2", 24) | add_address("zcs1", "fd99::2", 64);
	ret |= if_up("zcs1") | impair("zcs1");
	net_go_near();
	return ret == 0;
}

bool net_has_veth(void)
{
	if (!veth) {
		veth = set_up_veth() ? 1 : -1;
		if (veth < 0)
			print_message("no veth pair here\n");
	}
	return veth > 0;
}

void net_far_is_deaf(bool deaf)
{
	net_go_far();
	assert_int_equal(net_sysctl("ipv4/conf/zcs1/arp_ignore", deaf ? "8" : "0"), 0);
	net_go_near();
	if (deaf)
		assert_int_equal(forget_far(), 0);
}

/* --- the run --- */

static int unshare_as_user(void)
{
	char map[64];
	unsigned uid = getuid(), gid = getgid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return -1;
	in_user_ns = true;
	put_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	if (put_file("/proc/self/uid_map", map) < 0)
		return -1;
	snprintf(map, sizeof(map), "0 %u 1", gid);
	return put_file("/proc/self/gid_map", map);
}

bool net_drop_root(void)
{
	if (in_user_ns)
		return true; /* root in name only: the first user namespace is what counts */
	return setgroups(0, NULL) == 0 && setresgid(65534, 65534, 65534) == 0 &&
	       setresuid(65534, 65534, 65534) == 0;
}

static void time_is_up(int sig)
{
	static const char text[] = "a test hangs: it did not even come back to its loop\n";

	(void)sig;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

void net_watch_time(void)
{
	signal(SIGALRM, time_is_up);
}

int net_setup(void **state)
{
	(void)state;
	alarm(2 * NET_MS / 1000);
	return 0;
}

int net_teardown(void **state)
{
	(void)state;
	alarm(0);
	net_go_near();
	net_lo_mtu(MTU_LO);
	return 0;
}

void net_in_child(void (*f)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		alarm(NET_MS / 1000);
		f();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

int net_main(const char *name, const struct CMUnitTest *tests, size_t nr)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (unshare(CLONE_NEWNET) < 0 && unshare_as_user() < 0) {
		printf("skipped: no network namespace of our own: %s\n", strerror(errno));
		return 77;
	}
	if (if_up("lo") < 0) {
		printf("skipped: no loopback: %s\n", strerror(errno));
		return 77;
	}
	if (impair("lo") < 0) {
		printf("the loopback cannot be made a bad line: ZCS_TEST_NETEM\n");
		return 1;
	}
	net_watch_time();
	return _cmocka_run_group_tests(name, tests, nr, NULL, NULL);
}
