/* SPDX-License-Identifier: MIT */
/*
 * raw.h - the movers that the library is held against: system calls and nothing else, each the way
 * that a careful programmer would write it for this one purpose
 */
#ifndef ZCSOCK_BENCH_RAW_H
#define ZCSOCK_BENCH_RAW_H

#include "mover.h"

/* Send */
void raw_send(struct bench *b);
void raw_msgzc(struct bench *b);
void raw_uring(struct bench *b);
void raw_sendfile(struct bench *b);
void raw_udp(struct bench *b);
void raw_udp_msgzc(struct bench *b);

/* Receive */
void raw_recv(struct bench *b);
void raw_fresh(struct bench *b);
void raw_map(struct bench *b);
void raw_trunc(struct bench *b);

/* Both */
void raw_epoll(struct bench *b);
void raw_relay(struct bench *b);
void raw_splice(struct bench *b);

/* The loops of raw-send and raw-msgzc, over a socket of any kind. */
void raw_send_loop(struct bench *b, int fd);
void raw_msgzc_loop(struct bench *b, int fd);
/* One turn of the latter; as send(2). */
ssize_t raw_send_zerocopy(struct bench *b, int fd, const void *buf, size_t len);

#endif
