/* SPDX-License-Identifier: MIT */
/* net.h - names and addresses: connect, listen, and which host name others can use */
#ifndef ZCSOCK_NET_H
#define ZCSOCK_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "url.h"

#define NET_TEXT 320 /* HOST:PORT */

/*
 * A connected, non-blocking TCP socket, or a negative value after one line was said. Tries each
 * address of the host, timeout_ms for all of them; looking its name up is not in that time.
 */
int net_connect(const struct url *url, int timeout_ms);
/* A listening, non-blocking TCP socket, or a negative value after one line. NULL: any address. */
int net_listen(const char *place);
/* HOST:PORT under which others reach the listener. */
void net_reachable(int listener, char out[NET_TEXT]);
/* Both ends of a connected socket are the same address: it never leaves this host. */
bool net_is_local(int fd);
/* HOST:PORT of a peer. */
void net_text(const struct sockaddr *addr, socklen_t len, char out[NET_TEXT]);

#endif
