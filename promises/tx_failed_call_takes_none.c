// SPDX-License-Identifier: MIT
/* A full socket buffer or a bad pointer must not shift the numbers of the calls that follow. */
#include "kit.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	char *buf = promise_pages(4);
	char *hole = promise_pages(1);
	int nr, i;

	if (!buf || !hole || munmap(hole, promise_page()) < 0)
		return promise_lacks(why, len, "memory");
	if (promise_zc_pair(&p, AF_INET) < 0 || promise_small_buffers(&p) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_zc_send(p.tx, hole, 100) >= 0 || errno != EFAULT)
		return promise_broken(why, len, "a flagged send of no memory did not say EFAULT");
	nr = promise_fill_queue(p.tx, buf, 4 * promise_page());
	if (errno != EAGAIN)
		return promise_failed(why, len, "filling the socket");
	for (i = 0; i < 3; i++) {
		if (promise_zc_send(p.tx, buf, 100) >= 0 || errno != EAGAIN)
			return promise_unsure(why, len, "the full socket took more");
	}
	promise_drain(p.rx);
	if (!promise_wait_event(p.tx, POLLOUT, PROMISE_WAIT_MS))
		return promise_unsure(why, len, "the socket did not become writable again");
	nr += promise_zc_send(p.tx, buf, 100) > 0;
	return promise_expect_numbers(&p, (unsigned int)nr, why, len);
}

const struct promise promise_tx_failed_call_takes_none = {
	.id = "tx_failed_call_takes_none",
	.sentence =
		"On TCP a flagged send that fails (EAGAIN on a full buffer, EFAULT) takes no number.",
	.source =
		"Documentation/networking/msg_zerocopy.rst; net/core/skbuff.c msg_zerocopy_put_abort",
	.otherwise = "Relied upon. The ledger takes a number back when a call fails "
		     "(guard 1).",
	.run = run,
};
