// SPDX-License-Identifier: MIT
/*
 * probe.c in a network namespace of the test's own, and with answers that no kernel gives. Where no
 * namespace can be made, what needs one is skipped.
 */
#include "unit.h"

#include "probe.h"
#include "sys.h"
#include "sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/vm_sockets.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum { TCP_IS_ESTABLISHED = 1, TCP_IS_SYN_SENT = 2 };

#define NO_ROUTE ((enum probe_route)99) /* connect(2) knows none */

static bool is_private; /* we are in a namespace of our own */
static bool has_links;	/* and it has veth0 with 10.9.0.1/24 */
static bool has_ipv6;	/* and fe80::1 on it */
static int outside;	/* a socket of the namespace that we came from */

static void need(bool what, const char *why)
{
	if (what)
		return;
	print_message("skipped: %s\n", why);
	skip();
}

/* ---- replies that are not the kernel's --------------------------------------------------- */

static struct {
	const char *bus_info; /* of every device */
	size_t cut;	      /* netlink answers end here; 0: whole */
	struct rng *noise;    /* flips bytes of them */
	uint32_t sender;      /* port they come from */
	const char *ulp;
	const char *optmem_max;
	bool no_optmem_max;
	uint32_t optmem; /* in use */
	bool no_cookie;
	uint32_t napi; /* SO_INCOMING_NAPI_ID: what a card's packets leave in the socket */
	bool flags_loopback;
	size_t answer_len; /* the last one, before it was cut */
} fake;

static ssize_t fake_recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t n = zcsi_sys_kernel.recvmsg(fd, msg, flags);
	char *bytes = msg->msg_iov[0].iov_base;

	if (n <= 0)
		return n;
	fake.answer_len = (size_t)n;
	if (fake.sender)
		((struct sockaddr_nl *)msg->msg_name)->nl_pid = fake.sender;
	if (fake.cut && fake.cut < (size_t)n)
		n = (ssize_t)fake.cut;
	for (int i = 0; fake.noise && i < 3; i++)
		bytes[rng_between(fake.noise, 0, n - 1)] = (char)rng_next(fake.noise);
	return n;
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	int ret = zcsi_sys_kernel.ioctl(fd, request, arg);
	struct ifreq *ifr = arg;

	if (request == SIOCETHTOOL && fake.bus_info) {
		struct ethtool_drvinfo *info = (void *)ifr->ifr_data;

		memset(info->bus_info, 'f', sizeof(info->bus_info)); /* no end */
		memcpy(info->bus_info, fake.bus_info, strlen(fake.bus_info) + 1);
		return 0;
	}
	if (request == SIOCGIFFLAGS && fake.flags_loopback)
		ifr->ifr_flags |= IFF_LOOPBACK;
	return ret;
}

static int fake_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	if (level == IPPROTO_TCP && name == TCP_ULP && fake.ulp) {
		*len = (socklen_t)strlen(fake.ulp) + 1;
		memcpy(val, fake.ulp, *len);
		return 0;
	}
	if (level == SOL_SOCKET && name == 71 /* SO_NETNS_COOKIE */ && fake.no_cookie)
		return -ENOPROTOOPT;
	if (level == SOL_SOCKET && name == SO_INCOMING_NAPI_ID && fake.napi) {
		memcpy(val, &fake.napi, sizeof(fake.napi));
		return 0;
	}
	if (level == SOL_SOCKET && name == SO_MEMINFO && fake.optmem) {
		((uint32_t *)val)[SK_MEMINFO_OPTMEM] = fake.optmem;
		return 0;
	}
	return zcsi_sys_kernel.getsockopt(fd, level, name, val, len);
}

static ssize_t fake_read_file(const char *path, char *buf, size_t len)
{
	if (fake.no_optmem_max)
		return -ENOENT;
	if (!fake.optmem_max)
		return zcsi_sys_kernel.read_file(path, buf, len);
	return snprintf(buf, len, "%s", fake.optmem_max);
}

static struct zcsi_sys fake_sys;

static int set_up(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake_sys = zcsi_sys_kernel;
	fake_sys.recvmsg = fake_recvmsg;
	fake_sys.ioctl = fake_ioctl;
	fake_sys.getsockopt = fake_getsockopt;
	fake_sys.read_file = fake_read_file;
	zcsi_sys = &fake_sys;
	return 0;
}

/* ---- sockets ----------------------------------------------------------------------------- */

static struct sockaddr_in6 address(int family, const char *text, uint16_t port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

	if (family == AF_INET) {
		assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
		memcpy(&in6, &in, sizeof(in));
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	}
	return in6;
}

/* A datagram socket has a route to its peer without anybody there. mark and device: 0 none. */
static enum probe_route route_to(int family, const char *peer, int mark, const char *device)
{
	struct sockaddr_in6 addr = address(family, peer, 9);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	enum probe_route route = PROBE_ROUTE_UNKNOWN;

	if (mark)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	if (device && IN6_IS_ADDR_LINKLOCAL(&addr.sin6_addr) && family == AF_INET6)
		addr.sin6_scope_id = if_nametoindex(device);
	else if (device)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
					    (socklen_t)strlen(device)),
				 0);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		route = probe_route(fd);
	else
		route = NO_ROUTE;
	close(fd);
	return route;
}

static int listen_on_loopback(int family, struct sockaddr_in6 *addr)
{
	socklen_t len = sizeof(*addr);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*addr = address(family, family == AF_INET ? "127.0.0.1" : "::ffff:127.0.0.1", 0);
	assert_int_equal(bind(fd, (struct sockaddr *)addr, len), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)addr, &len), 0);
	return fd;
}

/* ---- bus addresses ----------------------------------------------------------------------- */

static void is_bus__pci_and_usb_only(void **state)
{
	static const char *const yes[] = { "0000:00:1f.6", "0000:3b:00.0", "10000:e1:00.7",
					   "abcd:EF:01.3", "usb-0000:00:14.0-3" };
	static const char *const no[] = { "",
					  "N/A",
					  "tap",
					  "tun",
					  "veth",
					  "virtio0",
					  "0000:00:1f",
					  "0000:00:1f.8",
					  "0000:00:1f.60",
					  "000:00:1f.6",
					  "0000:0:1f.6",
					  "0000:00:1f.6 ",
					  "0000-00-1f.6",
					  "g000:00:00.0",
					  "usb",
					  "usb-",
					  "usbnet",
					  "123456789:00:00.0" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(probe_is_bus(yes[i]));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(probe_is_bus(no[i]));
}

static void route_text__says_something(void **state)
{
	(void)state;
	for (int i = -1; i < 6; i++)
		assert_true(strlen(probe_route_text((enum probe_route)i)) > 0);
}

/* ---- routes ------------------------------------------------------------------------------ */

static void route__to_this_host_is_local(void **state)
{
	enum probe_route six = route_to(AF_INET6, "::1", 0, NULL);

	(void)state;
	assert_int_equal(route_to(AF_INET, "127.0.0.1", 0, NULL), PROBE_ROUTE_LOCAL);
	assert_int_equal(route_to(AF_INET, "127.1.2.3", 0, NULL), PROBE_ROUTE_LOCAL);
	assert_true(six == PROBE_ROUTE_LOCAL || six == NO_ROUTE);
	assert_int_equal(route_to(AF_INET6, "::ffff:127.0.0.1", 0, NULL), PROBE_ROUTE_LOCAL);
	need(has_links, "no namespace with a veth pair");
	assert_int_equal(route_to(AF_INET, "10.9.0.1", 0, NULL), PROBE_ROUTE_LOCAL);
	assert_int_equal(route_to(AF_INET6, "::ffff:10.9.0.1", 0, NULL), PROBE_ROUTE_LOCAL);
}

static void route__through_virtual_devices(void **state)
{
	(void)state;
	need(has_links, "no namespace with a veth pair");
	assert_int_equal(route_to(AF_INET, "10.9.0.2", 0, NULL), PROBE_ROUTE_VIRTUAL);
	assert_int_equal(route_to(AF_INET6, "::ffff:10.9.0.2", 0, NULL), PROBE_ROUTE_VIRTUAL);
	assert_int_equal(route_to(AF_INET, "10.10.0.2", 0, NULL), PROBE_ROUTE_VIRTUAL);
	if (has_ipv6)
		assert_int_equal(route_to(AF_INET6, "fe80::2", 0, "veth0"), PROBE_ROUTE_VIRTUAL);
	/* Table 100 has a route for this only. */
	assert_int_equal(route_to(AF_INET, "10.7.0.2", 0, NULL), NO_ROUTE);
	assert_int_equal(route_to(AF_INET, "10.7.0.2", 5, NULL), PROBE_ROUTE_VIRTUAL);
	/* Not reachable but through the device that the socket is bound to. */
	assert_int_equal(route_to(AF_INET, "10.77.0.2", 0, "veth0"), PROBE_ROUTE_VIRTUAL);
}

static void route__through_a_card(void **state)
{
	(void)state;
	need(has_links, "no namespace with a veth pair");
	fake.bus_info = "0000:00:1f.6";
	/*
	 * Packets that came over no card, whatever the route says: an address rewritten on the way.
	 */
	assert_int_equal(route_to(AF_INET, "10.9.0.2", 0, NULL), PROBE_ROUTE_VIRTUAL);
	fake.napi = 8193;
	assert_int_equal(route_to(AF_INET, "10.9.0.2", 0, NULL), PROBE_ROUTE_CARD);
	/* The device is asked only where packets leave. */
	assert_int_equal(route_to(AF_INET, "10.9.0.1", 0, NULL), PROBE_ROUTE_LOCAL);
	fake.flags_loopback = true;
	assert_int_equal(route_to(AF_INET, "10.9.0.2", 0, NULL), PROBE_ROUTE_LOCAL);
}

/* Packets wrapped into others, and several next hops of which one is chosen packet by packet. */
static void route__that_is_not_plain(void **state)
{
	(void)state;
	need(has_links, "no namespace with a veth pair");
	fake.bus_info = "0000:00:1f.6";
	need(system("ip route add 10.12.0.0/24 encap ip id 7 dst 10.9.0.3 dev veth0 2>/dev/null") ==
		     0,
	     "no light-weight tunnels");
	assert_int_equal(route_to(AF_INET, "10.12.0.2", 0, NULL), PROBE_ROUTE_UNKNOWN);
}

static void route__unknown_without_a_peer(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int pair[2];

	(void)state;
	assert_int_equal(probe_route(-1), PROBE_ROUTE_UNKNOWN);
	assert_int_equal(probe_route(fd), PROBE_ROUTE_UNKNOWN);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(probe_route(pair[0]), PROBE_ROUTE_UNKNOWN);
	close(pair[0]);
	close(pair[1]);
	close(fd);
}

/* The routes of our namespace say nothing about a socket of another one. */
static void route__of_another_namespace(void **state)
{
	struct sockaddr_in6 addr = address(AF_INET, "127.0.0.1", 9);

	(void)state;
	fake.no_cookie = true;
	assert_int_equal(route_to(AF_INET, "127.0.0.1", 0, NULL), PROBE_ROUTE_UNKNOWN);
	fake.no_cookie = false;
	need(is_private, "no namespace of our own");
	assert_int_equal(connect(outside, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(probe_route(outside), PROBE_ROUTE_UNKNOWN);
}

static void route__answers_that_are_cut_or_forged(void **state)
{
	const char *peer = has_links ? "10.9.0.2" : "127.0.0.1";
	enum probe_route real = route_to(AF_INET, peer, 0, NULL);
	struct rng rng = rng_seeded(3);
	size_t whole = fake.answer_len;

	(void)state;
	assert_true(whole >= NLMSG_LENGTH(sizeof(struct rtmsg)));
	for (fake.cut = 1; fake.cut < whole; fake.cut++)
		assert_int_equal(route_to(AF_INET, peer, 0, NULL), PROBE_ROUTE_UNKNOWN);
	assert_int_equal(route_to(AF_INET, peer, 0, NULL), real);
	fake.cut = 0;
	fake.sender = 4711;
	assert_int_equal(route_to(AF_INET, peer, 0, NULL), PROBE_ROUTE_UNKNOWN);
	fake.sender = 0;
	fake.noise = &rng;
	for (int i = 0; i < 20000; i++)
		assert_int_not_equal(route_to(AF_INET, peer, 0, NULL), PROBE_ROUTE_CARD);
}

/* ---- sockets that can and cannot be connections ------------------------------------------ */

static void socket__refusals(void **state)
{
	struct sockaddr_in6 addr;
	struct probe_socket out;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int listener = listen_on_loopback(AF_INET, &addr);
	int unix_dgram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(probe_socket(-1, &out), -EBADF);
	assert_int_equal(probe_socket(null, &out), -ENOTSOCK);
	assert_int_equal(probe_socket(listener, &out), -EINVAL);
	assert_int_equal(probe_socket(unix_dgram, &out), -EOPNOTSUPP);
	assert_int_equal(probe_socket(tcp, &out), -ENOTCONN);
	assert_int_equal(probe_socket(local, &out), -ENOTCONN);
	/* A refused attempt, learned of later. */
	close(listener);
	assert_int_equal(zcsi_sys_kernel.set_nonblock(tcp, true), 1);
	if (connect(tcp, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno == EINPROGRESS)
		assert_int_equal(probe_socket(tcp, &out), -ECONNREFUSED);
	assert_int_equal(probe_socket(tcp, &out), -ENOTCONN);
	close(null);
	close(unix_dgram);
	close(tcp);
	close(local);
}

static void socket__connected_tcp(void **state)
{
	struct sockaddr_in6 addr;
	struct probe_socket a, b;
	int listener = listen_on_loopback(AF_INET6, &addr);
	struct sockaddr_in6 v4 = address(AF_INET, "127.0.0.1", ntohs(addr.sin6_port));
	int tx = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint32_t peer, local;
	int on = 1, rx;

	(void)state;
	assert_int_equal(setsockopt(tx, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)), 0);
	assert_int_equal(connect(tx, (struct sockaddr *)&v4, sizeof(v4)), 0);
	rx = accept(listener, NULL, NULL);
	assert_int_equal(probe_socket(tx, &a), 0);
	assert_int_equal(probe_socket(rx, &b), 0);
	assert_int_equal(a.family, AF_INET);
	assert_int_equal(b.family, AF_INET6);
	assert_int_equal(a.protocol, IPPROTO_TCP);
	assert_int_equal(a.state, TCP_IS_ESTABLISHED);
	assert_true(a.tcp && b.tcp && !a.ulp && a.zerocopy_on && !b.zerocopy_on);
	probe_ends(tx, &peer, &local);
	assert_true(a.peer == b.peer && a.peer == peer);
	/* the same address at both ends: no link that leads anywhere else shares its costs */
	assert_true(a.local == b.local && a.local == local && local != peer);
	fake.ulp = "tls";
	assert_int_equal(probe_socket(tx, &a), 0);
	assert_true(a.ulp && !a.tcp);
	close(tx);
	close(rx);
	close(listener);
}

static void socket__connecting(void **state)
{
	struct sockaddr_in6 addr = address(AF_INET, "10.9.0.2", 9);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct probe_socket out;

	(void)state;
	need(has_links, "no namespace with a veth pair");
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), -1);
	assert_int_equal(errno, EINPROGRESS);
	assert_int_equal(probe_socket(fd, &out), 0);
	assert_int_equal(out.state, TCP_IS_SYN_SENT);
	assert_true(out.tcp && out.peer != 0);
	assert_int_equal(probe_route(fd), PROBE_ROUTE_UNKNOWN);
	close(fd);
}

static void socket__other_streams(void **state)
{
	struct sockaddr_in6 addr;
	struct probe_socket out;
	int listener, fd, pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(probe_socket(pair[0], &out), 0);
	assert_int_equal(out.family, AF_UNIX);
	assert_int_equal(out.state, TCP_IS_ESTABLISHED);
	assert_true(!out.tcp && out.peer != 0);
	close(pair[0]);
	close(pair[1]);

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	need(fd >= 0, "no MPTCP");
	listener = listen_on_loopback(AF_INET, &addr);
	assert_int_equal(probe_socket(fd, &out), -ENOTCONN);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(probe_socket(fd, &out), 0);
	assert_int_equal(out.protocol, IPPROTO_MPTCP);
	assert_false(out.tcp);
	close(fd);
	close(listener);
}

static uint32_t peer_of(int fd)
{
	uint32_t peer, local;

	probe_ends(fd, &peer, &local);
	assert_int_not_equal(local, 0);
	return peer;
}

static void peer__hash_tells_hosts_apart(void **state)
{
	struct sockaddr_in6 a = address(AF_INET, "127.0.0.1", 9);
	struct sockaddr_in6 b = address(AF_INET, "127.0.0.2", 9);
	struct sockaddr_in6 c = address(AF_INET, "127.0.0.1", 10);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t none = peer_of(fd), first;

	(void)state;
	assert_int_not_equal(none, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	first = peer_of(fd);
	assert_int_not_equal(first, none);
	assert_int_equal(connect(fd, (struct sockaddr *)&b, sizeof(b)), 0);
	assert_int_not_equal(peer_of(fd), first);
	assert_int_equal(connect(fd, (struct sockaddr *)&c, sizeof(c)), 0);
	assert_int_equal(peer_of(fd), first);
	close(fd);
}

/* ---- option memory ----------------------------------------------------------------------- */

/* One completion fits; unread, it holds its memory and the next flagged send is refused. */
static void optmem__full_when_the_kernel_says_so(void **state)
{
	struct sockaddr_in6 addr;
	int listener, tx, rx, on = 1;

	(void)state;
	/* Before Linux 6.8 the limit is the machine's, not the namespace's. */
	need(is_private && net_sysctl("core/optmem_max", "1200") == 0,
	     "no option memory limit of our own");
	listener = listen_on_loopback(AF_INET, &addr);
	tx = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(tx, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on));
	assert_int_equal(zcsi_sys_kernel.set_nonblock(tx, false), 1);
	assert_int_equal(connect(tx, (struct sockaddr *)&addr, sizeof(addr)), 0);
	rx = accept(listener, NULL, NULL);
	assert_false(probe_optmem_is_full(tx));
	assert_int_equal(send(tx, "x", 1, MSG_ZEROCOPY), 1);
	assert_int_equal(send(tx, "x", 1, MSG_ZEROCOPY), -1);
	assert_int_equal(errno, ENOBUFS);
	assert_true(probe_optmem_is_full(tx));
	fake.optmem_max = "131072\n";
	assert_false(probe_optmem_is_full(tx));
	close(tx);
	close(rx);
	close(listener);
	(void)net_sysctl("core/optmem_max", "131072");
}

static void optmem__cannot_tell(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_false(probe_optmem_is_full(-1));
	fake.optmem_max = "";
	assert_false(probe_optmem_is_full(fd));
	fake.optmem_max = "many\n";
	assert_false(probe_optmem_is_full(fd));
	fake.optmem_max = "831\n";
	assert_true(probe_optmem_is_full(fd));
	fake.optmem_max = "832\n";
	assert_false(probe_optmem_is_full(fd));
	close(fd);
}

/* A container before Linux 6.8: the limit is there, and not to be seen. */
static void optmem__limit_that_is_hidden(void **state)
{
	(void)state;
	fake.no_optmem_max = true;
	fake.optmem = 25 * 768; /* of 20 KiB: one more notification fits */
	assert_false(probe_optmem_is_full(-1));
	fake.optmem = 26 * 768;
	assert_true(probe_optmem_is_full(-1));
}

/* ---- the namespace ----------------------------------------------------------------------- */

static void make_namespace(void)
{
	outside = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (unshare(CLONE_NEWNET) < 0) {
		print_message("no private network namespace: %s\n", strerror(errno));
		return;
	}
	is_private = true;
	has_links = system("ip link set lo up && "
			   "ip link add veth0 type veth peer name veth1 && "
			   "ip addr add 10.9.0.1/24 dev veth0 && "
			   "ip link set veth0 up && ip link set veth1 up && "
			   "ip link add br0 type bridge && ip addr add 10.10.0.1/24 dev br0 && "
			   "ip link set br0 up && "
			   "ip rule add fwmark 5 table 100 && "
			   "ip route add 10.7.0.0/24 dev veth0 table 100") == 0;
	/* nodad: an address that is still being checked for duplicates cannot be sent from. */
	has_ipv6 = has_links && system("ip addr add fe80::1/64 dev veth0 nodad 2>/dev/null") == 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(is_bus__pci_and_usb_only, set_up),
		cmocka_unit_test_setup(route_text__says_something, set_up),
		cmocka_unit_test_setup(route__to_this_host_is_local, set_up),
		cmocka_unit_test_setup(route__through_virtual_devices, set_up),
		cmocka_unit_test_setup(route__through_a_card, set_up),
		cmocka_unit_test_setup(route__that_is_not_plain, set_up),
		cmocka_unit_test_setup(route__unknown_without_a_peer, set_up),
		cmocka_unit_test_setup(route__of_another_namespace, set_up),
		cmocka_unit_test_setup(route__answers_that_are_cut_or_forged, set_up),
		cmocka_unit_test_setup(socket__refusals, set_up),
		cmocka_unit_test_setup(socket__connected_tcp, set_up),
		cmocka_unit_test_setup(socket__connecting, set_up),
		cmocka_unit_test_setup(socket__other_streams, set_up),
		cmocka_unit_test_setup(peer__hash_tells_hosts_apart, set_up),
		cmocka_unit_test_setup(optmem__full_when_the_kernel_says_so, set_up),
		cmocka_unit_test_setup(optmem__cannot_tell, set_up),
		cmocka_unit_test_setup(optmem__limit_that_is_hidden, set_up),
	};

	make_namespace();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
