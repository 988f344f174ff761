// SPDX-License-Identifier: MIT
/*
 * The way out at a close deadline: whatever the peer does, connect(AF_UNSPEC) gives every number
 * back while the descriptor can still be read.
 */
#include "kit.h"

#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct promise_pair p;
	struct promise_note note;
	size_t size = 16 * promise_page();
	char *buf = promise_pages(16);
	int nr;

	if (!buf || promise_zc_pair(&p, AF_INET) < 0 || promise_silence(p.rx) < 0)
		return promise_lacks(why, len, "TCP over loopback with a silent peer");
	for (nr = 0; nr < 8; nr++) {
		if (promise_zc_send(p.tx, buf, size) <= 0)
			break;
	}
	if (nr < 2)
		return promise_lacks(why, len, "two flagged sends to a silent peer");
	if (promise_note_read(p.tx, &note) != 0)
		return promise_unsure(why, len, "a notification came although the peer is silent");
	if (connect(p.tx, &none, sizeof(none)) < 0)
		return promise_failed(why, len, "connect(AF_UNSPEC)");
	return promise_expect_numbers(&p, (unsigned int)nr, why, len);
}

const struct promise promise_tx_disconnect_returns_all = {
	.id = "tx_disconnect_returns_all",
	.sentence =
		"connect(AF_UNSPEC) on a TCP socket returns every outstanding number at once, while the "
		"descriptor stays open, even if the peer is silent.",
	.source = "connect(2); net/ipv4/tcp.c tcp_disconnect",
	.otherwise = "Closing waits for its deadline, and what is then still out is "
		     "condemned: never used again, never reported free.",
	.run = run,
};
