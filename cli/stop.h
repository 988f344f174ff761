/* SPDX-License-Identifier: MIT */
/* stop.h - SIGINT, SIGTERM and SIGHUP ask for an orderly end; and the clock that waits go by */
#ifndef ZCSOCK_STOP_H
#define ZCSOCK_STOP_H

#include <stdbool.h>
#include <stdint.h>

/* No wait lasts longer, so that a signal between a check and a wait is not missed. */
#define STOP_TICK_MS 200

/* The second signal of a kind kills, as without this. SIGPIPE is ignored. */
void stop_init(void);
bool stop_asked(void);
uint64_t now_ms(void);

#endif
