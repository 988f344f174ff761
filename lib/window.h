/* SPDX-License-Identifier: MIT */
/*
 * window.h - the receive window: one mapping into which every connection of a context receives
 *
 * The mapping is made from a TCP socket of its own that is never connected and is closed at once: a
 * mapping holds its socket open, so one made from a data socket would keep close(2) from sending a
 * FIN. Any TCP socket of the process may receive into it (tcp_zerocopy_receive, net/ipv4/tcp.c).
 *
 * Touching a page that was not filled is a SIGBUS: only what a mapping call reported is ever handed
 * out. The window is kept out of children (MADV_DONTFORK): they would keep the pages otherwise.
 */
#ifndef ZCSI_WINDOW_H
#define ZCSI_WINDOW_H

#include "pure/link.h"
#include "pure/ring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct window {
	char *base; /* NULL: not open */
	size_t len;
	socklen_t optlen; /* of struct tcp_zerocopy_receive this kernel knows: 64, 40, 24, 16 */
	struct ring ring;
	struct later unmap; /* what unmapping costs, per byte */
};

/* How much of the option struct a kernel must know for each of its abilities. */
#define WINDOW_OPT_MAP	   16 /* address, length, recv_skip_hint */
#define WINDOW_OPT_ERR	   24 /* inq, err */
#define WINDOW_OPT_COPYBUF 40 /* copybuf_address, copybuf_len, flags */
#define WINDOW_OPT_ALL	   64 /* msg_control ... */

/*
 * 0, or negative errno: this kernel cannot map (-EOPNOTSUPP), or no memory or descriptor. len is
 * rounded up to whole segments. data_fd, a TCP socket that is to receive, is not looked at but in a
 * build without guard 10.
 */
int window_open(struct window *w, size_t len, int data_fd);
/* Also of one that is not open. Spans that are still out must not be touched any more. */
void window_close(struct window *w);
/*
 * Where the next call may map, at most want bytes (page multiple); *addr and the length, 0: no
 * room.
 */
size_t window_room(struct window *w, size_t want, char **addr);
void window_commit(struct window *w, const char *addr, size_t len);
bool window_owns(const struct window *w, const void *addr);
/* The span at addr came back; unmaps in bulk what is due. false: no such span. */
bool window_release(struct window *w, const void *addr, size_t len);

#endif
