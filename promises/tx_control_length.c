// SPDX-License-Identifier: MIT
/* Why the control buffer is 256 bytes, and why MSG_CTRUNC must never be overlooked. */
#include "kit.h"

#include <netinet/in.h>
#include <sys/socket.h>

static int one_note(int family, struct promise_pair *p, const char *buf, struct promise_note *note)
{
	if (promise_zc_pair(p, family) < 0 || promise_zc_send(p->tx, buf, 100) != 100)
		return -1;
	return promise_note_wait(p->tx, note) == 1 ? 0 : -1;
}

static enum promise_verdict run(char *why, size_t len)
{
	char control[48] __attribute__((aligned(8)));
	struct msghdr msg = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct promise_pair p4, p6;
	struct promise_note n4, n6;
	char *buf = promise_pages(1);

	if (!buf || one_note(AF_INET, &p4, buf, &n4) < 0)
		return promise_lacks(why, len, "notification over 127.0.0.1");
	if (one_note(AF_INET6, &p6, buf, &n6) < 0)
		return promise_lacks(why, len, "notification over ::1");
	if (n4.cmsg_len != CMSG_LEN(32) || n6.cmsg_len != CMSG_LEN(44))
		return promise_broken(why, len, "lengths %zu and %zu", n4.cmsg_len, n6.cmsg_len);
	if ((n4.flags | n6.flags) & MSG_CTRUNC)
		return promise_broken(why, len, "256 bytes are too few");
	if (promise_zc_send(p6.tx, buf, 100) != 100)
		return promise_failed(why, len, "flagged send");
	if (!promise_wait_event(p6.tx, 0, PROMISE_WAIT_MS))
		return promise_broken(why, len, "no second notification");
	if (recvmsg(p6.tx, &msg, MSG_ERRQUEUE) < 0)
		return promise_failed(why, len, "reading with 48 bytes of control");
	if (!(msg.msg_flags & MSG_CTRUNC))
		return promise_broken(why, len, "48 bytes sufficed for IPv6");
	if (promise_note_read(p6.tx, &n6) != 0)
		return promise_broken(why, len, "the truncated notification was still there");
	return PROMISE_HOLDS;
}

const struct promise promise_tx_control_length = {
	.id = "tx_control_length",
	.sentence =
		"The control message has cmsg_len 48 on IPv4 and 60 on IPv6 sockets (64-bit); with too "
		"little room for it the notification is taken all the same, cut, with MSG_CTRUNC.",
	.source = "net/ipv4/ip_sockglue.c ip_recv_error; net/ipv6/datagram.c ipv6_recv_error; "
		  "net/core/scm.c put_cmsg",
	.otherwise = "There is room for 256 bytes; a notification that is cut ends "
		     "lending on the connection, and its memory is held (guard 6).",
	.run = run,
};
