/* SPDX-License-Identifier: MIT */
#include "flow.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"

static uint64_t mix(uint64_t x)
{
	/* splitmix64: every bit of the seed reaches every bit of the result */
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

bool flow_fate(const struct flow *f, uint64_t packet, double share, enum flow_fate fate)
{
	uint64_t seed = f->world->behave.seed;

	if (share <= 0)
		return false;
	return (double)mix(mix(mix(seed + fate) + f->number) + packet) < share * (double)UINT64_MAX;
}

bool flow_first(struct flow *f, uint64_t packet)
{
	if (packet / 8 >= f->nr_met) {
		uint64_t nr = 2 * (packet / 8) + 64;
		uint8_t *met = realloc(f->met, nr);

		if (!met)
			return false;
		memset(met + f->nr_met, 0, nr - f->nr_met);
		f->met = met;
		f->nr_met = nr;
	}
	if (f->met[packet / 8] & 1 << packet % 8)
		return false;
	f->met[packet / 8] |= (uint8_t)(1 << packet % 8);
	return true;
}

void flow_close(struct flow *f)
{
	free(f->met);
	f->met = NULL;
}

uint64_t flow_offset(const struct flow *f, uint32_t seq)
{
	uint32_t next = f->irs + 1 + (uint32_t)f->in.next;

	return f->in.next + (uint64_t)(int64_t)(int32_t)(seq - next);
}

/* ---- the rate ------------------------------------------------------------- */

#define BURST_NS 1000000 /* what was not used for longer than this is gone */

uint64_t bucket_fill(struct bucket *b, uint64_t rate, uint64_t now)
{
	uint64_t ns = now - b->last;

	if (rate == 0)
		return UINT64_MAX;
	b->last = now;
	b->tokens += (double)rate * (double)(ns > BURST_NS ? BURST_NS : ns) / 1e9;
	if (b->tokens > (double)rate * BURST_NS / 1e9 + 65536)
		b->tokens = (double)rate * BURST_NS / 1e9 + 65536;
	return b->tokens < 1 ? 0 : (uint64_t)b->tokens;
}

uint64_t bucket_due(const struct bucket *b, uint64_t rate, uint64_t bytes, uint64_t now)
{
	double lacking = (double)bytes - b->tokens;
	double ns = lacking > 0 ? lacking * 1e9 / (double)rate : 0;
	uint64_t due = b->last + (ns > BURST_NS / 2 ? BURST_NS / 2 : (uint64_t)ns);

	return due > now ? due : now;
}

void bucket_take(struct bucket *b, uint64_t rate, uint64_t bytes)
{
	if (rate)
		b->tokens -= (double)bytes;
}

/* ---- packets of ours ------------------------------------------------------- */

/* RFC 2018: the block that came last first. Those that do not fit are told another time. */
size_t flow_options(const struct flow *f, uint8_t *options)
{
	const struct pieces *p = &f->in.pieces;
	uint8_t *at = options + 4;
	unsigned nr = 0;

	if (!f->sack || p->nr == 0)
		return 0;
	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < p->nr && nr < 4; i++) {
			bool last = p->at[i].from <= f->in.last && f->in.last < p->at[i].to;
			uint32_t edges[2] = {
				__builtin_bswap32(f->irs + 1 + (uint32_t)p->at[i].from),
				__builtin_bswap32(f->irs + 1 + (uint32_t)p->at[i].to),
			};

			if (last != (pass == 0))
				continue;
			memcpy(at, edges, sizeof(edges));
			at += sizeof(edges);
			nr++;
		}
	}
	options[0] = options[1] = TCPOPT_NOP;
	options[2] = TCPOPT_SACK;
	options[3] = (uint8_t)(2 + 8 * nr);
	return (size_t)(at - options);
}

void flow_send(struct flow *f, uint8_t flags, uint64_t off, uint64_t len)
{
	uint64_t acked = f->in.acked;
	uint8_t options[40];
	struct frame frame = {
		.port = f->port,
		.service = f->service,
		.v6 = f->v6,
		.flags = flags,
		.window = sink_window(f, acked),
		.seq = f->iss + 1 + (uint32_t)off,
		.ack = f->irs + 1 + (uint32_t)acked + f->in.fin_acked,
		.options = options,
		.payload = len ? pattern_at(f->world->pattern, off) : NULL,
		.len = len,
	};

	if (len == 0 && !(flags & (TH_FIN | TH_RST)))
		frame.nr_options = flow_options(f, options);
	frames_put(&f->world->frames, &frame);
}

void flow_reset(struct flow *f)
{
	flow_send(f, TH_RST | TH_ACK, f->out.next + f->out.fin, 0);
	f->world->stats.resets++;
	f->gone = true;
}

void flow_say_window(struct flow *f)
{
	f->in.ack_now = true;
}

/* ---- opening ---------------------------------------------------------------- */

static void read_options(struct flow *f, const struct lab_segment *syn)
{
	const uint8_t *at = syn->options, *end = at + syn->nr_options;

	while (at < end && *at != TCPOPT_EOL) {
		if (*at == TCPOPT_NOP) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			return;
		if (at[0] == TCPOPT_WINDOW && at[1] == TCPOLEN_WINDOW)
			f->near_scale = at[2] > 14 ? 14 : at[2];
		if (at[0] == TCPOPT_MAXSEG && at[1] == TCPOLEN_MAXSEG && (at[2] || at[3]))
			f->mss = (uint16_t)(at[2] << 8 | at[3]);
		if (at[0] == TCPOPT_SACK_PERMITTED)
			f->sack = true;
		at += at[1];
	}
}

/*
 * Time stamps are not offered, so there are none to be echoed. The segment size is what the pair
 * carries, since the other end of it has the same MTU: the near side bounds it by itself.
 */
static void send_syn_ack(struct flow *f)
{
	static const uint8_t options[] = {
		TCPOPT_MAXSEG,	       4, 0xff,	      0xff,	  TCPOPT_NOP,
		TCPOPT_WINDOW,	       3, FLOW_SCALE, TCPOPT_NOP, TCPOPT_NOP,
		TCPOPT_SACK_PERMITTED, 2,
	};
	uint64_t window = f->world->behave.window;
	struct frame frame = {
		.port = f->port,
		.service = f->service,
		.v6 = f->v6,
		.flags = TH_SYN | TH_ACK,
		/* not scaled yet */
		.window = (uint16_t)(window > 65535 ? 65535 : window),
		.seq = f->iss,
		.ack = f->irs + 1,
		.options = options,
		/* SACK is offered to those that asked only: it stands last */
		.nr_options = f->sack ? sizeof(options) : sizeof(options) - 4,
	};

	if (frame.window > f->world->behave.zero_window_at)
		frame.window = (uint16_t)f->world->behave.zero_window_at;
	if (f->in.edge < frame.window)
		f->in.edge = frame.window;
	frames_put(&f->world->frames, &frame);
}

void flow_answer_again(struct flow *f)
{
	if (!f->open)
		send_syn_ack(f);
}

void flow_open(struct flow *f, struct world *world, const struct lab_segment *syn)
{
	*f = (struct flow){
		.world = world,
		.number = world->stats.flows++,
		.port = syn->port,
		.service = syn->service,
		.v6 = syn->v6,
		.irs = syn->seq,
		.in.fin = BEHAVE_NEVER,
		.mss = 536, /* RFC 9293, 3.7.1, when none is said */
		.out.edge = syn->window,
	};
	f->iss = (uint32_t)mix(world->behave.seed + f->number);
	f->random = mix(f->iss);
	read_options(f, syn);
	send_syn_ack(f);
}

/* ---- every packet, every round ------------------------------------------------ */

static bool is_silent(const struct flow *f)
{
	uint64_t at = f->world->behave.silent_at;

	return f->service == LAB_PORT_SINK ? f->in.acked >= at : f->out.next >= at;
}

void flow_input(struct flow *f, const struct lab_segment *seg, uint64_t now)
{
	if (seg->flags & TH_RST) {
		f->gone = true;
		return;
	}
	if (seg->flags & TH_ACK && seg->ack == f->iss + 1)
		f->open = true;
	if (!f->open || is_silent(f))
		return;
	source_input(f, seg, now);
	sink_input(f, seg, now);
}

uint64_t flow_tick(struct flow *f, uint64_t now)
{
	uint64_t reached = f->service == LAB_PORT_SINK ? f->in.next : f->out.next;
	uint64_t due, later;

	if (f->gone || !f->open || is_silent(f))
		return UINT64_MAX;
	if (reached >= f->world->behave.rst_at) {
		flow_reset(f);
		return UINT64_MAX;
	}
	due = sink_tick(f, now);
	later = source_tick(f, now);
	if (f->in.fin_acked && f->out.fin_acked)
		f->gone = true;
	return later < due ? later : due;
}
