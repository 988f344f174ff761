/* SPDX-License-Identifier: MIT */
/*
 * lib_rx.c - receives by the library: looks at each span and gives it back at once
 *
 * The stream has no end, and the library is told so: it wakes up for large pieces, of which each
 * call hands out no more than `size`. The raw programs can wait for no more than fits their buffer.
 */
#include "lib.h"

#define SPANS	16
#define ENDLESS ((size_t)1 << 40)

void lib_rx(struct bench *b)
{
	struct lib lib = { 0 };
	struct zcs_span spans[SPANS];
	struct zcs_conn *conn;

	lib_open(b, &lib);
	conn = lib_connect(b, &lib, &b->to);
	b->maps = true;
	while (bench_more(b)) {
		size_t nr;

		lib_must(zcs_conn_expect(conn, ENDLESS), "zcs_conn_expect");
		nr = lib_recv(&lib, conn, spans, SPANS, b->size);
		for (size_t i = 0; i < nr; i++) {
			bench_touch(b, spans[i].base, spans[i].len);
			b->count.bytes += spans[i].len;
		}
		zcs_span_release(lib.ctx, spans, nr);
	}
	lib_close(&lib);
}
