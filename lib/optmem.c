// SPDX-License-Identifier: MIT
/*
 * optmem.c - what memory a socket has left: which of two limits an ENOBUFS is about
 */
#include "probe.h"
#include "sys.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <stdlib.h>

/*
 * What one flagged call takes of the option memory: a struct sk_buff with an empty head, 832 bytes
 * on x86-64 with 6.18 (sock_omalloc, net/core/sock.c). A little more or less elsewhere would only
 * name the wrong one of two limits, and only within this distance of the limit.
 */
#define COMPLETION_LEN 832

/*
 * Before Linux 6.8 the limit is the machine's, and no network namespace but the first, so no
 * container, is shown it. This is what it is there unless somebody changed it (net/core/sock.c).
 */
#define OLD_LIMIT (sizeof(long) * (2 * 1024 + 512))

/* Of the namespace that we are in now, mostly the socket's; UINT64_MAX when it is not known. */
static uint64_t limit(void)
{
	char text[32], *end;
	ssize_t n = zcsi_sys->read_file("/proc/sys/net/core/optmem_max", text, sizeof(text));
	unsigned long long max;

	if (n == -ENOENT)
		return OLD_LIMIT;
	if (n <= 0)
		return UINT64_MAX;
	max = strtoull(text, &end, 10);
	return end == text ? UINT64_MAX : max;
}

bool probe_optmem_is_full(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (zcsi_sys->getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0 ||
	    len < (SK_MEMINFO_OPTMEM + 1) * sizeof(info[0]))
		return false;
	return info[SK_MEMINFO_OPTMEM] + (uint64_t)COMPLETION_LEN > limit();
}

uint64_t probe_send_room(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (zcsi_sys->getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0 ||
	    info[SK_MEMINFO_WMEM_QUEUED] >= info[SK_MEMINFO_SNDBUF])
		return 0;
	return info[SK_MEMINFO_SNDBUF] - info[SK_MEMINFO_WMEM_QUEUED];
}
