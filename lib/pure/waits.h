/* SPDX-License-Identifier: MIT */
/*
 * waits.h - does the application wait for each message to come back before it sends the next one?
 *
 * Then lending costs it a round trip per message, which no CPU time shows: copying is what lets it
 * go on. It is taken to wait when it sends with nothing else out, again and again, right after the
 * last message came back, having asked for events in vain meanwhile, without having received
 * anything that it could have waited for instead, and all that took longer than a copy.
 *
 * One of those is not enough, and copying is left now and then for a message, to see whether the
 * application still waits: those messages take about a hundredth of the time.
 */
#ifndef ZCSI_WAITS_H
#define ZCSI_WAITS_H

#include <stdbool.h>
#include <stdint.h>

/* Of a connection. Times are microseconds and wrap. */
struct waits {
	uint32_t sent;	  /* when the last message was lent, or copying began */
	uint32_t latency; /* until it came back; 0: not yet, or there was none */
	uint32_t vain;	  /* times that the application had asked for events in vain by then */
	uint8_t nr;	  /* times in a row that it waited */
	bool copying;
	bool received; /* something, since then */
};

/*
 * A message that could be lent, with nothing else out; copy: what a copy takes. Returns whether to
 * copy it.
 */
bool waits_copy(struct waits *w, uint32_t now, uint32_t vain, uint32_t copy);
/* It was lent whole. */
void waits_sent(struct waits *w, uint32_t now, uint32_t vain);
/* Messages came back. */
void waits_back(struct waits *w, uint32_t now);

/* Whether waits_back has something to learn. */
static inline bool waits_for_it(const struct waits *w)
{
	return !w->latency && w->sent && !w->copying;
}

#endif
