/* SPDX-License-Identifier: MIT */
/*
 * simk.h - a simulated kernel for the library to run on
 *
 * It sits behind zcsi_sys. One thread, one seed, simulated time: every run of a seed is the same,
 * and a wait for something that cannot happen any more is seen at once ("hang").
 *
 * The heart is when memory is read. A call with MSG_ZEROCOPY keeps pointers; the bytes are read
 * when the peer takes them, again at random until the notification is queued, and for pieces that
 * a qdisc holds even after the socket is gone. Every read is compared with what the test announced
 * for that position of the stream (sim_expect), so a buffer reused too early is seen. Where memory
 * is unmapped or replaced, the old bytes are kept, as the page references of a kernel keep them.
 *
 * The bytes of a stream are a function of a key and the position: nobody has to store them.
 */
#ifndef SIMK_H
#define SIMK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define SIM_US 1000ull
#define SIM_MS 1000000ull
#define SIM_S  1000000000ull

struct sim_tcp; /* a TCP socket and its peer; lives until sim_end, also after its descriptor */

/* What a socket does; sim_default is copied into each new one. Percentages are per occasion. */
struct sim_knobs {
	/* the socket */
	int family;	   /* AF_INET, AF_INET6, AF_VSOCK */
	bool v4mapped;	   /* AF_INET6: the peer's address is ::ffff:a.b.c.d */
	uint32_t zc_start; /* the number of the first flagged call */
	int zc_refuse;	   /* errno of setsockopt(SO_ZEROCOPY), or 0 */
	int protocol;	   /* SO_PROTOCOL; 0: TCP */
	bool dgram;	   /* UDP; a connected socket */
	int send_refuse;   /* errno of flagged calls, or 0 */
	/* sending */
	uint32_t sndbuf;	  /* bytes not acknowledged */
	uint32_t cwnd;		  /* of them transmitted; the rest waits in the write queue */
	unsigned partial_pct;	  /* sendmsg takes less than fits */
	unsigned again_pct;	  /* sendmsg takes nothing although it fits */
	unsigned nomem_pct;	  /* VSOCK: a flagged call fails with ENOMEM ... */
	unsigned nomem_takes_pct; /* ... and has taken a number */
	int nomem_errno;	  /* another error in its place */
	/* UDP */
	unsigned fail_pct; /* the packet is built, and dropped again: a number is taken ... */
	int fail_errno;	   /* ... and this is the error */
	bool no_trains;	   /* UDP_SEGMENT is refused */
	unsigned unreachable_pct; /* ICMP comes while it receives */
	unsigned icmp_pct;	  /* a call tells of an earlier datagram, and sends none */
	/* the peer's kernel */
	uint64_t ack_min_ns, ack_max_ns; /* between two steps of it */
	uint32_t ack_max;		 /* bytes it takes in a step */
	unsigned lag_pct;		 /* it takes, but acknowledges later */
	bool silent;			 /* it does nothing at all */
	/* completion */
	uint32_t share_bytes; /* calls share a completion object up to this many bytes */
	unsigned share_pct;
	unsigned merge_pct; /* adjacent notifications merge at the tail of the queue */
	unsigned split_pct; /* one range comes as two */
	unsigned dup_pct;   /* a notification comes twice */
	unsigned copied_pct;
	unsigned reread_pct; /* retransmission: memory is read again */
	unsigned hold_pct;   /* a qdisc holds the piece for at most hold_ns after the ACK */
	uint64_t hold_ns;    /* 0: until sim_let_go */
	/* by a ring */
	int ring_zc_refuse;	 /* errno of requests that lend */
	unsigned ring_nomem_pct; /* they find no memory */
	unsigned ring_late_pct;	 /* a request waits although there is room */
	unsigned ring_short_pct; /* one that has to wait ends short instead */
	uint64_t note_late_ns;	 /* notifications are late by up to this */
	/* receiving */
	bool ulp;	      /* a protocol on top: what would be mapped is encrypted */
	socklen_t map_optlen; /* of struct tcp_zerocopy_receive: 64, 40, 24, 16; 0: cannot map */
	int map_errno;	      /* what a refused mapping call returns */
	unsigned map_err_pct;
	unsigned map_part_pct;	 /* a mapping call takes fewer pages than it could */
	unsigned early_wake_pct; /* poll says readable below SO_RCVLOWAT */
};

extern struct sim_knobs sim_default;

struct sim_world {
	uint64_t seed;
	uint64_t step_ns;  /* each system call takes up to this long; 0: time passes in waits */
	uint64_t memlock;  /* bytes; UINT64_MAX: no limit */
	uint64_t cpu_ns;   /* CPU time that calls have taken: none but those below */
	struct sim_price { /* of a sending call, and of the bytes that it takes */
		uint32_t call_ns, kib_ns;
	} copy_price, flag_price;
	unsigned noise_pct;	/* what is paid is up to this much more or less */
	uint32_t optmem_max;	/* bytes per socket */
	unsigned eintr_pct;	/* of epoll_wait: elsewhere the real table calls again by itself */
	unsigned mmap_fail_pct; /* memory runs out */
	uint64_t max_calls;	/* more: the library spins */
	uint64_t now;		/* ns */
	uint64_t calls;		/* system calls so far */
	uint64_t locked_pages;
	unsigned errq_reads, map_calls, sendmsg_calls, hint_calls;
	unsigned timed_sends;	  /* sendmsg with the CPU clock read right before and right after */
	unsigned out_reports;	  /* sockets that epoll reported with EPOLLOUT */
	unsigned reports;	  /* sockets that epoll reported */
	int ring_error;		  /* errno of opening a ring */
	bool ring_no_report;	  /* RING_REPORT is not known */
	int ring_enter_error;	  /* errno of every call on one */
	unsigned ring_submit_pct; /* not all requests are taken */
	unsigned ring_map_fail_pct;				   /* memory cannot be registered */
	unsigned ring_submits, ring_reqs, ring_enters, ring_fixed; /* calls, requests ... */
	/* The file that is written */
	int file_flags;		     /* O_DIRECT ... */
	uint32_t dio_mem, dio_block; /* what O_DIRECT asks for, bytes; 0: nobody says */
	int direct_errno;	     /* of each direct write, or 0 */
	int write_errno;	     /* of each write, or 0 */
	unsigned write_short_pct;    /* a write takes less than it could */
	uint64_t disk_left;	     /* bytes until ENOSPC */
	unsigned file_writes, direct_writes, misaligned; /* calls; direct ones; refused for it */
};

extern struct sim_world sim;

/* ---- the world ------------------------------------------------------------------------------- */

void sim_begin(uint64_t seed);
/*
 * Lets all that is under way end, then fails on leaked descriptors, mappings and page references.
 */
void sim_end(void);
void sim_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void sim_trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define sim_assert(cond)                                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			sim_fail("%s:%d: not so: %s", __FILE__, __LINE__, #cond);                  \
	} while (0)
#define sim_equal(a, b)                                                                            \
	do {                                                                                       \
		long long a_ = (long long)(a), b_ = (long long)(b);                                \
		if (a_ != b_)                                                                      \
			sim_fail("%s:%d: %s is %lld, not %s = %lld", __FILE__, __LINE__, #a, a_,   \
				 #b, b_);                                                          \
	} while (0)

uint64_t sim_rnd64(void);
uint32_t sim_rnd(uint32_t n); /* 0 ... n-1; 0 for n = 0 */
bool sim_pct(unsigned pct);

void sim_at(uint64_t in_ns, void (*fn)(void *arg), void *arg);
/* Runs what is due within the next ns. */
void sim_run(uint64_t ns);
/* Level of any simulated descriptor, EPOLL* bits. */
uint32_t sim_poll(int fd);
/* Runs until fd is readable or ns have passed; false: it is not. */
bool sim_run_until_readable(int fd, uint64_t ns);
bool sim_is_open(int fd);
/* EPOLL* bits that epoll sets wait for. */
uint32_t sim_watched(int fd);

/* ---- streams --------------------------------------------------------------------------------- */

void sim_fill(void *buf, size_t len, uint32_t key, uint64_t pos);
/* The first byte that differs, or len. */
size_t sim_differs(const void *buf, size_t len, uint32_t key, uint64_t pos);

/* ---- sockets and their peers ----------------------------------------------------------------- */

struct sim_tcp *sim_tcp_new(int *fd_out); /* connected */
/* SYN_SENT; in after_ns connected (err 0) or refused. */
struct sim_tcp *sim_tcp_connecting(int *fd_out, uint64_t after_ns, int err);
struct sim_knobs *sim_knobs(struct sim_tcp *s);

/* The next len bytes that go out are those of stream key from position pos. */
void sim_expect(struct sim_tcp *s, uint64_t len, uint32_t key, uint64_t pos);
void sim_unexpect(struct sim_tcp *s, uint64_t len); /* the last len of them */
/* UDP: what was expected last is datagrams of so many bytes. */
void sim_expect_segments(struct sim_tcp *s, uint32_t segment);
/* UDP: the datagrams that the peer got; into at most max of lens. */
size_t sim_peer_datagrams(const struct sim_tcp *s, const uint32_t **lens_out);
/* One arrives, or a train of them; or ICMP says that one was for nobody. */
void sim_peer_datagram(struct sim_tcp *s, size_t len, uint16_t segment);
void sim_peer_unreachable(struct sim_tcp *s);
uint64_t sim_dropped(const struct sim_tcp *s); /* messages that it refused, whole or in part */
/* Whether the datagram expected last was dropped by the kernel since this was asked before. */
bool sim_dropped_last(struct sim_tcp *s);

uint64_t sim_undone(const struct sim_tcp *s);	/* bytes that are expected, and not accepted */
uint64_t sim_tcp_end(const struct sim_tcp *s);	/* bytes that the kernel accepted */
uint64_t sim_peer_got(const struct sim_tcp *s); /* bytes that the peer read */
bool sim_peer_saw_fin(const struct sim_tcp *s);
bool sim_peer_saw_reset(const struct sim_tcp *s);
unsigned sim_tcp_refs(const struct sim_tcp *s); /* pieces of memory that may still be read */
uint32_t sim_tcp_next_number(const struct sim_tcp *s);
bool sim_tcp_pinned(const struct sim_tcp *s); /* a mapping holds it open */
int sim_tcp_lowat(const struct sim_tcp *s);
uint64_t sim_tcp_unread(const struct sim_tcp *s); /* bytes in the receive queue */
/* The peer takes and acknowledges up to `pos` of the stream, now. */
void sim_peer_ack(struct sim_tcp *s, uint64_t pos);
/* A silent peer takes nothing and acknowledges nothing. */
void sim_peer_silence(struct sim_tcp *s, bool silent);
/* Qdiscs let go of everything that they hold for s. */
void sim_let_go(struct sim_tcp *s);

enum sim_layout {
	SIM_PAGES,    /* whole pages, then a partial one */
	SIM_HEAD,     /* `head` bytes in the linear part, then as SIM_PAGES */
	SIM_UNMAPPED, /* compound, shifted, linear or page cache: cannot be mapped */
};

/* One segment arrives: bytes of the stream sim_rx_key(s), in order. */
void sim_peer_send(struct sim_tcp *s, size_t len, enum sim_layout layout, size_t head);
/* It arrives, and poll says so although SO_RCVLOWAT is not reached. */
void sim_peer_send_early(struct sim_tcp *s, size_t len);
uint32_t sim_rx_key(const struct sim_tcp *s);
void sim_peer_urgent(struct sim_tcp *s); /* one byte with the urgent mark */
void sim_peer_fin(struct sim_tcp *s);
void sim_peer_reset(struct sim_tcp *s);

/* ---- the error queue ------------------------------------------------------------------------- */

void sim_note(struct sim_tcp *s, uint32_t lo, uint32_t hi, bool copied);
void sim_note_timestamp(struct sim_tcp *s, size_t payload);
void sim_note_icmp(struct sim_tcp *s, size_t payload);
unsigned sim_notes(const struct sim_tcp *s); /* entries queued */

/* ---- running tests --------------------------------------------------------------------------- */

struct sim_case {
	const char *name;
	void (*run)(void);
};

/*
 * Runs each case for `seeds` seeds, or for ZCS_SIM_SEEDS if that is set; with ZCS_SIM_SEED for that
 * one; ZCS_SIM_CASE names one case; ZCS_SIM_TRACE=1 prints each system call.
 */
int sim_main(const struct sim_case *cases, size_t nr, unsigned seeds);

#endif
