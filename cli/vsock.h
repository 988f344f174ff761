/* SPDX-License-Identifier: MIT */
/*
 * vsock.h - vsock:CID:PORT in place of HOST:PORT
 *
 * CID is a number, "local" (this machine, 1), "host" (2), or nothing: any, to listen on.
 */
#ifndef ZCSOCK_VSOCK_H
#define ZCSOCK_VSOCK_H

#include <linux/vm_sockets.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "net.h"
#include "url.h"

#define VSOCK_PREFIX "vsock:"

/* Of LEN bytes at TEXT: host "vsock:CID", and port. false: it is none. */
bool vsock_parse(const char *text, size_t len, struct url *url_out);
bool vsock_is(const struct url *url);
/* A port of 0 is any. */
void vsock_address(const struct url *url, struct sockaddr_vm *addr_out);
void vsock_text(const struct sockaddr_vm *addr, char out[NET_TEXT]);
/* A peer within this machine. */
bool vsock_is_local(const struct sockaddr_vm *peer);
/* The address under which others reach a listener on addr. */
void vsock_reachable(struct sockaddr_vm *addr);

#endif
