/* SPDX-License-Identifier: MIT */
/*
 * What the tests over real sockets share: a private network namespace (ns.c), connected pairs
 * (pair.c), the byte stream that everything is checked against (stream.c), the library's side of a
 * connection as an application (app.c), and the plain side plus the loop that drives both (pump.c).
 *
 * Everything runs in one thread and waits for events only: PUMP_UNTIL(net, condition).
 */
#ifndef ZCS_TESTS_NET_H
#define ZCS_TESTS_NET_H

#include <zcsock.h>

#include "slowness.h"
#include "sysctl.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif
#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

#define NET_MS	 (10000 * (int)slowness()) /* no test takes longer */
#define KIB	 1024ul
#define MIB	 (1024ul * 1024)
#define MTU_MAPS 57396 /* 14 pages of payload per packet: all of a lent stream can be mapped */
#define MAP_PIECE                                                                                  \
	(16 * 14 * 4096ul) /* bytes of a flagged call of the plain side: whole such packets */
#define MTU_LO 65536	   /* what loopback starts with */

/* --- ns.c: call net_main from main; exits with 77 and a reason where there is no namespace --- */

int net_main(const char *name, const struct CMUnitTest *tests, size_t nr);
#define NET_MAIN(tests) net_main(__FILE__, tests, sizeof(tests) / sizeof(*(tests)))
#define NET_TEST(f)                                                                                \
	{                                                                                          \
#f, f, net_setup, net_teardown, NULL                                               \
	}
#define NET_TEST_ON(f, family, path)                                                               \
	{                                                                                          \
#f " " #family " " #path, f, net_setup, net_teardown, &(struct net_where)          \
		{                                                                                  \
			family, path                                                               \
		}                                                                                  \
	}
void net_watch_time(void); /* a test that hangs ends the program */
int net_setup(void **state);
int net_teardown(void **state);

void net_lo_mtu(unsigned mtu);
/* Whether there is a pair zcs0 (here) - zcs1 (in the second namespace); made at the first call. */
bool net_has_veth(void);
void net_veth_mtu(unsigned mtu);
void net_veth_drops(bool drops); /* the queue here has no room for a single packet */
void net_go_far(void);		 /* this thread's next sockets are in the second namespace */
void net_go_near(void);
void net_far_is_deaf(bool deaf); /* its addresses are no longer resolved, and forgotten here */
bool net_line_is_bad(void);	 /* it loses and repeats, and changes the order: ZCS_TEST_NETEM */
bool net_drop_root(void);	 /* in a child only */
/*
 * Runs f in a child, which must come to its end; a failed assertion ends it before that. When it
 * exits with 77 the test is skipped.
 */
void net_in_child(void (*f)(void));
long net_now_ms(void);

/* --- pair.c --- */

enum net_family {
	NET_V4,
	NET_V6,
	NET_MAPPED, /* an IPv6 socket to an IPv4 address */
	NET_VSOCK,  /* within the machine, where that is ours: elsewhere it may lead to the host */
};
enum net_path { NET_LO, NET_VETH };

struct net_where { /* what NET_TEST_ON hands to its function as *state */
	enum net_family family;
	enum net_path path;
};

struct net_pair {
	int near; /* connected */
	int far;  /* accepted */
};

/* With port 0, or any. */
void net_address(struct sockaddr_storage *ss, socklen_t *len, enum net_family family,
		 enum net_path path);
/* A listener (in the second namespace with NET_VETH) and where to connect to from here. */
int net_listen(enum net_family family, enum net_path path, struct sockaddr_storage *to_out,
	       socklen_t *len_out);
int net_connect(const struct sockaddr_storage *to, socklen_t len); /* blocking; tries a while */
void net_pair(struct net_pair *p, enum net_family family, enum net_path path);
void net_set(int fd, int level, int name, int value);
void net_nonblock(int fd, bool on);
void net_silence(int fd); /* packets for fd are dropped: it acknowledges nothing */
void net_unsilence(int fd);
void net_reset(int fd); /* closes it with a RST */
size_t net_unacked(int fd);
size_t net_queued(int fd);

/* --- stream.c: byte number pos of stream seed, whatever the pieces --- */

void stream_fill(uint64_t seed, uint64_t pos, void *buf, size_t len);
/* The index of the first wrong byte, len when there is none. */
size_t stream_check(uint64_t seed, uint64_t pos, const void *buf, size_t len);
uint64_t net_random(uint64_t *state);

/* --- app.c: a connection of the library, and the program around it --- */

#define APP_HELD_MAX 4096

struct net;

struct loan {
	char *mem;
	size_t len;
	uint64_t token;
	bool out;
	size_t next; /* free slot */
};

struct app {
	struct net *net;
	struct zcs_conn *conn; /* NULL after CLOSED */
	int fd;

	/* events */
	unsigned readable, writable, open, errors, closed;
	int status;	   /* of ERROR */
	int closed_status; /* of CLOSED */

	/* sending */
	uint64_t tx_seed, tx_pos;
	struct loan *loans;
	size_t nr_loans, free_loan;
	size_t out; /* tokens not yet reported */
	uint64_t at_once, released, condemned, given;
	uint64_t bytes_released; /* event.bytes summed */
	uint32_t how;		 /* of all events, or'ed */
	int released_status;	 /* the last that was not 0 */
	bool keep_mem;		 /* do not free what is released: it is the test's */
	uint64_t last_token;

	/* receiving: when READABLE, all there is, checked, released */
	bool rx_manual; /* no: the test does it */
	bool rx_hold;	/* keep the spans in held[] */
	bool rx_plain;	/* the bytes are not a stream: do not check */
	uint64_t rx_seed, rx_pos, rx_mapped;
	size_t rx_max; /* max_bytes of each call */
	bool rx_eof;
	int rx_error;
	struct zcs_span held[APP_HELD_MAX];
	uint64_t held_pos[APP_HELD_MAX]; /* where in the stream each starts */
	size_t nr_held;
	struct app *relay_to; /* forward spans there, unchecked */
};

struct shape {
	size_t len, head;
	unsigned nr_iov; /* 0: 1 */
	uint32_t flags;
	unsigned misalign; /* bytes past a page boundary */
	uint32_t segment;  /* of datagrams, and where to */
	const struct sockaddr_storage *dest;
	size_t dest_len;
};

struct app *app_open(struct net *n, int fd, const struct zcs_conn_opts *opts);
/* What zcs_conn_send returned; on success the stream has moved on by head + len. */
int app_send(struct app *a, const struct shape *shape);
/* A token for a call that app_send does not make. */
uint64_t app_expect_token(struct app *a);
/* Sends until `total` more bytes were accepted, waiting for WRITABLE. */
void app_send_all(struct app *a, uint64_t total, const struct shape *shape);
int app_drain(struct app *a); /* receives until -EAGAIN; what the last call returned */
void app_check_held(const struct app *a);
void app_release_held(struct app *a);
void app_event(struct app *a, const struct zcs_event *e);
void app_stats(const struct app *a, struct zcs_stats *out);
void app_explain(struct app *a, char *buf, size_t len);
#define app_says(a, word)                                                                          \
	do {                                                                                       \
		char text_[4096];                                                                  \
		app_explain(a, text_, sizeof(text_));                                              \
		if (!strcasestr(text_, word))                                                      \
			fail_msg("no \"%s\" in: %s", word, text_);                                 \
	} while (0)

/* --- pump.c: the plain side, and the loop --- */

struct peer {
	int fd;
	bool rx_paused, rx_eof, rx_plain;
	int rx_error;
	uint64_t rx_seed, rx_pos;
	size_t rx_chunk; /* at most so much per turn; 0: all */
	char *tx_mem;
	size_t tx_len, tx_at;
	int tx_flags;
	uint64_t tx_seed, tx_pos; /* where the next peer_send starts */
	int tx_error;
	bool tx_shut; /* half-close when all is sent */
};

#define NET_MAX 64

struct net {
	struct zcs_ctx *ctx;
	struct app *apps[NET_MAX];
	struct peer *peers[NET_MAX];
	size_t nr_apps, nr_peers;
	unsigned pool_events;
	uint64_t steps;
	long deadline;
};

/* ZCS_NET_RING=1: contexts send by io_uring, unless they say otherwise. */
bool net_by_ring(void);
void net_socket_only(void); /* skips what is true of the other way only */
void net_start(struct net *n, const struct zcs_ctx_opts *opts);
/* Aborts what is open, takes every event, frees the context and closes the peers. */
void net_finish(struct net *n);
struct peer *peer_open(struct net *n, int fd);
/* Queue len bytes of the peer's stream; the loop sends them. The last ones must be out. */
void peer_send(struct peer *p, size_t len);
void net_take(struct net *n);			/* process, and take all events */
void net_step(struct net *n, const char *what); /* waits for one round; fails when time is up */

#define PUMP_UNTIL(n, condition)                                                                   \
	do {                                                                                       \
		while (!(condition))                                                               \
			net_step(n, #condition);                                                   \
	} while (0)
/* The loop runs so long although nothing is awaited: for what must not happen. */
void net_idle(struct net *n, long ms);

/* --- talk.c: a whole conversation over a pair --- */

struct talk {
	struct net net;
	struct app *app; /* trusts its peer, and maps whatever can be mapped */
	struct peer *peer;
};

void talk_open(struct talk *t, const struct zcs_ctx_opts *ctx_opts, int near, int far);
/* Both ways at once, much more than there is room for; every byte is checked. */
void talk(struct talk *t);
void talk_end(struct talk *t); /* closes, and all must be well */

#endif
