// SPDX-License-Identifier: MIT
/*
 * Why zcs_conn_close keeps the descriptor: after close nothing tells when the memory is free, and
 * the kernel still sends from it. What we write then is what the peer receives.
 */
#include "kit.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	struct promise_note note;
	size_t size = 2 * promise_page();
	char *buf = promise_pages(2);
	char *got = promise_pages(2);

	if (!buf || !got || promise_zc_pair(&p, AF_INET) < 0 || promise_silence(p.rx) < 0)
		return promise_lacks(why, len, "TCP over loopback with a silent peer");
	promise_fill(buf, size, 1);
	if (promise_zc_send(p.tx, buf, size) != (ssize_t)size)
		return promise_failed(why, len, "flagged send");
	close(p.tx);
	if (promise_note_read(p.tx, &note) != -1 || errno != EBADF)
		return promise_broken(why, len, "the error queue could be read after close");
	promise_fill(buf, size, 2);
	if (promise_unsilence(p.rx) < 0 || promise_read_all(p.rx, got, size) < 0)
		return promise_lacks(why, len, "retransmission after close");
	if (promise_filled(got, size, 1))
		return promise_broken(why, len, "the kernel no longer sent from our memory");
	return PROMISE_HOLDS;
}

const struct promise promise_tx_close_forgets_numbers = {
	.id = "tx_close_forgets_numbers",
	.sentence =
		"After close no notification can be read any more, while the kernel may still send from "
		"the memory.",
	.source = "net/core/skbuff.c __msg_zerocopy_callback",
	.otherwise = "Nothing would be lost: the library reads all notifications before "
		     "it closes (guard 5).",
	.run = run,
};
