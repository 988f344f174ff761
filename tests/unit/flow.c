/* SPDX-License-Identifier: MIT */
#include "flow.h"

#include "lab/net.h"
#include "lab/pattern.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- frames ---------------------------------------------------------------------------------- */

static uint16_t sum_of(const uint8_t *at, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Checks the header; returns its length. `rest` is what follows the Ethernet header. */
static size_t parse_ip(const uint8_t *at, size_t rest, bool v6, uint32_t *pseudo)
{
	if (v6) {
		struct ip6_hdr ip;

		memcpy(&ip, at, sizeof(ip));
		assert_int_equal(ntohl(ip.ip6_flow), 6u << 28);
		assert_int_equal(ntohs(ip.ip6_plen), rest - sizeof(ip));
		assert_int_equal(ip.ip6_nxt, IPPROTO_TCP);
		assert_memory_equal(&ip.ip6_src, lab_far6, 16);
		assert_memory_equal(&ip.ip6_dst, lab_near6, 16);
		*pseudo = sum_of(at + 8, 32, IPPROTO_TCP + (uint32_t)(rest - sizeof(ip)));
		return sizeof(ip);
	}
	assert_int_equal(at[0], 0x45);
	assert_int_equal(at[2] << 8 | at[3], rest);
	assert_int_equal(at[9], IPPROTO_TCP);
	assert_int_equal(sum_of(at, 20, 0), 0xffff);
	assert_memory_equal(at + 12, lab_far4, 4);
	assert_memory_equal(at + 16, lab_near4, 4);
	*pseudo = sum_of(at + 12, 8, IPPROTO_TCP + (uint32_t)(rest - 20));
	return 20;
}

static void parse_tcp(struct sent *s, const uint8_t *at, size_t len, uint32_t pseudo)
{
	struct tcphdr th;

	assert_true(len >= sizeof(th));
	memcpy(&th, at, sizeof(th));
	s->flags = th.th_flags;
	s->service = ntohs(th.th_sport);
	s->port = ntohs(th.th_dport);
	s->window = ntohs(th.th_win);
	s->seq = ntohl(th.th_seq);
	s->ack = ntohl(th.th_ack);
	assert_int_equal(ntohs(th.th_sum), pseudo); /* the device is to add the rest */
	s->nr_options = th.th_off * 4u - sizeof(th);
	assert_in_range(s->nr_options, 0, sizeof(s->options));
	assert_true(len >= th.th_off * 4u);
	memcpy(s->options, at + sizeof(th), s->nr_options);
	s->len = len - th.th_off * 4u;
	assert_in_range(s->len, 0, sizeof(s->payload));
	memcpy(s->payload, at + th.th_off * 4, s->len);
}

static void parse(struct sent *s, const uint8_t *at, size_t len)
{
	struct virtio_net_hdr vh;
	struct ethhdr eth;
	size_t ip_len;
	uint32_t pseudo;

	assert_true(len >= sizeof(vh) + sizeof(eth) + 40);
	memcpy(&vh, at, sizeof(vh));
	memcpy(&eth, at + sizeof(vh), sizeof(eth));
	at += sizeof(vh) + sizeof(eth);
	len -= sizeof(vh) + sizeof(eth);
	assert_memory_equal(eth.h_dest, lab_near_mac, ETH_ALEN);
	assert_memory_equal(eth.h_source, lab_far_mac, ETH_ALEN);
	s->v6 = ntohs(eth.h_proto) == ETH_P_IPV6;
	assert_int_equal(ntohs(eth.h_proto), s->v6 ? ETH_P_IPV6 : ETH_P_IP);
	ip_len = parse_ip(at, len, s->v6, &pseudo);
	parse_tcp(s, at + ip_len, len - ip_len, pseudo);
	assert_int_equal(vh.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(vh.csum_start, sizeof(eth) + ip_len);
	assert_int_equal(vh.csum_offset, 16);
	/* The payload begins where the header ends, so that it gets pages of its own. */
	assert_int_equal(vh.hdr_len, sizeof(eth) + len - s->len);
}

static void read_frames(struct bed *b)
{
	uint8_t buf[2048];
	ssize_t n;

	frames_flush(&b->w.frames);
	assert_int_equal(b->w.frames.failed, 0);
	while ((n = recv(b->near, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		assert_true(b->nr < SENT_MAX);
		parse(&b->sent[b->nr++], buf, (size_t)n);
	}
}

/* ---- the bed --------------------------------------------------------------------------------- */

int set_up(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	int pair[2];

	assert_non_null(b);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	b->near = pair[0];
	b->w.frames.fd = pair[1];
	for (unsigned i = 0; i < FRAMES_MAX; i++) { /* as frames_open does */
		b->w.frames.iov[i][0].iov_base = b->w.frames.head[i];
		b->w.frames.msgs[i].msg_hdr.msg_iov = b->w.frames.iov[i];
	}
	b->w.pattern = pattern_new();
	assert_non_null(b->w.pattern);
	b->w.behave = behave_default;
	b->w.behave.payload = 100;
	b->now = START;
	b->isn = ISN;
	*state = b;
	return 0;
}

int tear_down(void **state)
{
	struct bed *b = *state;

	flow_close(&b->f);
	free(b->w.pattern);
	close(b->near);
	close(b->w.frames.fd);
	free(b);
	return 0;
}

const uint8_t syn_options[FLOW_SYN_OPTIONS] = {
	TCPOPT_MAXSEG, 4, 0x23,	 0x00, TCPOPT_SACK_PERMITTED, 2, TCPOPT_NOP, TCPOPT_NOP, TCPOPT_NOP,
	TCPOPT_WINDOW, 3, SCALE,
};

void open_with(struct bed *b, uint16_t service, bool v6, const void *options, size_t len)
{
	struct lab_segment syn = { .seq = b->isn,
				   .port = PORT,
				   .service = service,
				   .flags = TH_SYN,
				   .v6 = v6,
				   .nr_options = (uint8_t)len };

	if (len)
		memcpy(syn.options, options, len);
	b->nr = 0;
	flow_close(&b->f);
	flow_open(&b->f, &b->w, &syn);
	read_frames(b);
}

void open_flow(struct bed *b, uint16_t service)
{
	open_with(b, service, false, syn_options, sizeof(syn_options));
	assert_int_equal(b->nr, 1);
	acks(b, 0, 0);
}

void tick(struct bed *b)
{
	b->nr = 0;
	b->due = flow_tick(&b->f, b->now);
	read_frames(b);
}

void tick_at(struct bed *b, uint64_t now)
{
	b->now = now;
	tick(b);
}

void input(struct bed *b, uint8_t flags, uint64_t off, uint32_t len, uint64_t ack, uint16_t window)
{
	struct lab_segment seg = { .seq = b->isn + 1 + (uint32_t)off,
				   .ack = b->f.iss + 1 + (uint32_t)ack,
				   .len = len,
				   .port = PORT,
				   .service = b->f.service,
				   .window = window,
				   .flags = flags };

	flow_input(&b->f, &seg, b->now);
}

void data(struct bed *b, uint64_t off, uint32_t len)
{
	input(b, TH_ACK, off, len, 0, 0xffff);
}

void acks(struct bed *b, uint64_t ack, uint16_t window)
{
	input(b, TH_ACK, 0, 0, ack, window);
}

void sends_nothing(struct bed *b)
{
	assert_int_equal(b->nr, 0);
}

uint32_t acked(const struct bed *b, size_t i)
{
	assert_true(i < b->nr);
	assert_int_equal(b->sent[i].flags, TH_ACK);
	assert_int_equal(b->sent[i].len, 0);
	return b->sent[i].ack - b->isn - 1;
}

void sends_one_ack(struct bed *b, uint32_t to)
{
	assert_int_equal(b->nr, 1);
	assert_int_equal(acked(b, 0), to);
}

uint64_t edge(const struct bed *b, size_t i)
{
	return acked(b, i) + ((uint64_t)b->sent[i].window << FLOW_SCALE);
}

uint32_t offset(const struct bed *b, size_t i)
{
	assert_true(i < b->nr);
	return b->sent[i].seq - b->f.iss - 1;
}

void is_data(const struct bed *b, size_t i, uint32_t off, size_t len)
{
	assert_int_equal(offset(b, i), off);
	assert_int_equal(b->sent[i].flags, TH_ACK);
	assert_int_equal(b->sent[i].len, len);
	assert_memory_equal(b->sent[i].payload, pattern_at(b->w.pattern, off), len);
}
