/* SPDX-License-Identifier: MIT */
/*
 * app.h - a program that uses the library by its contract, and distrusts it
 *
 * Everything it sends is announced to the peer first. The instant a message is RELEASED its memory
 * is scribbled over and freed; what is CONDEMNED is kept and compared at the end. It counts one
 * event per token, and fails on any after CLOSED.
 */
#ifndef APP_H
#define APP_H

#include "simk.h"
#include "zcsock.h"

#define APP_CONNS 16

enum app_state { APP_OUT = 1, APP_RELEASED, APP_CONDEMNED, APP_SILENT };

struct app_msg {
	struct app_conn *c;
	enum app_state state;
	char *base, *mem; /* allocated, and where the message is in it */
	size_t len;	  /* lent part */
	uint64_t total;	  /* head included */
	uint64_t pos;	  /* of mem in the stream */
	uint32_t flags;
	bool file;
	struct zcs_event ev; /* as it came */
};

struct app_span {
	struct zcs_span span;
	struct app_conn *c;
	uint64_t pos;
};

struct app_conn {
	struct app *app;
	struct zcs_conn *conn;
	struct sim_tcp *tcp;
	int fd;
	uint32_t key;
	uint64_t tx_pos;
	uint64_t rx_pos;
	bool eof, open, readable, writable, closed, closing;
	int rx_error; /* what receiving ended with */
	int error;    /* of ZCS_EV_ERROR */
	unsigned nr_errors, nr_readable;
	uint64_t rx_hole; /* position of an urgent byte + 1; 0: none */
	int urgent;	  /* urgent spans seen */
	unsigned out;	  /* tokens that are due */
};

struct app {
	struct zcs_ctx *ctx;
	struct app_conn conns[APP_CONNS];
	unsigned nr_conns;
	struct app_msg *msgs;
	size_t nr_msgs, max_msgs;
	struct app_span *spans;
	size_t nr_spans, max_spans;
	unsigned pool_events;
	uint64_t nr_events[ZCS_EV_CLOSED + 1], nr_failed;
	uint64_t bytes_condemned;
	bool zeroed; /* files were scribbled over: their content is gone */
};

/* A message to send; what is 0 is plain. */
struct app_send {
	size_t len;	 /* of the lent part */
	size_t head;	 /* of the head */
	unsigned pieces; /* iovecs; 0: one */
	uint32_t flags;
	uint32_t segment;
	bool pool;   /* from zcs_buf_alloc */
	size_t skew; /* the memory starts this far behind a page */
};

/* ZCS_SIM_RING=1: contexts send by io_uring, unless they say otherwise. */
void app_open(struct app *a, const struct zcs_ctx_opts *opts);
uint32_t app_ring(void); /* enum zcs_ring */
bool app_by_ring(void);
struct app_conn *app_conn(struct app *a, const struct zcs_conn_opts *opts);
struct app_conn *app_conn_over(struct app *a, const struct zcs_conn_opts *opts, struct sim_tcp *tcp,
			       int fd);
/* What zcs_conn_send said. */
int app_send(struct app_conn *c, const struct app_send *what);
/* And it is given to the kernel at once, also where it would wait for others. */
int app_send_plain(struct app_conn *c, size_t len, uint32_t flags);
int app_send_file(struct app_conn *c, int file, uint64_t off, uint64_t len, uint32_t key);
/* What is in the pipe are the bytes of stream key from pos on. */
int app_send_pipe(struct app_conn *c, int pipe, size_t len, uint32_t key, uint64_t pos);
struct app_msg *app_last(struct app *a);
/* Takes events for as long as they come without waiting longer than timeout_ms for each. */
unsigned app_take(struct app *a, int timeout_ms);
void app_event(struct app *a, const struct zcs_event *ev);
/* Takes events until nothing is out, or fails. */
void app_drain(struct app *a);
/* One receive of up to nr spans; checked, and held. What zcs_conn_recv said. */
int app_recv(struct app_conn *c, size_t nr, size_t max_bytes);
/* Receives until -EAGAIN, the end or an error; releases at once. */
void app_recv_all(struct app_conn *c);
/* Gives held span i back, checked again. */
void app_release(struct app *a, size_t i);
void app_release_all(struct app *a);
void app_close(struct app_conn *c);
/* Closes what is open, takes everything, frees the context, checks what is condemned. */
void app_end(struct app *a);
struct zcs_stats app_stats(struct app_conn *c);

#endif
