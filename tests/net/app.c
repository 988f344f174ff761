// SPDX-License-Identifier: MIT
/*
 * The program around a connection of the library. It keeps the rule to the letter and no more: what
 * it lends it overwrites the instant it is given back, so that an early release shows in the bytes
 * that the peer gets.
 */
#include "net.h"

#define TOKEN_SLOT 0xfffffu
#define SCRIBBLE   0xdb

struct app *app_open(struct net *n, int fd, const struct zcs_conn_opts *opts)
{
	struct zcs_conn_opts mine = { .size = sizeof(mine) };
	struct app *a = calloc(1, sizeof(*a));

	assert_non_null(a);
	if (opts)
		mine = *opts;
	mine.user = a;
	a->net = n;
	a->fd = fd;
	assert_int_equal(zcs_conn_open(n->ctx, fd, &mine, &a->conn), 0);
	assert_int_equal(zcs_conn_fd(a->conn), fd);
	assert_true(n->nr_apps < NET_MAX);
	n->apps[n->nr_apps++] = a;
	return a;
}

/* --- sending --- */

static struct loan *loan_new(struct app *a)
{
	size_t i, nr = a->nr_loans ? 2 * a->nr_loans : 64;
	struct loan *l;

	if (a->free_loan == a->nr_loans) {
		l = realloc(a->loans, nr * sizeof(*l));
		assert_non_null(l);
		for (i = a->nr_loans; i < nr; i++)
			l[i] = (struct loan){ .next = i + 1 };
		a->loans = l;
		a->nr_loans = nr;
	}
	l = &a->loans[a->free_loan];
	assert_true(a->free_loan < TOKEN_SLOT);
	return l;
}

static char *memory(struct app *a, const struct shape *s)
{
	void *mem = NULL;

	if (s->flags & ZCS_GIVE)
		return zcs_buf_alloc(a->net->ctx, s->len, NULL);
	assert_int_equal(posix_memalign(&mem, 4096, s->len + s->misalign + 1), 0);
	return (char *)mem + s->misalign;
}

static void give_back(struct app *a, struct loan *l)
{
	memset(l->mem, SCRIBBLE, l->len);
	if (!a->keep_mem)
		free((void *)((uintptr_t)l->mem & ~4095ul));
}

uint64_t app_expect_token(struct app *a)
{
	struct loan *l = loan_new(a);

	a->free_loan = l->next;
	l->mem = aligned_alloc(4096, 4096);
	assert_non_null(l->mem);
	l->len = 1;
	l->out = true;
	l->token = ++a->last_token << 20 | (uint64_t)(l - a->loans);
	a->out++;
	return l->token;
}

static size_t cut(struct iovec *iov, unsigned nr, char *mem, size_t len)
{
	size_t at = 0, piece = len / nr;
	unsigned i;

	for (i = 0; i < nr; i++) {
		iov[i].iov_base = mem + at;
		/* uneven, so that pieces begin anywhere */
		iov[i].iov_len = i == nr - 1 ? len - at : piece - (piece > i ? i : 0);
		at += iov[i].iov_len;
	}
	return at;
}

/* Who has the memory now, by what zcs_conn_send returned. */
static int account(struct app *a, const struct shape *s, struct loan *l, int ret)
{
	if (ret >= 0)
		a->tx_pos += s->head + s->len;
	if (s->flags & ZCS_GIVE) {
		assert_int_not_equal(ret, 1);
		if (ret < 0)
			zcs_buf_free(a->net->ctx, l->mem);
		else
			a->given++;
	} else if (ret == 0) {
		a->free_loan = l->next;
		l->out = true;
		a->out++;
	} else {
		give_back(a, l);
		a->at_once += ret == 1;
	}
	return ret;
}

int app_send(struct app *a, const struct shape *s)
{
	unsigned nr = s->nr_iov ? s->nr_iov : 1;
	struct iovec *iov = calloc(nr, sizeof(*iov));
	struct loan *l = loan_new(a);
	char head[ZCS_HEAD_MAX];
	struct zcs_msg msg = { .size = sizeof(msg), .iov = iov, .nr_iov = nr };
	int ret;

	l->mem = memory(a, s);
	l->len = s->len;
	if (!l->mem) {
		free(iov);
		return -EAGAIN;
	}
	assert_int_equal(cut(iov, nr, l->mem, s->len), s->len);
	stream_fill(a->tx_seed, a->tx_pos, head, s->head);
	stream_fill(a->tx_seed, a->tx_pos + s->head, l->mem, s->len);
	msg.head = s->head ? head : NULL;
	msg.head_len = s->head;
	msg.flags = s->flags;
	msg.segment = s->segment;
	msg.dest = (const struct sockaddr *)s->dest;
	msg.dest_len = s->dest_len;
	l->token = ++a->last_token << 20 | (uint64_t)(l - a->loans);
	msg.token = l->token;
	ret = zcs_conn_send(a->conn, &msg);
	memset(head, SCRIBBLE, sizeof(head));
	memset(iov, SCRIBBLE, nr * sizeof(*iov));
	free(iov);
	return account(a, s, l, ret);
}

void app_send_all(struct app *a, uint64_t total, const struct shape *shape)
{
	uint64_t end = a->tx_pos + total;

	while (a->tx_pos < end) {
		unsigned writable = a->writable;
		struct shape s = *shape;
		int ret;

		if (s.head > end - a->tx_pos)
			s.head = 0;
		if (s.len > end - a->tx_pos - s.head)
			s.len = end - a->tx_pos - s.head;
		ret = app_send(a, &s);
		if (ret == -EAGAIN)
			PUMP_UNTIL(a->net, a->writable != writable || a->net->pool_events);
		else if (ret < 0)
			fail_msg("zcs_conn_send: %s", strerror(-ret));
		a->net->pool_events = 0;
	}
}

/* Condemned memory stays as it is; named here, so that it does not pass for a leak. */
static void keep_for_ever(void *mem)
{
	static void *kept[1024];
	static size_t nr;

	assert_true(nr < sizeof(kept) / sizeof(*kept));
	kept[nr++] = mem;
}

static void take_back(struct app *a, const struct zcs_event *e)
{
	size_t slot = e->token & TOKEN_SLOT;
	struct loan *l;

	assert_true(slot < a->nr_loans);
	l = &a->loans[slot];
	if (!l->out || l->token != e->token)
		fail_msg("token %llx is not out", (unsigned long long)e->token);
	if (e->type == ZCS_EV_RELEASED) {
		give_back(a, l);
		a->released++;
	} else {
		a->condemned++;
		keep_for_ever(l->mem);
	}
	l->out = false;
	l->next = a->free_loan;
	a->free_loan = slot;
	a->out--;
	a->how |= e->how;
	a->bytes_released += e->bytes;
	if (e->status)
		a->released_status = e->status;
}

/* --- receiving --- */

static void take_span(struct app *a, const struct zcs_span *span)
{
	size_t good;

	assert_true(span->len > 0);
	if (!a->rx_plain) {
		good = stream_check(a->rx_seed, a->rx_pos, span->base, span->len);
		if (good != span->len)
			fail_msg("wrong byte at %llu of the stream",
				 (unsigned long long)(a->rx_pos + good));
	}
	if (span->flags & ZCS_SPAN_MAPPED)
		a->rx_mapped += span->len;
	if (a->rx_hold) {
		assert_true(a->nr_held < APP_HELD_MAX);
		a->held_pos[a->nr_held] = a->rx_pos;
		a->held[a->nr_held++] = *span;
	} else if (a->relay_to) {
		assert_int_equal(zcs_conn_send_span(a->relay_to->conn, span, 0), 0);
	} else {
		zcs_span_release(a->net->ctx, span, 1);
	}
	a->rx_pos += span->len;
}

int app_drain(struct app *a)
{
	struct zcs_span spans[16];
	int i, n;

	while ((n = zcs_conn_recv(a->conn, spans, 16, a->rx_max)) > 0) {
		assert_true(n <= 16);
		for (i = 0; i < n; i++)
			take_span(a, &spans[i]);
	}
	if (n == 0)
		a->rx_eof = true;
	else if (n != -EAGAIN)
		a->rx_error = n;
	return n;
}

void app_check_held(const struct app *a)
{
	size_t i, good;

	for (i = 0; i < a->nr_held; i++) {
		good = stream_check(a->rx_seed, a->held_pos[i], a->held[i].base, a->held[i].len);
		if (good != a->held[i].len)
			fail_msg("held span %zu changed at %zu of %zu", i, good, a->held[i].len);
	}
}

void app_release_held(struct app *a)
{
	zcs_span_release(a->net->ctx, a->held, a->nr_held);
	a->nr_held = 0;
}

/* --- events --- */

void app_event(struct app *a, const struct zcs_event *e)
{
	assert_int_equal(a->closed, 0); /* it is the last one */
	assert_ptr_equal(e->conn, a->conn);
	switch (e->type) {
	case ZCS_EV_RELEASED:
	case ZCS_EV_CONDEMNED:
		take_back(a, e);
		break;
	case ZCS_EV_OPEN:
		a->open++;
		break;
	case ZCS_EV_READABLE:
		a->readable++;
		if (!a->rx_manual && !a->rx_eof && !a->rx_error)
			app_drain(a);
		break;
	case ZCS_EV_WRITABLE:
		a->writable++;
		break;
	case ZCS_EV_ERROR:
		a->errors++;
		a->status = e->status;
		assert_true(e->status < 0);
		break;
	case ZCS_EV_CLOSED:
		a->closed++;
		a->closed_status = e->status;
		a->conn = NULL;
		assert_int_equal(a->out, 0);
		break;
	default:
		fail_msg("event type %u", e->type);
	}
}

void app_stats(const struct app *a, struct zcs_stats *out)
{
	*out = (struct zcs_stats){ .size = sizeof(*out) };
	assert_int_equal(zcs_conn_stats(a->conn, out), 0);
}

void app_explain(struct app *a, char *buf, size_t len)
{
	int n = zcs_conn_explain(a->conn, buf, len);

	assert_true(n > 0);
	assert_true((size_t)n < len);
	assert_int_equal(strlen(buf), n);
}
