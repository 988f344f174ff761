/* SPDX-License-Identifier: MIT */
/*
 * zcsock.h - send and receive over Linux sockets without copying
 *
 * One rule: from the moment a message is accepted until the event that carries its token, its bytes
 * are LENT: read them, do not write or free them. A span that a receive hands out is BORROWED until
 * it is released. RELEASED means "the memory is yours again", not "the peer has the bytes".
 *
 * Results: 0 or a positive value is success, a negative value is a negative errno. The library
 * never prints, exits, raises a signal, installs a handler or starts a thread.
 *
 * Options and statistics: `size` is sizeof the struct as you were compiled; a tail that this
 * library does not know must be zero (-E2BIG). 0 in a member means its documented default, in an
 * update "unchanged"; ZCS_NONE and ZCS_UNLIMITED are the two ends of a limit.
 *
 * Threads: a context and all that is made from it belong to one thread. Lent bytes and spans may be
 * read on any thread; zcs_ctx_post_release is the one call that any thread may make. With io_uring
 * the kernel sees to it: in use by another thread than the one that opened the first connection,
 * all of the context break with -ENOTRECOVERABLE, and what is lent is CONDEMNED when they close.
 *
 * Sources: msg_zerocopy.rst and net/core/skbuff.c for sending, tcp(7) and tcp_zerocopy_receive() in
 * net/ipv4/tcp.c for receiving; zcsock(7) tells what of it was tested on which kernel.
 */
#ifndef ZCSOCK_H
#define ZCSOCK_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ZCS_MUST __attribute__((__warn_unused_result__))

#define ZCS_VERSION   "0.1.0"
#define ZCS_NONE      (UINT64_MAX - 1) /* "nothing at all", where 0 means the default */
#define ZCS_UNLIMITED UINT64_MAX

struct zcs_ctx;	 /* a thread's window, pool, policy memory, budgets and event queue */
struct zcs_conn; /* one descriptor: its messages, spans, close and drain */

/* ---- reasons: a number for machines, words for people --------------------------------------- */

enum zcs_reason {
	ZCS_R_NONE = 0,	      /* nothing was copied */
	ZCS_R_SMALL,	      /* below zerocopy_min, or below the receive crossover */
	ZCS_R_PINNED,	      /* you asked for copying */
	ZCS_R_KERNEL_COPIES,  /* notifications say that the kernel copies on this path anyway */
	ZCS_R_LOCAL_DELIVERY, /* as above, and the route is local (loopback) */
	ZCS_R_UNTRUSTED,      /* received by copy: the peer may share this host's memory */
	ZCS_R_NO_SO_ZEROCOPY, /* not TCP, or SO_ZEROCOPY was refused */
	ZCS_R_NO_MAP,	      /* this socket or kernel cannot map, or no window was to be had */
	ZCS_R_MEMLOCK,	      /* RLIMIT_MEMLOCK is used up */
	ZCS_R_OPTMEM,	      /* net.core.optmem_max is used up */
	ZCS_R_ULP,	      /* a protocol such as kernel TLS sits on the socket */
	ZCS_R_UNMAPPABLE,     /* received data was not in whole pages of its own */
	ZCS_R_ADOPTING,	      /* earlier flagged sends of somebody else may still be out */
	ZCS_R_DISTRUST,	   /* notifications named sends never made: what is out waits for close */
	ZCS_R_WINDOW_FULL, /* every part of the receive window holds a borrowed span */
	ZCS_R_URGENT,	   /* urgent data came: received as recv(2) does from then on */
	ZCS_R_BUDGET,	   /* too little of borrowed_max, or of max_bytes, is left to map */
	ZCS_R_OTHER,
	ZCS_R_COSTS,  /* measured: copying costs less at this size */
	ZCS_R_SCARCE, /* after ENOBUFS: memory for lending is kept for larger messages */
	ZCS_R_WAITS,  /* you wait for each message to come back before you send the next one */
};

/* Words for a reason; static, never NULL, also for numbers of a newer library. */
ZCS_MUST const char *zcs_reason_text(uint32_t reason);

/* The version of the library in use, as ZCS_VERSION. */
ZCS_MUST const char *zcs_version(void);

/* ---- events: fixed 64 bytes ----------------------------------------------------------------- */

enum zcs_event_type {
	/*
	 * token: the memory of this message is yours again. status: what broke the connection
	 * meanwhile; of a file also what ended it early: -ENODATA, or an error of reading it.
	 */
	ZCS_EV_RELEASED = 1,
	/*
	 * token: the memory never comes back, instead of RELEASED; only after a close deadline or
	 * an abort, when a queue or a card still holds the pages. You may munmap it; do not write
	 * it and do not give it back to an allocator (but pool memory to zcs_buf_free).
	 */
	ZCS_EV_CONDEMNED,
	ZCS_EV_OPEN,	 /* a connecting descriptor is now connected */
	ZCS_EV_READABLE, /* once: receive until -EAGAIN */
	ZCS_EV_WRITABLE, /* once, after a send that returned -EAGAIN */
	ZCS_EV_ERROR,	 /* status: what broke the connection, once; only closing is left */
	ZCS_EV_POOL,	 /* conn is NULL: follows a zcs_buf_alloc that returned NULL */
	/*
	 * The last one; `conn` is invalid once you call zcs_ctx_events again. status 0 after a
	 * close of a TCP connection that was allowed to drain: the peer's kernel acknowledged every
	 * byte (the only statement about delivery, but for files); -ETIMEDOUT: not all within
	 * drain_ms; -ECONNABORTED: you aborted it; else what broke the connection.
	 */
	ZCS_EV_CLOSED,
};

/* RELEASED, CONDEMNED: `how` */
#define ZCS_LENT	0x1u /* some byte was lent to the kernel (sent with MSG_ZEROCOPY) */
#define ZCS_COPIED	0x2u /* some byte was copied by the library's own decision */
#define ZCS_KERNEL_HINT 0x4u /* the kernel said that it copied a lent piece; merging blurs it */
#define ZCS_ABANDONED	0x8u /* not every byte was given to the kernel; `bytes` were */

struct zcs_event {
	uint32_t type;	/* enum zcs_event_type */
	uint32_t how;	/* ZCS_LENT ... */
	int32_t status; /* 0, or why: a negative errno */
	uint32_t reserved0;
	uint64_t token;	       /* of the message */
	uint64_t bytes;	       /* of the message, accepted by the kernel */
	struct zcs_conn *conn; /* its connection */
	void *user;	       /* zcs_conn_opts.user */
	uint64_t reserved1[2];
};

/* ---- context -------------------------------------------------------------------------------- */

enum zcs_huge {
	ZCS_HUGE_AUTO = 1, /* default: reserved hugetlb pages, else transparent, else 4 KiB */
	ZCS_HUGE_THP,	   /* transparent huge pages or 4 KiB; leaves reserved ones alone */
	ZCS_HUGE_NEVER,	   /* 4 KiB pages */
};

enum zcs_ring {
	ZCS_RING_OFF = 1, /* default: sends are system calls */
	/*
	 * TCP connections send by io_uring where that may be used and nobody else sent on the
	 * socket before; by the socket otherwise, and zcs_conn_explain says why. zcs_conn_send then
	 * only queues: what waits goes out, for all connections together, in the next
	 * zcs_ctx_process, zcs_ctx_wait, zcs_ctx_events or zcs_conn_flush, or when 32 messages or 2
	 * MiB wait. The pool has 4 KiB pages, which are locked when they are first lent.
	 */
	ZCS_RING_TRY,
};

struct zcs_ctx_opts {
	size_t size;
	uint64_t lent_max;     /* bytes accepted, not released, all connections; default 256 MiB */
	uint64_t borrowed_max; /* bytes in unreleased spans, whole pages; default 64 MiB */
	uint64_t pool_max;     /* bytes of zcs_buf_alloc, mapped as needed; default 64 MiB */
	uint64_t pool_retain;  /* bytes of it that stay mapped when free; default 4 MiB */
	/* Bytes: shorter messages are copied, others lent. Default: what costs less, measured. */
	uint64_t zerocopy_min;
	uint32_t huge; /* enum zcs_huge; ignored in an update */
	uint32_t ring; /* enum zcs_ring; ignored in an update */
};

/* opts may be NULL. -ENOMEM, -EMFILE, -ENFILE, -E2BIG, -EINVAL. */
ZCS_MUST int zcs_ctx_new(const struct zcs_ctx_opts *opts, struct zcs_ctx **ctx_out);
/* Change limits; one that shrinks takes effect as memory comes back. */
ZCS_MUST int zcs_ctx_limits(struct zcs_ctx *ctx, const struct zcs_ctx_opts *opts);
/*
 * -EBUSY while a connection is open, an event waits, or memory is lent or borrowed; NULL is fine.
 */
ZCS_MUST int zcs_ctx_free(struct zcs_ctx *ctx);
/*
 * Abort every connection now. Afterwards every token is in the event queue, RELEASED or CONDEMNED,
 * followed by each connection's CLOSED, and spans that you still hold are forfeited (do not touch
 * them any more): take the events, then zcs_ctx_free succeeds. Nothing can be opened any more.
 */
void zcs_ctx_abandon(struct zcs_ctx *ctx);

/*
 * For a loop of your own: one descriptor that is readable (never EPOLLERR) whenever zcs_ctx_process
 * has something to do, timers included. Then call zcs_ctx_process, and zcs_ctx_events until it
 * returns fewer than you asked for. The descriptor stays the context's.
 */
ZCS_MUST int zcs_ctx_fd(struct zcs_ctx *ctx);
/*
 * Bounded work on at most max_conns connections (0: 64). 1: more waits, and the fd is readable;
 * else 0.
 */
ZCS_MUST int zcs_ctx_process(struct zcs_ctx *ctx, unsigned max_conns);
/*
 * Takes up to max events; the number taken, never negative. CLOSED is the last one of its
 * connection.
 */
ZCS_MUST int zcs_ctx_events(struct zcs_ctx *ctx, struct zcs_event *events, size_t max);
/*
 * For programs without a loop: waits (-1: for ever), processes, takes. 0: time is up; -EINTR: a
 * signal.
 */
ZCS_MUST int zcs_ctx_wait(struct zcs_ctx *ctx, struct zcs_event *events, size_t max,
			  int timeout_ms);

/* ---- pool memory: page aligned, huge pages where they are to be had ------------------------- */

/*
 * At least len bytes; *got_out (may be NULL) is how many. NULL: pool_max is reached (ZCS_EV_POOL
 * follows when there is room again) or memory ran out. Pool memory is the cheapest to lend.
 */
ZCS_MUST void *zcs_buf_alloc(struct zcs_ctx *ctx, size_t len, size_t *got_out);
/* Allowed while it is lent: it then becomes free at its release. */
void zcs_buf_free(struct zcs_ctx *ctx, void *buf);

/* ---- connections ---------------------------------------------------------------------------- */

/*
 * An error-queue message that is not the library's: a transmit timestamp, an ICMP error, a
 * notification of somebody else's send. Called from within any call that sends, closes or
 * processes; must not call into the library. msg->msg_iov holds payload_len bytes of payload.
 */
typedef void zcs_foreign_fn(void *user, const struct msghdr *msg, size_t payload_len);

enum zcs_way {
	ZCS_WAY_ADAPT = 1, /* default: the policy decides, message by message */
	ZCS_WAY_COPY,	   /* never lend, never map */
	ZCS_WAY_ZEROCOPY,  /* always try, whatever the size */
};

enum zcs_trust {
	ZCS_TRUST_ROUTE =
		1,	/* default: map only what comes over a device with hardware of its own */
	ZCS_TRUST_PEER, /* map whatever maps: you vouch that no process behind it cheats */
	ZCS_TRUST_NONE, /* never map */
};

struct zcs_conn_opts {
	size_t size;
	void *user;		 /* comes back in events */
	zcs_foreign_fn *foreign; /* NULL: such messages are counted and dropped */
	/* Bytes; default 16 MiB. A larger message is accepted when nothing else is lent. */
	uint64_t lent_max;
	/* WRITABLE comes when this many or fewer are lent; default, also anew: half of lent_max. */
	uint64_t writable_at;
	/* Bytes; default 8 MiB; the only back-pressure of a receiver that maps. */
	uint64_t borrowed_max;
	/* A message that is out for longer breaks the connection: -ETIMEDOUT; default: no limit. */
	uint64_t loan_age_ms;
	/* How long close may drain in all, moving or not; default 30000; ZCS_NONE: not at all. */
	uint64_t drain_ms;
	/*
	 * Calls with MSG_ZEROCOPY made on this descriptor before: 0 you do not know, ZCS_NONE none
	 * (a new socket, or one accepted from a listener with the option), else their number, as
	 * zcs_conn_detach gave it. When unknown, on a socket that has SO_ZEROCOPY set or has sent
	 * anything, nothing is lent until the line was quiet and the count is found out; on VSOCK
	 * and UDP, where it cannot be, nothing is lent at all if the option is set, and the count
	 * is taken to be 0 otherwise. Ignored in an update.
	 */
	uint64_t prior_sends;
	uint32_t send_way;  /* enum zcs_way */
	uint32_t recv_way;  /* enum zcs_way */
	uint32_t trust;	    /* enum zcs_trust */
	uint32_t poll_self; /* 1: you poll it and call zcs_conn_ready. Ignored in an update */
};

/*
 * Takes a connected or connecting stream socket. TCP lends and maps, VSOCK lends where the kernel
 * can (6.7); kernel TLS, MPTCP and UNIX stream sockets are known, and copy. The descriptor is the
 * library's until CLOSED or detach; on failure it stays yours. opts may be NULL.
 * UDP sockets of IPv4 and IPv6 are taken as well, connected or not: each message is a datagram, or
 * several (zcs_msg.segment), and so is each span; send_file, send_pipe, send_span, recv_pipe and
 * shutdown say -EOPNOTSUPP.
 * -EBADF, -ENOTSOCK, -ENOTCONN, -EINVAL (listening, or the context was abandoned), -EOPNOTSUPP
 * (neither a stream nor UDP), -EEXIST (polled by this context already), -E2BIG, -ENOMEM, -ENOSPC
 * (epoll's limit); of a connection that is broken already, what broke it: -ECONNRESET ...
 */
ZCS_MUST int zcs_conn_open(struct zcs_ctx *ctx, int fd, const struct zcs_conn_opts *opts,
			   struct zcs_conn **conn_out);
/*
 * Changes limits and ways. Whether the socket was asked for receive time stamps is looked up here
 * and at zcs_conn_open: call it after you asked for them later.
 */
ZCS_MUST int zcs_conn_limits(struct zcs_conn *conn, const struct zcs_conn_opts *opts);
/* For names and getsockopt only. */
ZCS_MUST int zcs_conn_fd(const struct zcs_conn *conn);

/*
 * poll_self: does what revents (EPOLLIN ... as epoll or poll gave them) make possible; take the
 * events with zcs_ctx_events. EPOLLERR is read here and does not mean "broken": ZCS_EV_ERROR does.
 * Returns the EPOLL* bits to wait for, until the next call of any kind on this connection, of
 * zcs_ctx_process or zcs_ctx_wait, or release of its spans (ask with revents 0). Simplest is to
 * register EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET once and to ignore it. zcs_ctx_fd
 * must be watched as well: for timers, files, long queues and closing connections. Take the
 * descriptor out of your poll set before you close the connection.
 */
int zcs_conn_ready(struct zcs_conn *conn, uint32_t revents);

/* ---- sending -------------------------------------------------------------------------------- */

#define ZCS_HEAD_MAX 256

#define ZCS_COPY     0x01u /* borrow nothing: all bytes are copied before the call returns */
#define ZCS_ZEROCOPY 0x02u /* lend whatever the size: the policy is not asked */
#define ZCS_GIVE     0x04u /* iov is pool memory of yours: freed when it comes back */
#define ZCS_MORE     0x08u /* hold back until a send without it, or zcs_conn_flush */

struct zcs_msg {
	size_t size;
	const void *head;	 /* copied before the call returns, sent in front of iov */
	size_t head_len;	 /* at most ZCS_HEAD_MAX */
	const struct iovec *iov; /* the array is copied, the bytes that it names are lent */
	size_t nr_iov;		 /* up to UINT32_MAX / 32 */
	uint64_t token;		 /* comes back in the event; never looked at */
	uint32_t flags;		 /* ZCS_COPY ... */
	/* UDP: the message is datagrams of so many bytes, the last of what is left; 0: it is one */
	uint32_t segment;
	const struct sockaddr *dest; /* UDP: where to, if it is not connected; copied */
	size_t dest_len;
};

/*
 * 0: accepted whole; one event will carry the token. With ZCS_GIVE: accepted, no event, the memory
 *    is yours no more.
 * 1: accepted, every byte copied: the memory is yours now, no event. Always so with ZCS_COPY, and
 *    for an empty message.
 * -EAGAIN: a budget is full; nothing was taken, WRITABLE follows.
 * -EPIPE, -ECONNRESET ...: the connection is gone; nothing was taken.
 * -EFAULT: iov names memory that is not there; nothing was taken. Found at once if the kernel was
 *    asked at once; later it breaks the connection (ZCS_COPY: a segmentation fault, as any copy).
 * -EINVAL (flags that are unknown or exclude each other, head_len, a length sum over SSIZE_MAX,
 * ZCS_GIVE of what is not a buffer of yours),
 * -ENOMEM: nothing was taken.
 * UDP: datagrams leave in order, each once or not at all; an empty message is an empty datagram.
 * What the kernel refuses is no error of the connection: it is returned if that message was next
 * (-EMSGSIZE, -EDESTADDRREQ, -EPERM, -ENOBUFS of a queue that dropped it, -ECONNREFUSED ...), and
 * the status of its RELEASED otherwise; `bytes` of it were sent. Where no event follows (ZCS_COPY,
 * ZCS_GIVE) nobody is told: zcs_stats.tx_refused counts it, as all that were refused. -EMSGSIZE
 * also at once, of more bytes than a datagram can hold (65,507 with IPv4, 65,527 with IPv6). With
 * ZCS_MORE datagrams wait for those behind them, and leave together: sendmmsg(2).
 */
ZCS_MUST int zcs_conn_send(struct zcs_conn *conn, const struct zcs_msg *msg);
/*
 * `len` bytes of `file` from offset `off`, in order with messages, by sendfile(2). Keep the
 * descriptor open until RELEASED, which comes when the peer's kernel has the bytes: until then, and
 * if the peer is on this host until it has read them, a change to that part of the file changes
 * what it gets. A file that ends early: status -ENODATA, `bytes` were sent, the connection stays
 * usable. A file lends no memory: no budget counts it. 0, or an error as of zcs_conn_send, but
 * never -EAGAIN.
 */
ZCS_MUST int zcs_conn_send_file(struct zcs_conn *conn, int file, uint64_t off, uint64_t len,
				uint64_t token);
/*
 * The next `len` bytes of a pipe, of which `pipe` is the end to read from, in order with messages,
 * by splice(2): its pages move to the socket. They must be there: -ENODATA, or the status if
 * somebody took them before their turn. -EBADF: not a pipe. RELEASED as for a file; memory that
 * was lent to the pipe (vmsplice(2)) may then still be read, by a peer on this host.
 */
ZCS_MUST int zcs_conn_send_pipe(struct zcs_conn *conn, int pipe, size_t len, uint64_t token);
struct zcs_span;
/*
 * Forwards a span of a connection of the same context; it is the library's from then on, no event
 * follows. Never -EAGAIN: the bytes stay charged to the connection that received them until they
 * are out, and that stops its reading. flags: ZCS_MORE, ZCS_COPY, ZCS_ZEROCOPY. On failure (-EPIPE
 * and the like, -EINVAL, -ENOMEM, as zcs_conn_send) the span stays yours.
 */
ZCS_MUST int zcs_conn_send_span(struct zcs_conn *conn, const struct zcs_span *span, uint32_t flags);
/* Ends ZCS_MORE. */
ZCS_MUST int zcs_conn_flush(struct zcs_conn *conn);
/* Half-close, after what is queued; receiving goes on. Later sends: -EPIPE. */
ZCS_MUST int zcs_conn_shutdown(struct zcs_conn *conn);

/* ---- receiving ------------------------------------------------------------------------------ */

#define ZCS_SPAN_MAPPED	   0x1u /* the kernel's own pages; else a private copy */
#define ZCS_SPAN_URGENT	   0x2u /* one byte of urgent data, as recv(2) with MSG_OOB gives it */
#define ZCS_SPAN_DATAGRAM  0x4u /* of UDP: one, or several of one length from one source */
#define ZCS_SPAN_TRUNCATED 0x8u /* its end was cut off: longer than 64 KiB */

/* Fixed 48 bytes. You may narrow base and len before you hand it back or on. */
struct zcs_span {
	const void *base;
	size_t len;
	uint32_t flags; /* ZCS_SPAN_MAPPED ... */
	/* UDP: these are datagrams of so many bytes, the last of what is left; 0: it is one */
	uint32_t segment;
	int64_t rx_time_ns; /* receive time stamp if the socket was asked for one, else 0 */
	uint64_t priv[2];   /* the library's */
};

/*
 * Up to max_bytes (0: no limit) of the stream into up to nr spans, in order; the number of spans.
 * 0: end of stream, also when asked again. -EAGAIN: nothing now, or a budget is full; READABLE
 * follows. -EINVAL: nr is 0. -EPIPE: you closed it. -ENOMEM: no memory to copy into. Another
 * negative errno: what broke the connection, after all data that came before it. Receive until
 * -EAGAIN.
 * UDP: by one recvmmsg(2); 0 never comes, an empty datagram is an empty span, max_bytes must be 0
 * (-EINVAL), an errno does not break it (-ECONNREFUSED ...: what ICMP said of one sent before).
 * No Linux maps what comes by UDP: all is copied, neighbours of one source and length together. The
 * first call sets UDP_GRO (udp(7)) for that; from then on do not read from the descriptor without
 * it. Never call this, and you can read it by recvmmsg(2) yourself.
 */
ZCS_MUST int zcs_conn_recv(struct zcs_conn *conn, struct zcs_span *spans, size_t nr,
			   size_t max_bytes);
/*
 * Up to max_bytes (0: no limit) of the stream into a pipe, of which `pipe` is the end to write to,
 * by splice(2): the pages move, mappable or not, nobody sees them, no budget counts them. The
 * number of bytes; 0: end of stream. -EAGAIN: nothing now; READABLE follows. -ENOSPC: the pipe is
 * full, empty it and call again; nothing follows. -EPIPE: nobody reads the pipe, or you closed the
 * connection. -EBADF: not a pipe. -EOPNOTSUPP: UDP, VSOCK before Linux 6.5, or urgent data came.
 * -ENOMEM. Another negative errno: what broke the connection.
 */
ZCS_MUST int zcs_conn_recv_pipe(struct zcs_conn *conn, int pipe, size_t max_bytes);
/*
 * UDP: what recvmsg(2) said of a span: msg_name (the source), msg_control (what you asked the
 * socket for: the local address, ECN, time stamps ...; ip(7), ipv6(7), socket(7)), msg_flags;
 * msg_iov is NULL. Yours to read until the span is released. NULL: not of UDP.
 */
ZCS_MUST const struct msghdr *zcs_span_msg(const struct zcs_span *span);
/*
 * At least `bytes` more are on their way: wake up for large pieces only (SO_RCVLOWAT, managed so
 * that it cannot hang). 0 ends it. Also ends by itself when they are in. A slow peer then shows in
 * FIONREAD of the descriptor long before READABLE.
 */
ZCS_MUST int zcs_conn_expect(struct zcs_conn *conn, size_t bytes);
/* In any order, parts of a list, also after their connection is closed; each once. */
void zcs_span_release(struct zcs_ctx *ctx, const struct zcs_span *spans, size_t nr);
/*
 * Makes the span a private copy that no peer can change (zcsock(7) tells when you need it); the
 * mapping is released. -ENOMEM: unchanged.
 */
ZCS_MUST int zcs_span_stabilize(struct zcs_ctx *ctx, struct zcs_span *span);
/*
 * Writes the bytes of nr spans, one behind the other, at offset off of `file`; the spans stay
 * yours. One of which only base and len are set stands for memory of your own. If the descriptor
 * has O_DIRECT, whole blocks (4096 bytes, or what the file system asks) whose memory is aligned as
 * it asks go from the kernel's receive pages to the disk, and the rest through the page cache, with
 * O_DIRECT off the descriptor meanwhile: nobody else may use it then. Without O_DIRECT, or where
 * statx(2) does not say how to align (Linux 6.1), all goes through the page cache. It blocks as
 * pwritev(2) does.
 * The number of bytes written: fewer than there are if an error came behind them. Else a negative
 * errno: -EINVAL (a span of another context, O_APPEND, off), -EBADF, -ENOSPC, -EDQUOT, -EFBIG,
 * -EIO ... *direct_out (may be NULL): bytes that went past the page cache.
 */
ZCS_MUST int64_t zcs_span_write(struct zcs_ctx *ctx, int file, uint64_t off,
				const struct zcs_span *spans, size_t nr, uint64_t *direct_out);
/* As zcs_span_release, from any thread; takes effect at the next zcs_ctx_process. -ENOMEM. */
ZCS_MUST int zcs_ctx_post_release(struct zcs_ctx *ctx, const struct zcs_span *spans, size_t nr);

/* ---- the end -------------------------------------------------------------------------------- */

/*
 * Sends what is queued, half-closes, and drains up to drain_ms while the descriptor stays open:
 * until nothing is lent and all is acknowledged. Reports every token, then CLOSED. Input is
 * dropped; a peer that still sends after the drain is reset. At the deadline the connection is
 * aborted if anything is queued or lent. Called again: no effect.
 */
void zcs_conn_close(struct zcs_conn *conn);
/* Resets the connection now; tokens and CLOSED as with close. */
void zcs_conn_abort(struct zcs_conn *conn);
/*
 * Gives the descriptor back (the value returned) and frees the connection; no CLOSED. *prior_out
 * (may be NULL) is the prior_sends to open it with elsewhere. -EBUSY while anything of it is
 * queued, lent or borrowed, or an event of it waits.
 */
ZCS_MUST int zcs_conn_detach(struct zcs_conn *conn, uint64_t *prior_out);

/* ---- what happened -------------------------------------------------------------------------- */

struct zcs_stats {
	size_t size;
	uint64_t tx_msgs;	    /* accepted */
	uint64_t tx_bytes;	    /* taken by the kernel */
	uint64_t tx_bytes_lent;	    /* of them with MSG_ZEROCOPY */
	uint64_t tx_bytes_uncopied; /* of those, in messages with no hint of a copy */
	uint64_t tx_bytes_file;	    /* by sendfile and splice */
	uint64_t tx_calls;	    /* sending system calls */
	uint64_t tx_notifications;  /* messages read from the error queue */
	uint64_t tx_enobufs_memlock;
	uint64_t tx_enobufs_optmem;
	uint64_t rx_bytes;
	uint64_t rx_bytes_mapped;	/* of them as the kernel's own pages */
	uint64_t rx_calls;		/* receiving system calls */
	uint64_t rx_map_refused;	/* mapping calls that failed and were answered by copying */
	uint64_t lent;			/* bytes accepted and not released, now */
	uint64_t borrowed;		/* bytes, now, whole pages */
	uint64_t condemned;		/* bytes, for ever */
	uint64_t oldest_loan_ms;	/* age; 0: nothing is lent */
	uint64_t foreign_dropped;	/* error-queue messages of others with no callback */
	uint64_t unknown_notifications; /* numbers notified that were not out */
	uint64_t pool_bytes;		/* context: mapped for the pool, now */
	uint32_t pool_page;		/* context: page size behind the pool, bytes */
	uint32_t tx_reason;		/* enum zcs_reason: why the last copied byte was copied */
	uint32_t rx_reason;
	uint32_t reserved;
	uint64_t tx_refused; /* UDP: messages that the kernel refused, whole or in part */
};

/* Set out->size; at most that many bytes are filled. No system call. */
ZCS_MUST int zcs_conn_stats(const struct zcs_conn *conn, struct zcs_stats *out);
/* Sums over all connections, also of closed ones. */
ZCS_MUST int zcs_ctx_stats(const struct zcs_ctx *ctx, struct zcs_stats *out);
/* What one size was measured to cost, and what follows from it. */
struct zcs_learned {
	uint64_t bytes;	  /* this size and up, to the next one in the list; 0: end of the list */
	uint32_t copy_ns; /* thread CPU time per KiB by copying; 0: not measured */
	uint32_t zerocopy_ns; /* the same by lending or mapping, with all that it brings */
	uint32_t pairs;	      /* measurements of both, side by side; older ones fade */
	uint32_t way;	      /* ZCS_WAY_COPY or ZCS_WAY_ZEROCOPY: what is taken */
};

#define ZCS_NR_LEARNED 16

struct zcs_policy {
	size_t size;
	uint32_t kernel_copies; /* 1: notifications of this peer say so; looked at in seconds */
	uint32_t reserved;
	uint64_t scarce_below; /* after ENOBUFS: shorter messages are copied; 0: none */
	struct zcs_learned send[ZCS_NR_LEARNED]; /* by message */
	struct zcs_learned recv[ZCS_NR_LEARNED]; /* by bytes per receive */
};

/*
 * What was learned on the link of this connection; connections of a context from the same local
 * address share it. Set out->size; at most that many bytes are filled. No system call.
 */
ZCS_MUST int zcs_conn_policy(const struct zcs_conn *conn, struct zcs_policy *out);
/* What happens on this connection and why, in words; as snprintf. May call the kernel. */
ZCS_MUST int zcs_conn_explain(struct zcs_conn *conn, char *buf, size_t len);

#ifdef __cplusplus
}
#endif
#endif
