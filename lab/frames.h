/* SPDX-License-Identifier: MIT */
/*
 * frames.h - writes TCP packets of the partner's own making to its end of the pair
 *
 * The payload of a frame becomes pages of its own in the packet, as from a card that splits headers
 * from data: a virtio header in front of it says how long the headers are (net/packet/af_packet.c,
 * packet_alloc_skb), and that the checksum of TCP is still to be filled in, which nobody does.
 */
#ifndef ZCSOCK_LAB_FRAMES_H
#define ZCSOCK_LAB_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define FRAMES_MAX 64
#define FRAME_HEAD 128 /* virtio 10, Ethernet 14, IPv6 40, TCP 20, its options 40 */

struct frame {
	uint16_t port;	  /* of the near side */
	uint16_t service; /* the partner's port */
	bool v6;
	uint8_t flags;	 /* TH_ACK ... */
	uint16_t window; /* as on the wire */
	uint32_t seq, ack;
	const uint8_t *options;
	size_t nr_options; /* bytes, a multiple of 4 */
	const void *payload;
	size_t len;
};

struct frames {
	int fd;
	unsigned nr;
	uint64_t sent, failed; /* frames */
	struct mmsghdr msgs[FRAMES_MAX];
	struct iovec iov[FRAMES_MAX][2];
	uint8_t head[FRAMES_MAX][FRAME_HEAD];
};

/* Opens the packet socket in the namespace of the calling thread; a negative errno. */
int frames_open(struct frames *f, int ifindex);
/* Queues one; its payload must stay until frames_flush. */
void frames_put(struct frames *f, const struct frame *frame);
void frames_flush(struct frames *f);

#endif
