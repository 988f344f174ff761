/* SPDX-License-Identifier: MIT */
/*
 * mover.h - what moves bytes over a connection in one certain way, and the kit for it
 *
 * A mover gets ready, and then is a loop: while (bench_more(b)) { move some, count it }. Samples,
 * clocks and commands are behind bench_more. It has a process and one thread of its own; whatever
 * goes wrong ends that process with one line on standard error.
 *
 * Memory that is sent is filled once and never written again, so it may be sent again while the
 * kernel still holds it: no mover waits for its own memory, and the socket bounds what is out.
 */
#ifndef ZCSOCK_BENCH_MOVER_H
#define ZCSOCK_BENCH_MOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct bench;

struct bench_mover {
	const char *direction; /* tx, rx, pingpong, relay */
	const char *name;
	void (*run)(struct bench *b);
	unsigned way; /* enum zcs_way, of those that use the library */
};

struct bench_place {
	struct sockaddr_storage addr;
	socklen_t len;
};

/* What only grows; a sample tells by how much. */
struct bench_counts {
	uint64_t bytes;	     /* of a ping-pong: in one direction */
	uint64_t calls;	     /* that sent or received */
	uint64_t flagged;    /* bytes sent without a copy of ours, so that a notification is due */
	uint64_t zerocopied; /* bytes whose notification came and did not say "copied" */
	uint64_t notes;	     /* notifications read, each of one or more calls */
	uint64_t enobufs;
	uint64_t mapped; /* bytes received as the kernel's own pages */
};

enum bench_phase { BENCH_SET_UP, BENCH_WARM_UP, BENCH_SAMPLE };

struct bench {
	/* What was asked for */
	const struct bench_mover *mover;
	struct bench_place to, onto;
	size_t size;	    /* bytes per call, or per message of a ping-pong */
	size_t area;	    /* bytes; what is sent walks round so many */
	size_t segment;	    /* bytes of a UDP datagram */
	uint64_t warm;	    /* bytes to move before the clock of a sample starts */
	unsigned in_flight; /* messages lent at a time; 0: as many as the socket holds */
	bool by_hand;	    /* no commands: `samples` of `sample_bytes` each */
	uint64_t samples;
	uint64_t sample_bytes;
	bool touch; /* read every cache line of what is received */
	bool huge;  /* pages */
	bool udp;
	bool trust;    /* map what comes from this host, too */
	size_t buffer; /* bytes of a socket that receives; 0: the kernel's choice */

	/* The mover's */
	struct bench_counts count;
	bool lends;		/* tell of notifications */
	bool maps;		/* tell of mapped bytes */
	char *mem;		/* the area; bench_source */
	size_t at;		/* in it: the next piece */
	unsigned out;		/* flagged calls without a notification */
	unsigned unread;	/* flagged calls since the last bench_reap */
	volatile unsigned seen; /* so that the compiler does not drop the reading of bench_touch */
	void (*refresh)(struct bench *b); /* brings `count` up to date at the ends of a sample */
	const void *refresh_from;
	/* Tells in words what the library did, and why; NULL: it is not the library. */
	void (*explain)(const struct bench *b, char *buf, size_t len);
	const void *explain_from;

	/* The sample's */
	enum bench_phase phase;
	uint64_t until; /* count.bytes when it ends */
	bool counting;	/* system calls */
	int syscalls_fd;
	struct bench_counts from;
	uint64_t from_ns, from_cpu_ns, from_syscalls;
	uint64_t round_ns; /* when the last round trip ended */
	uint32_t *rounds;  /* nanoseconds each */
	size_t nr_rounds, max_rounds;
};

/* ---- samples: sample.c ---------------------------------------------------------------------- */

/* Ends what runs, tells of it, and begins what is asked for next; false: nothing more is. */
bool bench_next_sample(struct bench *b);

static inline bool bench_more(struct bench *b)
{
	return b->count.bytes < b->until || bench_next_sample(b);
}

/* A round trip is over, and the next one begins. */
void bench_round(struct bench *b);

/* ---- system calls of this thread: syscalls.c ------------------------------------------------ */

/* A counter, or -1 where there is none to be had. */
int bench_syscalls_open(void);
uint64_t bench_syscalls_read(int fd);

/* ---- the kit: mover.c ----------------------------------------------------------------------- */

/* A blocking socket: TCP, or UDP if that was asked for. */
int bench_connect(const struct bench *b, const struct bench_place *place);
/* Filled memory at a 2 MiB boundary; it stays until the end of the process. */
char *bench_memory(size_t len, bool huge);
/* Memory to send from: makes the area that bench_piece walks round. */
void bench_source(struct bench *b);

/* The next `size` bytes to send. */
static inline char *bench_piece(struct bench *b)
{
	char *piece = b->mem + b->at;

	b->at += b->size;
	if (b->at + b->size > b->area)
		b->at = 0;
	return piece;
}

/* Wake up, or return from a receive, when `bytes` are there; the kernel has limits of its own. */
void bench_expect(int fd, size_t bytes);
/* Allows MSG_ZEROCOPY. */
void bench_zerocopy(struct bench *b, int fd);
/* Reads the notifications that are there. */
void bench_reap(struct bench *b, int fd);
/* Reads them until there is one less out than may be, if that is limited. */
void bench_settle(struct bench *b, int fd);
/* What a reader of the data would cost: looks at each cache line, if that was asked for. */
void bench_touch(struct bench *b, const void *data, size_t len);
/* The end of the stream, which no mover expects. */
void bench_ended(void) __attribute__((__noreturn__));

/* ---- the worker: movers.c ------------------------------------------------------------------- */

/* argv[0] is the name of a mover. The exit status. */
int bench_worker(int argc, char **argv);

/* ---- the movers that use the library -------------------------------------------------------- */

void lib_tx(struct bench *b);
void lib_uring(struct bench *b);
void lib_rx(struct bench *b);
void lib_pingpong(struct bench *b);
void lib_relay(struct bench *b);

#endif
