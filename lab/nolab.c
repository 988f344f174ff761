/* SPDX-License-Identifier: MIT */
/* nolab.c - in place of the lab, where it could not be built */
#include <errno.h>
#include <stdio.h>

#include "lab.h"

int lab_start(const struct lab_opts *opts, struct lab *lab_out, char *why, size_t len)
{
	(void)opts;
	(void)lab_out;
	snprintf(why, len,
		 "this zcsock was built without the lab: that needs libbpf, libnl-route-3, clang "
		 "and bpftool (on Debian: make deps; then build again)");
	return -ENOSYS;
}

int lab_enter(const struct lab *lab)
{
	(void)lab;
	return -ENOSYS;
}

void lab_make_room(const struct lab *lab)
{
	(void)lab;
}

int lab_tell(const char *line, char *answer, size_t len)
{
	(void)line;
	(void)answer;
	(void)len;
	return -ENOSYS;
}

void lab_stop(struct lab *lab)
{
	(void)lab;
}
