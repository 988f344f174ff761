/* SPDX-License-Identifier: MIT */
/*
 * body.c - what a file holds, on its way: hashed, and by one of the ways of file_way.h
 *
 * A regular file: send_read (pool memory, the library's from then on), send_by_sendfile, send_map;
 * standard input: send_chunks. Then finish_body.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "hole.h"
#include "sender.h"
#include "stop.h"
#include "vsock.h"

#define PIECE	     (512 * 1024)  /* of a file, per message: a few are on their way at a time */
#define HASHED	     (256 * 1024)  /* read for the hash only: it stays in the cache */
#define PART	     (1024 * 1024) /* of a file, per sendfile */
#define AHEAD	     (16 << 20)	   /* bytes of parts that the receiver has not acknowledged */
#define SENDFILE_MIN (1 << 20)	   /* bytes: smaller files are read */
#define GATHER_MS    50 /* a slow pipe's bytes are collected this long before a CHUNK goes out */
#define KEEP_MS	     250

/* Pool memory, waiting until some comes back from the kernel. */
static int get_piece(struct sender *sn, size_t len, void **piece_out)
{
	int r;

	while (!(*piece_out = zcs_buf_alloc(sn->link.ctx, len, NULL))) {
		r = link_wait(&sn->link);
		if (r < 0)
			return sender_lost(sn, r);
		r = sender_heard(sn);
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
		r = r == -ECANCELED ? sender_heard(sn) : sender_lost(sn, r);
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
	return r < 0 ? sender_lost(sn, r) : sender_heard(sn);
}

static int read_failed(struct sender *sn, int err)
{
	say("%s: %s", sn->safe, strerror(-err));
	return -ECANCELED;
}

/* The announced bytes cannot come any more: hanging up is all that is left. */
static int shrank(struct sender *sn)
{
	say("%s: %s", sn->safe, proto_code_text(PROTO_SHRANK));
	return -ECANCELED;
}

/* Of giving the library a piece, or of waiting for it. 0: try again. */
static int trouble(struct sender *sn, int err)
{
	if (err == -ECANCELED)
		return sender_heard(sn);
	if (err == -ENODATA) /* sendfile met the end of the file */
		return shrank(sn);
	if (err == sn->link.file_error && !sn->link.error)
		return read_failed(sn, err);
	return sender_lost(sn, err);
}

static int send_read(struct sender *sn)
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
		return n < 0 ? read_failed(sn, (int)n) : shrank(sn);
	}
	return 0;
}

/* Reads what sendfile will send, for the hash. The bytes, 0: the end, or an error that was said. */
static int64_t hash_piece(struct sender *sn)
{
	static char buf[HASHED];
	uint64_t start = sn->source.at;

	while (sn->source.at - start < PART) {
		int64_t n = source_read(&sn->source, buf, sizeof(buf));

		if (n == -EAGAIN)
			continue;
		if (n < 0)
			return read_failed(sn, (int)n);
		if (n == 0)
			break;
		XXH3_128bits_update(sn->hash, buf, (size_t)n);
	}
	return (int64_t)(sn->source.at - start);
}

/* After each piece: what happened meanwhile. */
static int turn(struct sender *sn)
{
	int r;

	report_sample(&sn->report, sn->link.conn);
	r = link_round(&sn->link, 0);
	return r < 0 ? sender_lost(sn, r) : sender_heard(sn);
}

static int send_by_sendfile(struct sender *sn)
{
	struct source *source = &sn->source;

	while (source->at < source_size(source)) {
		uint64_t at = source->at;
		int64_t n = hash_piece(sn);
		int r;

		if (n <= 0)
			return n < 0 ? (int)n : shrank(sn);
		link_touch(&sn->link); /* reading may have taken long */
		while ((r = link_send_file(&sn->link, source->fd, at, (size_t)n, AHEAD)) < 0) {
			r = trouble(sn, r);
			if (r < 0)
				return r;
		}
		r = turn(sn);
		if (r < 0)
			return r;
	}
	return 0;
}

static int send_map(struct sender *sn)
{
	size_t len = PIECE;
	const char *piece;

	for (; (piece = source_piece(&sn->source, &len)); len = PIECE) {
		int r;

		XXH3_128bits_update(sn->hash, piece, len);
		if (hole_found())
			return shrank(sn);
		link_touch(&sn->link);
		while ((r = link_lend(&sn->link, piece, len)) < 0) {
			r = trouble(sn, r);
			if (r < 0)
				return r;
		}
		r = turn(sn);
		if (r < 0)
			return r;
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
		return sender_lost(sn, r);
	r = sender_heard(sn);
	if (r < 0 || now_ms() < *keep_ms)
		return r;
	*keep_ms = now_ms() + KEEP_MS;
	report_own(&sn->report, PROTO_HEAD);
	r = link_say(&sn->link, PROTO_KEEP, 0, 0);
	return r < 0 ? sender_lost(sn, r) : 0;
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

/*
 * Until the kernel has the body: the reason that the library gives for the last copy is then one of
 * the body's, and not yet of the END behind it, which is always copied.
 */
static int finish_body(struct sender *sn)
{
	int r;

	while ((r = link_flush(&sn->link)) < 0) {
		r = trouble(sn, r);
		if (r < 0)
			return r;
	}
	report_sample(&sn->report, sn->link.conn);
	return 0;
}

/* ---- the choice ---------------------------------------------------------- */

/* What costs both sides together less over loopback, and us less over a device: bench --files. */
static enum file_way choose_way(const struct sender *sn, const char **why_out)
{
	*why_out = "asked for";
	if (!sn->source.stream && sn->opts.file_way != FILE_AUTO)
		return sn->opts.file_way;
	if (sn->source.stream)
		*why_out = "standard input can only be read";
	else if (sn->opts.way)
		*why_out = "--copy and --zerocopy are about memory";
	else if (vsock_is(&sn->url))
		*why_out = "VSOCK copies what sendfile sends";
	else if (source_size(&sn->source) < SENDFILE_MIN)
		*why_out = "the file is small";
	else {
		*why_out = "it costs less";
		return FILE_SENDFILE;
	}
	return FILE_READ;
}

int body_send(struct sender *sn)
{
	const char *why;
	enum file_way way = choose_way(sn, &why);
	int r = 0;

	if (way == FILE_MAP && source_size(&sn->source) > 0)
		r = source_map(&sn->source);
	if (r < 0) {
		way = FILE_READ;
		why = "the file cannot be mapped";
	}
	report_way(&sn->report, sn->source.stream ? 0 : source_size(&sn->source), way, why, 0);
	if (sn->source.stream)
		r = send_chunks(sn);
	else if (way == FILE_SENDFILE)
		r = send_by_sendfile(sn);
	else if (sn->source.map)
		r = send_map(sn);
	else
		r = send_read(sn);
	return r < 0 ? r : finish_body(sn);
}
