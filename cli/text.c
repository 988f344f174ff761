/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"
#include "text.h"

static const char *who = "zcsock";
static char last[1400];

static bool is_tail(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* Bytes of the printable character at s; 0: it is none. The string ends with a NUL. */
static size_t printable(const unsigned char *s)
{
	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f && s[0] != '\\';
	if (s[0] >= 0xc2 && s[0] <= 0xdf && is_tail(s[1]))
		return s[0] == 0xc2 && s[1] < 0xa0 ? 0 : 2; /* U+0080 to U+009F are controls */
	if ((s[0] & 0xf0) == 0xe0 && is_tail(s[1]) && is_tail(s[2])) {
		unsigned code = (s[0] & 15u) << 12 | (s[1] & 63u) << 6 | (s[2] & 63u);

		/* U+200B to U+202E and U+2060 to U+206F hide or turn the text around them. */
		if (code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ||
		    (code >= 0x200b && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f))
			return 0;
		return 3;
	}
	if ((s[0] & 0xf8) == 0xf0 && is_tail(s[1]) && is_tail(s[2]) && is_tail(s[3])) {
		unsigned code = (s[0] & 7u) << 18 | (s[1] & 63u) << 12;

		return code >= 0x10000 && code <= 0x10f000 ? 4 : 0;
	}
	return 0;
}

const char *text_safe(const char *name, char *out, size_t len)
{
	const unsigned char *s = (const unsigned char *)name;
	size_t at = 0;

	while (*s && at + 5 <= len) {
		size_t n = printable(s);

		if (n == 0) {
			at += (size_t)snprintf(out + at, len - at, *s == '\\' ? "\\\\" : "\\x%02x",
					       *s);
			n = 1;
		} else {
			memcpy(out + at, s, n);
			at += n;
		}
		s += n;
	}
	out[at] = '\0';
	return out;
}

void say_init(const char *command)
{
	who = command;
}

void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(last, sizeof(last), fmt, args);
	va_end(args);
	progress_clear();
	fprintf(stderr, "%s: %s\n", who, last);
}

const char *say_last(void)
{
	return last[0] ? last : NULL;
}

int text_number(const char *name, const char *text, unsigned least, unsigned most, unsigned *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end || n < least || n > most) {
		say("--%s takes a number from %u to %u", name, least, most);
		return 2;
	}
	*out = (unsigned)n;
	return -1;
}
