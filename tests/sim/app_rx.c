/* SPDX-License-Identifier: MIT */
/*
 * app_rx.c - the receiving side of the program in app.h
 */
#include "app.h"

#include <errno.h>
#include <stdlib.h>

static void check_span(struct app_conn *c, const struct zcs_span *s, uint64_t pos, const char *when)
{
	size_t bad = sim_differs(s->base, s->len, sim_rx_key(c->tcp), pos);

	if (bad < s->len)
		sim_fail("connection %u: WRONG BYTE %llu received (%s), span at %llu of %zu, "
			 "flags %x",
			 c->key, (unsigned long long)(pos + bad), when, (unsigned long long)pos,
			 s->len, s->flags);
}

static void hold_span(struct app_conn *c, const struct zcs_span *s)
{
	struct app *a = c->app;
	uint64_t pos = c->rx_pos;

	if (a->nr_spans == a->max_spans) {
		a->max_spans = 2 * a->max_spans + 64;
		a->spans = realloc(a->spans, a->max_spans * sizeof(*a->spans));
	}
	if (s->flags & ZCS_SPAN_URGENT) {
		sim_equal(s->len, 1);
		sim_assert(c->rx_hole);
		pos = c->rx_hole - 1;
		c->urgent++;
	} else {
		if (c->rx_hole && pos == c->rx_hole - 1)
			pos = ++c->rx_pos;
		c->rx_pos += s->len;
	}
	sim_assert(s->len > 0);
	check_span(c, s, pos, "at once");
	a->spans[a->nr_spans++] = (struct app_span){ *s, c, pos };
}

int app_recv(struct app_conn *c, size_t nr, size_t max_bytes)
{
	struct zcs_span spans[64];
	size_t sum = 0;
	int n;

	n = zcs_conn_recv(c->conn, spans, nr < 64 ? nr : 64, max_bytes);
	sim_trace("app: recv on %u: %d", c->key, n);
	for (int i = 0; i < n; i++) {
		hold_span(c, &spans[i]);
		sum += spans[i].flags & ZCS_SPAN_URGENT ? 0 : spans[i].len;
	}
	if (max_bytes && sum > max_bytes)
		sim_fail("%zu bytes received, %zu asked for", sum, max_bytes);
	if (n == 0)
		c->eof = true;
	else if (n < 0 && n != -EAGAIN)
		c->rx_error = n;
	else if (n == -EAGAIN)
		c->readable = false;
	return n;
}

void app_release(struct app *a, size_t i)
{
	struct app_span *s = &a->spans[i];

	check_span(s->c, &s->span, s->pos, "when released");
	zcs_span_release(a->ctx, &s->span, 1);
	a->spans[i] = a->spans[--a->nr_spans];
}

void app_release_all(struct app *a)
{
	while (a->nr_spans)
		app_release(a, a->nr_spans - 1);
}

void app_recv_all(struct app_conn *c)
{
	while (app_recv(c, 16, 0) > 0)
		app_release_all(c->app);
}
