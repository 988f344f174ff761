/* SPDX-License-Identifier: MIT */
/* echo.h - the partner's echo service: a process with ordinary sockets, so the kernel's own TCP */
#ifndef ZCSOCK_LAB_ECHO_H
#define ZCSOCK_LAB_ECHO_H

/* Never returns unless epoll fails; takes the listening socket. */
void echo_run(int listener);

#endif
