/* SPDX-License-Identifier: MIT */
/* cmd_nolab.c - zcsock lab, where it was built without the lab */
#include "cmd.h"
#include "text.h"

const char cmd_lab_usage[] = "zcsock lab (not in this build)\n";

int cmd_lab(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	say("this zcsock was built without the lab: it needs libbpf, libnl-route-3, clang and "
	    "bpftool (on Debian: make deps, then build again)");
	return 1;
}
