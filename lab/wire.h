/* SPDX-License-Identifier: MIT */
/*
 * wire.h - what the program at the partner's end of the pair and the partner share: the services'
 * ports, and the records of what arrived
 */
#ifndef ZCSOCK_LAB_WIRE_H
#define ZCSOCK_LAB_WIRE_H

#include <linux/types.h>

/* The ports of RFC 862, 863 and 864. Echo is a real kernel socket, the other two are virtual. */
#define LAB_PORT_ECHO	 7
#define LAB_PORT_SINK	 9
#define LAB_PORT_SOURCE	 19
#define LAB_PORT_CONTROL 1

struct lab_segment {
	__u32 seq;
	__u32 ack;
	__u32 len;	 /* bytes of payload; all of a GSO packet's */
	__u16 port;	 /* of the near side */
	__u16 service;	 /* LAB_PORT_SINK or LAB_PORT_SOURCE */
	__u16 window;	 /* not scaled */
	__u8 flags;	 /* TH_SYN ... */
	__u8 v6;	 /* 0, 1 */
	__u8 nr_options; /* bytes of TCP options; of a SYN only */
	__u8 reserved[3];
	__u8 options[40];
};

#define LAB_CHUNK 4096

/* Of the payload of a segment or a datagram, while the partner verifies. */
struct lab_payload {
	__u32 seq; /* of the first byte; of a datagram: where in it */
	__u32 len;
	__u16 port;
	__u8 v6;
	__u8 udp;
	__u8 reserved[4];
	__u8 bytes[LAB_CHUNK];
};

#endif
