/* SPDX-License-Identifier: MIT */
/*
 * simk_tx.c - sending, the peer's side of it, and completion
 *
 * acked <= delivered <= sent <= end. What is sent is as much as the congestion window lets out;
 * the peer takes it in steps and acknowledges at once or later. A piece is let go when it is
 * acknowledged whole and no qdisc holds it; an object is complete when its last piece is.
 */
#include "simk_int.h"

#include <netinet/tcp.h>
#include <unistd.h>

/* ---- what the stream must be ----------------------------------------------------------------- */

void sim_expect(struct sim_tcp *s, uint64_t len, uint32_t key, uint64_t pos)
{
	struct expect *last = s->nr_expects ? &s->expects[s->nr_expects - 1] : NULL;
	uint64_t at = last ? last->at + last->len : 0;

	if (!len)
		return;
	if (s->nr_expects == s->max_expects) {
		s->max_expects = 2 * s->max_expects + 16;
		s->expects = realloc(s->expects, s->max_expects * sizeof(*s->expects));
	}
	s->expects[s->nr_expects++] = (struct expect){ at, len, pos, key, 0 };
}

void sim_unexpect(struct sim_tcp *s, uint64_t len)
{
	while (len) {
		struct expect *last = &s->expects[s->nr_expects - 1];
		uint64_t n = len < last->len ? len : last->len;

		last->len -= n;
		len -= n;
		if (!last->len)
			s->nr_expects--;
		if (last->at + last->len < s->end)
			sim_fail("socket %d: bytes were sent of a message that was refused", s->id);
	}
}

uint64_t sim_undone(const struct sim_tcp *s)
{
	const struct expect *last = s->nr_expects ? &s->expects[s->nr_expects - 1] : NULL;

	return last ? last->at + last->len - s->end : 0;
}

static const struct expect *expect_at(const struct sim_tcp *s, uint64_t pos)
{
	size_t lo = 0, hi = s->nr_expects;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (s->expects[mid].at + s->expects[mid].len <= pos)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->nr_expects ? &s->expects[lo] : NULL;
}

static void check_bytes(const struct sim_tcp *s, const char *mem, uint64_t pos, uint64_t len,
			const char *why)
{
	while (len) {
		const struct expect *x = expect_at(s, pos);
		uint64_t n, bad;

		if (!x)
			sim_fail("socket %d: byte %llu was not to be sent (%s)", s->id,
				 (unsigned long long)pos, why);
		n = x->at + x->len - pos < len ? x->at + x->len - pos : len;
		bad = sim_differs(mem, n, x->key, x->pos + pos - x->at);
		if (bad < n)
			sim_fail("socket %d: WRONG BYTE %llu of the stream (%s): %02x; end %llu, "
				 "delivered %llu, acked %llu",
				 s->id, (unsigned long long)(pos + bad), why,
				 (unsigned char)mem[bad], (unsigned long long)s->end,
				 (unsigned long long)s->delivered, (unsigned long long)s->acked);
		mem += n;
		pos += n;
		len -= n;
	}
}

/* ---- pieces and objects ---------------------------------------------------------------------- */

static void read_file_piece(struct piece *p, uint64_t from, uint64_t to, const char *why)
{
	char buf[16384];

	while (from < to) {
		size_t n = to - from < sizeof(buf) ? to - from : sizeof(buf);

		if (pread(p->file, buf, n, (off_t)(p->file_off + from - p->pos)) != (ssize_t)n)
			sim_fail("socket %d: the file shrank under sendfile", p->s->id);
		check_bytes(p->s, buf, from, n, why);
		from += n;
	}
}

/*
 * Reads the part of the piece in [from, to) of the stream from the program's memory, and
 * compares.
 */
void kpiece_read(struct piece *p, uint64_t from, uint64_t to, const char *why)
{
	uint64_t at = p->pos;

	if (from < p->pos)
		from = p->pos;
	if (to > p->pos + p->len)
		to = p->pos + p->len;
	if (p->file >= 0)
		read_file_piece(p, from, to, why);
	for (unsigned i = 0; i < p->nr_refs && at < to; i++) {
		const struct ref *r = &p->refs[i];
		uint64_t a = from > at ? from : at, b = to < at + r->len ? to : at + r->len;

		if (a < b)
			check_bytes(p->s, (r->own ? r->own : r->ptr) + (a - at), a, b - a, why);
		at += r->len;
	}
}

static void obj_put(struct zobj *obj, bool dead)
{
	if (!obj || --obj->refs)
		return;
	sim.locked_pages -= obj->pages;
	if (obj->s->tail_obj == obj)
		obj->s->tail_obj = NULL;
	if (sim_pct(obj->s->k.copied_pct))
		obj->copied = true;
	if (obj->req) {
		kring_complete(obj);
		return;
	}
	if (dead || !obj->s->file)
		obj->s->optmem -= SIM_OPT_SIZE;
	else
		kerrq_complete(obj->s, obj);
	free(obj);
}

void kobj_put(struct zobj *obj)
{
	obj_put(obj, false);
}

static void piece_free(struct piece *p, bool silently)
{
	kpiece_read(p, p->pos, p->pos + p->len, "the last read");
	for (unsigned i = 0; i < p->nr_refs; i++)
		free(p->refs[i].own);
	if (p->file >= 0)
		close(p->file);
	list_del(&p->list);
	obj_put(p->obj, silently);
	free(p->refs);
	free(p);
}

static void let_go(void *arg)
{
	struct sim_tcp *s = arg;
	struct list *e, *next;

	for (e = s->held.next; e != &s->held; e = next) {
		struct piece *p = container_of(e, struct piece, list);

		next = e->next;
		if (p->hold_until <= sim.now)
			piece_free(p, false);
	}
}

void sim_let_go(struct sim_tcp *s)
{
	struct list *e;

	for (e = s->pieces.next; e != &s->pieces; e = e->next)
		container_of(e, struct piece, list)->hold = false;
	for (e = s->held.next; e != &s->held; e = e->next)
		container_of(e, struct piece, list)->hold_until = 0;
	let_go(s);
}

/* The socket is done with it; a clone in a qdisc keeps the pages and the object. */
static void piece_done(struct piece *p)
{
	struct sim_tcp *s = p->s;

	if (!p->hold || p->pos >= s->sent) {
		piece_free(p, false);
		return;
	}
	list_del(&p->list);
	list_add_tail(&s->held, &p->list);
	if (p->hold_until <= sim.now)
		p->hold_until = sim.now;
	if (p->hold_until != UINT64_MAX)
		sim_at(p->hold_until - sim.now, let_go, s);
}

unsigned sim_tcp_refs(const struct sim_tcp *s)
{
	unsigned n = 0;

	for (struct list *e = s->pieces.next; e != &s->pieces; e = e->next)
		n++;
	for (struct list *e = s->held.next; e != &s->held; e = e->next)
		n++;
	return n;
}

void ktx_purge(struct sim_tcp *s)
{
	struct list *e, *next;

	for (int round = 0; round < 2; round++) {
		for (e = s->pieces.next; e != &s->pieces; e = next) {
			struct piece *p = container_of(e, struct piece, list);

			next = e->next;
			if (round || p->pos >= s->sent)
				piece_done(p);
		}
	}
	s->tail_obj = NULL;
}

void ktx_free(struct sim_tcp *s)
{
	while (!list_is_empty(&s->pieces))
		piece_free(container_of(s->pieces.next, struct piece, list), true);
	while (!list_is_empty(&s->held))
		piece_free(container_of(s->held.next, struct piece, list), true);
}

/* ---- the peer -------------------------------------------------------------------------------- */

bool ktx_writable(const struct sim_tcp *s)
{
	return s->end - s->acked < s->k.sndbuf;
}

void ktx_deliver(struct sim_tcp *s, uint64_t pos)
{
	for (struct list *e = s->pieces.next; e != &s->pieces; e = e->next) {
		struct piece *p = container_of(e, struct piece, list);

		if (p->pos < pos && p->pos + p->len > s->delivered)
			kpiece_read(p, s->delivered, pos, "delivered");
	}
	s->delivered = pos;
}

void ktx_ack(struct sim_tcp *s, uint64_t pos)
{
	struct list *e, *next;

	s->acked = pos;
	for (e = s->pieces.next; e != &s->pieces; e = next) {
		struct piece *p = container_of(e, struct piece, list);

		next = e->next;
		if (p->pos + p->len <= pos)
			piece_done(p);
	}
	if (s->nospace && s->end - s->acked <= s->k.sndbuf - s->k.sndbuf / 3) {
		s->nospace = false;
		ktcp_wake(s, EPOLLOUT);
	}
}

void sim_peer_ack(struct sim_tcp *s, uint64_t pos)
{
	if (s->sent < pos)
		s->sent = pos;
	if (s->delivered < pos)
		ktx_deliver(s, pos);
	ktx_ack(s, pos);
}

void sim_peer_silence(struct sim_tcp *s, bool silent)
{
	s->k.silent = silent;
	ktx_kick(s);
}

/* Retransmission: any piece that is not let go may be read again. */
static void reread(struct sim_tcp *s)
{
	struct list *heads[2] = { &s->pieces, &s->held };
	unsigned nr = sim_tcp_refs(s), pick = sim_rnd(nr), at = 0;

	for (int h = 0; nr && h < 2; h++) {
		for (struct list *e = heads[h]->next; e != heads[h]; e = e->next) {
			struct piece *p = container_of(e, struct piece, list);

			if (at++ == pick)
				kpiece_read(p, p->pos, p->pos + p->len, "read again");
		}
	}
}

static uint64_t may_send(struct sim_tcp *s)
{
	uint64_t end = s->end;

	if (s->corked && sim.now < s->cork_until && !s->fin_queued)
		end = s->pushed > s->end - s->end % 1448 ? s->pushed : s->end - s->end % 1448;
	if (end > s->acked + s->k.cwnd)
		end = s->acked + s->k.cwnd;
	return end > s->sent ? end : s->sent;
}

static void finish_tx(struct sim_tcp *s)
{
	if (!s->fin_queued || s->acked < s->end || s->fin_acked)
		return;
	s->peer_fin_seen = s->fin_acked = true;
	/* FIN_WAIT2, or TIME_WAIT, or gone */
	s->state = s->fin_in ? TCP_CLOSE : TCP_FIN_WAIT2;
	ktcp_wake(s, s->fin_in ? 0 : EPOLLOUT);
}

static void peer_step(void *arg)
{
	struct sim_tcp *s = arg;
	uint64_t to;

	s->stepping = false;
	if (s->k.silent || s->peer_reset_seen)
		return;
	s->sent = may_send(s);
	if (s->delivered < s->sent) {
		to = s->delivered + 1 + sim_rnd(s->k.ack_max);
		ktx_deliver(s, to < s->sent ? to : s->sent);
	}
	if (sim_pct(s->k.reread_pct))
		reread(s);
	to = s->delivered;
	if (sim_pct(s->k.lag_pct) && to > s->acked)
		to = s->acked + sim_rnd((uint32_t)(to - s->acked));
	ktx_ack(s, to);
	finish_tx(s);
	ktx_kick(s);
}

static void uncorked(void *arg)
{
	struct sim_tcp *s = arg;

	if (sim.now >= s->cork_until)
		ktx_kick(s);
}

void ktx_kick(struct sim_tcp *s)
{
	uint64_t in = s->k.ack_min_ns;

	if (s->k.silent && s->state != TCP_SYN_SENT)
		s->sent = may_send(s);
	if (s->stepping || s->k.silent || s->peer_reset_seen || s->state == TCP_SYN_SENT)
		return;
	if (s->acked == s->end && (!s->fin_queued || s->fin_acked))
		return;
	if (s->acked == may_send(s) && s->acked < s->end) {
		/* all that is left is corked; whatever uncorks it kicks, too */
		sim_at(s->cork_until > sim.now ? s->cork_until - sim.now : 0, uncorked, s);
		return;
	}
	if (s->k.ack_max_ns > in)
		in += sim_rnd((uint32_t)(s->k.ack_max_ns - in));
	s->stepping = true;
	sim_at(in, peer_step, s);
}
