// SPDX-License-Identifier: MIT
/* EPOLLERR alone says nothing about the connection: reap first, then ask SO_ERROR. */
#include "kit.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	char *buf = promise_pages(1);
	int err = -1;
	socklen_t size = sizeof(err);
	char c;

	if (!buf || promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_zc_send(p.tx, buf, 100) != 100)
		return promise_failed(why, len, "flagged send");
	if (!(promise_wait_event(p.tx, 0, PROMISE_WAIT_MS) & POLLERR))
		return promise_unsure(why, len, "no notification");
	if (getsockopt(p.tx, SOL_SOCKET, SO_ERROR, &err, &size) < 0 || err != 0)
		return promise_broken(why, len, "SO_ERROR is %d", err);
	if (recv(p.tx, &c, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN)
		return promise_broken(why, len, "recv did not say EAGAIN");
	if (send(p.tx, buf, 1, MSG_NOSIGNAL) != 1)
		return promise_broken(why, len, "send failed");
	if (!(promise_wait_event(p.tx, 0, 0) & POLLERR))
		return promise_broken(why, len, "SO_ERROR cleared POLLERR");
	return PROMISE_HOLDS;
}

const struct promise promise_tx_note_is_no_error = {
	.id = "tx_note_is_no_error",
	.sentence =
		"A queued notification makes neither send nor recv fail; SO_ERROR reads 0 and does not "
		"clear POLLERR.",
	.source = "Documentation/networking/msg_zerocopy.rst; net/ipv4/tcp.c tcp_poll",
	.otherwise = "A connection would be taken for broken; none of its memory is "
		     "reported free early.",
	.run = run,
};
