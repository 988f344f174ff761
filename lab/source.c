/* SPDX-License-Identifier: MIT */
/*
 * source.c - the half of a flow that sends: the source's stream, and the FIN of either service
 *
 * Frames that are lost are sent again as RFC 6582 (NewReno) says. There is no congestion control:
 * the receiver's window is the only bound.
 */
#include <netinet/tcp.h>

#include "flow.h"

#define BURST	   FRAMES_MAX /* frames of one flow in its turn */
#define WAIT_FLOOR 50000000   /* ns */
#define WAIT_CEIL  1000000000

/* Where the stream ends, and whether it is there by then. */
static uint64_t end_of_stream(const struct flow *f)
{
	return f->service == LAB_PORT_SOURCE ? f->world->behave.length : 0;
}

static void set_timer(struct flow *f, uint64_t now)
{
	f->out.timer = now + f->out.wait;
}

static void reset_timer(struct flow *f, uint64_t now)
{
	f->out.wait = WAIT_FLOOR + 2 * f->world->behave.rtt;
	set_timer(f, now);
}

/* ---- frames ------------------------------------------------------------------ */

static uint64_t payload(const struct flow *f)
{
	return least(f->world->behave.payload, f->mss);
}

static void send_again(struct flow *f)
{
	uint64_t end = f->out.next;

	if (f->out.una < end) {
		flow_send(f, TH_ACK, f->out.una, least(payload(f), end - f->out.una));
		f->world->stats.resent++;
	} else if (f->out.fin) {
		flow_send(f, TH_FIN | TH_ACK, f->out.una, 0);
	} else {
		/* Of the byte before: whoever has it answers with the window. */
		flow_send(f, TH_ACK, f->out.una - 1, 0);
	}
}

static void send_new(struct flow *f, uint64_t off, uint64_t len)
{
	struct world *w = f->world;

	if (off % payload(f) == 0 && flow_fate(f, off, w->behave.loss, FLOW_LOSS))
		w->stats.lost++;
	else
		flow_send(f, TH_ACK, off, len);
}

/*
 * Up to where a frame may reach that begins at `off`; `off`: not now. Full frames end at multiples
 * of their length, and one that the window cuts has to wait while something is on its way (RFC
 * 9293, 3.8.6.2.1).
 */
static uint64_t limit(const struct flow *f, uint64_t off)
{
	const struct behave *b = &f->world->behave;
	uint64_t end = least(least(b->length, b->silent_at), b->rst_at);

	end = least(end, (off / payload(f) + 1) * payload(f));
	if (end <= f->out.edge)
		return end;
	return f->out.una < off ? off : f->out.edge;
}

/* One frame, or two in the wrong order; how many bytes. */
static uint64_t send_next(struct flow *f, uint64_t room)
{
	struct world *w = f->world;
	uint64_t off = f->out.next, end = limit(f, off), then = limit(f, end);

	if (end <= off || end - off > room)
		return 0;
	if (then > end && off % payload(f) == 0 &&
	    flow_fate(f, off, w->behave.reorder, FLOW_SWAP)) {
		w->stats.reordered++;
		send_new(f, end, then - end);
	} else {
		then = end;
	}
	send_new(f, off, end - off);
	return then - off;
}

static void send_stream(struct flow *f, uint64_t now)
{
	struct world *w = f->world;
	uint64_t room = bucket_fill(&f->out.bucket, w->behave.rate, now);

	for (unsigned i = 0; i < BURST; i++) {
		uint64_t len = send_next(f, room);

		if (len == 0)
			break;
		if (f->out.una == f->out.next)
			reset_timer(f, now);
		f->out.next += len;
		w->stats.sent += len;
		room -= least(room, len);
		bucket_take(&f->out.bucket, w->behave.rate, len);
	}
}

/* The sink ends its stream when the near side ended its own, the source where it was told to. */
static void send_fin(struct flow *f, uint64_t now)
{
	bool is_end = f->out.next >= end_of_stream(f);

	if (f->out.fin || !is_end || (f->service == LAB_PORT_SINK && !f->in.fin_acked))
		return;
	f->out.fin = true;
	reset_timer(f, now);
	flow_send(f, TH_FIN | TH_ACK, f->out.next, 0);
}

/* ---- what the near side acknowledges ------------------------------------------ */

static uint64_t acked_offset(const struct flow *f, uint32_t ack)
{
	uint32_t una = f->iss + 1 + (uint32_t)f->out.una;

	return f->out.una + (uint64_t)(int64_t)(int32_t)(ack - una);
}

static void progress(struct flow *f, uint64_t to, uint64_t now)
{
	if (f->out.fin && to > f->out.next) {
		f->out.fin_acked = true;
		to = f->out.next;
	}
	f->out.una = to;
	f->out.dups = 0;
	reset_timer(f, now);
	if (to < f->out.recover)
		send_again(f); /* the next gap of the same loss */
}

static void repeated(struct flow *f)
{
	if (++f->out.dups != 3 || f->out.una < f->out.recover)
		return;
	f->out.recover = f->out.next;
	send_again(f);
}

void source_input(struct flow *f, const struct lab_segment *seg, uint64_t now)
{
	uint64_t to = acked_offset(f, seg->ack);
	uint64_t edge = to + ((uint64_t)seg->window << f->near_scale);
	bool opens = edge > f->out.edge;

	if (!(seg->flags & TH_ACK) || (int64_t)(to - f->out.una) < 0 ||
	    to > f->out.next + f->out.fin)
		return;
	if (opens)
		f->out.edge = edge;
	if (to > f->out.una)
		progress(f, to, now);
	else if (!opens && seg->len == 0 && f->out.una < f->out.next)
		repeated(f);
}

uint64_t source_tick(struct flow *f, uint64_t now)
{
	bool waits;

	if (f->service == LAB_PORT_SOURCE && !f->out.fin)
		send_stream(f, now);
	send_fin(f, now);
	waits = f->out.una < f->out.next || (f->out.fin && !f->out.fin_acked) ||
		(f->service == LAB_PORT_SOURCE && !f->out.fin && f->out.edge <= f->out.next);
	if (!waits)
		f->out.timer = 0;
	else if (!f->out.timer)
		reset_timer(f, now);
	if (waits && now >= f->out.timer) {
		f->out.recover = f->out.next;
		f->out.wait = least(2 * f->out.wait, WAIT_CEIL + 2 * f->world->behave.rtt);
		set_timer(f, now);
		send_again(f);
	}
	if (f->service == LAB_PORT_SOURCE && !f->out.fin && limit(f, f->out.next) > f->out.next)
		return now; /* more can be sent at once */
	return waits ? f->out.timer : UINT64_MAX;
}
