/* SPDX-License-Identifier: MIT */
/*
 * cmd_send.c - zcsock send: one session, file by file
 *
 * main path: cmd_send -> look_at_files -> start -> session -> send_file -> body_send (body.c) ->
 * end_file (hash, verdict)
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auth.h"
#include "cmd.h"
#include "net.h"
#include "sender.h"

#define CLOSE_MS 5000
#define AUTH_MS	 10000 /* the receiver hangs up after 5 s */

#define FROM_RECEIVER (PROTO_BIT(PROTO_ACCEPT) | PROTO_BIT(PROTO_BUSY) | PROTO_BIT(PROTO_VERDICT))

/* A connection that broke: what the receiver said last explains more than the errno. */
int sender_lost(struct sender *sn, int err)
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
	else if (err == -EFAULT && sn->source.map) /* the kernel found no page to send */
		say("%s: %s", sn->safe, proto_code_text(PROTO_SHRANK));
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
			return sender_lost(sn, r);
	} while (frame.type == PROTO_BUSY);
	if (frame.type == PROTO_VERDICT && frame.code != PROTO_OK) {
		say("%s: the receiver says: %s", sn->safe, proto_code_text(frame.code));
		return -ECANCELED;
	}
	return frame.type == type ? 0 : sender_lost(sn, -EPROTO);
}

/*
 * In the middle of a body anything that the receiver says but BUSY is the end; that all is well
 * cannot be known before the checksum was sent.
 */
int sender_heard(struct sender *sn)
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
		return sender_lost(sn, r);
	if (frame.type != PROTO_VERDICT || frame.code == PROTO_OK)
		return sender_lost(sn, -EPROTO);
	say("%s: the receiver says: %s", sn->safe, proto_code_text(frame.code));
	return -ECANCELED;
}

/* ---- a file, a session --------------------------------------------------- */

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
		return sender_lost(sn, r);
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
		return sender_lost(sn, r);
	r = hear(sn, PROTO_ACCEPT);
	if (r < 0)
		return r;
	report_body(&sn->report, sn->link.conn, source->name, file.value);
	XXH3_128bits_reset(sn->hash);
	r = body_send(sn);
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
		if (r < 0)
			return r; /* its descriptor and its memory may still be lent */
		source_close(&sn->source);
	}
	r = link_say(&sn->link, PROTO_DONE, 0, sn->report.nr_files);
	return r < 0 ? sender_lost(sn, r) : 0;
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
	/* In the middle of a body only a reset says "this is not the end". */
	stats = link_close(&sn.link, CLOSE_MS, r < 0 && r != -ESTALE);
	source_close(&sn.source);
	report_end(&sn.report, &stats, r == 0);
	XXH3_freeState(sn.hash);
	return r == 0 ? 0 : 1;
}
