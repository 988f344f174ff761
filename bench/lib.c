/* SPDX-License-Identifier: MIT */
/* lib.c - contexts, connections and events of the movers that use the library */
#include "lib.h"

#include <err.h>
#include <string.h>

#define EVENTS	 32
#define SLAB	 (2u << 20)  /* to which the library rounds */
#define VOLLEY	 16	     /* messages of UDP that leave together */
#define LENT_MAX (64u << 20) /* the kernel holds less of what the raw programs send */

int lib_must(int r, const char *call)
{
	if (r < 0)
		errx(1, "%s: %s", call, strerror(-r));
	return r;
}

/* ---- contexts and connections --------------------------------------------------------------- */

static void refresh(struct bench *b)
{
	struct zcs_stats stats = { .size = sizeof(stats) };

	lib_must(zcs_ctx_stats(b->refresh_from, &stats), "zcs_ctx_stats");
	b->count.calls = stats.tx_calls + stats.rx_calls;
	b->count.flagged = stats.tx_bytes_lent;
	b->count.zerocopied = stats.tx_bytes_uncopied;
	b->count.notes = stats.tx_notifications;
	b->count.enobufs = stats.tx_enobufs_memlock + stats.tx_enobufs_optmem;
	b->count.mapped = stats.rx_bytes_mapped;
	/*
	 * What comes back after its sample would make the next one cheaper than it was. So at its
	 * ends a sample is what the kernel took; in between, lib_tx counts what is over.
	 */
	if (strcmp(b->mover->direction, "tx") == 0)
		b->count.bytes = stats.tx_bytes;
}

static void explain(const struct bench *b, char *buf, size_t len)
{
	const struct lib *lib = b->explain_from;
	size_t at = 0;

	for (unsigned i = 0; i < lib->nr_conns && at < len; i++)
		at += (size_t)lib_must(zcs_conn_explain(lib->conns[i], buf + at, len - at),
				       "zcs_conn_explain");
}

void lib_open(struct bench *b, struct lib *lib)
{
	struct zcs_ctx_opts opts = {
		.size = sizeof(opts),
		.huge = b->huge ? ZCS_HUGE_THP : ZCS_HUGE_NEVER,
		.ring = lib->ring ? ZCS_RING_TRY : ZCS_RING_OFF,
		.pool_max = lib->ring ? b->area + SLAB : 0,
	};

	lib_must(zcs_ctx_new(&opts, &lib->ctx), "zcs_ctx_new");
	lib->in_flight = b->in_flight;
	lib->segment = b->udp ? (uint32_t)b->segment : 0;
	b->refresh = refresh;
	b->refresh_from = lib->ctx;
	b->explain = explain;
	b->explain_from = lib;
}

struct zcs_conn *lib_connect(const struct bench *b, struct lib *lib,
			     const struct bench_place *place)
{
	struct zcs_conn_opts opts = {
		.size = sizeof(opts),
		.lent_max = LENT_MAX,
		.prior_sends = ZCS_NONE,
		.send_way = b->mover->way,
		.recv_way = b->mover->way,
		.trust = b->trust ? ZCS_TRUST_PEER : ZCS_TRUST_ROUTE,
	};
	struct zcs_conn *conn;

	lib_must(zcs_conn_open(lib->ctx, bench_connect(b, place), &opts, &conn), "zcs_conn_open");
	lib->conns[lib->nr_conns++] = conn;
	return conn;
}

/* ---- events --------------------------------------------------------------------------------- */

/* The kinds of events that came, as bits. */
static unsigned take(struct lib *lib, const struct zcs_event *events, int nr)
{
	unsigned kinds = 0;

	for (int i = 0; i < nr; i++) {
		lib_must(events[i].status, "connection");
		if (events[i].type == ZCS_EV_RELEASED) {
			lib->sent += events[i].bytes;
			lib->out--;
		}
		kinds |= 1u << events[i].type;
	}
	return kinds;
}

static unsigned wait_for_events(struct lib *lib)
{
	struct zcs_event events[EVENTS];
	int nr = zcs_ctx_wait(lib->ctx, events, EVENTS, -1);

	return take(lib, events, lib_must(nr, "zcs_ctx_wait"));
}

static void take_what_is_there(struct lib *lib)
{
	struct zcs_event events[EVENTS];
	int nr;

	do {
		nr = zcs_ctx_events(lib->ctx, events, EVENTS);
		take(lib, events, nr);
	} while (nr == EVENTS);
}

void lib_close(struct lib *lib)
{
	struct zcs_event events[EVENTS];

	zcs_ctx_abandon(lib->ctx);
	while (zcs_ctx_events(lib->ctx, events, EVENTS) > 0)
		;
	lib_must(zcs_ctx_free(lib->ctx), "zcs_ctx_free");
}

/* ---- sending and receiving ------------------------------------------------------------------ */

void lib_send(struct lib *lib, struct zcs_conn *conn, void *data, size_t len)
{
	struct iovec iov = { data, len };
	struct zcs_msg msg = { .size = sizeof(msg), .iov = &iov, .nr_iov = 1 };
	int r;

	msg.segment = lib->segment;
	if (lib->segment && ++lib->held % VOLLEY)
		msg.flags = ZCS_MORE;

	/* The budget is full: there is no hurry until half of what is out came back. */
	while ((r = zcs_conn_send(conn, &msg)) == -EAGAIN) {
		while (!(wait_for_events(lib) & 1u << ZCS_EV_WRITABLE))
			;
	}
	if (lib_must(r, "zcs_conn_send") == 1) { /* copied: no event */
		lib->sent += len;
		return;
	}
	lib->out++;
	if (++lib->lent == EVENTS) { /* or they pile up where the budget never fills up */
		lib->lent = 0;
		take_what_is_there(lib);
	}
	while (lib->in_flight && lib->out >= lib->in_flight)
		wait_for_events(lib);
}

size_t lib_recv(struct lib *lib, struct zcs_conn *conn, struct zcs_span *spans, size_t nr,
		size_t max)
{
	int r;

	while ((r = zcs_conn_recv(conn, spans, nr, max)) == -EAGAIN)
		wait_for_events(lib);
	if (lib_must(r, "zcs_conn_recv") == 0)
		bench_ended();
	return (size_t)r;
}
