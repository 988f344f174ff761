// SPDX-License-Identifier: MIT
/* Why the window never comes from a data socket: close would not end the connection. */
#include "kit.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	size_t page = promise_page();
	char c = 'x';
	void *win;

	if (promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	win = mmap(NULL, page, PROT_READ, MAP_SHARED, p.rx, 0);
	if (win == MAP_FAILED)
		return promise_lacks(why, len, "mapping of a TCP socket");
	close(p.rx);
	/* over loopback a FIN, or the RST for this byte, is there by the time of the ACK */
	if (send(p.tx, &c, 1, MSG_NOSIGNAL) != 1 || promise_wait_acked(p.tx) < 0)
		return promise_broken(why, len, "close ended the connection");
	if (promise_wait_event(p.tx, POLLIN | POLLRDHUP, 0))
		return promise_broken(why, len, "close sent a FIN");
	munmap(win, page);
	if (!promise_wait_event(p.tx, POLLIN | POLLRDHUP, PROMISE_WAIT_MS))
		return promise_broken(why, len, "munmap did not end the connection either");
	return PROMISE_HOLDS;
}

const struct promise promise_rx_window_pins_its_socket = {
	.id = "rx_window_pins_its_socket",
	.sentence =
		"A mapping made from a data socket keeps it open: close sends no FIN until the mapping "
		"is gone.",
	.source = "mmap(2); net/ipv4/tcp.c tcp_mmap",
	.otherwise = "Windows are made from a socket of their own (guard 10), which is "
		     "right either way.",
	.run = run,
};
