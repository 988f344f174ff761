/* SPDX-License-Identifier: MIT */
/*
 * partner.bpf.c - at the ingress of the partner's end: packets for the virtual services are noted
 * and dropped, all others go on to the kernel's own sockets
 *
 * Nothing is answered here: this runs on the sender's processor, in the sender's time.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "wire.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
} segments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 32 * 1024 * 1024);
} payloads SEC(".maps");

__u32 verify;	   /* the partner wants to see what the sink is sent */
__u32 asleep;	   /* the partner waits for the ring's descriptor, so it must be woken */
__u64 overflow;	   /* records for which a ring had no room: a segment is lost then */
__u64 udp_packets; /* dropped, as they are meant to be */
__u64 udp_bytes;

/* The transport header's offset and protocol; 0: not one of ours. */
static __always_inline __u32 transport(struct __sk_buff *skb, __u8 *protocol, __u8 *v6)
{
	struct ipv6hdr ip6;
	struct iphdr ip4;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip4, sizeof(ip4)) < 0 ||
		    ip4.frag_off & bpf_htons(0x3fff))
			return 0;
		*protocol = ip4.protocol;
		*v6 = 0;
		return ETH_HLEN + ip4.ihl * 4;
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (bpf_skb_load_bytes(skb, ETH_HLEN, &ip6, sizeof(ip6)) < 0)
			return 0;
		*protocol = ip6.nexthdr;
		*v6 = 1;
		return ETH_HLEN + sizeof(ip6);
	}
	return 0;
}

static __always_inline void note_syn(struct __sk_buff *skb, struct lab_segment *seg, __u32 at,
				     __u32 header)
{
	__u32 len = header - sizeof(struct tcphdr);

	if (len > 0 && len <= sizeof(seg->options) &&
	    bpf_skb_load_bytes(skb, at + sizeof(struct tcphdr), seg->options, len) == 0)
		seg->nr_options = len;
}

/*
 * Copies the payload before its segment is noted, so that it is looked at before it is
 * acknowledged. The packet keeps its pages: nothing of this shows in a notification.
 */
static __always_inline void note_payload(struct __sk_buff *skb, __u32 from, __u32 seq, __u16 port,
					 __u8 v6, __u8 udp)
{
	for (int i = 0; i < 17; i++) {
		__u32 done = i * LAB_CHUNK;
		__u64 left; /* all of a register, so that the verifier follows its bound */
		struct lab_payload *p;

		if (from + done >= skb->len)
			return;
		p = bpf_ringbuf_reserve(&payloads, sizeof(*p), 0);
		if (!p) {
			__sync_fetch_and_add(&overflow, 1);
			return;
		}
		left = skb->len - from - done;
		p->seq = seq + done;
		p->port = port;
		p->v6 = v6;
		p->udp = udp;
		asm volatile("" : "+r"(left));
		if (left > LAB_CHUNK)
			left = LAB_CHUNK;
		p->len = left;
		if (left == 0 || bpf_skb_load_bytes(skb, from + done, p->bytes, left) < 0)
			p->len = 0;
		bpf_ringbuf_submit(p, BPF_RB_NO_WAKEUP);
	}
}

static __always_inline int tcp(struct __sk_buff *skb, __u32 at, __u8 v6)
{
	struct lab_segment *seg;
	struct tcphdr th;

	if (bpf_skb_load_bytes(skb, at, &th, sizeof(th)) < 0)
		return TC_ACT_UNSPEC;
	if (th.dest != bpf_htons(LAB_PORT_SINK) && th.dest != bpf_htons(LAB_PORT_SOURCE))
		return TC_ACT_UNSPEC;
	if (verify && th.dest == bpf_htons(LAB_PORT_SINK))
		note_payload(skb, at + th.doff * 4, bpf_ntohl(th.seq), bpf_ntohs(th.source), v6, 0);
	seg = bpf_ringbuf_reserve(&segments, sizeof(*seg), 0);
	if (!seg) {
		__sync_fetch_and_add(&overflow, 1);
		return TC_ACT_SHOT;
	}
	seg->seq = bpf_ntohl(th.seq);
	seg->ack = bpf_ntohl(th.ack_seq);
	seg->len = skb->len - at - th.doff * 4;
	seg->port = bpf_ntohs(th.source);
	seg->service = bpf_ntohs(th.dest);
	seg->window = bpf_ntohs(th.window);
	seg->flags = ((__u8 *)&th)[13];
	seg->v6 = v6;
	seg->nr_options = 0;
	if (th.syn)
		note_syn(skb, seg, at, th.doff * 4);
	bpf_ringbuf_submit(seg, asleep ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
	return TC_ACT_SHOT;
}

static __always_inline int udp(struct __sk_buff *skb, __u32 at, __u8 v6)
{
	struct udphdr uh;

	if (bpf_skb_load_bytes(skb, at, &uh, sizeof(uh)) < 0 || uh.dest != bpf_htons(LAB_PORT_SINK))
		return TC_ACT_UNSPEC;
	if (verify)
		note_payload(skb, at + sizeof(uh), 0, bpf_ntohs(uh.source), v6, 1);
	__sync_fetch_and_add(&udp_packets, 1);
	__sync_fetch_and_add(&udp_bytes, skb->len - at - sizeof(uh));
	return TC_ACT_SHOT;
}

SEC("tc")
int partner_ingress(struct __sk_buff *skb)
{
	__u8 protocol = 0, v6 = 0;
	__u32 at = transport(skb, &protocol, &v6);

	if (at && protocol == IPPROTO_TCP)
		return tcp(skb, at, v6);
	if (at && protocol == IPPROTO_UDP)
		return udp(skb, at, v6);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
