// SPDX-License-Identifier: MIT
/*
 * A device behind which nobody is: what is sent there leaves as through a card, and ends. A dummy
 * device where there is one. Otherwise a pair of veth, whose other end drops what does not carry
 * its address; before Linux 6.17 it copies first.
 */
#include "kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in at(const char *text)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };

	inet_pton(AF_INET, text, &to.sin_addr);
	return to;
}

/* Its address, its neighbour's hardware address (nobody's), and up. */
static int set_up(const char name[IFNAMSIZ])
{
	struct sockaddr_in own = at("10.98.0.1"), nobody = at("10.98.0.2");
	struct arpreq arp = { .arp_flags = ATF_COM | ATF_PERM,
			      .arp_ha = { ARPHRD_ETHER, { 2, 0, 0, 0, 0, 9 } } };
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return -1;
	memcpy(ifr.ifr_name, name, IFNAMSIZ);
	memcpy(arp.arp_dev, name, IFNAMSIZ);
	memcpy(&ifr.ifr_addr, &own, sizeof(own));
	ret = ioctl(fd, SIOCSIFADDR, &ifr);
	memcpy(&ifr.ifr_addr, &(struct sockaddr_in){ AF_INET, 0, { htonl(0xffffff00) }, { 0 } },
	       sizeof(own));
	ret = ret < 0 ? ret : ioctl(fd, SIOCSIFNETMASK, &ifr);
	ifr.ifr_flags = IFF_UP;
	ret = ret < 0 ? ret : ioctl(fd, SIOCSIFFLAGS, &ifr);
	memcpy(&arp.arp_pa, &nobody, sizeof(nobody));
	ret = ret < 0 ? ret : ioctl(fd, SIOCSARP, &arp);
	close(fd);
	return ret;
}

static int other_end_up(void)
{
	struct ifreq ifr = { .ifr_name = "veth0", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret = fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &ifr);

	close(fd);
	return ret;
}

int promise_sink(const char *kind, struct promise_sink *s)
{
	struct sockaddr_in to = at("10.98.0.2");

	if (promise_make_link(kind, s->name, sizeof(s->name)) < 0)
		return -1;
	if (!strcmp(kind, "veth") && other_end_up() < 0)
		return -1;
	if (set_up(s->name) < 0)
		return -1;
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	return promise_set_zerocopy(s->fd);
}

int promise_sink_offload(const struct promise_sink *s, unsigned int cmd, unsigned int on)
{
	struct ethtool_value value = { .cmd = cmd, .data = on };
	struct ifreq ifr = { .ifr_data = (char *)&value };

	memcpy(ifr.ifr_name, s->name, sizeof(s->name));
	return ioctl(s->fd, SIOCETHTOOL, &ifr);
}

int promise_sink_send(const struct promise_sink *s, const void *buf)
{
	struct promise_note note;

	if (promise_zc_send(s->fd, buf, PROMISE_SINK_LEN) != PROMISE_SINK_LEN)
		return -1;
	/* a time stamp may come before it, and means nothing here */
	for (int i = 0; i < 4; i++) {
		int n = promise_note_wait(s->fd, &note);

		if (n == 1)
			return note.code;
		if (n == 0 || errno != EPROTO)
			break;
	}
	errno = ENOMSG;
	return -1;
}

enum promise_verdict promise_sink_uncopied(struct promise_sink *s, const void *buf, char *why,
					   size_t len)
{
	int code;

	if (!promise_net_is_private())
		return promise_unsure(why, len, "no network namespace of our own");
	if (promise_sink("dummy", s) < 0 && promise_sink("veth", s) < 0)
		return promise_lacks(why, len, "neither a dummy device nor a veth pair");
	code = promise_sink_send(s, buf);
	if (code < 0)
		return promise_lacks(why, len, "a flagged datagram to nobody");
	return code ? promise_unsure(why, len, "%s copies by itself here", s->name) : PROMISE_HOLDS;
}
