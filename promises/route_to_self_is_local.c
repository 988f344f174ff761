// SPDX-License-Identifier: MIT
/* How the library learns, without a packet, that a peer is on this machine. */
#include "kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

/* The type of the route to an address, or -1 with errno */
static int route_type(int family, const void *addr, size_t addr_len)
{
	struct {
		struct nlmsghdr nh;
		struct rtmsg rt;
		struct rtattr dst;
		unsigned char addr[16];
	} req = {
		.nh = { .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST },
		.rt = { .rtm_family = (unsigned char)family,
			.rtm_dst_len = (unsigned char)(addr_len * 8) },
		.dst = { .rta_len = (unsigned short)RTA_LENGTH(addr_len), .rta_type = RTA_DST },
	};
	char answer[4096] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *nh = (struct nlmsghdr *)answer;

	memcpy(req.addr, addr, addr_len);
	req.nh.nlmsg_len = (unsigned int)(offsetof(__typeof__(req), addr) + addr_len);
	if (promise_netlink(&req, answer, sizeof(answer)) < 0)
		return -1;
	if (nh->nlmsg_type != RTM_NEWROUTE) {
		errno = EPROTO;
		return -1;
	}
	return ((struct rtmsg *)NLMSG_DATA(nh))->rtm_type;
}

static enum promise_verdict run(char *why, size_t len)
{
	struct in_addr v4 = { .s_addr = htonl(INADDR_LOOPBACK) };
	struct in6_addr v6 = in6addr_loopback;
	int type = route_type(AF_INET, &v4, sizeof(v4));

	if (type < 0)
		return promise_lacks(why, len, "RTM_GETROUTE for 127.0.0.1");
	if (type != RTN_LOCAL)
		return promise_broken(why, len, "the route to 127.0.0.1 has type %d", type);
	type = route_type(AF_INET6, &v6, sizeof(v6));
	if (type < 0)
		return promise_lacks(why, len, "RTM_GETROUTE for ::1");
	if (type != RTN_LOCAL)
		return promise_broken(why, len, "the route to ::1 has type %d", type);
	return PROMISE_HOLDS;
}

const struct promise promise_route_to_self_is_local = {
	.id = "route_to_self_is_local",
	.sentence =
		"RTM_GETROUTE for an address of this machine answers with a route of type RTN_LOCAL.",
	.source = "rtnetlink(7); net/ipv4/route.c inet_rtm_getroute",
	.otherwise = "A route that is not understood counts as unknown: nothing is "
		     "mapped unless you trust the peer.",
	.run = run,
};
