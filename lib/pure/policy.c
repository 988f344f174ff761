// SPDX-License-Identifier: MIT
#include "policy.h"
#include "guard.h"

#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

/*
 * A path is left when the notifications with COPIED outweigh the others by AVOID_LEAD, each other
 * one counting COPIED_PER_OTHER: that is 90 %, and 32 notifications to be sure of it. Where all are
 * copied (loopback) it takes exactly those, a few milliseconds; at 75 % it takes some 20,000.
 */
#define AVOID_LEAD	 32
#define COPIED_PER_OTHER 9
/* Counts are halved here, so that they stay small at exactly 90 %. */
#define SEEN_MAX 4096

/* A few messages in seconds cost nothing, and show within PAUSE_MAX_NS that a path has changed. */
#define PAUSE_MIN_NS (1 * SECOND_NS)
#define PAUSE_MAX_NS (4 * SECOND_NS)
#define NR_PROBES    8

/*
 * Request and response over loopback break even between 16 and 32 KiB; below, inserting pages and
 * unmapping them costs more than copying.
 */
#define CROSSOVER (16u << 10)
/* Mapping pays well from here on: a read that goes wrong once in a while does not matter. */
#define LARGE (2 * CROSSOVER)
/* A large message ends in a small read, and the next one shall still be mapped from its start. */
#define LARGE_MEMORY 4
#define SIZE_MEMORY  8

/* A mapping call that maps nothing costs one system call more; one in 16 reads, then far fewer. */
#define FRUITLESS_MAX 4
#define SKIP_MIN      64
#define SKIP_MAX      4096

/* ENOBUFS: from which length on what there is may still be used. */
#define SCARCE_MIN (16u << 10)
#define SCARCE_MAX (1u << 20)

void policy_init(struct policy *p)
{
	memset(p, 0, sizeof(*p));
}

struct policy_path *policy_path(struct policy *p, uint64_t key, uint64_t now_ns)
{
	struct policy_path *path = &p->paths[0];
	size_t i;

	if (key == 0)
		key = UINT64_MAX;
	for (i = 0; i < POLICY_NR_PATHS; i++) {
		struct policy_path *each = &p->paths[i];

		if (each->key == key) {
			each->used_ns = now_ns;
			return each;
		}
		if (path->key && (!each->key || each->used_ns < path->used_ns))
			path = each;
	}
	*path = (struct policy_path){ .key = key, .used_ns = now_ns };
	return path;
}

struct link *policy_link(struct policy *p, uint64_t key, uint64_t now_ns)
{
	struct link *link = &p->links[0];

	if (key == 0)
		key = UINT64_MAX;
	for (size_t i = 0; i < POLICY_NR_LINKS; i++) {
		struct link *each = &p->links[i];

		if (each->key == key) {
			each->used_ns = now_ns;
			return each;
		}
		if (link->key && (!each->key || each->used_ns < link->used_ns))
			link = each;
	}
	link_init(link, key, now_ns);
	return link;
}

static void avoid(struct policy_path *path, uint64_t pause_ns, uint64_t now_ns)
{
	path->mode = POLICY_AVOIDING;
	path->pause_ns = pause_ns < PAUSE_MAX_NS ? pause_ns : PAUSE_MAX_NS;
	path->retry_ns = now_ns + path->pause_ns;
}

static void lend(struct policy_path *path)
{
	path->mode = POLICY_LENDING;
	path->seen = path->copied = 0;
}

/*
 * Begins a probe, or sends more after one whose notifications did not come: their connection may
 * have gone, or the peer may take longer to acknowledge. What comes late still counts.
 */
static void probe(struct policy_path *path, uint64_t now_ns)
{
	if (path->mode != POLICY_PROBING)
		path->seen = path->copied = 0;
	path->mode = POLICY_PROBING;
	path->probes = NR_PROBES - path->seen;
	path->retry_ns = now_ns + path->pause_ns;
}

/* Of a path that is not lent to: whether this message is a probe. */
static bool is_probe(struct policy_path *path, uint64_t now_ns)
{
	if (now_ns >= path->retry_ns)
		probe(path, now_ns);
	if (path->mode == POLICY_AVOIDING || path->probes == 0)
		return false;
	path->probes--;
	return true;
}

uint32_t policy_scarce(struct policy_path *path, uint64_t now_ns)
{
	while (path->scarce && now_ns - path->scarce_ns >= SECOND_NS) {
		path->scarce = path->scarce > SCARCE_MIN ? path->scarce / 2 : 0;
		path->scarce_ns += SECOND_NS;
	}
	return path->scarce;
}

enum policy_why policy_send(const struct policy *p, struct policy_path *path, struct link *link,
			    uint64_t len, uint64_t now_ns, bool *measure)
{
	path->used_ns = link->used_ns = now_ns;
	if (len < (p->zerocopy_min ? p->zerocopy_min : LINK_LEAST))
		return POLICY_SMALL;
	if (path->mode != POLICY_LENDING)
		return is_probe(path, now_ns) ? POLICY_FLAG : POLICY_KERNEL_COPIES;
	if (path->scarce && len < policy_scarce(path, now_ns))
		return POLICY_SCARCE;
	if (p->zerocopy_min)
		return POLICY_FLAG;
	if (link_choose(link, LINK_SEND, len, now_ns, measure))
		return POLICY_FLAG;
	return link_is_sure(link, LINK_SEND, len) ? POLICY_COSTS : POLICY_SMALL;
}

void policy_refused(struct policy_path *path, uint64_t now_ns)
{
	path->scarce = path->scarce ? path->scarce * 2 : SCARCE_MIN;
	if (path->scarce > SCARCE_MAX)
		path->scarce = SCARCE_MAX;
	path->scarce_ns = now_ns;
}

static void notified_lending(struct policy_path *path, uint64_t now_ns)
{
	uint64_t others = (uint64_t)(path->seen - path->copied) * COPIED_PER_OTHER;

	if (others > path->copied) {
		path->seen = path->copied = 0;
	} else if (path->copied - others >= AVOID_LEAD) {
		avoid(path, PAUSE_MIN_NS, now_ns);
	} else if (path->seen >= SEEN_MAX) {
		path->seen /= 2;
		path->copied /= 2;
	}
}

static void notified_probing(struct policy_path *path, uint64_t nr, uint64_t now_ns)
{
	if (path->seen < NR_PROBES) {
		uint32_t missing = NR_PROBES - path->seen;

		/* Probes merged into one notification are one look: send others for them. */
		if (nr > missing || path->probes + (nr - 1) > missing)
			path->probes = missing;
		else
			path->probes += nr - 1;
	} else if (path->copied * 2 < path->seen) {
		lend(path);
	} else {
		avoid(path, path->pause_ns * 2, now_ns);
	}
}

void policy_notified(struct policy_path *path, uint64_t nr, bool copied, uint64_t now_ns)
{
	/* AVOIDING: of calls from before; the probe will tell. */
	if (nr == 0 || path->mode == POLICY_AVOIDING)
		return;
	/* Guard 2: COPIED speaks for one part, and a packet capture or time stamps set it, too. */
	if (!GUARD(2) && copied) {
		path->mode = POLICY_AVOIDING;
		path->retry_ns = UINT64_MAX;
		return;
	}
	path->seen++;
	path->copied += copied;
	if (path->mode == POLICY_LENDING)
		notified_lending(path, now_ns);
	else
		notified_probing(path, nr, now_ns);
}

uint32_t policy_crossover(uint64_t least)
{
	return least > CROSSOVER ? (uint32_t)least : CROSSOVER;
}

bool policy_rx_map(struct policy_rx *p)
{
	if (p->skip > 0) {
		p->skip--;
		return false;
	}
	return p->large;
}

static void note_size(struct policy_rx *p, uint64_t bytes)
{
	uint64_t kib = (bytes + 1023) / 1024;

	if (kib >= p->size_kib)
		p->size_kib = kib < UINT16_MAX ? (uint16_t)kib : UINT16_MAX;
	else if (kib > 0)
		p->size_kib -= (p->size_kib - kib) / SIZE_MEMORY;
}

void policy_rx_result(struct policy_rx *p, bool tried, uint64_t mapped, uint64_t copied)
{
	note_size(p, mapped + copied);
	if (mapped + copied >= LARGE)
		p->large = LARGE_MEMORY;
	else if (p->large > 0 && mapped + copied > 0)
		p->large--;
	if (!tried)
		return;
	/* What is shorter is copied whole, whether it could be mapped or not. */
	if (mapped < copied && copied >= CROSSOVER) {
		p->fruitless++;
	} else if (mapped > 0) {
		p->fruitless = 0;
		p->pause = 0;
	}
	if (p->fruitless < FRUITLESS_MAX)
		return;
	p->pause = p->pause == 0 ? SKIP_MIN : p->pause * 2;
	if (p->pause > SKIP_MAX)
		p->pause = SKIP_MAX;
	p->skip = p->pause;
	p->fruitless = 0;
}
