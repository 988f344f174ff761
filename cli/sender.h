/* SPDX-License-Identifier: MIT */
/* sender.h - what the files of zcsock send share: cmd_send.c the session, body.c what files hold */
#ifndef ZCSOCK_SENDER_H
#define ZCSOCK_SENDER_H

#include <xxhash.h>

#include "link.h"
#include "opts.h"
#include "report.h"
#include "source.h"
#include "text.h"

struct sender {
	struct opts opts;
	struct url url;
	struct link link;
	struct report report;
	struct source source;
	XXH3_state_t *hash;
	char safe[SAFE_NAME]; /* the name of the file on its way, printable */
};

/* A connection that broke; err, or -ECANCELED, after one line was said. */
int sender_lost(struct sender *sn, int err);
/* Takes what the receiver said in the middle of a body: negative if that is the end of it. */
int sender_heard(struct sender *sn);

/*
 * The bytes of the source, hashed on the way, until the kernel has them and nothing of the source
 * is lent any more. Negative after one line was said.
 */
int body_send(struct sender *sn);

#endif
