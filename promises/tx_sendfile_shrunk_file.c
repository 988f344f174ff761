// SPDX-License-Identifier: MIT
/* A file that shrinks under a transfer shows as 0, which must end the transfer, not loop it. */
#include "kit.h"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	off_t at = 0;
	int file = memfd_create("promise", MFD_CLOEXEC);
	ssize_t n;

	if (file < 0 || ftruncate(file, 8192) < 0 || promise_tcp_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "a file and a socket");
	if (sendfile(p.tx, file, &at, 4096) != 4096)
		return promise_failed(why, len, "sendfile");
	if (ftruncate(file, 1024) < 0)
		return promise_lacks(why, len, "ftruncate");
	n = sendfile(p.tx, file, &at, 4096);
	if (n != 0)
		return promise_broken(why, len, "sendfile past the new end returned %zd", n);
	return PROMISE_HOLDS;
}

const struct promise promise_tx_sendfile_shrunk_file = {
	.id = "tx_sendfile_shrunk_file",
	.sentence =
		"sendfile from beyond the end of a file that has shrunk returns 0, not an error.",
	.source = "sendfile(2); fs/splice.c splice_direct_to_actor",
	.otherwise = "An error of sendfile ends the message as the short file does.",
	.run = run,
};
