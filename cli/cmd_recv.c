/* SPDX-License-Identifier: MIT */
/*
 * cmd_recv.c - zcsock recv: one session, from the URL to the last file
 *
 * main path: cmd_recv -> wait_for_sender -> session -> take_file -> take_known or take_chunks ->
 * take_spans -> keep (hash, write) or gather (hash), batch_write -> check_end -> finish_file (sync,
 * rename, verdict)
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "auth.h"
#include "batch.h"
#include "cmd.h"
#include "dest.h"
#include "door.h"
#include "link.h"
#include "net.h"
#include "opts.h"
#include "report.h"
#include "stop.h"
#include "text.h"

#define NR_SPANS 64   /* of a receive */
#define NR_BATCH 1024 /* of a direct write ... */
#define PIECE	 (256 * 1024)
#define BORROWED (16 << 20) /* more than a receive buffer holds: all of it can be mapped at once */
#define CLOSE_MS 2000	    /* for the verdict to get through when something failed */
#define BUSY_MS	 250	    /* between signs of life while the disk works */

struct receiver {
	struct opts opts;
	struct key key;
	struct dest_dir dir;
	struct dest dest;
	struct link link;
	struct report report;
	XXH3_state_t *hash;
	struct batch batch;   /* received and hashed, not written yet */
	char safe[SAFE_NAME]; /* the name of the file on its way, printable */
};

/* The peer or the connection failed. */
static int lost(struct receiver *rv, int err, const char *when)
{
	if (err == -EINTR)
		say("stopped %s", when);
	else
		say("lost the sender %s: %s", when, link_text(err));
	/* A peer that breaks the rules or is merely slow may still hear why. */
	if (err != -EPIPE && err != -ECONNRESET)
		(void)link_say(&rv->link, PROTO_VERDICT, proto_code_of(-err), 0);
	return err;
}

/* The file failed here. */
static int refuse(struct receiver *rv, enum proto_code code, const char *why)
{
	say("%s: %s", rv->safe, why);
	(void)link_say(&rv->link, PROTO_VERDICT, code, 0);
	return -ECANCELED;
}

static int refuse_err(struct receiver *rv, int err)
{
	enum proto_code code = proto_code_of(-err);

	return refuse(rv, code,
		      code == PROTO_IO || code == PROTO_NO_SPACE || code == PROTO_DENIED
			      ? strerror(-err)
			      : proto_code_text(code));
}

static int lost_body(struct receiver *rv, int err)
{
	char when[SAFE_NAME + 64];

	snprintf(when, sizeof(when), "in the middle of %s", rv->safe);
	return lost(rv, err, when);
}

/* ---- bodies -------------------------------------------------------------- */

/*
 * Hashed and written piece by piece: what was just hashed is still in the processor's cache. Writes
 * of several MiB from mapped pages also cost six times the processor time on ext4 (kernel 6.18, in
 * a virtual machine; not on tmpfs).
 */
static int keep(struct receiver *rv, const char *bytes, size_t len)
{
	while (len > 0) {
		size_t n = len < PIECE ? len : PIECE;
		int r;

		XXH3_128bits_update(rv->hash, bytes, n);
		r = dest_write(&rv->dest, bytes, n);
		if (r < 0)
			return r;
		bytes += n;
		len -= n;
	}
	return 0;
}

/* Hashed, and held until there is enough for the disk, which reads the pages by itself. */
static int gather(struct receiver *rv, const struct zcs_span *spans, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		XXH3_128bits_update(rv->hash, spans[i].base, spans[i].len);
		batch_add(&rv->batch, rv->link.ctx, &rv->dest, &spans[i]);
	}
	if (!batch_is_full(&rv->batch, NR_SPANS))
		return 0;
	return batch_write(&rv->batch, rv->link.ctx, &rv->dest);
}

static int keep_all(struct receiver *rv, const struct zcs_span *spans, size_t nr)
{
	int r = 0;

	for (size_t i = 0; i < nr && r == 0; i++)
		r = keep(rv, spans[i].base, spans[i].len);
	zcs_span_release(rv->link.ctx, spans, nr);
	return r;
}

/* Up to max bytes from the stream to the disk; their number. */
static int64_t take_spans(struct receiver *rv, uint64_t max)
{
	struct zcs_span spans[NR_SPANS];
	int64_t bytes = 0;
	int n, r;

	n = link_spans(&rv->link, spans, NR_SPANS, max);
	if (n < 0)
		return lost_body(rv, n);
	for (int i = 0; i < n; i++)
		bytes += (int64_t)spans[i].len;
	r = rv->dest.direct ? gather(rv, spans, (size_t)n) : keep_all(rv, spans, (size_t)n);
	report_sample(&rv->report, rv->link.conn);
	if (r < 0)
		return refuse_err(rv, r);
	if (stop_asked())
		return lost_body(rv, -EINTR);
	return bytes;
}

static int take_known(struct receiver *rv, uint64_t size)
{
	int r = zcs_conn_expect(rv->link.conn, size > SIZE_MAX ? SIZE_MAX : (size_t)size);

	if (r < 0)
		return lost_body(rv, r);
	while (size > 0) {
		int64_t n = take_spans(rv, size);

		if (n < 0)
			return (int)n;
		size -= (uint64_t)n;
	}
	return 0;
}

static int gave_up(struct receiver *rv, const struct proto_frame *frame)
{
	say("the sender gave up %s: %s", rv->safe, proto_code_text(frame->code));
	return -ECANCELED;
}

/* Until END, whose head is returned. */
static int take_chunks(struct receiver *rv, bool known, struct proto_frame *end_out)
{
	unsigned allowed = PROTO_BIT(PROTO_END) | PROTO_BIT(PROTO_GIVEUP) | PROTO_BIT(PROTO_KEEP);
	int r;

	if (!known)
		allowed |= PROTO_BIT(PROTO_CHUNK_DATA);
	for (;;) {
		struct proto_frame frame;

		r = link_frame(&rv->link, allowed, &frame);
		if (r < 0)
			return lost_body(rv, r);
		report_skip(&rv->report, rv->link.conn);
		if (frame.type == PROTO_GIVEUP)
			return gave_up(rv, &frame);
		if (frame.type == PROTO_END) {
			*end_out = frame;
			return 0;
		}
		while (frame.length > 0) {
			int64_t n = take_spans(rv, frame.length);

			if (n < 0)
				return (int)n;
			frame.length -= (uint64_t)n;
		}
	}
}

/* ---- the end of a file --------------------------------------------------- */

static void *sync_thread(void *arg)
{
	struct dest *dest = arg;

	return (void *)(intptr_t)dest_sync(dest);
}

/* A disk can take minutes: the sender gets signs of life meanwhile. */
static int sync_file(struct receiver *rv)
{
	uint64_t start = now_ms();
	sigset_t all, before;
	pthread_t thread;
	void *result;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
	r = pthread_create(&thread, NULL, sync_thread, &rv->dest);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return dest_sync(&rv->dest);
	for (;;) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += BUSY_MS * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_nsec -= 1000000000L;
			until.tv_sec++;
		}
		if (pthread_timedjoin_np(thread, &result, &until) == 0)
			break;
		(void)link_say(&rv->link, PROTO_BUSY, 0, 0);
		(void)link_round(&rv->link, 0);
	}
	link_touch(&rv->link);
	rv->report.sync_ms += now_ms() - start;
	return (int)(intptr_t)result;
}

static int check_end(struct receiver *rv, const struct proto_frame *end,
		     uint8_t hash_out[PROTO_HASH])
{
	XXH128_canonical_t ours;
	uint8_t theirs[PROTO_HASH];
	int r;

	r = link_bytes(&rv->link, theirs, sizeof(theirs));
	if (r < 0)
		return lost_body(rv, r);
	XXH128_canonicalFromHash(&ours, XXH3_128bits_digest(rv->hash));
	if (end->value != rv->dest.size || memcmp(ours.digest, theirs, sizeof(theirs)) != 0)
		return refuse(rv, PROTO_CHECKSUM, proto_code_text(PROTO_CHECKSUM));
	memcpy(hash_out, theirs, sizeof(theirs));
	return 0;
}

static int finish_file(struct receiver *rv, const struct proto_frame *end)
{
	uint8_t hash[PROTO_HASH];
	int r;

	r = check_end(rv, end, hash);
	if (r < 0)
		return r;
	r = sync_file(rv);
	if (r < 0)
		return refuse_err(rv, r);
	if (stop_asked())
		return lost_body(rv, -EINTR);
	r = dest_commit(&rv->dest);
	if (r == 0)
		r = report_file(&rv->report, rv->dest.name, rv->dest.size, hash);
	if (r < 0)
		return refuse_err(rv, r);
	r = link_say(&rv->link, PROTO_VERDICT, PROTO_OK, 0);
	return r < 0 ? lost(rv, r, "before it heard that its file is complete") : 0;
}

/* ---- a session ----------------------------------------------------------- */

/* The name is the first thing of a stranger's that reaches the file system. */
static int begin_file(struct receiver *rv, const struct proto_frame *file)
{
	char name[PROTO_NAME + 1] = "";
	int r;

	r = link_bytes(&rv->link, name, (size_t)file->length);
	if (r < 0)
		return lost(rv, r, "before a file's name was complete");
	text_safe(rv->dir.only ? rv->dir.only : name, rv->safe, sizeof(rv->safe));
	/* The check looks at all that was sent, behind a NUL too. */
	if (proto_name_check(name, (size_t)file->length) < 0) {
		text_safe(name, rv->safe, sizeof(rv->safe));
		return refuse(rv, PROTO_BAD_NAME, proto_code_text(PROTO_BAD_NAME));
	}
	if (rv->dir.only && rv->report.nr_files > 0)
		return refuse(rv, PROTO_ONE_ONLY, "-o names one file, and the sender has another");
	r = dest_begin(&rv->dest, &rv->dir, rv->dir.only ? rv->dir.only : name, file->value,
		       rv->opts.file_way);
	if (r < 0)
		return refuse_err(rv, r);
	r = link_say(&rv->link, PROTO_ACCEPT, 0, 0);
	return r < 0 ? lost_body(rv, r) : 0;
}

static int take_file(struct receiver *rv, const struct proto_frame *file)
{
	struct proto_frame end = { 0 };
	int r;

	r = begin_file(rv, file);
	if (r < 0)
		return r;
	report_body(&rv->report, rv->link.conn, rv->dest.name, file->value);
	XXH3_128bits_reset(rv->hash);
	if (file->value != PROTO_UNKNOWN)
		r = take_known(rv, file->value);
	if (r == 0)
		r = take_chunks(rv, file->value != PROTO_UNKNOWN, &end);
	if (r < 0)
		return r;
	r = batch_write(&rv->batch, rv->link.ctx, &rv->dest);
	return r < 0 ? refuse_err(rv, r) : finish_file(rv, &end);
}

static int session(struct receiver *rv)
{
	const unsigned allowed = PROTO_BIT(PROTO_FILE) | PROTO_BIT(PROTO_DONE) |
				 PROTO_BIT(PROTO_GIVEUP) | PROTO_BIT(PROTO_KEEP);

	for (;;) {
		struct proto_frame frame;
		int r = link_frame(&rv->link, allowed, &frame);

		if (r < 0)
			return lost(rv, r, "between files");
		switch (frame.type) {
		case PROTO_DONE:
			return frame.value == rv->report.nr_files ? 0
								  : lost(rv, -EPROTO, "at the end");
		case PROTO_GIVEUP:
			strcpy(rv->safe, "before the next file");
			return gave_up(rv, &frame);
		case PROTO_FILE:
			r = take_file(rv, &frame);
			batch_drop(&rv->batch, rv->link.ctx);
			if (rv->dest.why)
				report_way(&rv->report, rv->dest.size, dest_way(&rv->dest),
					   rv->dest.why, rv->dest.bytes_direct);
			dest_discard(&rv->dest);
			if (r < 0)
				return r;
			break;
		default: /* KEEP: it moved something, that is all it is for */
			break;
		}
	}
}

/* ---- before it ----------------------------------------------------------- */

static void print_url(const struct receiver *rv, int listener, bool show_key)
{
	char place[NET_TEXT], text[KEY_TEXT] = "", url[NET_TEXT + KEY_TEXT + 16];

	net_reachable(listener, place);
	if (show_key)
		key_text(&rv->key, text);
	snprintf(url, sizeof(url), URL_SCHEME "%s%s%s", place, show_key ? "/" : "", text);
	report_url(url, rv->opts.json);
}

static int wait_for_sender(struct receiver *rv)
{
	int limit = rv->opts.timeout_ms < DOOR_MS ? rv->opts.timeout_ms : DOOR_MS;
	int listener, fd, r;

	r = opts_key(&rv->opts, &rv->key);
	if (r < 0)
		return r;
	if (r == 0)
		randombytes_buf(rv->key.bytes, sizeof(rv->key.bytes));
	listener = net_listen(rv->opts.listen);
	if (listener < 0)
		return listener;
	print_url(rv, listener, r == 0);
	fd = door_wait(listener, &rv->key, limit);
	close(listener);
	sodium_memzero(&rv->key, sizeof(rv->key));
	if (fd < 0)
		say("%s", link_text(fd));
	return fd;
}

static int start(struct receiver *rv, int fd)
{
	const struct zcs_conn_opts conn_opts = {
		.size = sizeof(conn_opts),
		.prior_sends = ZCS_NONE,
		.borrowed_max = BORROWED,
		.recv_way = rv->opts.way,
		.trust = rv->opts.trust_peer ? ZCS_TRUST_PEER : 0,
	};
	int r;

	report_begin(&rv->report, false, rv->opts.json);
	rv->hash = XXH3_createState();
	if (!rv->hash) {
		close(fd);
		say("%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	r = link_open(&rv->link, fd, &conn_opts, (uint64_t)rv->opts.timeout_ms);
	if (r < 0)
		say("lost the sender before the first file: %s", link_text(r));
	return r;
}

int cmd_recv(int argc, char **argv)
{
	struct receiver rv = { .dest.fd = -1, .dir.fd = -1 };
	struct zcs_stats stats;
	int r, fd = -1;

	r = opts_recv(argc, argv, &rv.opts);
	if (r >= 0)
		return r;
	report_begin(&rv.report, false, rv.opts.json);
	if (dest_dir_open(&rv.dir, rv.opts.out, rv.opts.force) >= 0)
		fd = wait_for_sender(&rv);
	r = fd < 0 ? fd : start(&rv, fd);
	if (r == 0)
		r = session(&rv);
	dest_discard(&rv.dest);
	stats = link_close(&rv.link, CLOSE_MS, false);
	report_end(&rv.report, &stats, r == 0);
	XXH3_freeState(rv.hash);
	batch_free(&rv.batch);
	dest_dir_close(&rv.dir);
	return r == 0 ? 0 : 1;
}
