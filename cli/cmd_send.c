/* SPDX-License-Identifier: MIT */
/*
 * cmd_send.c - zcsock send: one session, file by file
 *
 * main path: cmd_send -> look_at_files -> start -> session -> send_file -> send_known or
 * send_chunks -> give (a pool buffer, the library's from then on) -> end_file (hash, verdict)
 */
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "auth.h"
#include "cmd.h"
#include "link.h"
#include "net.h"
#include "opts.h"
#include "report.h"
#include "source.h"
#include "stop.h"
#include "text.h"

#define PIECE	  (512 * 1024) /* of a file, per message: a few are on their way at a time */
#define CLOSE_MS  5000
#define AUTH_MS	  10000 /* the receiver hangs up after 5 s */
#define GATHER_MS 50	/* a slow pipe's bytes are collected this long before a CHUNK goes out */
#define KEEP_MS	  250

#define FROM_RECEIVER (PROTO_BIT(PROTO_ACCEPT) | PROTO_BIT(PROTO_BUSY) | PROTO_BIT(PROTO_VERDICT))

struct sender {
	struct opts opts;
	struct url url;
	struct link link;
	struct report report;
	struct source source;
	XXH3_state_t *hash;
	char safe[SAFE_NAME]; /* the name of the file on its way, printable */
};

/* A connection that broke: what the receiver said last explains more than the errno. */
static int lost(struct sender *sn, int err)
{
	struct proto_frame frame;

	if (err == -EPIPE || err == -ECONNRESET || err == -ECANCELED) {
		sn->link.readable = true;
		while (link_frame_now(&sn->link, FROM_RECEIVER, &frame) == 0) {
			if (frame.type != PROTO_VERDICT || frame.code == PROTO_OK)
				continue;
			say("%s: the receiver says: %s", sn->safe, proto_code_text(frame.code));
			return -ECANCELED;
		}
	}
	if (err == -EINTR)
		say("%s: stopped", sn->safe);
	else
		say("%s: lost the receiver: %s", sn->safe, link_text(err));
	return err;
}

/* The next thing that the receiver says besides BUSY must be `type`, or it is a refusal. */
static int hear(struct sender *sn, enum proto_type type)
{
	struct proto_frame frame;
	int r;

	do {
		r = link_frame(&sn->link, FROM_RECEIVER, &frame);
		if (r < 0)
			return lost(sn, r);
	} while (frame.type == PROTO_BUSY);
	if (frame.type == PROTO_VERDICT && frame.code != PROTO_OK) {
		say("%s: the receiver says: %s", sn->safe, proto_code_text(frame.code));
		return -ECANCELED;
	}
	return frame.type == type ? 0 : lost(sn, -EPROTO);
}

/* ---- bodies -------------------------------------------------------------- */

/*
 * In the middle of a body anything that the receiver says but BUSY is the end; that all is well
 * cannot be known before the checksum was sent.
 */
static int heard_meanwhile(struct sender *sn)
{
	struct proto_frame frame;
	int r;

	if (!sn->link.readable)
		return 0;
	do {
		r = link_frame_now(&sn->link, FROM_RECEIVER, &frame);
	} while (r == 0 && frame.type == PROTO_BUSY);
	if (r == -EAGAIN)
		return 0;
	if (r < 0)
		return lost(sn, r);
	if (frame.type != PROTO_VERDICT || frame.code == PROTO_OK)
		return lost(sn, -EPROTO);
	say("%s: the receiver says: %s", sn->safe, proto_code_text(frame.code));
	return -ECANCELED;
}

/* Pool memory, waiting until some comes back from the kernel. */
static int get_piece(struct sender *sn, size_t len, void **piece_out)
{
	int r;

	while (!(*piece_out = zcs_buf_alloc(sn->link.ctx, len, NULL))) {
		r = link_wait(&sn->link);
		if (r < 0)
			return lost(sn, r);
		r = heard_meanwhile(sn);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Returns when the library has it, or the reason why it never will was said. */
static int hand_over(struct sender *sn, const struct proto_frame *frame, void *piece, size_t len)
{
	for (;;) {
		int r = link_send(&sn->link, frame, piece, len, ZCS_GIVE);

		if (r == 0)
			return 0;
		r = r == -ECANCELED ? heard_meanwhile(sn) : lost(sn, r);
		if (r < 0)
			return r;
	}
}

/* Hashes it and gives it away; in case of failure it is freed here. */
static int give(struct sender *sn, const struct proto_frame *frame, void *piece, size_t len)
{
	int r;

	XXH3_128bits_update(sn->hash, piece, len);
	link_touch(&sn->link); /* reading may have taken long */
	r = hand_over(sn, frame, piece, len);
	if (r < 0) {
		zcs_buf_free(sn->link.ctx, piece);
		return r;
	}
	if (frame)
		report_own(&sn->report, PROTO_HEAD);
	report_sample(&sn->report, sn->link.conn);
	r = link_round(&sn->link, 0);
	return r < 0 ? lost(sn, r) : heard_meanwhile(sn);
}

static int read_failed(struct sender *sn, int err)
{
	say("%s: %s", sn->safe, strerror(-err));
	return -ECANCELED;
}

static int send_known(struct sender *sn)
{
	while (sn->source.at < source_size(&sn->source)) {
		void *piece;
		int64_t n;
		int r;

		r = get_piece(sn, PIECE, &piece);
		if (r < 0)
			return r;
		n = source_read(&sn->source, piece, PIECE);
		if (n > 0) {
			r = give(sn, NULL, piece, (size_t)n);
			if (r < 0)
				return r;
			continue;
		}
		zcs_buf_free(sn->link.ctx, piece);
		if (n == -EAGAIN)
			continue;
		if (n < 0)
			return read_failed(sn, (int)n);
		/* The announced bytes cannot come any more: hanging up is all that is left. */
		say("%s: %s", sn->safe, proto_code_text(PROTO_SHRANK));
		return -ECANCELED;
	}
	return 0;
}

/* Standard input has nothing: look at both sides, and tell the receiver that we live. */
static int idle(struct sender *sn, uint64_t *keep_ms)
{
	struct pollfd fds[2] = {
		{ .fd = sn->source.fd, .events = POLLIN },
		{ .fd = zcs_ctx_fd(sn->link.ctx), .events = POLLIN },
	};
	int r;

	(void)poll(fds, 2, GATHER_MS);
	r = link_round(&sn->link, 0);
	if (r < 0)
		return lost(sn, r);
	r = heard_meanwhile(sn);
	if (r < 0 || now_ms() < *keep_ms)
		return r;
	*keep_ms = now_ms() + KEEP_MS;
	report_own(&sn->report, PROTO_HEAD);
	r = link_say(&sn->link, PROTO_KEEP, 0, 0);
	return r < 0 ? lost(sn, r) : 0;
}

/* Fills a chunk until it is full, the end comes, or the pipe pauses. 1: the end. */
static int gather(struct sender *sn, uint8_t *piece, size_t *len_out)
{
	uint64_t until = 0, keep_ms = now_ms() + KEEP_MS;
	size_t len = 0;

	while (len < PROTO_CHUNK) {
		int64_t n = source_read(&sn->source, piece + len, PROTO_CHUNK - len);
		int r;

		*len_out = len;
		if (n == 0)
			return 1;
		if (n < 0 && n != -EAGAIN)
			return read_failed(sn, (int)n);
		if (n > 0) {
			len += (size_t)n;
			until = now_ms() + GATHER_MS;
			continue;
		}
		if (len > 0 && now_ms() >= until)
			break;
		r = idle(sn, &keep_ms);
		if (r < 0)
			return r;
	}
	*len_out = len;
	return 0;
}

static int send_chunks(struct sender *sn)
{
	int r, end = 0;

	while (!end) {
		size_t len;
		void *piece;

		r = get_piece(sn, PROTO_CHUNK, &piece);
		if (r < 0)
			return r;
		end = gather(sn, piece, &len);
		if (end < 0 || len == 0) {
			zcs_buf_free(sn->link.ctx, piece);
			if (end < 0)
				return end;
			continue;
		}
		r = give(sn, &(struct proto_frame){ .type = PROTO_CHUNK_DATA, .length = len },
			 piece, len);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- a file, a session --------------------------------------------------- */

/*
 * Until the kernel has the body: the reason that the library gives for the last copy is then one of
 * the body's, and not yet of the END behind it, which is always copied.
 */
static int finish_body(struct sender *sn)
{
	int r;

	while ((r = link_flush(&sn->link)) < 0) {
		r = r == -ECANCELED ? heard_meanwhile(sn) : lost(sn, r);
		if (r < 0)
			return r;
	}
	report_sample(&sn->report, sn->link.conn);
	return 0;
}

static int end_file(struct sender *sn)
{
	enum proto_code code = source_check(&sn->source);
	XXH128_canonical_t hash;
	struct proto_frame end = { .type = PROTO_END,
				   .length = PROTO_HASH,
				   .value = sn->source.at };
	int r;

	if (code != PROTO_OK) {
		say("%s: %s", sn->safe, proto_code_text(code));
		(void)link_say(&sn->link, PROTO_GIVEUP, code, 0);
		return -ESTALE;
	}
	XXH128_canonicalFromHash(&hash, XXH3_128bits_digest(sn->hash));
	r = link_send(&sn->link, &end, hash.digest, sizeof(hash.digest), 0);
	if (r < 0)
		return lost(sn, r);
	r = hear(sn, PROTO_VERDICT);
	if (r < 0)
		return r;
	return report_file(&sn->report, sn->source.name, sn->source.at, hash.digest);
}

static int send_file(struct sender *sn)
{
	const struct source *source = &sn->source;
	const struct proto_frame file = {
		.type = PROTO_FILE,
		.length = strlen(source->name),
		.value = source_size(source),
	};
	int r;

	r = link_send(&sn->link, &file, source->name, (size_t)file.length, 0);
	if (r < 0)
		return lost(sn, r);
	r = hear(sn, PROTO_ACCEPT);
	if (r < 0)
		return r;
	report_body(&sn->report, sn->link.conn, source->name, file.value);
	XXH3_128bits_reset(sn->hash);
	r = source->stream ? send_chunks(sn) : send_known(sn);
	if (r == 0)
		r = finish_body(sn);
	return r < 0 ? r : end_file(sn);
}

/* -ESTALE: the receiver was told why; it may need a moment to read it. */
static int session(struct sender *sn)
{
	int r;

	for (int i = 0; i < sn->opts.nr_args - 1; i++) {
		r = source_open(&sn->source, sn->opts.args[i], sn->opts.name);
		if (r < 0) {
			(void)link_say(&sn->link, PROTO_GIVEUP, PROTO_IO, 0);
			return -ESTALE;
		}
		text_safe(sn->source.name, sn->safe, sizeof(sn->safe));
		r = send_file(sn);
		source_close(&sn->source);
		if (r < 0)
			return r;
	}
	r = link_say(&sn->link, PROTO_DONE, 0, sn->report.nr_files);
	return r < 0 ? lost(sn, r) : 0;
}

/* ---- before it ----------------------------------------------------------- */

/* What can be seen to be wrong is said before anybody is called. */
static int look_at_files(struct sender *sn)
{
	int nr = sn->opts.nr_args - 1;

	for (int i = 0; i < nr; i++) {
		struct source source;

		if (source_open(&source, sn->opts.args[i], sn->opts.name) < 0)
			return -1;
		source_close(&source);
		for (int j = 0; j < i; j++) {
			if (strcmp(source.name, source_name(sn->opts.args[j], sn->opts.name)) != 0)
				continue;
			say("%s and %s would have the same name at the receiver", sn->opts.args[j],
			    sn->opts.args[i]);
			return -1;
		}
	}
	return 0;
}

/* -1, or the exit status after one line. The key leaves the command line as soon as it can. */
static int read_url(struct sender *sn)
{
	char *text = sn->opts.args[sn->opts.nr_args - 1];
	const char *why = url_parse(text, &sn->url);
	int r;

	if (why) {
		say("the URL: %s", why);
		return 2;
	}
	if (sn->url.has_key && sn->opts.key_file) {
		say("the URL has a key, and --key-file names another");
		return 2;
	}
	if (sn->url.has_key) {
		char *key = strrchr(text, '/') + 1;

		memset(key, 'x', strlen(key));
		return -1;
	}
	r = opts_key(&sn->opts, &sn->url.key);
	if (r == 0)
		say("the key is missing: in the URL, by --key-file, or in ZCSOCK_KEY");
	return r == 1 ? -1 : r == 0 ? 2 : 1;
}

static int start(struct sender *sn)
{
	const struct zcs_conn_opts conn_opts = { .size = sizeof(conn_opts),
						 .prior_sends = ZCS_NONE,
						 .send_way = sn->opts.way };
	int limit = sn->opts.timeout_ms < AUTH_MS ? sn->opts.timeout_ms : AUTH_MS;
	int fd, r;

	sn->hash = XXH3_createState();
	if (!sn->hash) {
		say("%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	fd = net_connect(&sn->url, sn->opts.timeout_ms);
	if (fd < 0)
		return fd;
	r = auth_run(fd, &sn->url.key, limit);
	sodium_memzero(&sn->url.key, sizeof(sn->url.key));
	if (r < 0) {
		say("%s port %s: %s", sn->url.host, sn->url.port,
		    r == -EINTR ? "stopped" : auth_text(r));
		close(fd);
		return r;
	}
	report_begin(&sn->report, true, sn->opts.json);
	sn->report.local = net_is_local(fd);
	r = link_open(&sn->link, fd, &conn_opts, (uint64_t)sn->opts.timeout_ms);
	if (r < 0)
		say("lost the receiver before the first file: %s", link_text(r));
	return r;
}

int cmd_send(int argc, char **argv)
{
	struct sender sn = { .source.fd = -1 };
	struct zcs_stats stats;
	int r;

	r = opts_send(argc, argv, &sn.opts);
	if (r >= 0)
		return r;
	report_begin(&sn.report, true, sn.opts.json);
	r = read_url(&sn);
	if (r == 2)
		return r;
	r = r < 0 ? look_at_files(&sn) : -EINVAL;
	if (r == 0)
		r = start(&sn);
	if (r == 0)
		r = session(&sn);
	source_close(&sn.source);
	/* In the middle of a body only a reset says "this is not the end". */
	stats = link_close(&sn.link, CLOSE_MS, r < 0 && r != -ESTALE);
	report_end(&sn.report, &stats, r == 0);
	XXH3_freeState(sn.hash);
	return r == 0 ? 0 : 1;
}
