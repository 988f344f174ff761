// SPDX-License-Identifier: MIT
/*
 * A flag that was ignored looks like success. Counting on a notification for it would keep the
 * memory lent for ever.
 */
#include "kit.h"

#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	struct promise_note note;
	size_t size = 2 * promise_page();
	char *buf = promise_pages(2);
	char *got = promise_pages(2);

	if (!buf || !got || promise_tcp_pair(&p, AF_INET) < 0 || promise_silence(p.rx) < 0)
		return promise_lacks(why, len, "TCP over loopback with a silent peer");
	promise_fill(buf, size, 1);
	if (promise_zc_send(p.tx, buf, size) != (ssize_t)size)
		return promise_failed(why, len, "flagged send without the option");
	promise_fill(buf, size, 2);
	if (promise_unsilence(p.rx) < 0 || promise_read_all(p.rx, got, size) < 0 ||
	    promise_wait_acked(p.tx) < 0)
		return promise_lacks(why, len, "retransmission");
	if (!promise_filled(got, size, 1))
		return promise_broken(why, len, "the data were not copied");
	if (promise_note_read(p.tx, &note) != 0)
		return promise_broken(why, len, "a notification came");
	return PROMISE_HOLDS;
}

const struct promise promise_tx_flag_needs_option = {
	.id = "tx_flag_needs_option",
	.sentence =
		"MSG_ZEROCOPY without SO_ZEROCOPY is ignored: the data are copied before the call "
		"returns, and nothing is notified.",
	.source = "Documentation/networking/msg_zerocopy.rst; net/ipv4/tcp.c tcp_sendmsg_locked",
	.otherwise = "Never asked: the flag is used where the option was set.",
	.run = run,
};
