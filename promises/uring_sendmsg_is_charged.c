// SPDX-License-Identifier: MIT
/* Which limit the memory counts against that is lent in several pieces. */
#include "ringkit.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#define OP_SENDMSG_ZC 48 /* not in older headers */

static enum promise_verdict run(char *why, size_t len)
{
	uid_t uid = 0x5a640000u + (uid_t)(getpid() & 0xffff); /* nobody else's */
	struct rlimit none = { 0, 0 };
	struct promise_ring r;
	struct promise_pair p;
	struct io_uring_cqe cqe;
	struct io_uring_sqe *sqe;
	char *buf = promise_pages(2);
	struct iovec vec[2] = { { buf, 100 }, { buf + promise_page(), 100 } };
	struct msghdr msg = { .msg_iov = vec, .msg_iovlen = 2 };

	if (!buf || promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	/* without the right to change it we are an ordinary user already */
	if (setresuid(uid, uid, uid) < 0 && geteuid() == 0)
		return promise_lacks(why, len, "another identity");
	if (promise_ring_open(&r) < 0) /* is charged, too */
		return promise_ring_lacks(why, len);
	if (setrlimit(RLIMIT_MEMLOCK, &none) < 0)
		return promise_lacks(why, len, "RLIMIT_MEMLOCK");
	promise_ring_send(&r, p.tx, buf, 100, 1);
	if (!promise_ring_wait(&r, &cqe) || cqe.res >= 0)
		return promise_unsure(why, len, "not even IORING_OP_SEND_ZC is refused");
	while (cqe.flags & IORING_CQE_F_MORE && promise_ring_wait(&r, &cqe))
		;
	sqe = promise_ring_send(&r, p.tx, &msg, 1, 2);
	sqe->opcode = OP_SENDMSG_ZC;
	if (!promise_ring_wait(&r, &cqe))
		return promise_broken(why, len, "no result");
	if (cqe.res >= 0)
		return promise_broken(why, len, "IORING_OP_SENDMSG_ZC is accepted (%d)", cqe.res);
	if (cqe.res != -ENOBUFS && cqe.res != -ENOMEM)
		return promise_unsure(why, len, "IORING_OP_SENDMSG_ZC: %d", cqe.res);
	return PROMISE_HOLDS;
}

const struct promise promise_uring_sendmsg_is_charged = {
	.id = "uring_sendmsg_is_charged",
	.sentence = "Without CAP_IPC_LOCK, and with no locked memory left (RLIMIT_MEMLOCK), both "
		    "IORING_OP_SEND_ZC and IORING_OP_SENDMSG_ZC are refused.",
	.source = "io_uring/net.c io_send_zc_import, io_sendmsg_zc; io_uring/notif.h "
		  "io_notif_account_mem",
	.since = PROMISE_KERNEL(6, 18),
	.otherwise =
		"Messages in several pieces are lent although the limit is reached: nothing has "
		"to be done (net-confined).",
	.run = run,
};
