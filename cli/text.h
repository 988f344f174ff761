/* SPDX-License-Identifier: MIT */
/* text.h - what reaches the terminal: one clear line for each failure, names that cannot harm it */
#ifndef ZCSOCK_TEXT_H
#define ZCSOCK_TEXT_H

#include <stddef.h>

#define SAFE_NAME 1024 /* 255 bytes as \xNN, and the NUL */

/*
 * A name as printable UTF-8: control characters, and bytes that are not UTF-8, become \xNN. Cut
 * when out is too small. Returns out.
 */
const char *text_safe(const char *name, char *out, size_t len);

/* "command" as it stands in front of each line. */
void say_init(const char *command);
/* One line on standard error; also kept for say_last. */
void say(const char *fmt, ...) __attribute__((__format__(__printf__, 1, 2)));
/* What the last say() said, without the command; NULL before the first. */
const char *say_last(void);

/* The number behind --name. -1: go on; 2 after one line about what is wrong. */
int text_number(const char *name, const char *text, unsigned least, unsigned most, unsigned *out);

#endif
