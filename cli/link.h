/* SPDX-License-Identifier: MIT */
/*
 * link.h - one connection of the library, used the way a plain program likes: call, wait, go on
 *
 * Every wait ends when the peer has been still for the time limit (-ETIMEDOUT), when the user stops
 * the program (-EINTR) or when the connection breaks (its errno). End of stream in the middle of
 * something is -EPIPE.
 */
#ifndef ZCSOCK_LINK_H
#define ZCSOCK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zcsock.h>

#include "proto.h"

struct link {
	struct zcs_ctx *ctx;
	struct zcs_conn *conn; /* NULL after CLOSED */
	bool readable;	       /* receiving may give something */
	int error;	       /* of ZCS_EV_ERROR */
	uint64_t timeout_ms;
	uint64_t out;		  /* bytes of link_lend and link_send_file, not back yet */
	int file_error;		  /* what ended it early: -ENODATA, it was too short ... */
	uint64_t given;		  /* bytes that the library accepted */
	uint64_t moved;		  /* bytes over the wire, both ways, when something last moved */
	uint64_t moved_ms;	  /* and when that was */
	uint8_t head[PROTO_HEAD]; /* a frame that is coming in */
	size_t head_len;
};

/* Takes fd in every case. The socket is new: nothing was lent on it before. */
int link_open(struct link *link, int fd, const struct zcs_conn_opts *opts, uint64_t timeout_ms);
/*
 * Orderly: what was sent gets up to drain_ms. abort: the peer sees a reset. All is freed but the
 * statistics: they are returned. Harmless on a link that never opened.
 */
struct zcs_stats link_close(struct link *link, uint64_t drain_ms, bool abort);

/* Until something happens, at most ms; takes the events. 0, -EINTR, or what is broken. */
int link_round(struct link *link, int ms);
/* As link_round for one tick, and watches the time limit. */
int link_wait(struct link *link);
/* The program itself was busy: the time limit starts anew. */
void link_touch(struct link *link);

/*
 * One message. buf may be NULL; with ZCS_GIVE in flags it is pool memory and the library's after
 * success, else it is copied. Waits while there is no room; -ECANCELED: the peer said something
 * meanwhile (only with ZCS_GIVE: in the middle of a body).
 */
int link_send(struct link *link, const struct proto_frame *frame, const void *buf, size_t len,
	      uint32_t flags);
/*
 * Memory that must stay as it is until link_flush. Waits while there is no room; -ECANCELED: the
 * peer said something meanwhile.
 */
int link_lend(struct link *link, const void *buf, size_t len);
/*
 * A part of a file, which must stay open and as it is until link_flush. Waits while `ahead` bytes
 * or more are under way; -ECANCELED as above, file_error of an earlier part.
 */
int link_send_file(struct link *link, int file, uint64_t off, size_t len, uint64_t ahead);
/*
 * Until the kernel has all that was sent, and what was lent is back. -ECANCELED: the peer said
 * something meanwhile; or file_error.
 */
int link_flush(struct link *link);
/* A frame without a body. */
int link_say(struct link *link, enum proto_type type, enum proto_code code, uint64_t value);

/* Spans, as zcs_conn_recv, but waits. */
int link_spans(struct link *link, struct zcs_span *spans, size_t nr, uint64_t max_bytes);
/* Exactly len bytes. */
int link_bytes(struct link *link, void *buf, size_t len);
/* The next frame's head, checked. */
int link_frame(struct link *link, unsigned allowed, struct proto_frame *frame_out);
/* As link_frame without waiting; -EAGAIN: it is not there yet. */
int link_frame_now(struct link *link, unsigned allowed, struct proto_frame *frame_out);

/* One line's worth of why a link call failed. */
const char *link_text(int err);

#endif
