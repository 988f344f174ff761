// SPDX-License-Identifier: MIT
#include "errq.h"
#include "guard.h"

#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include <linux/errqueue.h>

/* linux/vm_sockets.h, but only since 6.7 */
#define VSOCK_LEVEL   287
#define VSOCK_RECVERR 1

static bool is_extended_err(const struct cmsghdr *h)
{
	if (h->cmsg_level == SOL_IP)
		return h->cmsg_type == IP_RECVERR;
	/* Guard 8: the level follows the socket: an IPv6 one says SOL_IPV6 of an IPv4 peer, too. */
	if (!GUARD(8))
		return false;
	if (h->cmsg_level == SOL_IPV6)
		return h->cmsg_type == IPV6_RECVERR;
	return h->cmsg_level == VSOCK_LEVEL && h->cmsg_type == VSOCK_RECVERR;
}

static void read_record(const struct sock_extended_err *err, struct errq_note *note)
{
	note->kind = ERRQ_FOREIGN;
	if (err->ee_origin != SO_EE_ORIGIN_ZEROCOPY || err->ee_errno != 0)
		return;
	note->kind = ERRQ_ZEROCOPY;
	note->lo = err->ee_info;
	note->hi = err->ee_data;
	note->copied = err->ee_code & SO_EE_CODE_ZEROCOPY_COPIED;
}

/*
 * Lengths are checked before anything is read, and by hand: CMSG_NXTHDR computes addresses from a
 * length that it has not checked.
 */
struct errq_note errq_parse(const struct msghdr *msg)
{
	struct errq_note note = { .kind = msg->msg_flags & MSG_CTRUNC ? ERRQ_TRUNCATED
								      : ERRQ_FOREIGN };
	const char *at = msg->msg_control;
	size_t left = at ? msg->msg_controllen : 0;

	while (note.kind != ERRQ_ZEROCOPY && left >= sizeof(struct cmsghdr)) {
		struct sock_extended_err err;
		struct cmsghdr h;

		memcpy(&h, at, sizeof(h));
		if (h.cmsg_len < CMSG_LEN(0) || h.cmsg_len > left)
			break;
		if (is_extended_err(&h) && h.cmsg_len >= CMSG_LEN(sizeof(err))) {
			memcpy(&err, at + CMSG_LEN(0), sizeof(err));
			read_record(&err, &note);
		}
		if (CMSG_ALIGN(h.cmsg_len) >= left)
			break;
		at += CMSG_ALIGN(h.cmsg_len);
		left -= CMSG_ALIGN(h.cmsg_len);
	}
	return note;
}
