/* SPDX-License-Identifier: MIT */
/*
 * conn.h - a connection, and how its parts call each other
 *
 *	send:	 send.c zcs_conn_send -> tx.c tx_push -> sys -> ledger
 *		 or		       -> uring_tx.c, submitted for many at once
 *	reap:	 ctx.c -> conn.c conn_work -> reap.c -> errq, ledger -> release.c -> event
 *	receive: rx.c zcs_conn_recv -> map.c -> window, sys
 *	end:	 close.c
 */
#ifndef ZCSI_CONN_H
#define ZCSI_CONN_H

#include "ctx.h"
#include "internal.h"
#include "probe.h"
#include "pure/ledger.h"
#include "pure/policy.h"
#include "pure/waits.h"
#include "txq.h"
#include "uring.h"
#include "zcsock.h"

#include <errno.h>

/* A descriptor with a past: adopt.c. Made only for those, and gone when the numbers are known. */
struct adoption {
	uint64_t held_ns; /* when sending was last held for a quiet line */
	void *probe;  /* the library's memory that is out, alone; NULL: the line is not quiet yet */
	uint64_t end; /* the stream position behind the probe */
	uint32_t hi;  /* the highest number notified since ... */
	bool seen;    /* ... if there was one */
	uint64_t seen_ns; /* the last one */
	bool sure;	  /* the probe is acknowledged: no older number is still to come */
	bool held;	  /* sending waits a moment for the line to become quiet */
};

struct conn_stats {
	uint64_t tx_msgs, tx_bytes, tx_bytes_lent, tx_bytes_uncopied, tx_bytes_file, tx_calls;
	uint64_t tx_notifications;
	uint32_t tx_enobufs_memlock, tx_enobufs_optmem; /* it pauses after each */
	uint64_t rx_bytes, rx_bytes_mapped, rx_calls;
	uint32_t rx_map_refused; /* it tries less and less */
	uint32_t tx_refused;	 /* UDP */
	uint64_t condemned, foreign_dropped;
};

struct zcs_conn {
	struct zcs_ctx *ctx;
	void *user;
	zcs_foreign_fn *foreign;
	int fd;
	int error;	   /* what broke it, negative errno; 0 */
	uint16_t revents;  /* of epoll, not worked on yet */
	uint16_t events;   /* waiting for zcs_ctx_events: 1 << enum zcs_event_type */
	uint32_t flag_cap; /* bytes per flagged call */
	struct list all, ready, flagged, timed, waiting, stalled;

	/* What it is and where it stands. */
	uint8_t send_way, recv_way, trust; /* of zcs_conn_opts */
	uint8_t tx_reason, rx_reason; /* enum zcs_reason: why the last copied byte was copied */
	uint8_t no_lend; /* enum zcs_reason: why nothing is ever lent; ZCS_R_NONE: it may be */
	uint8_t no_map;	 /* the same for mapping */
	uint8_t no_ring; /* enum uring_why: why it has no `ring` */
	bool poll_self : 1;
	bool polled : 1; /* registered with the context's epoll */
	bool tcp : 1;
	bool inet : 1; /* of the IP families, TCP or with something on top */
	bool vsock : 1;
	bool dgram : 1;	    /* UDP: dgram.c */
	bool no_train : 1;  /* UDP_SEGMENT was refused */
	bool gro_asked : 1; /* for trains to be received: UDP_GRO */
	bool ipv6 : 1;
	bool connecting : 1;
	bool closing : 1;
	bool closed : 1;
	bool nonblock_set : 1; /* O_NONBLOCK was set for sendfile, splice ... */
	bool was_blocking : 1; /* ... and was not before: put back at detach */
	bool blocked : 1;      /* the kernel said -EAGAIN: wait for EPOLLOUT */
	bool cut : 1;	       /* not all that was accepted was sent: the end must not look clean */
	bool held : 1;	       /* ZCS_MORE: nothing behind q->hold is sent yet */
	bool shut_wanted : 1;
	bool shut_done : 1;
	bool rx_maybe : 1; /* a read may find something */
	bool rx_told : 1;  /* READABLE was raised and the caller has not read to -EAGAIN */
	bool rx_eof : 1;
	bool rx_hup : 1;       /* the peer's FIN is known: a short read is not the end of it */
	bool rx_oob : 1;       /* urgent data was announced and not fetched yet */
	bool rx_aligned : 1;   /* rx_pos is known: the last mapping started a page */
	bool rx_inq_known : 1; /* rx_inq is no less; else it is no more */
	bool rx_fresh : 1;     /* the kernel said that it is worth reading, and nobody has since */
	bool out_on : 1;       /* EPOLLOUT is registered */
	bool stamped : 1;      /* the socket was asked for receive time stamps */
	bool rx_urgent : 1;    /* there was urgent data: mapping could cross its mark */
	uint8_t route : 2;     /* enum probe_route, once route_ms is set */
	uint32_t rx_inq;       /* bytes known to be queued */

	/* Send side. */
	struct txq *q;		   /* NULL: nothing queued or lent */
	struct adoption *adoption; /* NULL: the numbers are known */
	struct uring_conn *ring;   /* NULL: it sends by its socket */
	struct ledger ledger;
	uint32_t peer, local; /* keys of its path and its link: policy.h */
	uint64_t lent, lent_max, writable_at;
	uint64_t wanted;		/* bytes of the send that was refused last */
	uint32_t loan_age_ms, drain_ms; /* 0: no limit; do not drain. UINT32_MAX: for ever */
	uint64_t close_ns;		/* deadline of close, 0: none */
	uint64_t wake_ns;		/* when the timer looks at it, 0: never */
	uint64_t pause_ns;		/* ENOBUFS: lend nothing before this time */
	uint8_t path;			/* index of its path, if that is still its ... */
	uint8_t link;			/* ... and of its link */
	uint8_t out_idle;		/* times that EPOLLOUT came and nobody waited for it */
	uint8_t unreaped;		/* flagged calls since the queue was last read */
	uint8_t pauses;			/* in a row */
	uint8_t cap_good; /* flagged calls since flag_cap was last halved or doubled */
	struct waits waits;

	/* Receive side. */
	struct policy_rx policy_rx;
	uint64_t borrowed, borrowed_max;
	uint64_t expect; /* bytes that the caller said are coming */
	uint32_t nr_spans;
	uint32_t nr_events; /* in the context's ring */
	union {
		uint32_t rx_skip; /* recv_skip_hint: bytes to copy before mapping can go on */
		int32_t icmp;	  /* UDP: what was said of a datagram, to be told; 0 */
	};
	uint32_t lowat;	   /* SO_RCVLOWAT as set last */
	uint32_t route_ms; /* when the route was last looked at */
	uint32_t rx_pos;   /* bytes since the stream last stood at the start of a page */

	struct conn_stats stats;
};

_Static_assert(PROBE_ROUTE_CARD < 4, "a route has two bits");

/* The queue of a connection, made when it has none; NULL: no memory. */
static inline struct txq *txq_get(struct zcs_conn *c)
{
	return c->q ? c->q : txq_make(c);
}

/* dgram.c */
#define DGRAM_CALLS 32 /* datagrams, or trains of them, of a system call */
int dgram_push(struct zcs_conn *c);
int dgram_check(const struct zcs_conn *c, const struct zcs_msg *in, size_t len);

/* Somebody else's sends may be out, and nothing will find out their numbers: VSOCK, UDP. */
static inline bool conn_has_past(const struct zcs_conn *c)
{
	return c->no_lend == ZCS_R_ADOPTING && !c->adoption;
}

/* vsock.c */
size_t vsock_one_packet(struct iovec *vec, size_t nr);
/* Whether the kernel could not read what it was to send; VSOCK has one error for that and more. */
static inline bool conn_is_fault(const struct zcs_conn *c, int error)
{
	return error == -EFAULT || (c->vsock && error == -ENOMEM);
}

/* conn.c */
void conn_schedule(struct zcs_conn *c);
void conn_work(struct zcs_conn *c, uint32_t revents);
void conn_fail(struct zcs_conn *c, int error);	    /* raises ERROR, gives up what is not sent */
void conn_tell_icmp(struct zcs_conn *c, int error); /* UDP: by the next zcs_conn_recv */
void conn_timer(struct zcs_conn *c, uint64_t now_ns);
void conn_set_timer(struct zcs_conn *c);
void conn_free(struct zcs_conn *c);
struct policy_path *conn_path(struct zcs_conn *c);
struct link *conn_link(struct zcs_conn *c);
enum zcs_reason conn_why_copied(struct zcs_conn *c); /* the kernel says that it copied */
enum probe_route conn_route(struct zcs_conn *c);     /* as of at most a second ago */
int conn_poll_on(struct zcs_conn *c);		     /* registers with the context's epoll */
void conn_unblock(struct zcs_conn *c);		     /* EPOLLOUT came */
void conn_block(struct zcs_conn *c);		     /* the socket is full: wait for EPOLLOUT */

/* tx.c */
#define TX_FLAG_CAP    (1u << 20)  /* bytes per flagged call: all of it is charged as locked */
#define TX_FLAG_MIN    (16u << 10) /* the cap is not halved below this */
#define VSOCK_FLAG_CAP (64u << 10) /* ... and of VSOCK: one packet */
#define TX_COPY_CAP    (1u << 20) /* bytes per copying call: more would only find the socket full */
int tx_push(struct zcs_conn *c); /* sends what it can; 0, or the error that breaks the connection */
void tx_advance(struct zcs_conn *c, size_t n, bool lent); /* the kernel took n bytes */
bool tx_is_empty(const struct zcs_conn *c);		  /* nothing queued, nothing lent */
int tx_flush(struct zcs_conn *c);			  /* ends ZCS_MORE */
/* What the io_uring way shares */
void tx_step(struct msg *m, size_t n); /* n bytes of it, not its last, are sent */
bool tx_may_lend_now(struct zcs_conn *c);
void tx_lent_well(struct zcs_conn *c);
bool tx_count_enobufs(struct zcs_conn *c); /* for want of which memory; true: option memory */
void tx_back_off(struct zcs_conn *c, bool optmem, bool any_out); /* lend nothing for a while */

/* How far sending may go: up to what MORE holds back. */
static inline uint32_t tx_end(const struct zcs_conn *c)
{
	return c->held ? c->q->hold : c->q->tail;
}

/*
 * Sent by a system call although the connection has a ring, once no request is unfinished: files,
 * and whatever there is for kernel TLS, which refuses the flags of our requests.
 */
static inline bool tx_is_for_socket(const struct zcs_conn *c, const struct msg *m)
{
	return m->kind == M_FILE || c->no_lend == ZCS_R_ULP;
}

/*
 * One call for a message that is in no queue yet; what is taken is entered in it. 0: nothing, the
 * queue will see why; an error breaks the connection, and the kernel tells it only once.
 */
ssize_t tx_now(struct zcs_conn *c, struct msg *m);

/* Whether nothing unsent stands in front of a new message, and it may go to the kernel now. */
static inline bool tx_is_clear(const struct zcs_conn *c)
{
	return !c->blocked && !c->connecting && (!c->q || c->q->cursor == c->q->tail);
}

/* release.c */
void tx_release(struct zcs_conn *c, struct msg *m, enum zcs_event_type type);
void tx_release_done(struct zcs_conn *c, struct msg *m); /* if nothing of it is out or unsent */
void tx_settled(struct zcs_conn *c, uint64_t lo, uint64_t hi, bool copied);
void tx_abandon(struct zcs_conn *c, int status); /* gives up what is not sent */
void tx_condemn(struct zcs_conn *c);		 /* what is still out never comes back */
void tx_pop(struct zcs_conn *c);		 /* released messages leave the queue */

/* msg.c */
#define M_IOV(m) ((m)->iov ? (m)->iov : &(m)->one)
int msg_record(struct zcs_conn *c, struct msg *m, const struct zcs_msg *in);
bool msg_ref_pool(struct zcs_conn *c, const struct iovec *v); /* if it lies in the pool */

/* 0, or -ENOMEM, which one iovec without a head never meets. */
static inline int msg_build(struct zcs_conn *c, struct msg *m, const struct zcs_msg *in)
{
	m->segment = in->segment;
	if (in->nr_iov != 1 || in->head_len || in->dest_len)
		return msg_record(c, m, in);
	m->nr_iov = 1;
	m->one = in->iov[0];
	m->pooled = c->ctx->pool.nr_slabs && msg_ref_pool(c, &m->one);
	return 0;
}

/* What is unsent moves to memory of the library's own. 0, -ENOMEM: as before. */
int msg_keep_copy(struct zcs_conn *c, struct msg *m);
void *msg_name(const struct msg *m);
void msg_drop(struct zcs_conn *c, struct msg *m);    /* gives up its references */
void msg_condemn(struct zcs_conn *c, struct msg *m); /* the kernel may read it for ever */

/* reap.c */
#define REAP_EVERY 64 /* flagged calls: unread notifications hold option memory */
int reap(struct zcs_conn *c, unsigned max); /* reads the error queue; messages read */
void reap_some(struct zcs_conn *c);
/*
 * A flagged call failed, and may have taken a number all the same. If so its packet is gone already
 * and the notification waits in the error queue. Room for a number was reserved. true: it had one.
 */
bool reap_doubt(struct zcs_conn *c);

/* While sending: now and then. */
static inline void reap_due(struct zcs_conn *c)
{
	if (GUARD(9) && c->unreaped >= REAP_EVERY)
		reap_some(c);
}

/* adopt.c */
int adopt_begin(struct zcs_conn *c);
ssize_t adopt_try(struct zcs_conn *c, struct msg *m); /* -EINPROGRESS: hold */
void adopt_note(struct zcs_conn *c, const struct errq_note *note);
void adopt_settle(struct zcs_conn *c);
void adopt_end(struct zcs_conn *c);

/* file.c */
ssize_t file_push(struct zcs_conn *c, struct msg *m);
void file_acked(struct zcs_conn *c);	/* releases files that the peer's kernel has */
void file_nonblock(struct zcs_conn *c); /* sendfile and splice have no MSG_DONTWAIT */

/* rx.c */
void rx_ready(struct zcs_conn *c, uint32_t revents);
uint64_t rx_budget_room(const struct zcs_conn *c); /* bytes that may still be borrowed */

/* span.c */
void span_fill(struct zcs_conn *c, struct zcs_span *s, char *base, size_t len, uint32_t flags);
void span_charge_more(struct zcs_conn *c, struct zcs_span *s, size_t bytes);
const char *span_copy_start(const struct zcs_span *s); /* of a copied one, as it was handed out */
void span_give_back(struct zcs_ctx *ctx, const struct zcs_span *spans, size_t nr);
bool span_is_of(const struct zcs_ctx *ctx, const struct zcs_span *s);
void span_unstall(struct zcs_ctx *ctx); /* budget came back: those that wait for it read on */

/* close.c */
void conn_add_stats(const struct zcs_conn *c, struct zcs_stats *sum);
void conn_unlink(struct zcs_conn *c); /* from all lists of the context but `conns` */
void close_step(struct zcs_conn *c);
void close_deadline(struct zcs_conn *c);
void close_abort(struct zcs_conn *c, int status);
void close_now(struct zcs_conn *c); /* zcs_conn_abort */

#endif
