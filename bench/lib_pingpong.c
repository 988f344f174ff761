/* SPDX-License-Identifier: MIT */
/* lib_pingpong.c - by the library: sends a message and waits until it has come back */
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "lib.h"

#define SPANS 16

/* No limit: what is read in full once would be asked for again. No more than the message comes. */
static void get_back(struct bench *b, struct lib *lib, struct zcs_conn *conn)
{
	struct zcs_span spans[SPANS];
	size_t left = b->size;

	while (left) {
		size_t nr = lib_recv(lib, conn, spans, SPANS, 0);

		for (size_t i = 0; i < nr; i++) {
			bench_touch(b, spans[i].base, spans[i].len);
			left -= spans[i].len;
		}
		zcs_span_release(lib->ctx, spans, nr);
	}
}

void lib_pingpong(struct bench *b)
{
	struct lib lib = { 0 };
	struct zcs_conn *conn;
	int on = 1;

	lib_open(b, &lib);
	conn = lib_connect(b, &lib, &b->to);
	if (setsockopt(zcs_conn_fd(conn), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		err(1, "TCP_NODELAY");
	bench_source(b);
	b->lends = b->maps = true;
	while (bench_more(b)) {
		lib_send(&lib, conn, bench_piece(b), b->size);
		get_back(b, &lib, conn);
		b->count.bytes += b->size;
		bench_round(b);
	}
	lib_close(&lib);
}
