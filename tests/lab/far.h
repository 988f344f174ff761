/* SPDX-License-Identifier: MIT */
/*
 * far.h - what the tests beside the virtual partner share: a lab for each test, and what its
 * partner says about it
 *
 * The harness of tests/net does the rest, but with a stream of its own (stream.c): what app_send
 * sends is the pattern that the partner verifies, and what the source sends is what an app checks.
 */
#ifndef ZCS_TESTS_FAR_H
#define ZCS_TESTS_FAR_H

#include "net/net.h"

#include "lab/lab.h"

#include <netinet/in.h>

int far_main(const char *name, const struct CMUnitTest *tests, size_t nr);
#define FAR_MAIN(tests) far_main(__FILE__, tests, sizeof(tests) / sizeof(*(tests)))
#define FAR_TEST(f)                                                                                \
	{                                                                                          \
#f, f, net_setup, far_teardown, NULL                                               \
	}
#define FAR_TEST_ON(f, family)                                                                     \
	{                                                                                          \
#f " " #family, f, net_setup, far_teardown, &(enum net_family)                     \
		{                                                                                  \
			family                                                                     \
		}                                                                                  \
	}
int far_teardown(void **state); /* stops the lab */

/*
 * Starts a lab whose partner behaves like that, and enters it: FAR_START("rtt 50ms", "verify").
 * Besides what the control port takes: "mtu 1500".
 */
#define FAR_START(...) far_start((const char *const[]){ __VA_ARGS__, NULL })
#define FAR_PLAIN()    FAR_START(NULL)
void far_start(const char *const *lines);
void far_stop(void);
struct lab *far_lab(void);

void far_tell(const char *line);
uint64_t far_stat(const char *name); /* of the partner: "received" ... */
/* What the sink was sent was right, as far as the partner looked, which it did. */
void far_was_right(void);
/* Nothing is sent again for a while, so that what is not acknowledged stays so. */
void far_is_patient(void);

void far_address(enum net_family family, uint16_t port, struct sockaddr_storage *to_out,
		 socklen_t *len_out);
int far_connect(enum net_family family, uint16_t port); /* blocking, for at most NET_MS at a time */
/* As linux/tcp.h has it, which not everybody can include. */
struct tcp_info;
struct tcp_info far_info(int fd);
/* Skips where the kernel copies what goes over a veth pair, even if nobody receives it: < 6.17. */
void far_needs_uncopied(void);

/* Waits for what nothing announces: looks again and again, while the loop runs. */
#define FAR_WATCH(n, condition)                                                                    \
	do {                                                                                       \
		while (!(condition)) {                                                             \
			if (net_now_ms() > (n)->deadline)                                          \
				fail_msg("time is up, still waiting for: %s", #condition);         \
			net_idle(n, 1);                                                            \
		}                                                                                  \
	} while (0)
/* The same without a loop. */
#define FAR_UNTIL(condition)                                                                       \
	do {                                                                                       \
		long end_ = net_now_ms() + NET_MS;                                                 \
		while (!(condition)) {                                                             \
			if (net_now_ms() > end_)                                                   \
				fail_msg("time is up, still waiting for: %s", #condition);         \
			poll(NULL, 0, 1);                                                          \
		}                                                                                  \
	} while (0)

#endif
