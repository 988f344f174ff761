// SPDX-License-Identifier: MIT
/* A loop that goes on while inq says that there is more would spin here for ever. */
#include "rxkit.h"

#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_zc z = { 0 };
	struct promise_pair p;
	char buf[100] = { 1 };
	char *win = promise_rx_window(1);

	if (!win || promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (send(p.tx, buf, 100, 0) != 100 || send(p.tx, buf, 1, MSG_OOB) != 1 ||
	    send(p.tx, buf, 100, 0) != 100 || promise_wait_acked(p.tx) < 0)
		return promise_lacks(why, len, "urgent data");
	if (recv(p.rx, buf, sizeof(buf), MSG_DONTWAIT) != 100)
		return promise_unsure(why, len, "recv did not stop at the mark");
	z.address = (uintptr_t)win;
	z.length = (uint32_t)promise_page();
	if (promise_zc_receive(p.rx, &z) < 0)
		return promise_failed(why, len, "the call at the mark");
	if (z.length || z.recv_skip_hint || z.err)
		return promise_broken(why, len, "length %u, hint %u at the mark", z.length,
				      z.recv_skip_hint);
	if (!z.inq)
		return promise_broken(why, len, "inq is 0 at the mark");
	if (recv(p.rx, buf, sizeof(buf), MSG_DONTWAIT) != 100)
		return promise_broken(why, len, "recv does not pass the mark");
	return PROMISE_HOLDS;
}

const struct promise promise_rx_urgent_mark_stops = {
	.id = "rx_urgent_mark_stops",
	.sentence =
		"At the mark of urgent data the call gives nothing, neither bytes nor a hint, while inq "
		"is more than 0; recv passes it.",
	.source = "tcp(7); net/ipv4/tcp.c tcp_zerocopy_receive, tcp_inq_hint",
	.otherwise = "A call that gives nothing is followed by recv, which tells what there is.",
	.run = run,
};
