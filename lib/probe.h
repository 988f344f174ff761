/* SPDX-License-Identifier: MIT */
/*
 * probe.h - what a socket, its route and this kernel can do
 */
#ifndef ZCSI_PROBE_H
#define ZCSI_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum probe_route {
	PROBE_ROUTE_UNKNOWN, /* could not be learned: not trusted */
	PROBE_ROUTE_LOCAL,   /* delivered on this host */
	PROBE_ROUTE_VIRTUAL, /* comes or goes through a device without hardware of its own */
	PROBE_ROUTE_CARD,    /* leaves through a device on a bus, and comes from one */
};

/*
 * Where packets for the peer of a TCP socket go: RTM_GETROUTE (rtnetlink(7)) with the socket's own
 * addresses, mark and bound device, then ETHTOOL_GDRVINFO (linux/ethtool.h), whose bus_info is a
 * bus address on a card, empty on veth and "N/A" on a bridge. Answers in any namespace, needs no
 * rights.
 */
enum probe_route probe_route(int fd);
const char *probe_route_text(enum probe_route route);

/* Whether a bus_info names a device on a bus (PCI "0000:00:1f.6", USB "usb-..."). */
bool probe_is_bus(const char *bus_info);

struct probe_socket {
	int family;	  /* AF_INET, AF_INET6, AF_UNIX ... */
	int protocol;	  /* IPPROTO_TCP, IPPROTO_MPTCP ... */
	int state;	  /* TCP_ESTABLISHED, TCP_SYN_SENT ...; 0 where unknown */
	bool tcp;	  /* plain TCP with nothing on top: may lend and map */
	bool ulp;	  /* TCP_ULP is set (kernel TLS) */
	bool zerocopy_on; /* SO_ZEROCOPY was already set */
	bool stamped;	  /* receives come with time stamps (socket(7)) */
	bool has_sent;	  /* TCP: bytes were sent, or are queued, before */
	bool dgram;	  /* UDP, connected or not */
	uint32_t peer;	  /* hash of the peer's address without port, never 0 */
	uint32_t local;	  /* hash of our address, and whether the peer has the same; never 0 */
};

/*
 * 0, or why this cannot be a connection: -EBADF, -ENOTSOCK, -EINVAL, -EOPNOTSUPP, -ENOTCONN, or the
 * error of a connect(2) that failed.
 */
int probe_socket(int fd, struct probe_socket *out);

/* Whether a protocol such as kernel TLS sits on the TCP socket (TCP_ULP). */
bool probe_has_ulp(int fd);

/* Whether the socket was asked for receive time stamps (SO_TIMESTAMP and its kin, socket(7)). */
bool probe_stamps(int fd);

/*
 * The hashes alone. TCP tells no peer before it is connected, so `peer` of a connecting socket is
 * that of all connecting sockets, and its route is unknown: ask again then.
 */
void probe_ends(int fd, uint32_t *peer_out, uint32_t *local_out);

/*
 * ENOBUFS of a flagged send: whether option memory (net.core.optmem_max) is what ran out.
 * SO_MEMINFO.
 */
bool probe_optmem_is_full(int fd);

/* Bytes, with what the kernel adds to them, that the socket's buffer has room for. SO_MEMINFO. */
uint64_t probe_send_room(int fd);

#endif
