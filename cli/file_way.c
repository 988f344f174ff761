/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "file_way.h"

static const char *const names[FILE_NR_WAYS] = {
	[FILE_AUTO] = "auto", [FILE_WRITE] = "write",	    [FILE_DIRECT] = "direct",
	[FILE_READ] = "read", [FILE_SENDFILE] = "sendfile", [FILE_MAP] = "map",
};

const char *file_way_text(enum file_way way)
{
	return way < FILE_NR_WAYS ? names[way] : "?";
}

enum file_way file_way_named(const char *name, unsigned allowed)
{
	for (unsigned way = 0; way < FILE_NR_WAYS; way++)
		if (allowed & FILE_BIT(way) && strcmp(names[way], name) == 0)
			return way;
	return FILE_NR_WAYS;
}
