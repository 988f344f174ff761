/* SPDX-License-Identifier: MIT */
/* lib_uring.c - sends by the library and io_uring, from memory of the library's pool */
#include "lib.h"

#include <err.h>
#include <string.h>

/* Fails unless io_uring is in use; the library says why it is not. */
static void check_way(struct zcs_conn *conn)
{
	char text[2048], *line;

	lib_must(zcs_conn_explain(conn, text, sizeof(text)), "zcs_conn_explain");
	line = strstr(text, "sent by ");
	if (!line)
		errx(1, "uring: this library has no io_uring way to send");
	if (strncmp(line, "sent by io_uring", 16) != 0)
		errx(1, "uring: %.*s", (int)strcspn(line, "\n"), line);
}

void lib_uring(struct bench *b)
{
	struct lib lib = { .ring = true };
	struct zcs_conn *conn;

	lib_open(b, &lib);
	conn = lib_connect(b, &lib, &b->to);
	check_way(conn);
	b->mem = zcs_buf_alloc(lib.ctx, b->area, NULL);
	if (!b->mem)
		errx(1, "uring: no memory for %zu bytes", b->area);
	memset(b->mem, 0x5a, b->area);
	b->lends = true;
	while (bench_more(b)) {
		lib_send(&lib, conn, bench_piece(b), b->size);
		b->count.bytes = lib.sent;
	}
	lib_close(&lib);
}
