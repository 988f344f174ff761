/* SPDX-License-Identifier: MIT */
/*
 * peer.h - the other end: a real socket of the kernel's that drops, sends or echoes
 *
 * Over TCP on three ports in a row: discard, chargen (sends without end), echo. Over UDP on the
 * first one: discard. Each connection has a process of its own, so that none waits for another.
 */
#ifndef ZCSOCK_BENCH_PEER_H
#define ZCSOCK_BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

enum bench_service { BENCH_DISCARD, BENCH_CHARGEN, BENCH_ECHO, BENCH_DISCARD_UDP, BENCH_SERVICES };

struct bench_peer_opts {
	int cpu;       /* that it runs on; -1: any */
	bool awake;    /* what takes data in does not sleep as long as data comes */
	uint64_t rate; /* bytes per second of what sends; 0: as fast as it can */
};

struct bench_peer {
	struct bench_peer_opts opts;
	int fds[BENCH_SERVICES]; /* listeners, and the UDP socket */
	unsigned port;		 /* of discard; chargen and echo are the next two */
	pid_t pid;
	uint64_t *moved; /* bytes by service, of all connections; memory that processes share */
};

/* Listens. Port 0: any three that are free. A negative errno. */
int bench_peer_open(struct bench_peer *peer, const struct sockaddr_storage *addr);
/* Serves until a signal ends this process, and with it those of the connections. */
void bench_peer_serve(struct bench_peer *peer) __attribute__((__noreturn__));
/*
 * Both, in a process of its own that ends with this one. It keeps copies of the descriptors that
 * are open now.
 */
int bench_peer_start(struct bench_peer *peer, const struct sockaddr_storage *addr,
		     const struct bench_peer_opts *opts);
void bench_peer_stop(struct bench_peer *peer);

#endif
