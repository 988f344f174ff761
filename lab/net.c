/* SPDX-License-Identifier: MIT */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/neighbour.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const uint8_t lab_near_mac[6] = { 0x02, 0, 0, 0, 0, 0x01 };
const uint8_t lab_far_mac[6] = { 0x02, 0, 0, 0, 0, 0x02 };
const uint8_t lab_near4[4] = { 198, 18, 0, 1 };
const uint8_t lab_far4[4] = { 198, 18, 0, 2 };
const uint8_t lab_near6[16] = { 0x20, 0x01, 0, 2, [15] = 1 };
const uint8_t lab_far6[16] = { 0x20, 0x01, 0, 2, [15] = 2 };

/* What one end is given. */
struct end {
	const char *device;
	const uint8_t *mac, *other_mac;
	const char *addr4, *addr6, *other4, *other6;
};

static const struct end near_end = {
	LAB_NEAR_DEVICE, lab_near_mac, lab_far_mac, LAB_NEAR4 "/24",
	LAB_NEAR6 "/64", LAB_FAR4,     LAB_FAR6,
};
static const struct end far_end = {
	LAB_FAR_DEVICE, lab_far_mac, lab_near_mac, LAB_FAR4 "/24",
	LAB_FAR6 "/64", LAB_NEAR4,   LAB_NEAR6,
};

/* ---- the pair; each returns 0 or a negative number of libnl's ------------- */

static int set_mac(struct rtnl_link *link, const uint8_t *mac)
{
	struct nl_addr *addr = nl_addr_build(AF_LLC, (void *)(uintptr_t)mac, 6);

	if (!addr)
		return -NLE_NOMEM;
	rtnl_link_set_addr(link, addr);
	nl_addr_put(addr);
	return 0;
}

static int describe(struct rtnl_link *link, const struct end *end, unsigned mtu)
{
	rtnl_link_set_name(link, end->device);
	rtnl_link_set_mtu(link, mtu);
	return set_mac(link, end->mac);
}

static int make_pair(struct nl_sock *nl, int far, unsigned mtu)
{
	struct rtnl_link *link = rtnl_link_veth_alloc(), *peer;
	int r;

	if (!link)
		return -NLE_NOMEM;
	peer = rtnl_link_veth_get_peer(link);
	rtnl_link_set_ns_fd(peer, far);
	r = describe(link, &near_end, mtu);
	if (r == 0)
		r = describe(peer, &far_end, mtu);
	if (r == 0)
		r = rtnl_link_add(nl, link, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_link_put(peer);
	rtnl_link_put(link);
	return r;
}

static int bring_up(struct nl_sock *nl, const char *device)
{
	struct rtnl_link *link = NULL, *change = rtnl_link_alloc();
	int r = change ? rtnl_link_get_kernel(nl, 0, device, &link) : -NLE_NOMEM;

	if (r == 0) {
		rtnl_link_set_flags(change, IFF_UP);
		r = rtnl_link_change(nl, link, change, 0);
	}
	rtnl_link_put(link);
	rtnl_link_put(change);
	return r;
}

static int add_address(struct nl_sock *nl, int ifindex, const char *text)
{
	struct rtnl_addr *addr = rtnl_addr_alloc();
	struct nl_addr *local = NULL;
	int r = addr ? nl_addr_parse(text, AF_UNSPEC, &local) : -NLE_NOMEM;

	if (r == 0) {
		rtnl_addr_set_ifindex(addr, ifindex);
		rtnl_addr_set_flags(addr, IFA_F_NODAD);
		r = rtnl_addr_set_local(addr, local);
	}
	if (r == 0)
		r = rtnl_addr_add(nl, addr, 0);
	nl_addr_put(local);
	rtnl_addr_put(addr);
	return r;
}

/* So that nobody has to ask, and the first packet goes out at once. */
static int add_neighbour(struct nl_sock *nl, int ifindex, const char *text, const uint8_t *mac)
{
	struct nl_addr *dst = NULL, *ll = nl_addr_build(AF_LLC, (void *)(uintptr_t)mac, 6);
	struct rtnl_neigh *neigh = rtnl_neigh_alloc();
	int r = ll && neigh ? nl_addr_parse(text, AF_UNSPEC, &dst) : -NLE_NOMEM;

	if (r == 0) {
		rtnl_neigh_set_ifindex(neigh, ifindex);
		rtnl_neigh_set_state(neigh, NUD_PERMANENT);
		rtnl_neigh_set_lladdr(neigh, ll);
		r = rtnl_neigh_set_dst(neigh, dst);
	}
	if (r == 0)
		r = rtnl_neigh_add(nl, neigh, NLM_F_CREATE | NLM_F_REPLACE);
	nl_addr_put(dst);
	nl_addr_put(ll);
	rtnl_neigh_put(neigh);
	return r;
}

static int furnish(struct nl_sock *nl, const struct end *end)
{
	int ifindex = (int)if_nametoindex(end->device);
	int r = bring_up(nl, "lo");

	if (r == 0)
		r = bring_up(nl, end->device);
	if (r == 0)
		r = add_address(nl, ifindex, end->addr4);
	if (r == 0)
		r = add_address(nl, ifindex, end->addr6);
	if (r == 0)
		r = add_neighbour(nl, ifindex, end->other4, end->other_mac);
	if (r == 0)
		r = add_neighbour(nl, ifindex, end->other6, end->other_mac);
	return r;
}

/* ---- the namespaces ------------------------------------------------------- */

/* A netlink socket belongs to the namespace it was opened in. */
static int with_netlink(int (*f)(struct nl_sock *, int, unsigned), int far, unsigned mtu)
{
	struct nl_sock *nl = nl_socket_alloc();
	int r = nl ? nl_connect(nl, NETLINK_ROUTE) : -NLE_NOMEM;

	if (r == 0)
		r = f(nl, far, mtu);
	nl_socket_free(nl);
	return r;
}

static int make_near(struct nl_sock *nl, int far, unsigned mtu)
{
	int r = make_pair(nl, far, mtu);

	return r < 0 ? r : furnish(nl, &near_end);
}

static int make_far(struct nl_sock *nl, int far, unsigned mtu)
{
	(void)far;
	(void)mtu;
	return furnish(nl, &far_end);
}

/*
 * The default may be bbr, which paces by its own measurements, so a lab would measure those. Other
 * namespaces than the first may only choose what is in tcp_allowed_congestion_control, where reno
 * always is. Without loss the two are the same: both only ever open the window.
 */
static int use_loss_based(void)
{
	int fd = open("/proc/sys/net/ipv4/tcp_congestion_control", O_WRONLY | O_CLOEXEC);
	int r = fd < 0 || (write(fd, "cubic", 5) < 0 && write(fd, "reno", 4) < 0) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

static int new_namespace(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int say_failed(char *why, size_t len, const char *what, const char *error, int r)
{
	snprintf(why, len, "%s: %s", what, error);
	return r;
}

static int as_errno(int nl)
{
	switch (-nl) {
	case NLE_PERM:
		return -EPERM;
	case NLE_OPNOTSUPP:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

/* Near first, then far, back to the near one to make the pair, and to the far one to stay. */
static int build(int near, int far, unsigned mtu, char *why, size_t len)
{
	int r;

	if (setns(near, CLONE_NEWNET) < 0)
		return say_failed(why, len, "entering a network namespace", strerror(errno),
				  -errno);
	r = use_loss_based();
	if (r < 0)
		return say_failed(why, len, "setting the congestion control", strerror(-r), r);
	r = with_netlink(make_near, far, mtu);
	if (setns(far, CLONE_NEWNET) < 0)
		return say_failed(why, len, "entering a network namespace", strerror(errno),
				  -errno);
	if (r == 0)
		r = with_netlink(make_far, far, mtu);
	return r < 0 ? say_failed(why, len, "making the veth pair", nl_geterror(r), as_errno(r))
		     : 0;
}

int lab_net_make(unsigned mtu, int *near_out, char *why, size_t len)
{
	int near = new_namespace(), far = near < 0 ? near : new_namespace();
	int r;

	if (far < 0)
		r = say_failed(why, len, "making a network namespace", strerror(-far), far);
	else
		r = build(near, far, mtu, why, len);
	if (far >= 0)
		close(far);
	if (r < 0 && near >= 0)
		close(near);
	*near_out = near;
	return r;
}
