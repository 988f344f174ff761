/* SPDX-License-Identifier: MIT */
/*
 * url.h - zcsock://HOST:PORT/KEY, or vsock:CID:PORT in place of HOST:PORT, and the key as text
 *
 * A key is 128 random bits, written as 32 hexadecimal digits. Nothing else is a key: words that
 * people choose could be found by trying, by anyone who saw one handshake.
 */
#ifndef ZCSOCK_URL_H
#define ZCSOCK_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_LEN	 16		   /* bytes */
#define KEY_TEXT (2 * KEY_LEN + 1) /* with the NUL */

struct key {
	uint8_t bytes[KEY_LEN];
};

struct url {
	char host[256]; /* without brackets; or "vsock:CID" */
	char port[11];
	bool has_key;
	struct key key;
};

#define URL_SCHEME "zcsock://"

/* true: it claims to be a URL of ours. */
bool url_is(const char *text);
/* NULL: fine; else what is wrong with it, static. */
const char *url_parse(const char *text, struct url *url_out);
/* HOST:PORT, [HOST]:PORT, :PORT (host empty) or vsock:CID:PORT. false: it is none of them. */
bool url_host_port(const char *text, size_t len, struct url *url_out);

/* Exactly 32 hexadecimal digits, white space around them ignored. */
bool key_parse(const char *text, size_t len, struct key *key_out);
void key_text(const struct key *key, char text_out[KEY_TEXT]);
/* From a file of at most a few bytes. 0, a negative errno, -EINVAL: no key in it. */
int key_read(const char *path, struct key *key_out);

#endif
