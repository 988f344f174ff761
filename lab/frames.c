/* SPDX-License-Identifier: MIT */
#include "frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <string.h>

#include "net.h"

static uint32_t sum16(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *at = data;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint8_t *put_ip4(uint8_t *at, size_t tcp_len, uint32_t *pseudo)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons((uint16_t)(sizeof(ip) + tcp_len)),
		.frag_off = htons(0x4000), /* do not fragment */
		.ttl = 64,
		.protocol = IPPROTO_TCP,
	};

	memcpy(&ip.saddr, lab_far4, sizeof(ip.saddr));
	memcpy(&ip.daddr, lab_near4, sizeof(ip.daddr));
	ip.check = htons((uint16_t)~fold(sum16(0, &ip, sizeof(ip))));
	*pseudo = sum16(0, &ip.saddr, 8);
	memcpy(at, &ip, sizeof(ip));
	return at + sizeof(ip);
}

static uint8_t *put_ip6(uint8_t *at, size_t tcp_len, uint32_t *pseudo)
{
	struct ip6_hdr ip = {
		.ip6_flow = htonl(6u << 28),
		.ip6_plen = htons((uint16_t)tcp_len),
		.ip6_nxt = IPPROTO_TCP,
		.ip6_hlim = 64,
	};

	memcpy(&ip.ip6_src, lab_far6, sizeof(ip.ip6_src));
	memcpy(&ip.ip6_dst, lab_near6, sizeof(ip.ip6_dst));
	*pseudo = sum16(0, &ip.ip6_src, 32);
	memcpy(at, &ip, sizeof(ip));
	return at + sizeof(ip);
}

static uint8_t *put_tcp(uint8_t *at, const struct frame *frame, size_t tcp_len, uint32_t pseudo)
{
	struct tcphdr th = {
		.th_sport = htons(frame->service),
		.th_dport = htons(frame->port),
		.th_seq = htonl(frame->seq),
		.th_ack = htonl(frame->ack),
		.th_off = (uint8_t)((sizeof(th) + frame->nr_options) / 4) & 0xf,
		.th_flags = frame->flags,
		.th_win = htons(frame->window),
		.th_sum = htons(fold(pseudo + IPPROTO_TCP + (uint32_t)tcp_len)),
	};

	memcpy(at, &th, sizeof(th));
	if (frame->nr_options)
		memcpy(at + sizeof(th), frame->options, frame->nr_options);
	return at + sizeof(th) + frame->nr_options;
}

/* Fills in the headers; returns how long they are with the virtio header. */
static size_t put_head(uint8_t *head, const struct frame *frame)
{
	size_t tcp_len = sizeof(struct tcphdr) + frame->nr_options + frame->len;
	struct virtio_net_hdr vh = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_offset = offsetof(struct tcphdr, th_sum),
	};
	struct ethhdr eth = { .h_proto = htons(frame->v6 ? ETH_P_IPV6 : ETH_P_IP) };
	uint8_t *at = head + sizeof(vh);
	uint8_t *packet = at;
	uint32_t pseudo;

	memcpy(eth.h_dest, lab_near_mac, ETH_ALEN);
	memcpy(eth.h_source, lab_far_mac, ETH_ALEN);
	memcpy(at, &eth, sizeof(eth));
	at += sizeof(eth);
	at = frame->v6 ? put_ip6(at, tcp_len, &pseudo) : put_ip4(at, tcp_len, &pseudo);
	vh.csum_start = (uint16_t)(at - packet);
	at = put_tcp(at, frame, tcp_len, pseudo);
	vh.hdr_len = (uint16_t)(at - packet);
	memcpy(head, &vh, sizeof(vh));
	return (size_t)(at - head);
}

int frames_open(struct frames *f, int ifindex)
{
	/* Protocol 0: it sends, and is shown nothing. */
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = ifindex };
	int on = 1;

	memset(f, 0, sizeof(*f));
	f->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (f->fd < 0 || bind(f->fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    setsockopt(f->fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
	    setsockopt(f->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0)
		return -errno;
	for (unsigned i = 0; i < FRAMES_MAX; i++) {
		f->iov[i][0].iov_base = f->head[i];
		f->msgs[i].msg_hdr.msg_iov = f->iov[i];
	}
	return 0;
}

void frames_put(struct frames *f, const struct frame *frame)
{
	struct iovec *iov;

	if (f->nr == FRAMES_MAX)
		frames_flush(f);
	iov = f->iov[f->nr];
	iov[0].iov_len = put_head(iov[0].iov_base, frame);
	iov[1] = (struct iovec){ (void *)(uintptr_t)frame->payload, frame->len };
	f->msgs[f->nr].msg_hdr.msg_iovlen = frame->len ? 2 : 1;
	f->nr++;
}

/* A frame that the kernel does not take is lost, as on any network. */
void frames_flush(struct frames *f)
{
	for (unsigned at = 0; at < f->nr;) {
		int n = sendmmsg(f->fd, f->msgs + at, f->nr - at, 0);

		if (n > 0) {
			f->sent += (unsigned)n;
			at += (unsigned)n;
		} else if (errno != EINTR) {
			f->failed++;
			at++;
		}
	}
	f->nr = 0;
}
