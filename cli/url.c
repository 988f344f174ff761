/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "url.h"
#include "vsock.h"

bool url_is(const char *text)
{
	return strncmp(text, URL_SCHEME, strlen(URL_SCHEME)) == 0;
}

static bool port_ok(const char *text, size_t len)
{
	unsigned port = 0;

	if (len == 0 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		port = port * 10 + (unsigned)(text[i] - '0');
	}
	return port <= 65535;
}

bool url_host_port(const char *text, size_t len, struct url *url_out)
{
	const char *colon = memrchr(text, ':', len);
	const char *host = text;
	size_t host_len, port_len;

	if (vsock_parse(text, len, url_out))
		return true;
	if (!colon)
		return false;
	host_len = (size_t)(colon - text);
	port_len = len - host_len - 1;
	if (host_len >= 2 && host[0] == '[' && host[host_len - 1] == ']') {
		host++;
		host_len -= 2;
	} else if (memchr(host, ':', host_len)) {
		return false; /* an IPv6 address without brackets: which colon is the port's? */
	}
	if (host_len >= sizeof(url_out->host) || !port_ok(colon + 1, port_len) ||
	    memchr(host, '\0', host_len))
		return false;
	memcpy(url_out->host, host, host_len);
	url_out->host[host_len] = '\0';
	memcpy(url_out->port, colon + 1, port_len);
	url_out->port[port_len] = '\0';
	return true;
}

const char *url_parse(const char *text, struct url *url_out)
{
	const char *place = text + strlen(URL_SCHEME);
	const char *slash;

	memset(url_out, 0, sizeof(*url_out));
	if (!url_is(text))
		return "it does not start with " URL_SCHEME;
	slash = strchrnul(place, '/');
	if (!url_host_port(place, (size_t)(slash - place), url_out) || !url_out->host[0] ||
	    !strcmp(url_out->host, VSOCK_PREFIX))
		return "it does not name a host and a port (" URL_SCHEME "HOST:PORT/KEY)";
	if (strspn(url_out->port, "0") == strlen(url_out->port))
		return "its port is 0";
	if (slash[0] == '\0' || slash[1] == '\0')
		return NULL;
	if (!key_parse(slash + 1, strlen(slash + 1), &url_out->key))
		return "its key is not 32 hexadecimal digits";
	url_out->has_key = true;
	return NULL;
}

bool key_parse(const char *text, size_t len, struct key *key_out)
{
	size_t got = 0;

	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	while (len > 0 && isspace((unsigned char)text[0])) {
		text++;
		len--;
	}
	return len == KEY_TEXT - 1 &&
	       sodium_hex2bin(key_out->bytes, KEY_LEN, text, len, NULL, &got, NULL) == 0 &&
	       got == KEY_LEN;
}

void key_text(const struct key *key, char text_out[KEY_TEXT])
{
	sodium_bin2hex(text_out, KEY_TEXT, key->bytes, KEY_LEN);
}

int key_read(const char *path, struct key *key_out)
{
	char text[128];
	ssize_t len;
	int fd, r;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text));
	r = len < 0 ? -errno : 0;
	close(fd);
	if (r == 0 && ((size_t)len == sizeof(text) || !key_parse(text, (size_t)len, key_out)))
		r = -EINVAL;
	sodium_memzero(text, sizeof(text));
	return r;
}
