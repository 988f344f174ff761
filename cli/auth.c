/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>

#include "auth.h"
#include "stop.h"

static const char magic[AUTH_MAGIC + 1] = "zcsock1\n";

/* The messages are smaller than any socket buffer, and the first ones in it: no partial writes. */
static int put(const struct auth *auth, const void *bytes, size_t len)
{
	ssize_t n = send(auth->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

static void proof(const struct auth *auth, bool of_sender, uint8_t out[AUTH_PROOF])
{
	const char *word = of_sender ? "zcsock1 sender  " : "zcsock1 receiver";
	crypto_generichash_state state;

	crypto_generichash_init(&state, auth->key->bytes, KEY_LEN, AUTH_PROOF);
	crypto_generichash_update(&state, (const uint8_t *)word, strlen(word));
	crypto_generichash_update(&state, auth->sender ? auth->mine : auth->theirs, AUTH_NONCE);
	crypto_generichash_update(&state, auth->sender ? auth->theirs : auth->mine, AUTH_NONCE);
	crypto_generichash_final(&state, out, AUTH_PROOF);
}

static int put_hello(const struct auth *auth)
{
	uint8_t hello[AUTH_HELLO];

	memcpy(hello, magic, AUTH_MAGIC);
	memcpy(hello + AUTH_MAGIC, auth->mine, AUTH_NONCE);
	return put(auth, hello, sizeof(hello));
}

static int put_proof(const struct auth *auth)
{
	uint8_t bytes[AUTH_PROOF];

	proof(auth, auth->sender, bytes);
	return put(auth, bytes, sizeof(bytes));
}

int auth_start(struct auth *auth, int fd, bool sender, const struct key *key)
{
	*auth = (struct auth){ .fd = fd, .sender = sender, .key = key };
	randombytes_buf(auth->mine, sizeof(auth->mine));
	return sender ? put_hello(auth) : 0;
}

static int take_hello(struct auth *auth)
{
	if (memcmp(auth->in, magic, AUTH_MAGIC) != 0)
		return -EPROTO;
	memcpy(auth->theirs, auth->in + AUTH_MAGIC, AUTH_NONCE);
	auth->proving = true;
	auth->in_len = 0;
	return auth->sender ? put_proof(auth) : put_hello(auth);
}

static int take_proof(struct auth *auth)
{
	static const uint8_t refusal[AUTH_PROOF];
	uint8_t right[AUTH_PROOF];

	if (auth->sender && sodium_is_zero(auth->in, AUTH_PROOF))
		return -EACCES;
	proof(auth, !auth->sender, right);
	if (sodium_memcmp(auth->in, right, AUTH_PROOF) != 0) {
		if (!auth->sender)
			(void)put(auth, refusal, sizeof(refusal));
		return -EKEYREJECTED;
	}
	if (!auth->sender) {
		int r = put_proof(auth);

		if (r)
			return r;
	}
	return 1;
}

int auth_step(struct auth *auth)
{
	for (;;) {
		size_t want = auth->proving ? AUTH_PROOF : AUTH_HELLO;
		ssize_t n;
		int r;

		/* Never more than this message: what follows belongs to the library. */
		n = recv(auth->fd, auth->in + auth->in_len, want - auth->in_len, MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0)
			return -EPIPE;
		auth->in_len += (size_t)n;
		/* Not ours: say so at the first wrong byte, it may never send a whole hello. */
		if (!auth->proving &&
		    memcmp(auth->in, magic,
			   auth->in_len < AUTH_MAGIC ? auth->in_len : AUTH_MAGIC) != 0)
			return -EPROTO;
		if (auth->in_len < want)
			continue;
		if (auth->proving)
			return take_proof(auth);
		r = take_hello(auth);
		if (r)
			return r;
	}
}

int auth_run(int fd, const struct key *key, int timeout_ms)
{
	uint64_t until = now_ms() + (uint64_t)timeout_ms;
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	struct auth auth;
	int r;

	r = auth_start(&auth, fd, true, key);
	while (r == 0) {
		uint64_t now = now_ms();

		if (stop_asked())
			return -EINTR;
		if (now >= until)
			return -ETIMEDOUT;
		r = poll(&pollfd, 1,
			 until - now < STOP_TICK_MS ? (int)(until - now) : STOP_TICK_MS);
		if (r < 0 && errno != EINTR)
			return -errno;
		r = auth_step(&auth);
	}
	return r < 0 ? r : 0;
}

const char *auth_text(int err)
{
	switch (-err) {
	case EPROTO:
		return "it does not speak this protocol";
	case EACCES:
		return "it does not accept this key";
	case EKEYREJECTED:
		return "it does not know the key";
	case EPIPE:
	case ECONNRESET:
		return "it hung up before it proved that it knows the key";
	case ETIMEDOUT:
		return "it was silent for too long";
	default:
		return strerror(-err);
	}
}
