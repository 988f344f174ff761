// SPDX-License-Identifier: MIT
#include "waits.h"

#define NR_SURE	      8
#define AT_ONCE	      4 /* the next send comes within this part of the latency */
#define WORTH	      2 /* times what a copy takes */
#define SHARE	      100
#define PAUSE_MIN     100000u	/* us */
#define PAUSE_MAX     10000000u /* us: what changes is seen in seconds */
#define NEVER_ZERO(t) ((t) ? (t) : 1)

static bool waited(const struct waits *w, uint32_t now, uint32_t vain, uint32_t copy)
{
	uint32_t since = now - w->sent - w->latency;

	return w->latency && !w->received && vain != w->vain && w->latency / WORTH > copy &&
	       since <= w->latency / AT_ONCE;
}

static uint32_t pause_of(const struct waits *w)
{
	if (w->latency > PAUSE_MAX / SHARE)
		return PAUSE_MAX;
	return w->latency < PAUSE_MIN / SHARE ? PAUSE_MIN : w->latency * SHARE;
}

bool waits_copy(struct waits *w, uint32_t now, uint32_t vain, uint32_t copy)
{
	if (w->copying) {
		w->copying = (int32_t)(now - w->sent) < (int32_t)pause_of(w);
		w->latency = w->copying ? w->latency : 0; /* known when this message is back */
		return w->copying;
	}
	if (!waited(w, now, vain, copy)) {
		w->nr = 0;
		return false;
	}
	if (w->nr < NR_SURE - 1) {
		w->nr++;
		return false;
	}
	w->copying = true;
	w->sent = now;
	return true;
}

void waits_sent(struct waits *w, uint32_t now, uint32_t vain)
{
	w->sent = NEVER_ZERO(now);
	w->latency = 0;
	w->vain = vain;
	w->received = false;
}

void waits_back(struct waits *w, uint32_t now)
{
	w->latency = NEVER_ZERO(now - w->sent);
}
