/* SPDX-License-Identifier: MIT */
/*
 * The parts of the command that need no connection: frames, names, keys, URLs, text, the handshake.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth.h"
#include "progress.h"
#include "proto.h"
#include "text.h"
#include "url.h"

#define KEY "00112233445566778899aabbccddeeff"
#define ALL ((1u << PROTO_NR_TYPES) - 1)

static int get(struct proto_frame frame, unsigned allowed)
{
	struct proto_frame out;
	uint8_t head[PROTO_HEAD];

	proto_put(&frame, head);
	return proto_get(head, allowed, &out);
}

static void proto__every_legal_frame_comes_back(void **state)
{
	static const struct proto_frame frames[] = {
		{ PROTO_FILE, 0, 1, 0 },
		{ PROTO_FILE, 0, 255, INT64_MAX },
		{ PROTO_FILE, 0, 5, PROTO_UNKNOWN },
		{ PROTO_CHUNK_DATA, 0, 1, 0 },
		{ PROTO_CHUNK_DATA, 0, PROTO_CHUNK, 0 },
		{ PROTO_KEEP, 0, 0, 0 },
		{ PROTO_END, 0, 16, 12345678901234 },
		{ PROTO_GIVEUP, PROTO_GREW, 0, 0 },
		{ PROTO_DONE, 0, 0, 3 },
		{ PROTO_ACCEPT, 0, 0, 0 },
		{ PROTO_BUSY, 0, 0, 0 },
		{ PROTO_VERDICT, PROTO_OK, 0, 0 },
		{ PROTO_VERDICT, PROTO_NR_CODES - 1, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		uint8_t head[PROTO_HEAD];
		struct proto_frame out;

		proto_put(&frames[i], head);
		assert_int_equal(proto_get(head, ALL, &out), 0);
		assert_int_equal(out.type, frames[i].type);
		assert_int_equal(out.code, frames[i].code);
		assert_int_equal(out.length, frames[i].length);
		assert_int_equal(out.value, frames[i].value);
		assert_int_equal(proto_get(head, ALL & ~PROTO_BIT(frames[i].type), &out), -EPROTO);
	}
}

static void proto__the_bytes_are_fixed(void **state)
{
	static const uint8_t right[PROTO_HEAD] = { 'z', 'c', 's', '1', 1, 0, 0, 0, 3, 0, 0, 0,
						   0,	0,   0,	  0,   8, 7, 6, 5, 4, 3, 2, 1 };
	const struct proto_frame frame = { PROTO_FILE, 0, 3, 0x0102030405060708 };
	uint8_t head[PROTO_HEAD];

	(void)state;
	proto_put(&frame, head);
	assert_memory_equal(head, right, sizeof(head));
}

static void proto__illegal_members_are_refused(void **state)
{
	static const struct {
		struct proto_frame frame;
		int result;
	} bad[] = {
		{ { 0, 0, 0, 0 }, -EPROTO },
		{ { PROTO_NR_TYPES, 0, 0, 0 }, -EPROTO },
		{ { 65535, 0, 0, 0 }, -EPROTO },
		{ { PROTO_FILE, 1, 5, 0 }, -EPROTO },
		{ { PROTO_FILE, 0, 0, 0 }, -EMSGSIZE },
		{ { PROTO_FILE, 0, 256, 0 }, -EMSGSIZE },
		{ { PROTO_FILE, 0, (uint64_t)1 << 63, 0 }, -EMSGSIZE },
		{ { PROTO_FILE, 0, 5, (uint64_t)1 << 63 }, -EMSGSIZE },
		{ { PROTO_FILE, 0, 5, UINT64_MAX - 1 }, -EMSGSIZE },
		{ { PROTO_CHUNK_DATA, 0, 0, 0 }, -EMSGSIZE },
		{ { PROTO_CHUNK_DATA, 0, PROTO_CHUNK + 1, 0 }, -EMSGSIZE },
		{ { PROTO_CHUNK_DATA, 0, UINT64_MAX, 0 }, -EMSGSIZE },
		{ { PROTO_CHUNK_DATA, 0, 1, 1 }, -EMSGSIZE },
		{ { PROTO_KEEP, 0, 1, 0 }, -EMSGSIZE },
		{ { PROTO_END, 0, 15, 0 }, -EMSGSIZE },
		{ { PROTO_END, 0, 16, UINT64_MAX }, -EMSGSIZE },
		{ { PROTO_GIVEUP, 0, 0, 0 }, -EPROTO },
		{ { PROTO_VERDICT, PROTO_NR_CODES, 0, 0 }, -EPROTO },
		{ { PROTO_ACCEPT, 0, 0, 1 }, -EMSGSIZE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(get(bad[i].frame, ALL), bad[i].result);
}

static void proto__other_magic_is_refused(void **state)
{
	const struct proto_frame frame = { PROTO_KEEP, 0, 0, 0 };
	struct proto_frame out;
	uint8_t head[PROTO_HEAD];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		proto_put(&frame, head);
		head[i] ^= 1;
		assert_int_equal(proto_get(head, ALL, &out), -EBADMSG);
	}
}

/* Whatever comes in, what is let through is within the bounds that the rest relies on. */
static void proto__random_heads_stay_in_bounds(void **state)
{
	unsigned passed = 0;

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < 300000; i++) {
		struct proto_frame frame;
		uint8_t head[PROTO_HEAD] = { 'z', 'c', 's', '1' };

		head[4] = (uint8_t)(random() % 12);
		head[6] = (uint8_t)(random() % 4 ? 0 : random());
		for (unsigned j = 8; j < PROTO_HEAD; j++)
			head[j] = (uint8_t)(random() % 4 ? 0 : random());
		if (proto_get(head, ALL, &frame) < 0)
			continue;
		passed++;
		assert_true(frame.type > 0 && frame.type < PROTO_NR_TYPES);
		assert_true(frame.code < PROTO_NR_CODES);
		assert_true(frame.length <= PROTO_CHUNK);
		assert_true(frame.type != PROTO_FILE || frame.length <= PROTO_NAME);
		assert_true(frame.value <= INT64_MAX || frame.value == PROTO_UNKNOWN);
	}
	assert_true(passed > 100);
}

static void proto__codes_have_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PROTO_NR_CODES + 3; i++)
		assert_true(strlen(proto_code_text(i)) > 3);
	assert_int_equal(proto_code_of(ENOSPC), PROTO_NO_SPACE);
	assert_int_equal(proto_code_of(EEXIST), PROTO_EXISTS);
	assert_int_equal(proto_code_of(EPROTO), PROTO_MISUSE);
	assert_int_equal(proto_code_of(E2BIG), PROTO_IO);
	assert_int_equal(proto_code_of(0), PROTO_OK);
}

static void proto__names(void **state)
{
	static const char *const good[] = { "a", "a b",	 "...",	      ".a",  "..a",
					    "-", "\xff", "h\xc3\xa9", "a\\b" };
	static const char *const bad[] = { "",	   ".",	   "..",  "/",	    "a/",   "/a",
					   "../a", "a/..", "a\n", "\x1b[m", "\x7f", "\t" };
	char name[300];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(proto_name_check(good[i], strlen(good[i])), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(proto_name_check(bad[i], strlen(bad[i])), -EINVAL);
	memset(name, 'x', sizeof(name));
	assert_int_equal(proto_name_check(name, 255), 0);
	assert_int_equal(proto_name_check(name, 256), -EINVAL);
	assert_int_equal(proto_name_check("a\0b", 3), -EINVAL);
}

static void url__good(void **state)
{
	static const struct {
		const char *text, *host, *port;
		bool key;
	} good[] = {
		{ "zcsock://host:1/" KEY, "host", "1", true },
		{ "zcsock://host:65535", "host", "65535", false },
		{ "zcsock://host:7/", "host", "7", false },
		{ "zcsock://192.0.2.1:7/" KEY, "192.0.2.1", "7", true },
		{ "zcsock://[::1]:7/" KEY, "::1", "7", true },
		{ "zcsock://[fe80::1%eth0]:7", "fe80::1%eth0", "7", false },
		{ "zcsock://vsock:3:70000/" KEY, "vsock:3", "70000", true },
		{ "zcsock://vsock:local:7", "vsock:local", "7", false },
		{ "zcsock://vsock:4294967294:4294967294", "vsock:4294967294", "4294967294", false },
		{ "zcsock://vsock:7", "vsock", "7", false }, /* a host of that name */
	};
	struct url url;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_null(url_parse(good[i].text, &url));
		assert_string_equal(url.host, good[i].host);
		assert_string_equal(url.port, good[i].port);
		assert_int_equal(url.has_key, good[i].key);
	}
}

static void url__bad(void **state)
{
	static const char *const bad[] = {
		"",
		"zcsock:/host:1",
		"http://host:1/" KEY,
		"zcsock://",
		"zcsock://host",
		"zcsock://host:",
		"zcsock://:1",
		"zcsock://host:0",
		"zcsock://host:00000",
		"zcsock://host:65536",
		"zcsock://host:123456",
		"zcsock://host:-1",
		"zcsock://host:+1",
		"zcsock://host: 1",
		"zcsock://host:1x",
		"zcsock://::1:7",
		"zcsock://[::1:7",
		"zcsock://[]:7",
		"zcsock://vsock:3:",
		"zcsock://vsock:3:0",
		"zcsock://vsock::7",
		"zcsock://vsock:x:7",
		"zcsock://vsock:4294967295:7",
		"zcsock://vsock:3:4294967295",
		"zcsock://vsock:3:4:7",
		"zcsock://host:1/0",
		"zcsock://host:1/" KEY "0",
		"zcsock://host:1/" KEY "/",
		"zcsock://host:1/0011223344556677 8899aabbccddeeff",
		"zcsock://host:1/0x112233445566778899aabbccddeeff",
	};
	char text[600];
	struct url url;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(url_parse(bad[i], &url));
	memset(text, 'x', sizeof(text));
	memcpy(text, URL_SCHEME, strlen(URL_SCHEME));
	strcpy(text + 400, ":1");
	assert_non_null(url_parse(text, &url));
}

static void key__text_and_back(void **state)
{
	char text[KEY_TEXT];
	struct key key;

	(void)state;
	assert_true(key_parse(" \n" KEY "\r\n", strlen(KEY) + 4, &key));
	assert_int_equal(key.bytes[0], 0x00);
	assert_int_equal(key.bytes[15], 0xff);
	key_text(&key, text);
	assert_string_equal(text, KEY);
	assert_true(key_parse("ABCDEFabcdef00000000000000000000", 32, &key));
	assert_false(key_parse("", 0, &key));
	assert_false(key_parse("   ", 3, &key));
	assert_false(key_parse(KEY, 31, &key));
	assert_false(key_parse("zz112233445566778899aabbccddeeff", 32, &key));
}

static void text__safe(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain", "plain" },
		{ "a\nb\x7f", "a\\x0ab\\x7f" },
		{ "\x1b[2J", "\\x1b[2J" },
		{ "a\\x41", "a\\\\x41" },
		{ "h\xc3\xa9", "h\xc3\xa9" },
		{ "\xc2\x9b", "\\xc2\\x9b" },			/* a control character */
		{ "\xe2\x80\xae", "\\xe2\\x80\\xae" },		/* turns the text around */
		{ "\xc3", "\\xc3" },				/* cut off */
		{ "\xc0\xaf", "\\xc0\\xaf" },			/* overlong */
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },		/* half a pair */
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },	/* four bytes */
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* beyond the last */
		{ "\xf0\x80\x80\x80", "\\xf0\\x80\\x80\\x80" },
	};
	char out[SAFE_NAME], name[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(text_safe(cases[i].in, out, sizeof(out)), cases[i].out);
	memset(name, 1, 255);
	name[255] = '\0';
	assert_int_equal(strlen(text_safe(name, out, sizeof(out))), 4 * 255);
	assert_true(strlen(text_safe(name, out, 10)) < 10);
}

static void progress__bytes(void **state)
{
	char out[16];

	(void)state;
	assert_string_equal(progress_bytes(0, out), "0 B");
	assert_string_equal(progress_bytes(999, out), "999 B");
	assert_string_equal(progress_bytes(1024, out), "1.0 KiB");
	assert_string_equal(progress_bytes(1536 * 1024, out), "1.5 MiB");
	assert_string_equal(progress_bytes(UINT64_MAX, out), "16.0 EiB");
}

/* ---- the handshake -------------------------------------------------------------------------- */

struct pair {
	int fd[2];
	struct key keys[2];
	struct auth sender, receiver;
};

static void pair_start(struct pair *pair, bool same_key)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fd), 0);
	assert_true(key_parse(KEY, strlen(KEY), &pair->keys[0]));
	pair->keys[1] = pair->keys[0];
	if (!same_key)
		pair->keys[1].bytes[7] ^= 1;
	assert_int_equal(auth_start(&pair->sender, pair->fd[0], true, &pair->keys[0]), 0);
	assert_int_equal(auth_start(&pair->receiver, pair->fd[1], false, &pair->keys[1]), 0);
}

static void pair_end(struct pair *pair)
{
	close(pair->fd[0]);
	close(pair->fd[1]);
}

static void auth__same_key(void **state)
{
	struct pair pair;
	char byte;

	(void)state;
	pair_start(&pair, true);
	assert_int_equal(auth_step(&pair.receiver), 0);
	assert_int_equal(auth_step(&pair.sender), 0);
	assert_int_equal(auth_step(&pair.receiver), 1);
	/* What the receiver would send next is not read with the proof. */
	assert_int_equal(send(pair.fd[1], "x", 1, 0), 1);
	assert_int_equal(auth_step(&pair.sender), 1);
	assert_int_equal(recv(pair.fd[0], &byte, 1, 0), 1);
	pair_end(&pair);
}

static void auth__other_key(void **state)
{
	struct pair pair;

	(void)state;
	pair_start(&pair, false);
	assert_int_equal(auth_step(&pair.receiver), 0);
	assert_int_equal(auth_step(&pair.sender), 0);
	assert_int_equal(auth_step(&pair.receiver), -EKEYREJECTED);
	assert_int_equal(auth_step(&pair.sender), -EACCES);
	pair_end(&pair);
}

/* Each byte of the proof counts, and each that is cut off is waited for. */
static void auth__damaged_proof(void **state)
{
	(void)state;
	for (unsigned i = 0; i < AUTH_PROOF; i++) {
		uint8_t proof[AUTH_PROOF];
		struct pair pair;

		pair_start(&pair, true);
		assert_int_equal(auth_step(&pair.receiver), 0);
		assert_int_equal(auth_step(&pair.sender), 0);
		assert_int_equal(recv(pair.fd[1], proof, sizeof(proof), 0), sizeof(proof));
		proof[i] ^= 0x80;
		assert_int_equal(send(pair.fd[0], proof, i, 0), (int)i);
		assert_int_equal(auth_step(&pair.receiver), 0);
		assert_int_equal(send(pair.fd[0], proof + i, sizeof(proof) - i, 0),
				 (int)(sizeof(proof) - i));
		assert_int_equal(auth_step(&pair.receiver), -EKEYREJECTED);
		pair_end(&pair);
	}
}

static void auth__reflection(void **state)
{
	struct pair pair;
	uint8_t bytes[AUTH_HELLO];

	(void)state;
	pair_start(&pair, true);
	/* The peer answers with whatever the sender itself says. */
	assert_int_equal(recv(pair.fd[1], bytes, AUTH_HELLO, 0), AUTH_HELLO);
	assert_int_equal(send(pair.fd[1], bytes, AUTH_HELLO, 0), AUTH_HELLO);
	assert_int_equal(auth_step(&pair.sender), 0);
	assert_int_equal(recv(pair.fd[1], bytes, AUTH_PROOF, 0), AUTH_PROOF);
	assert_int_equal(send(pair.fd[1], bytes, AUTH_PROOF, 0), AUTH_PROOF);
	assert_int_equal(auth_step(&pair.sender), -EKEYREJECTED);
	pair_end(&pair);
}

static void auth__garbage_is_seen_at_once(void **state)
{
	uint8_t hello[AUTH_HELLO];
	struct pair pair;

	(void)state;
	pair_start(&pair, true);
	assert_int_equal(send(pair.fd[1], "S", 1, 0), 1);
	assert_int_equal(auth_step(&pair.sender), -EPROTO);
	close(pair.fd[1]);
	pair.fd[1] = -1;
	pair_end(&pair);
	pair_start(&pair, true);
	assert_int_equal(recv(pair.fd[1], hello, sizeof(hello), 0), sizeof(hello));
	close(pair.fd[1]);
	pair.fd[1] = -1;
	assert_int_equal(auth_step(&pair.sender), -EPIPE);
	pair_end(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proto__every_legal_frame_comes_back),
		cmocka_unit_test(proto__the_bytes_are_fixed),
		cmocka_unit_test(proto__illegal_members_are_refused),
		cmocka_unit_test(proto__other_magic_is_refused),
		cmocka_unit_test(proto__random_heads_stay_in_bounds),
		cmocka_unit_test(proto__codes_have_words),
		cmocka_unit_test(proto__names),
		cmocka_unit_test(url__good),
		cmocka_unit_test(url__bad),
		cmocka_unit_test(key__text_and_back),
		cmocka_unit_test(text__safe),
		cmocka_unit_test(progress__bytes),
		cmocka_unit_test(auth__same_key),
		cmocka_unit_test(auth__other_key),
		cmocka_unit_test(auth__damaged_proof),
		cmocka_unit_test(auth__reflection),
		cmocka_unit_test(auth__garbage_is_seen_at_once),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
