// SPDX-License-Identifier: MIT
/*
 * reap.c - reads the error queue
 *
 * Always without waiting, never with MSG_PEEK (on this queue a peek consumes: guard 7), with a
 * control buffer that holds the longest notification and a timestamp beside it (guard 6).
 */
#include "conn.h"
#include "sys.h"

#include <errno.h>

#define SOME_MESSAGES 32
#define SOME_CALLS    8

static void foreign(struct zcs_conn *c, const struct msghdr *mh, size_t payload_len)
{
	if (c->foreign)
		c->foreign(c->user, mh, payload_len);
	else
		c->stats.foreign_dropped++;
}

/*
 * Notifications that cannot be believed: nothing is lent any more. If our count was wrong, what is
 * out stays out until the close.
 */
static void distrust(struct zcs_conn *c)
{
	c->no_lend = ZCS_R_DISTRUST;
}

static void notified(struct zcs_conn *c, const struct errq_note *note)
{
	struct ledger_settled s;

	if (c->ledger.distrust) /* no more of them */
		return;
	s = ledger_settle(&c->ledger, note->lo, note->hi);
	if (c->ledger.distrust)
		distrust(c);
	if (!s.fresh)
		return;
	policy_notified(conn_path(c), s.fresh, note->copied, c->ctx->now_ns);
	if (note->copied)
		c->tx_reason = conn_why_copied(c);
	tx_settled(c, s.lo, s.hi, note->copied);
}

static void take(struct zcs_conn *c, const struct msghdr *mh, size_t payload_len)
{
	struct errq_note note = errq_parse(mh);

	switch (note.kind) {
	case ERRQ_ZEROCOPY:
		c->stats.tx_notifications++;
		if (c->ring || conn_has_past(c)) /* none of ours come here */
			foreign(c, mh, payload_len);
		else if (!c->adoption)
			notified(c, &note);
		else if (c->adoption->probe)
			adopt_note(c, &note);
		else
			foreign(c, mh, payload_len);
		break;
	case ERRQ_TRUNCATED:
		distrust(c);
		break;
	case ERRQ_FOREIGN:
		foreign(c, mh, payload_len);
		break;
	}
}

/* One message mostly tells of many calls; where they do not merge, beside time stamps, read on. */
void reap_some(struct zcs_conn *c)
{
	for (int i = 0; i < SOME_MESSAGES; i++) {
		uint64_t out = ledger_out(&c->ledger);

		if (!reap(c, 1) || out - ledger_out(&c->ledger) >= SOME_CALLS)
			break;
	}
}

static int read_queue(struct zcs_conn *c, unsigned max)
{
	struct zcs_ctx *ctx = c->ctx;
	int n = 0;

	while (max--) {
		struct iovec payload = { ctx->payload, sizeof(ctx->payload) };
		struct msghdr mh = {
			.msg_iov = &payload,
			.msg_iovlen = 1,
			.msg_control = ctx->control,
			.msg_controllen = GUARD(6) ? sizeof(ctx->control) : 48,
		};
		ssize_t r;

		if (!GUARD(7)) {
			struct msghdr peek = mh;

			if (zcsi_sys->recvmsg(c->fd, &peek,
					      MSG_ERRQUEUE | MSG_DONTWAIT | MSG_PEEK) < 0)
				break;
		}
		r = zcsi_sys->recvmsg(c->fd, &mh, MSG_ERRQUEUE | MSG_DONTWAIT);
		if (r < 0)
			break;
		take(c, &mh, r);
		n++;
	}
	return n;
}

/* Notifications are a part of what flagged calls cost. */
static int read_measured(struct zcs_conn *c, unsigned max)
{
	uint64_t from = zcsi_sys->cpu_ns(), out = ledger_out(&c->ledger);
	int n = read_queue(c, max);

	out -= ledger_out(&c->ledger);
	if (out)
		later_note(&conn_link(c)->notes, zcsi_sys->cpu_ns() - from, out);
	return n;
}

bool reap_doubt(struct zcs_conn *c)
{
	uint64_t number = ledger_take(&c->ledger);

	reap(c, UINT32_MAX);
	ledger_take_back(&c->ledger);
	return c->ledger.next > number;
}

int reap(struct zcs_conn *c, unsigned max)
{
	int n;

	c->unreaped = 0;
	ctx_look_at_clock(c->ctx);
	/* Others may take the flag for nothing, and hand out the stream. */
	if (!c->tcp && !c->dgram && !(c->vsock && (ledger_out(&c->ledger) || conn_has_past(c))))
		return 0;
	if (c->send_way == ZCS_WAY_ADAPT && ledger_out(&c->ledger) &&
	    later_is_due(&conn_link(c)->notes))
		n = read_measured(c, max);
	else
		n = read_queue(c, max);
	if (c->adoption)
		adopt_settle(c);
	return n;
}
