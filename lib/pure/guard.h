/* SPDX-License-Identifier: MIT */
/*
 * guard.h - guards that can be left out
 *
 * Each guard protects against one numbered trap of the kernel's interface (docs/guards.md). A build
 * with -Dbreak=N goes without guard N, and a test must then fail.
 */
#ifndef ZCSI_GUARD_H
#define ZCSI_GUARD_H

#ifndef ZCS_BREAK
#define ZCS_BREAK 0
#endif
#define GUARD(n) (ZCS_BREAK != (n))

#endif
