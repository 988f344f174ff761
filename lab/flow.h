/* SPDX-License-Identifier: MIT */
/*
 * flow.h - one virtual TCP connection of the partner
 *
 * There is no kernel socket behind it. What arrives is read off headers only (partner.bpf.c) and
 * what is sent is written as frames, so every answer, also one that no TCP would give, is ours.
 * Its two halves are sink.c, which receives, and source.c, which sends. Both count bytes of the
 * stream in 64 bits from 0; sequence numbers exist on the wire only.
 */
#ifndef ZCSOCK_LAB_FLOW_H
#define ZCSOCK_LAB_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "behave.h"
#include "frames.h"
#include "pieces.h"
#include "wire.h"

#define FLOW_SCALE 10 /* of the window that is advertised: units of 1 KiB, up to 64 MiB */

/* What all flows of a partner share. */
struct world {
	struct behave behave;
	struct frames frames;
	struct flow_stats {
		uint64_t flows;	    /* connections opened */
		uint64_t received;  /* bytes, each counted once */
		uint64_t duplicate; /* bytes that came although they were there */
		uint64_t sent;	    /* bytes of the source, each counted once */
		uint64_t resent;    /* frames of the source that were sent again */
		uint64_t acks;	    /* sent */
		uint64_t lost;	    /* packets, on purpose, in either direction */
		uint64_t reordered; /* packets, likewise */
		uint64_t resets;    /* sent */
		uint64_t verified;  /* bytes that were as they must be */
		uint64_t wrong;	    /* bytes that were not, and what follows them in a packet */
	} stats;
	uint8_t *pattern; /* what the source sends: lab_pattern */
};

/* Allows `rate` bytes per second. */
struct bucket {
	uint64_t last; /* ns */
	double tokens; /* bytes */
};

struct flow {
	struct world *world;
	uint64_t number; /* of the flow; with the seed it decides what is lost */
	uint64_t random;
	uint16_t port, service;
	bool v6;
	bool gone; /* no packet will be answered any more: to be freed */
	bool sack; /* the near side understands SACK */
	bool open; /* it has our SYN: before that nothing else is sent */
	uint8_t near_scale;
	uint16_t mss;	   /* payload of the largest packet, either way: the pair has one MTU */
	uint32_t irs, iss; /* initial sequence numbers: near side's, ours */
	uint8_t *met;	   /* a bit for each packet that was on its way once: lost at most once */
	uint64_t nr_met;

	struct {
		uint64_t next;	/* in order up to here */
		uint64_t acked; /* as we told */
		uint64_t edge;	/* of the window that we told */
		uint64_t fin;	/* where the stream ends; BEHAVE_NEVER: not yet known */
		uint64_t last;	/* the piece beyond a gap that came last begins here */
		uint64_t since; /* ns: the oldest byte not acknowledged */
		uint64_t gap;	/* ns: since when there is one */
		unsigned dups;	/* acknowledgements that repeat themselves, owed */
		bool ack_now;	/* owed at once */
		bool partial;	/* the last one was */
		bool fin_acked;
		struct pieces pieces;
		struct bucket bucket;
	} in;

	struct {
		uint64_t next;	  /* the first byte never sent */
		uint64_t una;	  /* acknowledged up to here */
		uint64_t edge;	  /* of the near side's window */
		uint64_t recover; /* a loss below it is being mended */
		uint64_t timer;	  /* ns: when to send again; 0: off */
		uint64_t wait;	  /* ns: for how long */
		unsigned dups;
		bool fin, fin_acked;
		struct bucket bucket;
	} out;
};

/* Starts over with what the SYN says, and answers it. */
void flow_open(struct flow *f, struct world *world, const struct lab_segment *syn);
/* The SYN came again, as the answer took so long. */
void flow_answer_again(struct flow *f);
/* A packet of the near side that is not a SYN. */
void flow_input(struct flow *f, const struct lab_segment *seg, uint64_t now);
/* Everything that is due; the time at which the next thing is, UINT64_MAX for never. */
uint64_t flow_tick(struct flow *f, uint64_t now);
void flow_reset(struct flow *f);
/* Frees what it holds. */
void flow_close(struct flow *f);
/* Sends one frame of the stream, or with len 0 no more than an ACK. */
void flow_send(struct flow *f, uint8_t flags, uint64_t off, uint64_t len);
/* The window is said anew, because it changed. */
void flow_say_window(struct flow *f);
/* What befalls data packets, either way, the same for the same seed. */
enum flow_fate { FLOW_LOSS = 1, FLOW_REORDER, FLOW_SWAP };
bool flow_fate(const struct flow *f, uint64_t packet, double share, enum flow_fate fate);
/* Whether that packet of the near side is met for the first time. */
bool flow_first(struct flow *f, uint64_t packet);
/* Stream offset of a sequence number of the near side's stream. */
uint64_t flow_offset(const struct flow *f, uint32_t seq);
/* The options of an ACK: SACK blocks. Bytes. */
size_t flow_options(const struct flow *f, uint8_t *options);

/* sink.c */
void sink_input(struct flow *f, const struct lab_segment *seg, uint64_t now);
uint64_t sink_tick(struct flow *f, uint64_t now);
/* The window to tell, in units of 1 << FLOW_SCALE. */
uint16_t sink_window(struct flow *f, uint64_t acked);

/* source.c */
void source_input(struct flow *f, const struct lab_segment *seg, uint64_t now);
uint64_t source_tick(struct flow *f, uint64_t now);

static inline uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Fills up with time; how many whole bytes may go. */
uint64_t bucket_fill(struct bucket *b, uint64_t rate, uint64_t now);
/* When so many bytes may go, or it has to be filled lest it loses some. */
uint64_t bucket_due(const struct bucket *b, uint64_t rate, uint64_t bytes, uint64_t now);
void bucket_take(struct bucket *b, uint64_t rate, uint64_t bytes);

#endif
