// SPDX-License-Identifier: MIT
/* A server sets the option once, on its listener; its connections need no adoption. */
#include "kit.h"

#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	char *buf = promise_pages(1);
	int listener = promise_listen(AF_INET, true);
	int on = 0;
	socklen_t size = sizeof(on);

	if (!buf || listener < 0)
		return promise_lacks(why, len, "a listener with SO_ZEROCOPY");
	p.rx = promise_connect(listener);
	p.tx = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (p.rx < 0 || p.tx < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (getsockopt(p.tx, SOL_SOCKET, SO_ZEROCOPY, &on, &size) < 0 || on != 1)
		return promise_broken(why, len, "the accepted socket does not have SO_ZEROCOPY");
	if (promise_zc_send(p.tx, buf, 100) != 100)
		return promise_failed(why, len, "flagged send");
	return promise_expect_numbers(&p, 1, why, len);
}

const struct promise promise_tx_accepted_child_starts_at_0 = {
	.id = "tx_accepted_child_starts_at_0",
	.sentence =
		"A socket accepted from a listener with SO_ZEROCOPY has the option too, and counts "
		"from 0.",
	.source = "Documentation/networking/msg_zerocopy.rst; net/core/sock.c sk_clone_lock",
	.otherwise =
		"Nothing would be lost: a socket that has the option already counts as one with a "
		"past, and the library finds out where its numbers begin.",
	.run = run,
};
