/* SPDX-License-Identifier: MIT */
/* lib.h - what the movers that use the library have in common */
#ifndef ZCSOCK_BENCH_LIB_H
#define ZCSOCK_BENCH_LIB_H

#include <zcsock.h>

#include "mover.h"

#define LIB_CONNS 2

struct lib {
	bool ring;	  /* send by io_uring */
	uint32_t segment; /* bytes of a datagram; 0: a stream */
	struct zcs_ctx *ctx;
	struct zcs_conn *conns[LIB_CONNS];
	unsigned nr_conns;
	uint64_t sent;	    /* bytes of messages that came back */
	unsigned in_flight; /* see struct bench */
	unsigned out;	    /* messages that did not come back yet */
	unsigned held;	    /* messages of UDP */
	unsigned lent;	    /* since events were last taken */
};

/* r, or the end if it is an error; `call` made it. */
int lib_must(int r, const char *call);
/* A context whose statistics are the mover's counters, and that explains itself. */
void lib_open(struct bench *b, struct lib *lib);
/* A new connection that goes the mover's way; up to LIB_CONNS. */
struct zcs_conn *lib_connect(const struct bench *b, struct lib *lib,
			     const struct bench_place *place);
/* Waits for room if there is none. The memory is lent. */
void lib_send(struct lib *lib, struct zcs_conn *conn, void *data, size_t len);
/* Waits for data if there is none. How many spans came; max: of bytes, as of zcs_conn_recv. */
size_t lib_recv(struct lib *lib, struct zcs_conn *conn, struct zcs_span *spans, size_t nr,
		size_t max);
/* Drops everything at once. */
void lib_close(struct lib *lib);

#endif
