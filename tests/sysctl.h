/* SPDX-License-Identifier: MIT */
/* sysctl.h - settings of the network namespace that a test made for itself */
#ifndef ZCST_SYSCTL_H
#define ZCST_SYSCTL_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* 0, or a negative errno. */
static inline int put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* "core/optmem_max": of the namespace that the thread is in. 0, or a negative errno. */
static inline int net_sysctl(const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	return put_file(path, value);
}

#endif
