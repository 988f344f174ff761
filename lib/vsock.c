// SPDX-License-Identifier: MIT
/*
 * vsock.c - what is different about lending to VSOCK streams
 *
 * The kernel makes packets of at most 64 KiB and 17 pages of a call, and takes a number for each of
 * them that it had to make at another time (virtio_transport_send_pkt_info). One that does not
 * block and is for one packet makes one packet: what room there is for more is found out under the
 * socket's lock, which it holds. Older kernels gave the notification of several packets to the last
 * one, so that the others were still read when it came.
 */
#include "conn.h"

#define PACKET_PAGES 17 /* MAX_SKB_FRAGS, as it is unless somebody built a kernel with more */

/* Leaves so many of the nr pieces as one packet can hold, the last one cut. */
size_t vsock_one_packet(struct iovec *vec, size_t nr)
{
	size_t pages = PACKET_PAGES, i;

	for (i = 0; i < nr && pages; i++) {
		size_t off = (uintptr_t)vec[i].iov_base % ZCSI_PAGE;
		size_t room = pages * ZCSI_PAGE - off;

		vec[i].iov_len = min_u64(vec[i].iov_len, room);
		pages -= (off + vec[i].iov_len + ZCSI_PAGE - 1) / ZCSI_PAGE;
	}
	return i;
}
