// SPDX-License-Identifier: MIT
/*
 * probe.c - questions to the kernel about a socket
 *
 * Whoever asks wants to know what may be relied on, so every answer that is missing, cut short, of
 * an unexpected kind or from an unexpected sender is "unknown". Nothing here changes the socket,
 * but for the pending error of one that cannot be used anyway.
 */
#include "probe.h"

#include "internal.h"
#include "sys.h"

#include <ctype.h>
#include <errno.h>
#include <linux/tcp.h> /* not netinet/tcp.h: its struct tcp_info is older */
#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* ---- addresses ------------------------------------------------------------------------------ */

struct address {
	int family; /* AF_INET, AF_INET6 */
	uint8_t len;
	uint8_t bytes[16];
	uint32_t scope; /* device of a link-local address, else 0 */
};

/* IPv4 in IPv6 is IPv4: that is what goes over the wire. false: neither. */
static bool address_of(const struct sockaddr_storage *name, struct address *out)
{
	const struct sockaddr_in6 *in6 = (const void *)name;
	const struct sockaddr_in *in = (const void *)name;

	*out = (struct address){ .family = name->ss_family };
	if (name->ss_family == AF_INET) {
		out->len = 4;
		memcpy(out->bytes, &in->sin_addr, 4);
		return true;
	}
	if (name->ss_family != AF_INET6)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		out->family = AF_INET;
		out->len = 4;
		memcpy(out->bytes, &in6->sin6_addr.s6_addr[12], 4);
		return true;
	}
	out->len = 16;
	memcpy(out->bytes, &in6->sin6_addr, 16);
	out->scope = in6->sin6_scope_id;
	return true;
}

static int peer_name(int fd, struct sockaddr_storage *name)
{
	socklen_t len = sizeof(*name);

	memset(name, 0, sizeof(*name));
	return zcsi_sys->getpeername(fd, (struct sockaddr *)name, &len);
}

static int own_name(int fd, struct sockaddr_storage *name)
{
	socklen_t len = sizeof(*name);

	memset(name, 0, sizeof(*name));
	return zcsi_sys->getsockname(fd, (struct sockaddr *)name, &len);
}

static int int_option(int fd, int level, int option, int *out)
{
	socklen_t len = sizeof(*out);

	*out = 0;
	return zcsi_sys->getsockopt(fd, level, option, out, &len);
}

/* ---- the route ------------------------------------------------------------------------------ */

struct route_request {
	struct nlmsghdr nh;
	struct rtmsg rt;
	char attrs[96]; /* two addresses and two numbers with their headers take 56 */
};

_Static_assert(offsetof(struct route_request, rt) == NLMSG_HDRLEN, "rtnetlink(7)");
_Static_assert(offsetof(struct route_request, attrs) == NLMSG_LENGTH(sizeof(struct rtmsg)), "");

static void add_attr(struct route_request *req, uint16_t type, const void *data, size_t len)
{
	char *at = (char *)req + req->nh.nlmsg_len;
	struct rtattr attr = { .rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = type };

	memcpy(at, &attr, sizeof(attr));
	memcpy(at + RTA_LENGTH(0), data, len);
	req->nh.nlmsg_len += (uint32_t)RTA_SPACE(len);
}

static bool build_request(int fd, struct route_request *req)
{
	struct sockaddr_storage peer_ss, own_ss;
	struct address peer, own;
	int mark, device;

	if (peer_name(fd, &peer_ss) < 0 || !address_of(&peer_ss, &peer) ||
	    own_name(fd, &own_ss) < 0 || !address_of(&own_ss, &own) || own.family != peer.family)
		return false;
	*req = (struct route_request){
		.nh = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
			.nlmsg_type = RTM_GETROUTE,
			.nlmsg_flags = NLM_F_REQUEST,
			.nlmsg_seq = 1 },
		.rt = { .rtm_family = (uint8_t)peer.family,
			.rtm_dst_len = (uint8_t)(peer.len * 8),
			.rtm_src_len = (uint8_t)(own.len * 8) },
	};
	add_attr(req, RTA_DST, peer.bytes, peer.len);
	add_attr(req, RTA_SRC, own.bytes, own.len);
	if (int_option(fd, SOL_SOCKET, SO_MARK, &mark) == 0 && mark)
		add_attr(req, RTA_MARK, &mark, sizeof(mark));
	if (int_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &device) < 0 || !device)
		device = (int)peer.scope;
	if (device)
		add_attr(req, RTA_OIF, &device, sizeof(device));
	return true;
}

/* Both sockets are in the same network namespace; a descriptor may have come from another one. */
static bool same_namespace(int a, int b)
{
	uint64_t cookie_a = 0, cookie_b = 0;
	socklen_t len_a = sizeof(cookie_a), len_b = sizeof(cookie_b);

	return zcsi_sys->getsockopt(a, SOL_SOCKET, SO_NETNS_COOKIE, &cookie_a, &len_a) == 0 &&
	       zcsi_sys->getsockopt(b, SOL_SOCKET, SO_NETNS_COOKIE, &cookie_b, &len_b) == 0 &&
	       cookie_a == cookie_b;
}

/* The kernel answers before sendmsg returns, so there is nothing to wait for. */
static size_t exchange(int nl, struct route_request *req, void *answer, size_t len)
{
	struct sockaddr_nl from = { .nl_family = AF_NETLINK };
	struct iovec iov = { .iov_base = req, .iov_len = req->nh.nlmsg_len };
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t got;

	if (zcsi_sys->sendmsg(nl, &msg, 0) != (ssize_t)req->nh.nlmsg_len)
		return 0;
	iov = (struct iovec){ .iov_base = answer, .iov_len = len };
	msg.msg_namelen = sizeof(from);
	msg.msg_flags = 0;
	got = zcsi_sys->recvmsg(nl, &msg, MSG_DONTWAIT);
	/* Port 0 is the kernel. */
	if (got <= 0 || (size_t)got > len || (msg.msg_flags & MSG_TRUNC) || from.nl_pid != 0)
		return 0;
	return (size_t)got;
}

/*
 * A plain route through one device: its index. Several next hops, and packets that are wrapped into
 * something else on their way (RTA_ENCAP), are not told apart any further: 0.
 */
static uint32_t read_attrs(const char *at, size_t len)
{
	uint32_t device = 0;
	struct rtattr attr;

	while (len >= sizeof(attr)) {
		memcpy(&attr, at, sizeof(attr));
		if (attr.rta_len < sizeof(attr) || attr.rta_len > len)
			return 0;
		if (attr.rta_type == RTA_MULTIPATH || attr.rta_type == RTA_ENCAP)
			return 0;
		if (attr.rta_type == RTA_OIF && attr.rta_len == RTA_LENGTH(sizeof(device)))
			memcpy(&device, at + RTA_LENGTH(0), sizeof(device));
		if (RTA_ALIGN(attr.rta_len) >= len)
			break;
		at += RTA_ALIGN(attr.rta_len);
		len -= RTA_ALIGN(attr.rta_len);
	}
	return device;
}

/* RTN_LOCAL, RTN_UNICAST with *device set, or RTN_UNSPEC. */
static int read_answer(const char *answer, size_t len, const struct nlmsghdr *asked,
		       uint32_t *device)
{
	const size_t head = NLMSG_LENGTH(sizeof(struct rtmsg));
	struct nlmsghdr nh;
	struct rtmsg rt;

	if (len < head)
		return RTN_UNSPEC;
	memcpy(&nh, answer, sizeof(nh));
	memcpy(&rt, answer + NLMSG_HDRLEN, sizeof(rt));
	if (nh.nlmsg_len < head || nh.nlmsg_len > len || nh.nlmsg_type != RTM_NEWROUTE ||
	    nh.nlmsg_seq != asked->nlmsg_seq)
		return RTN_UNSPEC;
	if (rt.rtm_type == RTN_LOCAL)
		return RTN_LOCAL;
	if (rt.rtm_type != RTN_UNICAST)
		return RTN_UNSPEC;
	*device = read_attrs(answer + head, nh.nlmsg_len - head);
	return *device ? RTN_UNICAST : RTN_UNSPEC;
}

/* Asked of the socket itself, whose namespace is the one that numbers the devices. */
static enum probe_route device_kind(int fd, uint32_t device)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { .ifr_ifindex = (int)device };

	if (zcsi_sys->ioctl(fd, SIOCGIFNAME, &ifr) < 0 ||
	    zcsi_sys->ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return PROBE_ROUTE_UNKNOWN;
	if (ifr.ifr_flags & IFF_LOOPBACK)
		return PROBE_ROUTE_LOCAL;
	ifr.ifr_data = (void *)&info;
	/* EOPNOTSUPP: no driver stands behind it, as with tunnels. */
	if (zcsi_sys->ioctl(fd, SIOCETHTOOL, &ifr) < 0)
		return PROBE_ROUTE_VIRTUAL;
	info.bus_info[sizeof(info.bus_info) - 1] = '\0';
	return probe_is_bus(info.bus_info) ? PROBE_ROUTE_CARD : PROBE_ROUTE_VIRTUAL;
}

/*
 * Where it comes from. A route through a card can still lead to a neighbour on this host (an
 * address that is rewritten on the way: DNAT), but what such a one sends mostly arrives without a
 * card's NAPI.
 */
static bool is_from_card(int fd)
{
	uint32_t napi = 0;
	socklen_t len = sizeof(napi);

	return zcsi_sys->getsockopt(fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &napi, &len) < 0 || napi;
}

enum probe_route probe_route(int fd)
{
	enum probe_route kind;
	struct route_request req;
	char answer[4096];
	uint32_t device = 0;
	int nl, type = RTN_UNSPEC;

	if (!build_request(fd, &req))
		return PROBE_ROUTE_UNKNOWN;
	nl = zcsi_sys->socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	if (nl < 0)
		return PROBE_ROUTE_UNKNOWN;
	if (same_namespace(fd, nl))
		type = read_answer(answer, exchange(nl, &req, answer, sizeof(answer)), &req.nh,
				   &device);
	zcsi_sys->close(nl);
	if (type == RTN_LOCAL)
		return PROBE_ROUTE_LOCAL;
	if (type != RTN_UNICAST)
		return PROBE_ROUTE_UNKNOWN;
	kind = device_kind(fd, device);
	return kind == PROBE_ROUTE_CARD && !is_from_card(fd) ? PROBE_ROUTE_VIRTUAL : kind;
}

const char *probe_route_text(enum probe_route route)
{
	switch (route) {
	case PROBE_ROUTE_LOCAL:
		return "stays on this host";
	case PROBE_ROUTE_VIRTUAL:
		return "comes or goes through a virtual device";
	case PROBE_ROUTE_CARD:
		return "leaves through a network card";
	case PROBE_ROUTE_UNKNOWN:
		break;
	}
	return "is unknown";
}

/* The number of hexadecimal digits at the start of text. */
static size_t hex_len(const char *text)
{
	size_t n = 0;

	while (isxdigit((unsigned char)text[n]))
		n++;
	return n;
}

/* "0000:00:1f.6": domain (four digits, more behind some bridges), bus, slot, function. */
static bool is_pci(const char *text)
{
	size_t domain = hex_len(text);

	if (domain < 4 || domain > 8 || text[domain] != ':')
		return false;
	text += domain + 1;
	if (hex_len(text) != 2 || text[2] != ':')
		return false;
	text += 3;
	if (hex_len(text) != 2 || text[2] != '.')
		return false;
	return text[3] >= '0' && text[3] <= '7' && text[4] == '\0';
}

bool probe_is_bus(const char *bus_info)
{
	return is_pci(bus_info) || (strncmp(bus_info, "usb-", 4) == 0 && bus_info[4] != '\0');
}

/* ---- the socket ----------------------------------------------------------------------------- */

/* net/tcp_states.h, which is not exported; as in netinet/tcp.h. */
enum { TCP_ESTABLISHED = 1, TCP_CLOSE = 7, TCP_LISTEN = 10 };

static uint64_t hash(uint64_t h, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	while (len--)
		h = (h ^ *bytes++) * 0x100000001b3ull; /* FNV-1a */
	return h;
}

static uint32_t hash_end(const struct sockaddr_storage *name)
{
	const struct sockaddr_vm *vm = (const void *)name;
	uint64_t h = 0xcbf29ce484222325ull;
	struct address addr;

	if (address_of(name, &addr)) {
		h = hash(h, addr.bytes, addr.len);
		h = hash(h, &addr.scope, sizeof(addr.scope));
	} else {
		h = hash(h, &name->ss_family, sizeof(name->ss_family));
	}
	if (name->ss_family == AF_VSOCK)
		h = hash(h, &vm->svm_cid, sizeof(vm->svm_cid));
	h ^= h >> 32;
	return (uint32_t)h ? (uint32_t)h : 1;
}

void probe_ends(int fd, uint32_t *peer_out, uint32_t *local_out)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);

	if (peer_name(fd, &name) < 0)
		name.ss_family = AF_UNSPEC;
	*peer_out = hash_end(&name);
	memset(&name, 0, sizeof(name));
	if (zcsi_sys->getsockname(fd, (struct sockaddr *)&name, &len) < 0)
		name.ss_family = AF_UNSPEC;
	*local_out = hash_end(&name);
	/* One that stays on this host shares no costs with one that leaves from here. */
	if (*local_out == *peer_out)
		*local_out = ~*local_out ? ~*local_out : 1;
}

/* The error that a failed connect(2) left behind, or -ENOTCONN where there was none. */
static int why_closed(int fd)
{
	int error;

	if (int_option(fd, SOL_SOCKET, SO_ERROR, &error) == 0 && error > 0)
		return -error;
	return -ENOTCONN;
}

bool probe_has_ulp(int fd)
{
	char name[16] = "";
	socklen_t len = sizeof(name);

	/* Length 0: none. -ENOPROTOOPT: the kernel has none to set. */
	return zcsi_sys->getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &len) == 0 && len > 0 &&
	       name[0] != '\0';
}

/* tcpi_state is the first member in every version of struct tcp_info; MPTCP tells it as well. */
static int tcp_state(int fd, bool *has_sent)
{
	struct tcp_info info = { .tcpi_state = 0 };
	socklen_t len = sizeof(info);

	if (zcsi_sys->getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 || len < 1)
		return 0;
	*has_sent = info.tcpi_bytes_sent || info.tcpi_notsent_bytes;
	return info.tcpi_state;
}

static int connection_state(int fd, int *state)
{
	struct sockaddr_storage name;

	if (*state == TCP_CLOSE)
		return why_closed(fd);
	if (*state == TCP_LISTEN)
		return -EINVAL;
	if (*state)
		return 0;
	if (peer_name(fd, &name) < 0)
		return why_closed(fd);
	*state = TCP_ESTABLISHED;
	return 0;
}

int probe_socket(int fd, struct probe_socket *out)
{
	int type, listening, zerocopy, ret;

	*out = (struct probe_socket){ .peer = 1, .local = 1 };
	ret = int_option(fd, SOL_SOCKET, SO_TYPE, &type);
	if (ret < 0)
		return ret == -EBADF || ret == -ENOTSOCK ? ret : -EOPNOTSUPP;
	if (int_option(fd, SOL_SOCKET, SO_DOMAIN, &out->family) < 0 ||
	    int_option(fd, SOL_SOCKET, SO_PROTOCOL, &out->protocol) < 0)
		return -EOPNOTSUPP;
	if (int_option(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening) == 0 && listening)
		return -EINVAL;

	out->dgram = type == SOCK_DGRAM && out->protocol == IPPROTO_UDP &&
		     (out->family == AF_INET || out->family == AF_INET6);
	if (type != SOCK_STREAM && !out->dgram)
		return -EOPNOTSUPP;
	if (out->dgram) {
		out->state = TCP_ESTABLISHED;
	} else if (out->family == AF_INET || out->family == AF_INET6) {
		out->tcp = out->protocol == IPPROTO_TCP;
		out->state = tcp_state(fd, &out->has_sent);
		out->ulp = out->tcp && probe_has_ulp(fd);
		out->tcp &= !out->ulp;
	}
	ret = connection_state(fd, &out->state);
	if (ret < 0)
		return ret;
	if (int_option(fd, SOL_SOCKET, SO_ZEROCOPY, &zerocopy) == 0)
		out->zerocopy_on = zerocopy;
	probe_ends(fd, &out->peer, &out->local);
	out->stamped = probe_stamps(fd);
	return 0;
}

bool probe_stamps(int fd)
{
	static const int options[] = { SO_TIMESTAMP, SO_TIMESTAMPNS, SO_TIMESTAMPING };
	int on;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (int_option(fd, SOL_SOCKET, options[i], &on) == 0 && on)
			return true;
	}
	return false;
}
