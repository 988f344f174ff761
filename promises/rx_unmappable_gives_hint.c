// SPDX-License-Identifier: MIT
/* Pages of a file, sent with sendfile, are never mapped; what cannot be mapped is to be copied. */
#include "rxkit.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

static int feed_file(struct promise_rx *r, size_t nr)
{
	size_t size = nr * r->page;
	int file = memfd_create("promise", MFD_CLOEXEC);
	off_t at = 0;

	promise_fill(r->src, size, 1);
	if (file < 0 || write(file, r->src, size) != (ssize_t)size)
		return -1;
	if (sendfile(r->p.tx, file, &at, size) != (ssize_t)size)
		return -1;
	return promise_wait_queued(r->p.rx, size);
}

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_rx r;
	struct promise_zc z = { 0 };
	enum promise_verdict v = promise_rx_open(&r, why, len);

	if (v != PROMISE_HOLDS)
		return v;
	if (feed_file(&r, 4) < 0)
		return promise_lacks(why, len, "sendfile from a memory file");
	z.address = (uintptr_t)r.win;
	z.length = (uint32_t)(4 * r.page);
	if (promise_zc_receive(r.p.rx, &z) < 0)
		return promise_broken(why, len, "the call failed: %s", strerror(errno));
	if (z.length)
		return promise_broken(why, len, "%u bytes of a file were mapped", z.length);
	if (!z.recv_skip_hint || z.recv_skip_hint > 4 * r.page || z.inq != 4 * r.page)
		return promise_broken(why, len, "hint %u, inq %u", z.recv_skip_hint, z.inq);
	if (promise_read_all(r.p.rx, r.copy, z.recv_skip_hint) < 0 ||
	    !promise_filled(r.copy, z.recv_skip_hint, 1))
		return promise_broken(why, len, "the bytes of the hint could not be read");
	return PROMISE_HOLDS;
}

const struct promise promise_rx_unmappable_gives_hint = {
	.id = "rx_unmappable_gives_hint",
	.sentence =
		"For data that cannot be mapped the call succeeds with length 0, and recv_skip_hint says "
		"how much to read by copying.",
	.source = "net/ipv4/tcp.c tcp_zerocopy_receive, can_map_frag",
	.otherwise = "A call that gives nothing is followed by recv.",
	.run = run,
};
