/* SPDX-License-Identifier: MIT */
/* behave.h - how the virtual partner behaves: one table for command line and control port */
#ifndef ZCSOCK_LAB_BEHAVE_H
#define ZCSOCK_LAB_BEHAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BEHAVE_NEVER UINT64_MAX /* of an offset: it is not reached */

struct behave {
	/* sink: what it acknowledges, and when */
	uint64_t ack_bytes;	 /* at once when so many bytes are new, */
	uint64_t ack_time;	 /* else ns after the first of them */
	bool partial_ack;	 /* every other ACK ends somewhere within what came */
	bool hold_acks;		 /* no ACK at all until this is off */
	uint64_t window;	 /* bytes that are advertised beyond what was acknowledged */
	uint64_t zero_window_at; /* stream offset that the window never reaches beyond */
	bool verify;		 /* what comes must be the pattern that the source sends */
	/* source: what it sends */
	uint64_t payload; /* bytes per frame */
	uint64_t length;  /* bytes of a stream, then FIN */
	/* both: the network in between, and the end */
	uint64_t rtt;	    /* ns until what came in is looked at */
	uint64_t rate;	    /* bytes per second; 0: no limit */
	double loss;	    /* of data packets, 0 to 1 */
	double reorder;	    /* of data packets, 0 to 1 */
	uint64_t rst_at;    /* stream offset after which a RST is sent */
	uint64_t silent_at; /* stream offset after which nothing is answered */
	uint64_t seed;	    /* of what is lost, reordered and acknowledged in part */
};

extern const struct behave behave_default;

enum behave_kind {
	BEHAVE_SIZE,
	BEHAVE_OFFSET,
	BEHAVE_TIME,
	BEHAVE_SHARE,
	BEHAVE_FLAG,
	BEHAVE_NUMBER
};

struct behave_option {
	const char *name;
	enum behave_kind kind;
	size_t member; /* offset in struct behave */
	uint64_t least, most;
	const char *help;
};

extern const struct behave_option behave_options[];
extern const size_t nr_behave_options;

/* What a value of this kind looks like, for people. */
const char *behave_kind_text(enum behave_kind kind);
/*
 * Sets the option of that name. -ENOENT: there is none; -EINVAL: its value is not of its kind;
 * -ERANGE: out of its bounds. `value` of a flag may be NULL: yes.
 */
int behave_set(struct behave *b, const char *name, const char *value);
/* The same as one sentence in `why`, for people. */
int behave_set_or_say(struct behave *b, const char *name, const char *value, char *why, size_t len);

#endif
