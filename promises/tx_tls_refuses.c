// SPDX-License-Identifier: MIT
/* Kernel TLS may be switched on at any time, also on a socket that the library has. */
#include "kit.h"

#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

static enum promise_verdict run(char *why, size_t len)
{
	struct tls12_crypto_info_aes_gcm_128 key = {
		.info = { TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128 },
	};
	struct promise_pair p;
	char *buf = promise_pages(1);

	if (!buf || promise_zc_pair(&p, AF_INET) < 0)
		return promise_lacks(why, len, "TCP over loopback");
	if (setsockopt(p.tx, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0)
		return promise_lacks(why, len, "kernel TLS");
	if (setsockopt(p.tx, SOL_TLS, TLS_TX, &key, sizeof(key)) < 0)
		return promise_lacks(why, len, "a key for kernel TLS");
	if (promise_zc_send(p.tx, buf, 100) >= 0)
		return promise_broken(why, len, "a flagged send was accepted");
	if (errno != EOPNOTSUPP)
		return promise_broken(why, len, "errno %d instead of EOPNOTSUPP", errno);
	if (send(p.tx, buf, 100, MSG_NOSIGNAL) != 100)
		return promise_broken(why, len, "a send without the flag failed: %d", errno);
	return PROMISE_HOLDS;
}

const struct promise promise_tx_tls_refuses = {
	.id = "tx_tls_refuses",
	.sentence =
		"Once kernel TLS handles what a socket sends, a flagged send fails with EOPNOTSUPP and "
		"one without the flag works.",
	.source = "Documentation/networking/tls.rst; net/tls/tls_sw.c tls_sw_sendmsg",
	.otherwise =
		"Relied upon: the refusal is how a connection that got kernel TLS later is known; "
		"one that has it when it is opened is never lent to.",
	.run = run,
};
