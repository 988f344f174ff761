// SPDX-License-Identifier: MIT
/*
 * The limit is that of the user, not of the process, and is charged for the whole call before a
 * byte is accepted: a send of n pages needs n + 2. An identity that nobody else uses keeps other
 * programs out of the count.
 */
#include "kit.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIMIT_PAGES 16

/* Without the right to change it we are an ordinary user already. */
static void leave_privilege(void)
{
	uid_t uid = 0x5a630000u + (uid_t)(getpid() & 0xffff);

	if (setresuid(uid, uid, uid) < 0)
		errno = 0;
}

static enum promise_verdict run(char *why, size_t len)
{
	size_t page = promise_page();
	struct rlimit limit = { .rlim_cur = LIMIT_PAGES * page, .rlim_max = LIMIT_PAGES * page };
	char *buf = promise_pages(LIMIT_PAGES);
	struct promise_pair p;

	if (!buf || promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	leave_privilege();
	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return promise_lacks(why, len, "RLIMIT_MEMLOCK");
	if (promise_zc_send(p.tx, buf, (LIMIT_PAGES - 1) * page) >= 0)
		return promise_broken(why, len, "a send beyond the limit was accepted");
	if (errno != ENOBUFS)
		return promise_broken(why, len, "errno %d instead of ENOBUFS", errno);
	if (promise_zc_send(p.tx, buf, (LIMIT_PAGES - 3) * page) <= 0)
		return promise_lacks(why, len, "flagged send within the limit");
	return promise_expect_numbers(&p, 1, why, len);
}

const struct promise promise_tx_enobufs_locked_memory = {
	.id = "tx_enobufs_locked_memory",
	.sentence =
		"Without CAP_IPC_LOCK, a flagged send beyond RLIMIT_MEMLOCK (its pages and two more) "
		"fails with ENOBUFS and takes no number.",
	.source =
		"Documentation/networking/msg_zerocopy.rst; net/core/skbuff.c mm_account_pinned_pages",
	.otherwise = "Another refusal is an error of the send, and yours to see.",
	.run = run,
};
