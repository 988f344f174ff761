/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vsock.h"

static const struct {
	const char *name;
	unsigned cid;
} names[] = {
	{ "", VMADDR_CID_ANY },
	{ "local", VMADDR_CID_LOCAL },
	{ "host", VMADDR_CID_HOST },
};
#define NAMES (sizeof(names) / sizeof(names[0]))

/* A number of 32 bits, but for the last, which means "any" to the kernel. */
static bool number(const char *text, unsigned *out)
{
	unsigned long long n = 0;

	if (!text[0] || strlen(text) > 10 || strspn(text, "0123456789") != strlen(text))
		return false;
	n = strtoull(text, NULL, 10);
	*out = (unsigned)n;
	return n < UINT32_MAX;
}

static bool cid_of(const char *text, unsigned *out)
{
	for (size_t i = 0; i < NAMES; i++) {
		if (!strcmp(text, names[i].name)) {
			*out = names[i].cid;
			return true;
		}
	}
	return number(text, out);
}

bool vsock_parse(const char *text, size_t len, struct url *url_out)
{
	char place[64], *port;
	unsigned n;

	if (len >= sizeof(place) || strncmp(text, VSOCK_PREFIX, strlen(VSOCK_PREFIX)) != 0)
		return false;
	memcpy(place, text, len);
	place[len] = '\0';
	port = strrchr(place, ':');
	if (strlen(place) != len || port < place + strlen(VSOCK_PREFIX))
		return false; /* of a host that is called vsock */
	*port++ = '\0';
	if (!cid_of(place + strlen(VSOCK_PREFIX), &n) || !number(port, &n))
		return false;
	strcpy(url_out->host, place);
	strcpy(url_out->port, port);
	return true;
}

bool vsock_is(const struct url *url)
{
	return strncmp(url->host, VSOCK_PREFIX, strlen(VSOCK_PREFIX)) == 0;
}

void vsock_address(const struct url *url, struct sockaddr_vm *addr_out)
{
	unsigned port = 0;

	*addr_out = (struct sockaddr_vm){ .svm_family = AF_VSOCK };
	(void)cid_of(url->host + strlen(VSOCK_PREFIX), &addr_out->svm_cid);
	(void)number(url->port, &port);
	addr_out->svm_port = port ? port : VMADDR_PORT_ANY;
}

void vsock_text(const struct sockaddr_vm *addr, char out[NET_TEXT])
{
	snprintf(out, NET_TEXT, VSOCK_PREFIX "%u:%u", addr->svm_cid, addr->svm_port);
}

/* The machine's own number; VMADDR_CID_ANY: it has none, not every machine is a guest. */
static unsigned own_cid(void)
{
	unsigned own = VMADDR_CID_ANY;
	int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &own);
		close(fd);
	}
	return own;
}

bool vsock_is_local(const struct sockaddr_vm *peer)
{
	return peer->svm_cid == VMADDR_CID_LOCAL || peer->svm_cid == own_cid();
}

void vsock_reachable(struct sockaddr_vm *addr)
{
	if (addr->svm_cid != VMADDR_CID_ANY)
		return;
	addr->svm_cid = own_cid();
	if (addr->svm_cid == VMADDR_CID_ANY)
		addr->svm_cid = VMADDR_CID_LOCAL;
}
