// SPDX-License-Identifier: MIT
/*
 * A network namespace of our own, without the ip command: as root by unshare, otherwise inside a
 * user namespace where the system allows that. Where neither works the promises run over the
 * machine's own loopback, and whatever would change a setting refuses with EPERM.
 */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool net_is_private;

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), error;
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	error = errno;
	close(fd);
	errno = error;
	return n < 0 ? -1 : 0;
}

static int unshare_as_user(void)
{
	char map[64];
	unsigned int uid = getuid();
	unsigned int gid = getgid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return -1;
	/* A refused map leaves us without a name in the namespace, which is good enough here. */
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	write_file("/proc/self/gid_map", map);
	return 0;
}

static int lo_request(unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return -1;
	strcpy(ifr->ifr_name, "lo");
	ret = ioctl(fd, request, ifr);
	close(fd);
	return ret;
}

void promise_enter_netns(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_UP | IFF_RUNNING };

	if (unshare(CLONE_NEWNET) < 0 && unshare_as_user() < 0)
		return;
	net_is_private = lo_request(SIOCSIFFLAGS, &ifr) == 0;
}

bool promise_net_is_private(void)
{
	return net_is_private;
}

int promise_lo_mtu(unsigned int mtu)
{
	struct ifreq ifr = { .ifr_mtu = (int)mtu };

	if (!net_is_private) {
		errno = EPERM;
		return -1;
	}
	return lo_request(SIOCSIFMTU, &ifr);
}

int promise_sysctl(const char *name, const char *value)
{
	char path[256];

	if (!net_is_private) {
		errno = EPERM;
		return -1;
	}
	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	return write_file(path, value);
}

int promise_netlink(void *req, void *answer, size_t len)
{
	struct nlmsghdr *nh = req;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t n = -1;

	if (fd < 0)
		return -1;
	if (send(fd, nh, nh->nlmsg_len, 0) == (ssize_t)nh->nlmsg_len &&
	    promise_wait_event(fd, POLLIN, PROMISE_WAIT_MS) > 0)
		n = recv(fd, answer, len, 0);
	close(fd);
	if (n < (ssize_t)sizeof(*nh))
		return -1;
	nh = answer;
	if (nh->nlmsg_type == NLMSG_ERROR) {
		struct nlmsgerr *err = NLMSG_DATA(nh);

		errno = -err->error;
		return err->error ? -1 : (int)n;
	}
	return (int)n;
}

int promise_make_link(const char *kind, char *name_out, size_t len)
{
	struct {
		struct nlmsghdr nh;
		struct ifinfomsg ifi;
		struct rtattr name;
		char name_text[8];
		struct rtattr info;
		struct rtattr kind;
		char kind_text[8];
	} req = {
		.nh = { .nlmsg_type = RTM_NEWLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL },
		.name = { .rta_len = RTA_LENGTH(7), .rta_type = IFLA_IFNAME },
		.name_text = "plink0",
		.info = { .rta_type = IFLA_LINKINFO },
		.kind = { .rta_type = IFLA_INFO_KIND },
	};
	size_t n = strlen(kind);
	char answer[1024];

	if (!net_is_private) {
		errno = EPERM;
		return -1;
	}
	/* kind_text is padded to the end of the message; the lengths must not cover that */
	memcpy(req.kind_text, kind, n);
	req.kind.rta_len = (unsigned short)RTA_LENGTH(n);
	req.info.rta_len = (unsigned short)RTA_LENGTH(RTA_LENGTH(n));
	req.nh.nlmsg_len = (unsigned int)(offsetof(__typeof__(req), kind_text) + n);
	if (promise_netlink(&req, answer, sizeof(answer)) < 0)
		return -1;
	snprintf(name_out, len, "%s", req.name_text);
	return 0;
}
