/* SPDX-License-Identifier: MIT */
/*
 * lib_relay.c - by the library: what one connection receives is sent on another
 *
 * A span is the library's again once it is handed on, and stays charged to the connection that
 * received it until it is out. So there is nothing to wait for but more data.
 */
#include "lib.h"

#define SPANS 16

static void hand_on(struct bench *b, struct zcs_conn *to, const struct zcs_span *spans, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		lib_must(zcs_conn_send_span(to, &spans[i], 0), "zcs_conn_send_span");
		b->count.bytes += spans[i].len;
	}
}

void lib_relay(struct bench *b)
{
	struct lib lib = { 0 };
	struct zcs_span spans[SPANS];
	struct zcs_conn *from, *to;

	lib_open(b, &lib);
	from = lib_connect(b, &lib, &b->to);
	to = lib_connect(b, &lib, &b->onto);
	b->lends = b->maps = true;
	while (bench_more(b)) {
		lib_must(zcs_conn_expect(from, b->size), "zcs_conn_expect");
		hand_on(b, to, spans, lib_recv(&lib, from, spans, SPANS, b->size));
	}
	lib_close(&lib);
}
