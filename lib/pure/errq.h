/* SPDX-License-Identifier: MIT */
/*
 * errq.h - what a message of the error queue means
 *
 * Zero-copy notifications share the queue with ICMP errors and transmit timestamps
 * (linux/errqueue.h). The level of the control message follows the family of the socket, not of the
 * address: a v4-mapped connection on an IPv6 socket reports SOL_IPV6.
 */
#ifndef ZCSI_ERRQ_H
#define ZCSI_ERRQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * IPv6 needs 64 bytes, a timestamp beside it 64 more; a notification that does not fit is
 * consumed and lost, so there is room to spare.
 */
#define ERRQ_CONTROL_LEN 512

enum errq_kind {
	ERRQ_ZEROCOPY,	/* numbers [lo, hi] are done */
	ERRQ_FOREIGN,	/* somebody else's: timestamp, ICMP ... */
	ERRQ_TRUNCATED, /* MSG_CTRUNC, and no telling whose: a notification may be lost */
};

struct errq_note {
	enum errq_kind kind;
	uint32_t lo; /* ZEROCOPY only, as all that follows, else 0 */
	uint32_t hi; /* inclusive; less than lo: a range across the wrap, or garbage */
	bool copied; /* SO_EE_CODE_ZEROCOPY_COPIED: of the first part of a merged range only */
};

/*
 * Reads all control messages of a recvmsg(MSG_ERRQUEUE); believes no length in them.
 *
 * One message of the queue carries one extended error, so whoever finds it whole knows what the
 * message was: MSG_CTRUNC then cut off its address or a timestamp, and no notification is lost.
 * TRUNCATED is left for messages whose extended error is missing or cut.
 */
struct errq_note errq_parse(const struct msghdr *msg);

#endif
