/* SPDX-License-Identifier: MIT */
/*
 * policy.h - copy or not
 *
 * Send: three things decide, message by message.
 *
 * 1. What notifications say about the peer. Where the kernel copies nearly everything anyway,
 *    flagging only adds cost, so the peer is left for a while and then tried again:
 *
 *	LENDING		until notifications with COPIED are 90 % and 32 more than that; then
 *	AVOIDING	for a second, twice as long each time it follows a probe, at most 4 s; then
 *	PROBING		until 8 notifications are in: LENDING if fewer than half of them had COPIED,
 *			else AVOIDING
 *
 *    To leave takes nine of ten and to return takes half, so a peer that is copied now and then
 *    stays where it is. A notification counts once, however many calls it covers: COPIED speaks for
 *    its first part only, and a merged one is no more than one look at the path.
 *
 * 2. What the two ways were measured to cost, in thread CPU time per byte, notifications included,
 *    by size class on each link (choice.h). What has no measurements of its own goes with the
 *    nearest class that has: where lending pays it pays for what is larger, too. A class far below
 *    any size at which lending could pay is not tried.
 *
 * 3. Want of memory for lending (ENOBUFS): what there is goes to the larger messages, the bound
 *    doubles with each refusal and is halved for each second without.
 *
 * Receive: whether mapping pays is learned in the same way, by size of reads on each link; where
 * nothing can be mapped, a connection leaves it alone for a growing number of reads.
 *
 * Peers and links are remembered per context, in small tables, so that a new connection starts with
 * what the last one learned. Time is an argument; nothing here calls anybody.
 */
#ifndef ZCSI_POLICY_H
#define ZCSI_POLICY_H

#include "link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum policy_why {
	POLICY_FLAG, /* do not copy */
	POLICY_SMALL,
	POLICY_KERNEL_COPIES,
	POLICY_COSTS,  /* measured: copying costs less */
	POLICY_SCARCE, /* the memory for lending is needed for larger messages */
};

enum policy_mode {
	POLICY_LENDING,	 /* flag what is large enough */
	POLICY_AVOIDING, /* the kernel copied it all: copy until retry_ns */
	POLICY_PROBING,	 /* flag a few again and see */
};

struct policy_path {
	uint64_t key;	   /* peer, without its port; 0: free */
	uint64_t used_ns;  /* last use, for replacement */
	uint64_t retry_ns; /* AVOIDING: when to probe; PROBING: when to send more for the lost */
	uint64_t pause_ns; /* the last pause; doubles to a limit */
	uint32_t mode;	   /* enum policy_mode */
	/*
	 * Notifications that the next decision rests on. LENDING: since the path was last seen to
	 * lend one in ten; PROBING: since it began; AVOIDING: those that led there.
	 */
	uint32_t seen;
	uint32_t copied;    /* of them, with COPIED */
	uint32_t probes;    /* PROBING: messages still to flag */
	uint32_t scarce;    /* messages shorter than this leave scarce memory to others */
	uint64_t scarce_ns; /* when that was last raised or lowered */
};

#define POLICY_NR_PATHS 64
#define POLICY_NR_LINKS 8

struct policy {
	uint64_t zerocopy_min; /* the caller's threshold, in place of what is learned; 0: none */
	struct policy_path paths[POLICY_NR_PATHS];
	struct link links[POLICY_NR_LINKS];
};

void policy_init(struct policy *p);
/*
 * The memory of a path; the least recently used one is forgotten when the table is full. The
 * pointer stays good as long as the policy, but may come to be another peer's: path->key tells, and
 * nothing worse happens than a decision that is found wrong in seconds. Peers without a key (0)
 * share one path.
 */
struct policy_path *policy_path(struct policy *p, uint64_t key, uint64_t now_ns);
/* The memory of a link, in the same way. */
struct link *policy_link(struct policy *p, uint64_t key, uint64_t now_ns);
/*
 * For one message: each POLICY_FLAG of a path that is probed uses up a probe. *measure is set when
 * link_cost wants to know what sending it took.
 */
enum policy_why policy_send(const struct policy *p, struct policy_path *path, struct link *link,
			    uint64_t len, uint64_t now_ns, bool *measure);
/* Bytes below which messages leave what memory for lending there is to larger ones; 0: none do. */
uint32_t policy_scarce(struct policy_path *path, uint64_t now_ns);
/* The kernel had no memory to track a flagged call (ENOBUFS). */
void policy_refused(struct policy_path *path, uint64_t now_ns);
/* A notification of `nr` calls (0: ignored); `copied` is a hint for its first part. */
void policy_notified(struct policy_path *path, uint64_t nr, bool copied, uint64_t now_ns);

/* ---- receive, one per connection ------------------------------------------------------------ */

struct policy_rx {	   /* begins as all 0: by copy */
	uint16_t size_kib; /* of a usual read, the largest of the last few */
	uint16_t skip;	   /* reads until mapping is tried again */
	uint16_t pause;	   /* the last value of skip; doubles to a limit */
	uint8_t fruitless; /* mapping reads in a row that copied most although much was queued */
	uint8_t large;	   /* above 0: a read not long ago was large enough to be worth mapping */
};

/*
 * Bytes queued at or below which a mapping call is to copy (`copybuf_len`); `least`: where mapping
 * was measured to pay, or 0.
 */
uint32_t policy_crossover(uint64_t least);
/* Whether the next read should be a mapping call. Ask once per read: it counts the pause down. */
bool policy_rx_map(struct policy_rx *p);
/*
 * What a read brought; tried: it was a mapping call. One that mapped nothing and left bytes in the
 * queue counts them as copied, as it is copying that must take them. A read of less than twice the
 * crossover never suggests mapping, so a copying one needs a buffer of at least that. A read that
 * found nothing changes nothing.
 */
void policy_rx_result(struct policy_rx *p, bool tried, uint64_t mapped, uint64_t copied);

#endif
