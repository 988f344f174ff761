// SPDX-License-Identifier: MIT
/*
 * How the library tells a card from a virtual device in any namespace: a card names its place on
 * the bus, veth names none.
 */
#include "kit.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { .ifr_data = (char *)&info };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return promise_lacks(why, len, "a socket");
	if (promise_make_link("veth", ifr.ifr_name, sizeof(ifr.ifr_name)) < 0)
		return promise_lacks(why, len, "a veth pair");
	if (ioctl(fd, SIOCETHTOOL, &ifr) < 0)
		return promise_failed(why, len, "ETHTOOL_GDRVINFO");
	if (strcmp(info.driver, "veth"))
		return promise_broken(why, len, "the driver of a veth is \"%.20s\"", info.driver);
	if (info.bus_info[0])
		return promise_broken(why, len, "bus_info of a veth is \"%.20s\"", info.bus_info);
	return PROMISE_HOLDS;
}

const struct promise promise_route_veth_has_no_bus = {
	.id = "route_veth_has_no_bus",
	.sentence =
		"ETHTOOL_GDRVINFO answers for a veth, in any network namespace, with an empty bus_info.",
	.source = "net/ethtool/ioctl.c ethtool_get_drvinfo; drivers/net/veth.c",
	.otherwise = "A packet counts as from a card only if a NAPI of the card's "
		     "brought it.",
	.run = run,
};
