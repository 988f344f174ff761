// SPDX-License-Identifier: MIT
/*
 * What the promises share, apart from the namespace (netns.c), sockets (sock.c), notifications
 * (note.c) and the receive call (rxkit.c): verdicts and memory.
 */
#include "kit.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum promise_verdict promise_broken(char *why, size_t len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, len, fmt, ap);
	va_end(ap);
	return PROMISE_BROKEN;
}

enum promise_verdict promise_unsure(char *why, size_t len, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, len, fmt, ap);
	va_end(ap);
	return PROMISE_CANNOT_TELL;
}

enum promise_verdict promise_lacks(char *why, size_t len, const char *what)
{
	return promise_unsure(why, len, "%s: %s", what, strerror(errno));
}

enum promise_verdict promise_failed(char *why, size_t len, const char *what)
{
	if (errno == ENOBUFS || errno == ENOMEM || errno == EMFILE)
		return promise_lacks(why, len, what);
	return promise_broken(why, len, "%s: %s", what, strerror(errno));
}

size_t promise_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

void *promise_pages(size_t nr)
{
	void *mem = mmap(NULL, nr * promise_page(), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

/* The pattern differs from byte to byte, from page to page and from seed to seed. */
static unsigned char pattern(size_t i, unsigned int seed)
{
	return (unsigned char)(i * 7 + (i >> 8) * 13 + (i >> 12) * 31 + seed * 101 + 1);
}

void promise_fill(void *mem, size_t len, unsigned int seed)
{
	unsigned char *b = mem;
	size_t i;

	for (i = 0; i < len; i++)
		b[i] = pattern(i, seed);
}

bool promise_filled(const void *mem, size_t len, unsigned int seed)
{
	const unsigned char *b = mem;
	size_t i;

	for (i = 0; i < len; i++) {
		if (b[i] != pattern(i, seed))
			return false;
	}
	return true;
}

int promise_touch_in_child(const void *mem)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (pid == 0) {
		signal(SIGBUS, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		(void)*(const volatile char *)mem;
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
