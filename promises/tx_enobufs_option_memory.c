// SPDX-License-Identifier: MIT
/*
 * The setting belongs to the network namespace since 6.8. Before, ours has none to change, but the
 * machine's was 20 KiB, which is soon used up.
 */
#include "kit.h"

#include <errno.h>
#include <sys/socket.h>

#define PIECE	  (600UL * 1024) /* above what shares a notification with the call before it */
#define PIECES	  100		 /* of which 26 have room in 20 KiB */
#define SEND_ROOM (64 * 1024 * 1024)

static enum promise_verdict use_it_up(struct promise_pair *p, char *why, size_t len)
{
	char *buf = promise_pages(PIECE / promise_page());
	int room = SEND_ROOM;
	unsigned int nr = 0;

	if (!buf || setsockopt(p->tx, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		return promise_lacks(why, len, "room to send");
	if (promise_silence(p->rx) < 0)
		return promise_lacks(why, len, "a silent peer");
	while (nr < PIECES && promise_zc_send(p->tx, buf, PIECE) == (ssize_t)PIECE)
		nr++;
	if (nr == PIECES)
		return promise_unsure(why, len, "room for %d notifications", PIECES);
	if (errno != ENOBUFS)
		return promise_broken(why, len, "errno %d instead of ENOBUFS", errno);
	promise_unsilence(p->rx);
	return promise_expect_numbers(p, nr, why, len);
}

static enum promise_verdict run(char *why, size_t len)
{
	struct promise_pair p;
	char *buf = promise_pages(1);

	if (!promise_net_is_private())
		return promise_unsure(why, len, "no network namespace of our own");
	if (!buf || promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (promise_sysctl("core/optmem_max", "64") < 0 && errno == ENOENT)
		return use_it_up(&p, why, len);
	if (promise_sysctl("core/optmem_max", "64") < 0)
		return promise_lacks(why, len, "net.core.optmem_max in our namespace");
	if (promise_zc_send(p.tx, buf, 100) >= 0)
		return promise_broken(why, len, "a send without option memory was accepted");
	if (errno != ENOBUFS)
		return promise_broken(why, len, "errno %d instead of ENOBUFS", errno);
	if (promise_sysctl("core/optmem_max", "131072") < 0 ||
	    promise_zc_send(p.tx, buf, 100) != 100)
		return promise_failed(why, len, "flagged send with option memory again");
	return promise_expect_numbers(&p, 1, why, len);
}

const struct promise promise_tx_enobufs_option_memory = {
	.id = "tx_enobufs_option_memory",
	.sentence =
		"A flagged send for which net.core.optmem_max leaves no room fails with ENOBUFS and "
		"takes no number.",
	.source = "Documentation/networking/msg_zerocopy.rst; net/core/sock.c sock_omalloc",
	.otherwise = "Another refusal is an error of the send, and yours to see.",
	.run = run,
};
