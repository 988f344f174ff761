// SPDX-License-Identifier: MIT
/* send has MSG_NOSIGNAL, sendfile has nothing: the signal is blocked, then taken. */
#include "kit.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static bool pending(void)
{
	sigset_t set;

	return sigpending(&set) == 0 && sigismember(&set, SIGPIPE);
}

static enum promise_verdict run(char *why, size_t len)
{
	struct timespec now = { 0 };
	struct promise_pair p;
	sigset_t pipe_set;
	off_t at = 0;
	int file = memfd_create("promise", MFD_CLOEXEC);

	if (file < 0 || ftruncate(file, 4096) < 0 || promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "a file and a socket");
	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	if (sigprocmask(SIG_BLOCK, &pipe_set, NULL) < 0 || shutdown(p.tx, SHUT_WR) < 0)
		return promise_lacks(why, len, "shutdown");
	if (send(p.tx, "x", 1, MSG_NOSIGNAL) >= 0 || errno != EPIPE || pending())
		return promise_broken(why, len, "send with MSG_NOSIGNAL raised a signal");
	if (sendfile(p.tx, file, &at, 4096) >= 0 || errno != EPIPE)
		return promise_broken(why, len, "sendfile after shutdown did not say EPIPE");
	if (!pending())
		return promise_broken(why, len, "sendfile raised no SIGPIPE");
	if (sigtimedwait(&pipe_set, NULL, &now) != SIGPIPE || pending())
		return promise_broken(why, len, "sigtimedwait did not take the signal");
	return PROMISE_HOLDS;
}

const struct promise promise_tx_sendfile_sigpipe = {
	.id = "tx_sendfile_sigpipe",
	.sentence = "sendfile to a socket that is shut down raises SIGPIPE; while it is blocked, "
		    "sigtimedwait takes it away again.",
	.source = "send(2), sendfile(2), sigtimedwait(2); net/core/stream.c sk_stream_error",
	.otherwise = "Blocking the signal around sendfile is then for nothing.",
	.run = run,
};
