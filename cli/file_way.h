/* SPDX-License-Identifier: MIT */
/* file_way.h - the ways between a file and the library, by name; auto: what costs less */
#ifndef ZCSOCK_FILE_WAY_H
#define ZCSOCK_FILE_WAY_H

enum file_way {
	FILE_AUTO,
	/* of recv */
	FILE_WRITE,  /* through the page cache */
	FILE_DIRECT, /* past it, O_DIRECT: straight from the kernel's receive pages */
	/* of send */
	FILE_READ,     /* read into pool memory, which is lent */
	FILE_SENDFILE, /* sendfile, and read for the hash only */
	FILE_MAP,      /* map, and lend the mapping */
	FILE_NR_WAYS,
};

#define FILE_BIT(way)  (1u << (way))
#define FILE_RECV_WAYS (FILE_BIT(FILE_AUTO) | FILE_BIT(FILE_WRITE) | FILE_BIT(FILE_DIRECT))
#define FILE_SEND_WAYS                                                                             \
	(FILE_BIT(FILE_AUTO) | FILE_BIT(FILE_READ) | FILE_BIT(FILE_SENDFILE) | FILE_BIT(FILE_MAP))

/* Static, never NULL. */
const char *file_way_text(enum file_way way);
/* One of the allowed ones; FILE_NR_WAYS: none of them has that name. */
enum file_way file_way_named(const char *name, unsigned allowed);

#endif
