/* SPDX-License-Identifier: MIT */
/*
 * lib_tx.c - sends by the library: lends as many messages as the budget of a connection takes
 *
 * A message counts when it is over, not when it was accepted: by then the kernel has all of it. At
 * the ends of a sample that is made exact (lib.c).
 */
#include "lib.h"

void lib_tx(struct bench *b)
{
	struct lib lib = { 0 };
	struct zcs_conn *conn;

	lib_open(b, &lib);
	conn = lib_connect(b, &lib, &b->to);
	bench_source(b);
	b->lends = true;
	while (bench_more(b)) {
		lib_send(&lib, conn, bench_piece(b), b->size);
		b->count.bytes = lib.sent;
	}
	lib_close(&lib);
}
