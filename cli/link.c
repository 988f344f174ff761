/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "link.h"
#include "stop.h"

#define NR_EVENTS 32
#define FLUSH_MS  5 /* no event tells that the kernel has the last byte */

int link_open(struct link *link, int fd, const struct zcs_conn_opts *opts, uint64_t timeout_ms)
{
	int r;

	*link = (struct link){ .timeout_ms = timeout_ms, .readable = true, .moved_ms = now_ms() };
	r = zcs_ctx_new(NULL, &link->ctx);
	if (r == 0)
		r = zcs_conn_open(link->ctx, fd, opts, &link->conn);
	if (r < 0) {
		close(fd);
		(void)link_close(link, 0, true);
	}
	return r < 0 ? r : 0;
}

static void take(struct link *link, const struct zcs_event *event)
{
	switch (event->type) {
	case ZCS_EV_RELEASED: /* the token is what was counted */
		link->out -= event->token;
		if (event->status < 0)
			link->file_error = event->status;
		break;
	case ZCS_EV_CONDEMNED:
		link->out -= event->token;
		break;
	case ZCS_EV_READABLE:
		link->readable = true;
		break;
	case ZCS_EV_ERROR:
		/* What came before the error can still be received, then receiving tells it too. */
		link->error = event->status < 0 ? event->status : -EIO;
		link->readable = true;
		break;
	case ZCS_EV_CLOSED:
		link->conn = NULL;
		break;
	default: /* room for more: whoever waits tries again anyway */
		break;
	}
}

int link_round(struct link *link, int ms)
{
	struct zcs_event events[NR_EVENTS];
	int n;

	do {
		n = zcs_ctx_wait(link->ctx, events, NR_EVENTS, ms);
		if (n < 0)
			return n == -EINTR && !stop_asked() ? 0 : n;
		for (int i = 0; i < n; i++)
			take(link, &events[i]);
		ms = 0;
	} while (n == NR_EVENTS);
	return stop_asked() ? -EINTR : 0;
}

void link_touch(struct link *link)
{
	link->moved_ms = now_ms();
}

/*
 * What went over the wire, not what the library did: bytes wait in the kernel until there are as
 * many as the library asked for, and what the kernel took may still stand in its queue. The sum is
 * of use only to be compared with an earlier one.
 */
static uint64_t moved(const struct link *link)
{
	struct zcs_stats stats = { .size = sizeof(stats) };
	int fd, unread = 0, unacked = 0;

	if (!link->conn || zcs_conn_stats(link->conn, &stats) < 0)
		return 0;
	fd = zcs_conn_fd(link->conn);
	if (fd >= 0 && ioctl(fd, SIOCINQ, &unread) < 0)
		unread = 0;
	if (fd >= 0 && ioctl(fd, SIOCOUTQ, &unacked) < 0)
		unacked = 0;
	return stats.rx_bytes + (uint64_t)unread + stats.tx_bytes - (uint64_t)unacked;
}

static int wait_some(struct link *link, int ms)
{
	uint64_t bytes;
	int r;

	r = link_round(link, ms);
	if (r < 0)
		return r;
	if (link->error && !link->readable)
		return link->error;
	bytes = moved(link);
	if (bytes != link->moved) {
		link->moved = bytes;
		link->moved_ms = now_ms();
	} else if (now_ms() - link->moved_ms >= link->timeout_ms) {
		return -ETIMEDOUT;
	}
	return 0;
}

int link_wait(struct link *link)
{
	return wait_some(link, STOP_TICK_MS);
}

int link_send(struct link *link, const struct proto_frame *frame, const void *buf, size_t len,
	      uint32_t flags)
{
	uint8_t head[PROTO_HEAD];
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };
	struct zcs_msg msg = { .size = sizeof(msg), .flags = flags };
	int r;

	if (frame) {
		proto_put(frame, head);
		msg.head = head;
		msg.head_len = sizeof(head);
	}
	if (buf) {
		msg.iov = &iov;
		msg.nr_iov = 1;
	}
	if (!(flags & ZCS_GIVE))
		msg.flags |= ZCS_COPY;
	while ((r = zcs_conn_send(link->conn, &msg)) == -EAGAIN) {
		r = link_wait(link);
		if (r < 0)
			return r;
		if (link->readable && (flags & ZCS_GIVE))
			return -ECANCELED;
	}
	if (r < 0)
		return r;
	link->given += msg.head_len + len;
	return 0;
}

int link_lend(struct link *link, const void *buf, size_t len)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };
	struct zcs_msg msg = { .size = sizeof(msg), .iov = &iov, .nr_iov = 1, .token = len };
	int r;

	while ((r = zcs_conn_send(link->conn, &msg)) == -EAGAIN) {
		r = link_wait(link);
		if (r < 0)
			return r;
		if (link->readable)
			return -ECANCELED;
	}
	if (r < 0)
		return r;
	link->out += r == 0 ? len : 0;
	link->given += len;
	return 0;
}

int link_send_file(struct link *link, int file, uint64_t off, size_t len, uint64_t ahead)
{
	int r;

	while (link->out >= ahead && !link->file_error) {
		r = link_wait(link);
		if (r < 0)
			return r;
		if (link->readable)
			return -ECANCELED;
	}
	if (link->file_error)
		return link->file_error;
	r = zcs_conn_send_file(link->conn, file, off, len, len);
	if (r < 0)
		return r;
	link->out += len;
	link->given += len;
	return 0;
}

static bool taken(const struct link *link)
{
	struct zcs_stats stats = { .size = sizeof(stats) };

	if (link->out)
		return false;
	return !link->conn || zcs_conn_stats(link->conn, &stats) < 0 ||
	       stats.tx_bytes >= link->given;
}

int link_flush(struct link *link)
{
	while (!taken(link)) {
		int r = link->file_error;

		if (r == 0)
			r = wait_some(link, FLUSH_MS);
		if (r < 0)
			return r;
		if (link->readable)
			return -ECANCELED;
	}
	return 0;
}

int link_say(struct link *link, enum proto_type type, enum proto_code code, uint64_t value)
{
	const struct proto_frame frame = { .type = (uint16_t)type,
					   .code = (uint16_t)code,
					   .value = value };

	return link_send(link, &frame, NULL, 0, 0);
}

/* 0 is end of stream, as in the library; -EAGAIN clears `readable` until the next event. */
static int spans_now(struct link *link, struct zcs_span *spans, size_t nr, uint64_t max_bytes)
{
	int n;

	if (max_bytes > SIZE_MAX)
		max_bytes = SIZE_MAX;
	n = zcs_conn_recv(link->conn, spans, nr, (size_t)max_bytes);
	if (n == -EAGAIN)
		link->readable = false;
	return n;
}

int link_spans(struct link *link, struct zcs_span *spans, size_t nr, uint64_t max_bytes)
{
	for (;;) {
		int n = spans_now(link, spans, nr, max_bytes);

		if (n > 0)
			return n;
		if (n == 0)
			return -EPIPE;
		if (n == -EAGAIN)
			n = link_wait(link);
		if (n < 0)
			return n;
	}
}

/* 1: buf is full; 0: not yet. *have counts what is there. */
static int fill_now(struct link *link, uint8_t *buf, size_t len, size_t *have)
{
	struct zcs_span spans[4];

	while (*have < len) {
		int n = spans_now(link, spans, 4, len - *have);

		if (n <= 0)
			return n == -EAGAIN ? 0 : n < 0 ? n : -EPIPE;
		for (int i = 0; i < n; i++) {
			memcpy(buf + *have, spans[i].base, spans[i].len);
			*have += spans[i].len;
		}
		zcs_span_release(link->ctx, spans, (size_t)n);
	}
	return 1;
}

int link_bytes(struct link *link, void *buf, size_t len)
{
	size_t have = 0;
	int r;

	while ((r = fill_now(link, buf, len, &have)) == 0) {
		r = link_wait(link);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : 0;
}

int link_frame_now(struct link *link, unsigned allowed, struct proto_frame *frame_out)
{
	int r = fill_now(link, link->head, sizeof(link->head), &link->head_len);

	if (r <= 0)
		return r == 0 ? -EAGAIN : r;
	link->head_len = 0;
	return proto_get(link->head, allowed, frame_out);
}

int link_frame(struct link *link, unsigned allowed, struct proto_frame *frame_out)
{
	int r;

	while ((r = link_frame_now(link, allowed, frame_out)) == -EAGAIN) {
		r = link_wait(link);
		if (r < 0)
			return r;
	}
	return r;
}

/* drain_ms bounds it; a signal is no reason to leave earlier, a second one kills. */
static void wait_closed(struct link *link)
{
	while (link->conn) {
		int r = link_round(link, STOP_TICK_MS);

		if (r < 0 && r != -EINTR)
			return;
	}
}

struct zcs_stats link_close(struct link *link, uint64_t drain_ms, bool abort)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts), .drain_ms = drain_ms };
	struct zcs_stats stats = { .size = sizeof(stats) };
	int r = 0;

	if (!link->ctx)
		return stats;
	if (link->conn && !abort)
		r = zcs_conn_limits(link->conn, &opts);
	if (link->conn && (abort || r < 0))
		zcs_conn_abort(link->conn);
	else if (link->conn)
		zcs_conn_close(link->conn);
	wait_closed(link);
	if (zcs_ctx_stats(link->ctx, &stats) < 0)
		stats = (struct zcs_stats){ .size = sizeof(stats) };
	r = zcs_ctx_free(link->ctx);
	if (r < 0) {
		zcs_ctx_abandon(link->ctx);
		if (link_round(link, 0) == 0)
			r = zcs_ctx_free(link->ctx);
	}
	link->ctx = NULL;
	return stats;
}

const char *link_text(int err)
{
	switch (-err) {
	case EPIPE:
		return "it hung up";
	case ECONNRESET:
	case ENOTCONN:
		return "it broke the connection";
	case ETIMEDOUT:
		return "nothing moved for too long";
	case EBADMSG:
	case EPROTO:
	case EMSGSIZE:
		return "it does not keep to the protocol";
	case EINTR:
		return "stopped";
	default:
		return strerror(-err);
	}
}
