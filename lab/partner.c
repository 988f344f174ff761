/* SPDX-License-Identifier: MIT */
#include "partner.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control.h"
#include "net.h"
#include "partner.skel.h"
#include "pattern.h"

#define SPIN_NS	   200000   /* without traffic, before it sleeps */
#define NAP_NS	   10000000 /* the longest sleep: see rest() */
#define LOOK_NS	   1000000  /* how often the control port is looked at while there is traffic */
#define LATE_FLOOR 100000   /* by how much a reordered packet is late, at the least */

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* ---- flows ------------------------------------------------------------------- */

static struct flow **slot(struct partner *p, const struct lab_segment *seg)
{
	return &p->by_port[seg->service == LAB_PORT_SOURCE][seg->v6][seg->port];
}

static void close_flow(struct partner *p, unsigned n)
{
	struct flow *f = p->live[n];

	p->by_port[f->service == LAB_PORT_SOURCE][f->v6][f->port] = NULL;
	p->live[n] = p->live[--p->nr_live];
	flow_close(f);
	free(f);
}

static void open_flow(struct partner *p, const struct lab_segment *syn)
{
	struct flow **at = slot(p, syn);

	if (!*at) {
		if (p->nr_live == PARTNER_FLOWS)
			return;
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return;
		p->live[p->nr_live++] = *at;
	}
	flow_close(*at);
	flow_open(*at, &p->world, syn);
}

/* Nobody is there: what a kernel answers (RFC 9293, 3.10.7.1). */
static void refuse(struct partner *p, const struct lab_segment *seg)
{
	struct frame rst = {
		.port = seg->port,
		.service = seg->service,
		.v6 = seg->v6,
		.flags = TH_RST,
		.seq = seg->ack,
	};

	if (seg->flags & TH_RST)
		return;
	p->world.stats.resets++;
	frames_put(&p->world.frames, &rst);
}

/* ---- what arrives --------------------------------------------------------------- */

static void deliver(struct partner *p, const struct lab_segment *seg)
{
	struct flow *f = *slot(p, seg);

	if ((seg->flags & (TH_SYN | TH_ACK | TH_RST)) == TH_SYN && f && f->irs == seg->seq)
		flow_answer_again(f);
	else if ((seg->flags & (TH_SYN | TH_ACK | TH_RST)) == TH_SYN)
		open_flow(p, seg);
	else if (f)
		flow_input(f, seg, p->now);
	else
		refuse(p, seg);
}

static void travel(struct partner *p, const struct lab_segment *seg, bool late)
{
	uint64_t rtt = p->world.behave.rtt;
	uint64_t delay = rtt / 4 > LATE_FLOOR ? rtt / 4 : LATE_FLOOR;

	if (rtt == 0 && !late && line_next(&p->line) == UINT64_MAX)
		deliver(p, seg);
	else if (!line_put(&p->line, seg, p->now + rtt + (late ? delay : 0), late))
		p->world.stats.lost++;
}

/*
 * One packet of those that a card would have made of it. They are counted off the start of the
 * stream, so that what befalls a byte does not depend on how the sender cut its stream this time.
 */
static void one_packet(struct partner *p, struct flow *f, const struct lab_segment *seg,
		       uint64_t number)
{
	const struct behave *b = &p->world.behave;
	bool first = flow_first(f, number);

	if (first && flow_fate(f, number, b->loss, FLOW_LOSS)) {
		p->world.stats.lost++;
	} else if (first && flow_fate(f, number, b->reorder, FLOW_REORDER)) {
		p->world.stats.reordered++;
		travel(p, seg, true);
	} else {
		travel(p, seg, false);
	}
}

static void many_packets(struct partner *p, struct flow *f, const struct lab_segment *whole)
{
	uint64_t from = flow_offset(f, whole->seq), end = from + whole->len;
	uint64_t mss = f->mss;

	while (from < end) {
		struct lab_segment seg = *whole;
		uint64_t to = (from / mss + 1) * mss;

		if (to > end)
			to = end;
		seg.seq = whole->seq + (uint32_t)(from + whole->len - end);
		seg.len = (uint32_t)(to - from);
		if (to < end)
			seg.flags &= (uint8_t)~TH_FIN;
		one_packet(p, f, &seg, from / mss);
		from = to;
	}
}

static int on_segment(void *ctx, void *data, size_t size)
{
	const struct lab_segment *seg = data;
	struct partner *p = ctx;
	struct flow *f = *slot(p, seg);

	(void)size;
	/* What is in a packet is looked at before the packet is acknowledged. */
	if (p->world.behave.verify && seg->len > 0)
		(void)ring_buffer__consume(p->payloads);
	if (f && seg->len > 0 && (p->world.behave.loss > 0 || p->world.behave.reorder > 0))
		many_packets(p, f, seg);
	else
		travel(p, seg, false);
	return 0;
}

/*
 * Nothing says where in the pattern a datagram belongs, and they overtake one another. Mostly it is
 * behind the one before it; otherwise anywhere.
 */
static void on_datagram(struct partner *p, const struct lab_payload *payload)
{
	const uint8_t *pattern = p->world.pattern, *at = pattern_at(pattern, p->datagram_at);
	size_t len = payload->len;

	if (memcmp(at, payload->bytes, len) != 0)
		at = memmem(pattern, PATTERN_PERIOD + PATTERN_PIECE, payload->bytes, len);
	if (!at) {
		p->world.stats.wrong += len;
		return;
	}
	p->world.stats.verified += len;
	p->datagram_at = (uint64_t)(at - pattern) + len;
}

/*
 * What was acknowledged is the sender's again, so only what is not may be looked at. The payload of
 * a packet is read as it leaves, so memory that was given back too early shows when it is sent
 * again.
 */
static int on_payload(void *ctx, void *data, size_t size)
{
	const struct lab_payload *payload = data;
	struct partner *p = ctx;
	struct flow *f = p->by_port[0][payload->v6][payload->port];
	uint64_t off, skip, good;

	(void)size;
	if (payload->udp)
		on_datagram(p, payload);
	if (payload->udp || !f)
		return 0;
	off = flow_offset(f, payload->seq);
	skip = off < f->in.acked ? f->in.acked - off : 0;
	if (skip >= payload->len)
		return 0;
	good = pattern_check(p->world.pattern, off + skip, payload->bytes + skip,
			     payload->len - skip);
	p->world.stats.verified += good;
	p->world.stats.wrong += payload->len - skip - good;
	return 0;
}

/* ---- the control port's wishes ---------------------------------------------------- */

void partner_reset_all(struct partner *p)
{
	for (unsigned i = 0; i < p->nr_live; i++)
		flow_reset(p->live[i]);
}

void partner_behave(struct partner *p, const struct behave *behave)
{
	p->world.behave = *behave;
	p->bpf->bss->verify = behave->verify;
	for (unsigned i = 0; i < p->nr_live; i++)
		flow_say_window(p->live[i]);
}

void partner_stats(const struct partner *p, char *out, size_t len)
{
	const struct flow_stats *s = &p->world.stats;

	snprintf(out, len,
		 "connections=%llu open=%u received=%llu duplicate=%llu sent=%llu resent=%llu "
		 "acks=%llu lost=%llu reordered=%llu resets=%llu udp_packets=%llu udp_bytes=%llu "
		 "overflow=%llu verified=%llu wrong=%llu",
		 (unsigned long long)s->flows, p->nr_live, (unsigned long long)s->received,
		 (unsigned long long)s->duplicate, (unsigned long long)s->sent,
		 (unsigned long long)s->resent, (unsigned long long)s->acks,
		 (unsigned long long)s->lost, (unsigned long long)s->reordered,
		 (unsigned long long)s->resets, (unsigned long long)p->bpf->bss->udp_packets,
		 (unsigned long long)p->bpf->bss->udp_bytes,
		 (unsigned long long)p->bpf->bss->overflow, (unsigned long long)s->verified,
		 (unsigned long long)s->wrong);
}

/* ---- opening ------------------------------------------------------------------------ */

static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level;
	(void)fmt;
	(void)args;
	return 0;
}

static int fail(char *why, size_t len, const char *what, int r)
{
	snprintf(why, len, "%s: %s", what, strerror(-r));
	return r;
}

static int attach(struct partner *p, int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(p->bpf->progs.partner_ingress));
	int r = bpf_tc_hook_create(&hook);

	return r < 0 ? r : bpf_tc_attach(&hook, &opts);
}

int partner_open(struct partner *p, const struct behave *behave, char *why, size_t len)
{
	int ifindex = (int)if_nametoindex(LAB_FAR_DEVICE);
	int r;

	p->world.behave = *behave;
	p->world.pattern = pattern_new();
	if (!p->world.pattern)
		return fail(why, len, "memory", -ENOMEM);
	r = frames_open(&p->world.frames, ifindex);
	if (r < 0)
		return fail(why, len, "opening a packet socket", r);
	libbpf_set_print(quiet);
	p->bpf = partner_bpf__open_and_load();
	if (!p->bpf)
		return fail(why, len, "loading a BPF program", -errno);
	p->bpf->bss->verify = behave->verify;
	p->payloads = ring_buffer__new(bpf_map__fd(p->bpf->maps.payloads), on_payload, p, NULL);
	p->ring = ring_buffer__new(bpf_map__fd(p->bpf->maps.segments), on_segment, p, NULL);
	if (!p->ring || !p->payloads)
		return fail(why, len, "mapping a BPF ring buffer", -errno);
	r = attach(p, ifindex);
	return r < 0 ? fail(why, len, "attaching a BPF program", r) : 0;
}

/* ---- the loop ------------------------------------------------------------------------- */

/* Everything there is to do; *due_out is when there will be more. Whether there was anything. */
static bool work(struct partner *p, uint64_t *due_out)
{
	struct lab_segment seg;
	bool busy;
	uint64_t due;

	p->now = clock_ns();
	busy = ring_buffer__consume(p->ring) > 0;
	if (p->world.behave.verify) /* of datagrams nothing else tells */
		busy |= ring_buffer__consume(p->payloads) > 0;
	while (line_take(&p->line, p->now, &seg)) {
		deliver(p, &seg);
		busy = true;
	}
	due = line_next(&p->line);
	for (unsigned i = 0; i < p->nr_live;) {
		uint64_t next = flow_tick(p->live[i], p->now);

		if (next < due)
			due = next;
		if (p->live[i]->gone)
			close_flow(p, i);
		else
			i++;
	}
	busy = busy || p->world.frames.nr > 0;
	frames_flush(&p->world.frames);
	*due_out = due;
	return busy;
}

/*
 * Until `due`, a packet, or somebody at the control port. A packet whose record was begun before
 * `asleep` was set, and finished after the ring was looked at, wakes nobody: so no sleep is long.
 */
static void rest(struct partner *p, struct control *control, uint64_t due)
{
	uint64_t ns = due > p->now ? due - p->now : 0;
	struct timespec wait = { .tv_nsec = (long)(ns < NAP_NS ? ns : NAP_NS) };

	__atomic_store_n(&p->bpf->bss->asleep, 1, __ATOMIC_SEQ_CST);
	if (ring_buffer__consume(p->ring) > 0)
		wait.tv_nsec = 0;
	control_wait(control, &wait);
	__atomic_store_n(&p->bpf->bss->asleep, 0, __ATOMIC_SEQ_CST);
}

int partner_run(struct partner *p, int parent, int listener)
{
	struct control control;
	uint64_t due, active = 0, looked = 0;
	int r = control_open(&control, p, parent, listener, ring_buffer__epoll_fd(p->ring));

	while (r == 0 && !control.parent_gone) {
		bool busy = work(p, &due);

		if (busy)
			active = p->now;
		if (!busy && p->now - active > SPIN_NS && due > p->now + SPIN_NS) {
			rest(p, &control, due);
		} else if (p->now - looked > LOOK_NS) {
			looked = p->now;
			control_wait(&control, &(struct timespec){ 0 });
		}
	}
	return r;
}
