// SPDX-License-Identifier: MIT
/*
 * What was never transmitted is freed before what awaits its acknowledgement. A ledger that takes
 * "up to n" from the highest number seen would release early here.
 */
#include "kit.h"

#include <sys/socket.h>

/* 1 when a note is below one that came before it, 0 when none is, -1 with errno */
static int out_of_order(int fd)
{
	struct promise_note note;
	uint32_t highest = 0;
	int got, found = 0;

	while ((got = promise_note_wait(fd, &note)) > 0 && !found) {
		found = note.high < highest;
		highest = note.high;
	}
	return got < 0 ? -1 : found;
}

static enum promise_verdict run(char *why, size_t len)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct promise_pair p;
	size_t size = 32 * promise_page();
	char *buf = promise_pages(32);
	int nr, found;

	if (!buf || promise_zc_pair(&p, AF_INET) < 0 || promise_silence(p.rx) < 0)
		return promise_lacks(why, len, "TCP over loopback with a silent peer");
	nr = promise_fill_queue(p.tx, buf, size);
	if (nr < 8)
		return promise_unsure(why, len, "only %d flagged sends fitted", nr);
	if (connect(p.tx, &none, sizeof(none)) < 0)
		return promise_failed(why, len, "connect(AF_UNSPEC)");
	found = out_of_order(p.tx);
	if (found < 0)
		return promise_failed(why, len, "reading the error queue");
	/* permission, not duty: ascending order breaks nobody */
	return found ? PROMISE_HOLDS : promise_unsure(why, len, "all came in order this time");
}

const struct promise promise_tx_disconnect_out_of_order = {
	.id = "tx_disconnect_out_of_order",
	.sentence =
		"After connect(AF_UNSPEC) the notifications of one TCP socket may come with the later "
		"numbers first.",
	.source = "Documentation/networking/msg_zerocopy.rst; net/ipv4/tcp.c tcp_write_queue_purge",
	.otherwise = "Ascending ones are understood as well (guard 4).",
	.run = run,
};
