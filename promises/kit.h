/* SPDX-License-Identifier: MIT */
/*
 * What the promises share: verdicts with a reason, a TCP pair over loopback, a silent peer, the
 * reader of notifications, and waiting for a condition with a deadline. libc only; nothing here
 * comes from the library, so that a wrong idea in the library cannot hide in its own proof.
 */
#ifndef ZCS_PROMISES_KIT_H
#define ZCS_PROMISES_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "promise.h"

#define PROMISE_WAIT_MS 3000 /* for what is expected to happen */

/* --- verdicts: each writes the reason and returns the verdict --- */

enum promise_verdict promise_broken(char *why, size_t len, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
enum promise_verdict promise_unsure(char *why, size_t len, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "cannot tell": what failed, and errno in words */
enum promise_verdict promise_lacks(char *why, size_t len, const char *what);

/*
 * For a call that should have succeeded: "cannot tell" when errno speaks of a missing resource
 * (ENOBUFS, ENOMEM, EMFILE), "broken" otherwise.
 */
enum promise_verdict promise_failed(char *why, size_t len, const char *what);

/* --- namespace, see netns.c --- */

void promise_enter_netns(void);	      /* called once by the runner, in the child */
bool promise_net_is_private(void);    /* did it work */
int promise_lo_mtu(unsigned int mtu); /* 0 or -1 with errno; EPERM outside a private namespace */
/* "core/optmem_max", in a private namespace only. 0 or -1 with errno */
int promise_sysctl(const char *name, const char *value);
int promise_netlink(void *req, void *answer, size_t len); /* bytes, or -1 with errno */
/* A link of that kind; its name is at least IFNAMSIZ long. 0 or -1 with errno. */
int promise_make_link(const char *kind, char *name_out, size_t len);

/* --- a device behind which nobody is, see sink.c --- */

struct promise_sink {
	char name[16];
	int fd; /* a UDP socket with SO_ZEROCOPY, connected to nobody beyond it */
};

#define PROMISE_SINK_LEN 1400 /* of each datagram */

int promise_sink(const char *kind, struct promise_sink *s); /* 0 or -1 with errno */
/* Switches an offload: ETHTOOL_SSG and its like. 0 or -1 with errno. */
int promise_sink_offload(const struct promise_sink *s, unsigned int cmd, unsigned int on);
/* A flagged datagram; the ee_code of its notification, or -1 with errno. */
int promise_sink_send(const struct promise_sink *s, const void *buf);
/*
 * HOLDS when there is one through which a datagram was just sent without a copy; else the verdict
 * to return.
 */
enum promise_verdict promise_sink_uncopied(struct promise_sink *s, const void *buf, char *why,
					   size_t len);

/* --- memory --- */

size_t promise_page(void);
void *promise_pages(size_t nr); /* private pages, present; NULL with errno */
void promise_fill(void *mem, size_t len, unsigned int seed);
bool promise_filled(const void *mem, size_t len, unsigned int seed);

/* --- sockets: 0 or a count, or -1 with errno --- */

struct promise_pair {
	int tx; /* the end that connected, and that sends */
	int rx; /* the accepted end */
};

int promise_listen(int family, bool zerocopy);
int promise_connect(int listener); /* to where listener listens */
int promise_tcp_pair(struct promise_pair *p, int family);
int promise_zc_pair(struct promise_pair *p, int family); /* with SO_ZEROCOPY on tx */
/* IPv6 sockets that talk to ::ffff:127.0.0.1, and two connected UDP sockets; SO_ZEROCOPY on tx */
int promise_mapped_pair(struct promise_pair *p);
int promise_udp_zc(struct promise_pair *p);
int promise_set_zerocopy(int fd);
int promise_small_buffers(const struct promise_pair *p);
ssize_t promise_zc_send(int fd, const void *buf, size_t len); /* flagged, never blocks */

/* A silent peer: everything that arrives for fd is dropped, nothing is acknowledged. */
int promise_silence(int fd);
int promise_unsilence(int fd);

size_t promise_drain(int fd);			     /* reads and drops what is there */
int promise_read_all(int fd, void *buf, size_t len); /* waits; 0 when all of it came */
int promise_wait_acked(int fd);			     /* until nothing sent is unacknowledged */
int promise_wait_queued(int fd, size_t len);	     /* until len bytes can be read */
int promise_wait_event(int fd, short events, int timeout_ms); /* revents, 0 on timeout */

/* Fills the send queue: flagged sends of len bytes until one fails. How many went. */
int promise_fill_queue(int fd, const void *buf, size_t len);

/* --- notifications --- */

struct promise_note {
	uint32_t low;
	uint32_t high;
	int code;
	int level; /* of the control message */
	int type;
	size_t cmsg_len;
	int flags; /* msg_flags */
};

/* 1 with a note, 0 when the queue is empty, -1 with errno. Does not wait. */
int promise_note_read(int fd, struct promise_note *note_out);
int promise_note_wait(int fd, struct promise_note *note_out); /* waits PROMISE_WAIT_MS */

/*
 * Holds when the notifications on p->tx name 0 to nr - 1, each once, and none other. Reads p->rx
 * empty meanwhile so that data can flow.
 */
enum promise_verdict promise_expect_numbers(const struct promise_pair *p, unsigned int nr,
					    char *why, size_t len);

/* --- a child that touches memory: 0, or the signal it died of; -1 with errno --- */
int promise_touch_in_child(const void *mem);

#endif
