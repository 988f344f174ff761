/* SPDX-License-Identifier: MIT */
/*
 * auth.h - both sides prove that they know the key, before a name or a byte is exchanged
 *
 *	sender    -> receiver   "zcsock1\n", 32 random bytes A
 *	receiver  -> sender     "zcsock1\n", 32 random bytes B
 *	sender    -> receiver   MAC(key, "zcsock1 sender  " A B)
 *	receiver  -> sender     MAC(key, "zcsock1 receiver" A B), or 32 zero bytes: not this key
 *
 * The MAC is keyed BLAKE2b with 32 bytes of result (crypto_generichash). The words inside keep one
 * side's proof from being sent back as the other's; the random bytes of both keep an old proof from
 * being used again. The sender proves first: the port of the receiver is open to anybody.
 *
 * What follows on the connection is neither encrypted nor authenticated.
 *
 * The socket must be non-blocking. No memory is allocated: a stranger costs one struct.
 */
#ifndef ZCSOCK_AUTH_H
#define ZCSOCK_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "url.h"

#define AUTH_MAGIC 8
#define AUTH_NONCE 32
#define AUTH_HELLO (AUTH_MAGIC + AUTH_NONCE)
#define AUTH_PROOF 32

struct auth {
	int fd; /* the caller's */
	bool sender;
	bool proving;	       /* hellos are exchanged */
	const struct key *key; /* the caller's */
	uint8_t mine[AUTH_NONCE];
	uint8_t theirs[AUTH_NONCE];
	uint8_t in[AUTH_HELLO];
	size_t in_len;
};

/* 0 or a negative errno of the first write. */
int auth_start(struct auth *auth, int fd, bool sender, const struct key *key);
/*
 * To be called when fd is readable. 1: both have proved it; 0: call again. -EPROTO: the peer does
 * not speak this protocol; -EACCES: it does not accept our key (sender only); -EKEYREJECTED: it
 * does not know our key; -EPIPE: it hung up; another negative errno: the connection broke.
 */
int auth_step(struct auth *auth);
/* Both in one, for the sender: -ETIMEDOUT after timeout_ms in all, -EINTR when stopped. */
int auth_run(int fd, const struct key *key, int timeout_ms);
/* Words for what auth_step returned. */
const char *auth_text(int err);

#endif
