/* SPDX-License-Identifier: MIT */
/*
 * flow.h - one connection of the virtual partner, without a network: segments and the time are made
 * up here, and the frames that it writes are read from the other end of its descriptor and taken
 * apart
 */
#ifndef ZCST_FLOW_H
#define ZCST_FLOW_H

#include "unit.h"

#include "lab/flow.h"

#include <netinet/tcp.h>

#define PORT	 40000
#define START	 1000000000ull /* ns */
#define MS	 1000000ull
#define ISN	 1000u
#define SCALE	 10 /* of the near side's window */
#define WAIT	 (50 * MS)
#define GAP	 50000
#define SENT_MAX 4096

/* A frame of the partner. */
struct sent {
	bool v6;
	uint8_t flags;
	uint16_t port, service, window;
	uint32_t seq, ack;
	uint8_t options[40];
	size_t nr_options, len;
	uint8_t payload[1024];
};

struct bed {
	struct world w;
	struct flow f;
	int near;
	uint64_t now, due;
	uint32_t isn;
	size_t nr; /* frames of the last tick */
	struct sent sent[SENT_MAX];
};

#define FLOW_SYN_OPTIONS 12
extern const uint8_t syn_options[FLOW_SYN_OPTIONS]; /* scale, SACK */

int set_up(void **state); /* *state is a struct bed */
int tear_down(void **state);
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

void open_with(struct bed *b, uint16_t service, bool v6, const void *options, size_t len);
/* A connection whose SYN-ACK was seen, and acknowledged with a closed window. */
void open_flow(struct bed *b, uint16_t service);
/* Everything that is due, and the frames that come of it. */
void tick(struct bed *b);
void tick_at(struct bed *b, uint64_t now);
/* What the near side sends: [off, off + len) of its stream, acknowledging `ack` of ours. */
void input(struct bed *b, uint8_t flags, uint64_t off, uint32_t len, uint64_t ack, uint16_t window);
void data(struct bed *b, uint64_t off, uint32_t len);
void acks(struct bed *b, uint64_t ack, uint16_t window);

/* ---- frames of the last tick ---- */

void sends_nothing(struct bed *b);
void sends_one_ack(struct bed *b, uint32_t to);
/* How far frame i acknowledges, in bytes of the near side's stream below 4 GiB. */
uint32_t acked(const struct bed *b, size_t i);
/* Up to where the near side may send by that frame. */
uint64_t edge(const struct bed *b, size_t i);
/* Where in our stream frame i begins. */
uint32_t offset(const struct bed *b, size_t i);
void is_data(const struct bed *b, size_t i, uint32_t off, size_t len);

#endif
