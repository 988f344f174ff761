/* SPDX-License-Identifier: MIT */
/*
 * proto.h - what zcsock send and zcsock recv say to each other
 *
 * First both prove that they know the key (auth.h). Then the stream carries frames: a head of 24
 * bytes, little-endian, and for some types `length` bytes behind it.
 *
 *	 0  u32  magic "zcs1"
 *	 4  u16  type
 *	 6  u16  code    of VERDICT and GIVEUP, else 0
 *	 8  u64  length  bytes behind this head
 *	16  u64  value
 *
 *	sender                               receiver
 *	FILE length=1..255 value=size
 *	  + name, no NUL                     ACCEPT, or VERDICT code
 *	size bytes without any head          VERDICT at any time ends the session
 *	END length=16 value=size
 *	  + XXH3-128, canonical              BUSY any number of times, then VERDICT OK
 *	... the next FILE ...
 *	DONE value=number of files
 *
 * The body follows no head of its own so that it starts on a page boundary of the segments that
 * carry it: only whole pages can be mapped by the receiver. A body of unknown length (value
 * UINT64_MAX) comes in CHUNKs of up to 1 MiB, with KEEP between them while there is nothing to
 * send. GIVEUP can stand wherever the receiver expects a head. In a body of known length the sender
 * can only hang up.
 *
 * Nothing that a peer sends is printed except the name, escaped, and no length is believed before
 * it is checked here. This file and proto.c are pure: no system calls, no memory of their own.
 */
#ifndef ZCSOCK_PROTO_H
#define ZCSOCK_PROTO_H

#include <stddef.h>
#include <stdint.h>

#define PROTO_HEAD    24	 /* bytes of a frame's head */
#define PROTO_NAME    255	 /* longest name, bytes: what Linux file systems take */
#define PROTO_CHUNK   1048576	 /* longest CHUNK, bytes */
#define PROTO_HASH    16	 /* XXH3-128 */
#define PROTO_UNKNOWN UINT64_MAX /* a size that the sender does not know */

enum proto_type {
	/* from the sender */
	PROTO_FILE = 1,
	PROTO_CHUNK_DATA,
	PROTO_KEEP,
	PROTO_END,
	PROTO_GIVEUP,
	PROTO_DONE,
	/* from the receiver */
	PROTO_ACCEPT,
	PROTO_BUSY,
	PROTO_VERDICT,
	PROTO_NR_TYPES,
};

#define PROTO_BIT(type) (1u << (type))

enum proto_code {
	PROTO_OK = 0,
	PROTO_BAD_NAME,
	PROTO_EXISTS,
	PROTO_NOT_A_FILE,
	PROTO_ONE_ONLY,
	PROTO_NO_SPACE,
	PROTO_DENIED,
	PROTO_IO,
	PROTO_CHECKSUM,
	PROTO_SHRANK,
	PROTO_GREW,
	PROTO_CHANGED,
	PROTO_STOPPED,
	PROTO_TOO_SLOW,
	PROTO_MISUSE,
	PROTO_NR_CODES,
};

struct proto_frame {
	uint16_t type;	 /* enum proto_type */
	uint16_t code;	 /* enum proto_code */
	uint64_t length; /* bytes that follow */
	uint64_t value;
};

void proto_put(const struct proto_frame *frame, uint8_t head_out[PROTO_HEAD]);

/*
 * Reads a head, and checks it whole: every frame that this returns 0 for has legal members.
 * allowed: PROTO_BIT() of the types that may come now. -EBADMSG: not a head of ours, -EPROTO: not
 * expected here, -EMSGSIZE: a length or size that nobody can mean.
 */
int proto_get(const uint8_t head[PROTO_HEAD], unsigned allowed, struct proto_frame *frame_out);

/* 0: a plain file name. -EINVAL: it is empty, special, too long, a path, or unprintable. */
int proto_name_check(const char *name, size_t len);

/* Words for a code, static, never NULL. */
const char *proto_code_text(unsigned code);

/* The code that tells the peer of a local errno (positive). */
enum proto_code proto_code_of(int err);

#endif
