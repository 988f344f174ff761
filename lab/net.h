/* SPDX-License-Identifier: MIT */
/*
 * net.h - two network namespaces of the lab's own and the veth pair between them
 *
 * They have no names: they, the pair and the addresses vanish with the last process and descriptor
 * in them, however that process ended. Addresses are of the ranges that RFC 2544 and RFC 5180 set
 * aside for benchmarks; since every lab has namespaces of its own, all labs use the same ones.
 */
#ifndef ZCSOCK_LAB_NET_H
#define ZCSOCK_LAB_NET_H

#include <stddef.h>
#include <stdint.h>

#define LAB_NEAR4 "198.18.0.1"
#define LAB_FAR4  "198.18.0.2"
#define LAB_NEAR6 "2001:2::1"
#define LAB_FAR6  "2001:2::2"

#define LAB_NEAR_DEVICE "near0"
#define LAB_FAR_DEVICE	"far0"

/* The same addresses as on the wire. */
extern const uint8_t lab_near_mac[6], lab_far_mac[6];
extern const uint8_t lab_near4[4], lab_far4[4];
extern const uint8_t lab_near6[16], lab_far6[16];

/*
 * Makes both, with the calling process in the far one afterwards; *near_out is a descriptor of the
 * other, to be closed by the caller. A negative errno, with the step that failed in `why`.
 */
int lab_net_make(unsigned mtu, int *near_out, char *why, size_t len);

#endif
