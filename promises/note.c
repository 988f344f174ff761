// SPDX-License-Identifier: MIT
/* The reader of completion notifications. */
#include "kit.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define NOTES_MAX 8192 /* numbers that promise_expect_numbers can tell apart */

static bool parse(struct msghdr *msg, struct promise_note *note)
{
	struct sock_extended_err ee;
	struct cmsghdr *cm;

	for (cm = CMSG_FIRSTHDR(msg); cm; cm = CMSG_NXTHDR(msg, cm)) {
		if (!(cm->cmsg_level == SOL_IP && cm->cmsg_type == IP_RECVERR) &&
		    !(cm->cmsg_level == SOL_IPV6 && cm->cmsg_type == IPV6_RECVERR))
			continue;
		memcpy(&ee, CMSG_DATA(cm), sizeof(ee));
		if (ee.ee_origin != SO_EE_ORIGIN_ZEROCOPY || ee.ee_errno != 0)
			continue;
		note->low = ee.ee_info;
		note->high = ee.ee_data;
		note->code = ee.ee_code;
		note->level = cm->cmsg_level;
		note->type = cm->cmsg_type;
		note->cmsg_len = cm->cmsg_len;
		return true;
	}
	return false;
}

int promise_note_read(int fd, struct promise_note *note_out)
{
	char control[256] __attribute__((aligned(8)));
	struct msghdr msg = { .msg_control = control, .msg_controllen = sizeof(control) };

	memset(note_out, 0, sizeof(*note_out));
	if (recvmsg(fd, &msg, MSG_ERRQUEUE) < 0)
		return errno == EAGAIN ? 0 : -1;
	note_out->flags = msg.msg_flags;
	if (parse(&msg, note_out))
		return 1;
	errno = EPROTO;
	return -1;
}

int promise_note_wait(int fd, struct promise_note *note_out)
{
	int n = promise_note_read(fd, note_out);

	if (n)
		return n;
	promise_wait_event(fd, 0, PROMISE_WAIT_MS);
	return promise_note_read(fd, note_out);
}

/* Enters one note; NULL, or what is wrong with it. */
static const char *enter(unsigned char *seen, unsigned int nr, const struct promise_note *note)
{
	uint32_t i;

	if (note->high < note->low || note->high >= nr)
		return "a number that no call can have";
	for (i = note->low; i <= note->high; i++) {
		if (seen[i]++)
			return "a number came twice";
	}
	return NULL;
}

/* Until there is a note, or data at the peer that hold one up; false when neither comes. */
static bool wait_for_more(const struct promise_pair *p)
{
	struct pollfd pfds[2] = { { .fd = p->tx }, { .fd = p->rx, .events = POLLIN } };

	return poll(pfds, 2, PROMISE_WAIT_MS) > 0;
}

enum promise_verdict promise_expect_numbers(const struct promise_pair *p, unsigned int nr,
					    char *why, size_t len)
{
	static unsigned char seen[NOTES_MAX];
	struct promise_note note;
	const char *wrong;
	unsigned int have = 0;
	int got;

	memset(seen, 0, sizeof(seen));
	if (nr > NOTES_MAX)
		return promise_unsure(why, len, "%u calls are too many to follow", nr);
	while (have < nr) {
		promise_drain(p->rx);
		if (!wait_for_more(p))
			return promise_broken(why, len, "%u of %u numbers came", have, nr);
		while ((got = promise_note_read(p->tx, &note)) > 0) {
			wrong = enter(seen, nr, &note);
			if (wrong)
				return promise_broken(why, len, "%s: %u..%u, of %u calls", wrong,
						      note.low, note.high, nr);
			have += note.high - note.low + 1;
		}
		if (got < 0)
			return promise_failed(why, len, "reading the error queue");
	}
	promise_wait_acked(p->tx); /* UDP has no such thing, and needs none */
	if (promise_note_read(p->tx, &note) != 0)
		return promise_broken(why, len, "%u calls, and yet number %u", nr, note.low);
	return PROMISE_HOLDS;
}
