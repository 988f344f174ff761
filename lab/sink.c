/* SPDX-License-Identifier: MIT */
/*
 * sink.c - the half of a flow that receives: puts the stream together, acknowledges it, and closes
 * its window, as it was told to
 *
 * Packets of one sender reach us from two processors (its own, and ours, where its kernel sends
 * when an ACK comes in), so they may overtake one another by some microseconds. A gap is a gap only
 * when it lasts.
 */
#include <netinet/tcp.h>

#include "flow.h"

#define GAP_NS	 50000
#define DUPS_MAX 16 /* repeated acknowledgements in one round */

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint16_t sink_window(struct flow *f, uint64_t acked)
{
	const struct behave *b = &f->world->behave;
	uint64_t unit = 1 << FLOW_SCALE;
	uint64_t edge = least(acked + (b->window + unit - 1) / unit * unit, b->zero_window_at);
	uint64_t units;

	if (edge < f->in.edge)
		edge = f->in.edge; /* what was told is not taken back */
	units = edge > acked ? (edge - acked) >> FLOW_SCALE : 0;
	if (units > UINT16_MAX)
		units = UINT16_MAX;
	if (acked + (units << FLOW_SCALE) > f->in.edge)
		f->in.edge = acked + (units << FLOW_SCALE);
	return (uint16_t)units;
}

/* ---- what comes in ---------------------------------------------------------- */

static void advance(struct flow *f, uint64_t to, uint64_t now)
{
	uint64_t next = pieces_take(&f->in.pieces, to);

	if (f->in.next == f->in.acked)
		f->in.since = now;
	if (next > to || f->in.gap)
		f->in.ack_now = true; /* a gap was filled: RFC 5681 wants that said at once */
	f->in.gap = f->in.pieces.nr ? now : 0;
	if (!f->in.gap)
		f->in.dups = 0;
	f->world->stats.received += next - f->in.next;
	f->in.next = next;
}

static void beyond_gap(struct flow *f, uint64_t from, uint64_t to, uint64_t now)
{
	if (!pieces_add(&f->in.pieces, from, to))
		return;
	f->in.last = from;
	f->in.dups++;
	if (!f->in.gap)
		f->in.gap = now;
}

static void data(struct flow *f, uint64_t from, uint64_t to, uint64_t now)
{
	uint64_t end = least(f->in.edge, f->world->behave.silent_at);

	if (from < f->in.next)
		f->world->stats.duplicate += least(to, f->in.next) - from;
	if (to > end) {
		to = end;
		f->in.ack_now = true; /* beyond the window: a probe */
	}
	if (to <= f->in.next)
		f->in.ack_now = true;
	else if (from <= f->in.next)
		advance(f, to, now);
	else if (from < to)
		beyond_gap(f, from, to, now);
}

void sink_input(struct flow *f, const struct lab_segment *seg, uint64_t now)
{
	uint64_t from = flow_offset(f, seg->seq);
	bool fin = seg->flags & TH_FIN;

	if ((int64_t)(from - f->in.next) < 0 && seg->len <= 1 && !fin) {
		f->in.ack_now = true; /* keep-alive, or a window probe */
		return;
	}
	if (fin) {
		f->in.fin = from + seg->len;
		f->in.ack_now = true;
	}
	if (seg->len)
		data(f, from, from + seg->len, now);
}

/* ---- what is acknowledged, and when ------------------------------------------ */

static bool fin_is_here(const struct flow *f)
{
	return f->in.next == f->in.fin;
}

/* How far the next ACK goes. */
static uint64_t reach(struct flow *f, uint64_t now)
{
	const struct behave *b = &f->world->behave;
	uint64_t room = bucket_fill(&f->in.bucket, b->rate, now);
	uint64_t fresh = least(f->in.next - f->in.acked, room);

	f->in.partial = b->partial_ack && !f->in.partial && fresh > 1;
	if (f->in.partial) {
		f->random = f->random * 6364136223846793005u + 1442695040888963407u;
		fresh = 1 + (f->random >> 33) % (fresh - 1);
	}
	return f->in.acked + fresh;
}

static void acknowledge(struct flow *f, uint64_t now)
{
	uint64_t to = reach(f, now);

	bucket_take(&f->in.bucket, f->world->behave.rate, to - f->in.acked);
	f->in.acked = to;
	f->in.fin_acked = to == f->in.fin;
	f->in.since = now;
	f->in.ack_now = false;
	f->world->stats.acks++;
	flow_send(f, TH_ACK, f->out.next + f->out.fin, 0);
}

static void repeat(struct flow *f)
{
	for (unsigned i = 0; i < DUPS_MAX && f->in.dups > 0; i++, f->in.dups--) {
		f->world->stats.acks++;
		flow_send(f, TH_ACK, f->out.next + f->out.fin, 0);
	}
	f->in.dups = 0;
}

/* When bytes are to be acknowledged that nothing has hurried so far. */
static uint64_t ack_due(const struct flow *f, uint64_t now)
{
	const struct behave *b = &f->world->behave;
	uint64_t fresh = f->in.next - f->in.acked, due;

	if (f->in.ack_now)
		return now;
	if (fin_is_here(f) && !f->in.fin_acked)
		due = now;
	else if (fresh == 0)
		return UINT64_MAX;
	else
		due = fresh >= b->ack_bytes ? now : f->in.since + b->ack_time;
	/* A rate lets few bytes through at a time: they are acknowledged some at a time. */
	if (b->rate && fresh > 0)
		due = most(due, bucket_due(&f->in.bucket, b->rate,
					   least(fresh, least(f->mss, b->ack_bytes)), now));
	return due;
}

uint64_t sink_tick(struct flow *f, uint64_t now)
{
	uint64_t due;

	if (f->world->behave.hold_acks)
		return UINT64_MAX;
	if (f->in.dups && f->in.gap && now - f->in.gap >= GAP_NS)
		repeat(f);
	due = ack_due(f, now);
	if (due <= now) {
		acknowledge(f, now);
		due = ack_due(f, now);
	}
	if (f->in.dups && f->in.gap)
		due = least(due, f->in.gap + GAP_NS);
	return due;
}
