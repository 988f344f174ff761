/* SPDX-License-Identifier: MIT */
/*
 * test_to_file.c - received spans are written to a file: what goes directly, what does not, errors
 */
#include "app.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

static struct app app;
static int file;

static struct app_conn *begin(void)
{
	struct zcs_conn_opts o = { .prior_sends = ZCS_NONE,
				   .trust = ZCS_TRUST_PEER,
				   .recv_way = ZCS_WAY_ZEROCOPY };

	sim.file_flags = O_WRONLY | O_DIRECT;
	sim.dio_mem = 512;
	sim.dio_block = 512;
	file = memfd_create("to_file", MFD_CLOEXEC);
	sim_assert(file >= 0);
	app_open(&app, NULL);
	return app_conn(&app, &o);
}

static void end(void)
{
	sim_equal(sim.misaligned, 0);
	close(file);
	app_release_all(&app);
	app_end(&app);
}

/* Everything that came so far is held. */
static void take(struct app_conn *c)
{
	app_take(&app, 0);
	while (app_recv(c, 1 + sim_rnd(8), 0) > 0)
		;
}

static int64_t write_held(uint64_t off, uint64_t *direct_out)
{
	struct zcs_span *spans = calloc(app.nr_spans + 1, sizeof(*spans));
	int64_t n;

	for (size_t i = 0; i < app.nr_spans; i++)
		spans[i] = app.spans[i].span;
	n = zcs_span_write(app.ctx, file, off, spans, app.nr_spans, direct_out);
	free(spans);
	return n;
}

/* The file holds `len` bytes of c's stream from off on. */
static void check_file(struct app_conn *c, uint64_t off, uint64_t len)
{
	char *bytes = malloc(len + 1);

	sim_equal(pread(file, bytes, len + 1, (off_t)off), len);
	sim_equal(sim_differs(bytes, len, sim_rx_key(c->tcp), 0), len);
	free(bytes);
}

/* Whole pages at a whole page of the file: nothing is copied, and O_DIRECT is as it was. */
static void all_direct(void)
{
	struct app_conn *c = begin();
	uint64_t direct;

	sim_peer_send(c->tcp, 32 * PAGE, SIM_PAGES, 0);
	take(c);
	sim_assert(app_stats(c).rx_bytes_mapped == 32 * PAGE);
	sim_equal(write_held(8 * PAGE, &direct), 32 * PAGE);
	sim_equal(direct, 32 * PAGE);
	sim_equal(sim.direct_writes, sim.file_writes);
	sim_equal(sim.file_flags, O_WRONLY | O_DIRECT);
	check_file(c, 8 * PAGE, 32 * PAGE);
	end();
}

/* Pieces of all kinds, at any offset, with and without O_DIRECT, taken in parts: the same bytes. */
static void any_pieces(void)
{
	struct app_conn *c = begin();
	uint64_t off = sim_rnd(3) ? (uint64_t)sim_rnd(5) * PAGE : sim_rnd(20000);
	uint64_t direct;

	sim.dio_mem = sim_rnd(2) ? 512 : 4;
	sim.dio_block = sim_rnd(4) ? 512u << sim_rnd(5) : 0;
	sim.write_short_pct = sim_rnd(2) * 30;
	sim.file_flags = O_WRONLY | (sim_rnd(4) ? O_DIRECT : 0);
	for (unsigned i = sim_rnd(12); i < 12; i++) {
		size_t pages = (size_t)PAGE * (1 + sim_rnd(16));
		size_t odd = sim_rnd(3) ? 0 : sim_rnd(PAGE);

		sim_peer_send(c->tcp, pages + odd, sim_rnd(4), odd);
		take(c);
	}
	int flags = sim.file_flags;

	sim_equal(write_held(off, &direct), c->rx_pos);
	if (!(flags & O_DIRECT) || !sim.dio_block)
		sim_equal(direct, 0);
	sim_equal(sim.file_flags, flags);
	check_file(c, off, c->rx_pos);
	end();
}

/* What lies between two odd pieces still goes directly, where memory and file are in step. */
static void odd_ends(void)
{
	struct app_conn *c = begin();
	uint64_t direct;

	sim_peer_send(c->tcp, 20 * PAGE, SIM_PAGES, 0);
	take(c);
	sim_assert(app_stats(c).rx_bytes_mapped == 20 * PAGE);
	/* The first byte and the last are left out; the file is in step with what is left. */
	app.spans[0].span.base = (const char *)app.spans[0].span.base + 1;
	app.spans[0].span.len--;
	app.spans[0].pos++;
	app.spans[app.nr_spans - 1].span.len--;
	sim_equal(write_held(1, &direct), 20 * PAGE - 2);
	sim_equal(direct, 18 * PAGE);
	end();
}

/* Alignment is as statx says, and pinning fails all the same: by the page cache then. */
static void not_this_way(void)
{
	static const int errors[] = { EINVAL, EFAULT };
	struct app_conn *c = begin();
	uint64_t direct = 1;

	sim.direct_errno = errors[sim_rnd(2)];
	sim_peer_send(c->tcp, 16 * PAGE, SIM_PAGES, 0);
	sim_peer_send(c->tcp, 5000, SIM_UNMAPPED, 0);
	take(c);
	sim_equal(write_held(0, &direct), c->rx_pos);
	sim_equal(direct, 0);
	sim_equal(sim.direct_writes, 1);
	sim_equal(sim.file_flags, O_WRONLY | O_DIRECT);
	check_file(c, 0, c->rx_pos);
	end();
}

/* An error behind some bytes: their number, and the same call for the rest says what it was. */
static void disk_full(void)
{
	struct app_conn *c = begin();
	uint64_t room = 1 + sim_rnd(30 * PAGE - 1), direct;
	int64_t n;

	sim.disk_left = room;
	if (sim_rnd(2))
		sim.file_flags &= ~O_DIRECT;
	sim_peer_send(c->tcp, 30 * PAGE, SIM_PAGES, 0);
	take(c);
	n = write_held(0, &direct);
	/* The last block may have room for a part of it, which does not go directly. */
	sim_assert(n == (int64_t)room || (direct && n == (int64_t)(room - room % 512)) ||
		   (n == -ENOSPC && room < 512));
	if (n > 0)
		check_file(c, 0, (uint64_t)n);
	sim.disk_left = 0;
	sim_equal(write_held(0, &direct), -ENOSPC);
	sim_equal(direct, 0);
	sim.write_errno = EIO;
	sim_equal(write_held(0, NULL), -EIO);
	sim_equal(sim.file_flags & O_WRONLY, O_WRONLY);
	end();
}

static void refused(void)
{
	struct app_conn *c = begin();
	struct zcs_ctx *other;
	struct zcs_span own = { .base = "x", .len = 1 };
	uint64_t direct = 1;

	sim_peer_send(c->tcp, 4 * PAGE, SIM_PAGES, 0);
	take(c);
	sim.file_flags = O_WRONLY | O_APPEND;
	sim_equal(write_held(0, &direct), -EINVAL);
	sim_equal(direct, 0);
	sim.file_flags = O_WRONLY | O_DIRECT;
	sim_equal(write_held(UINT64_MAX, NULL), -EINVAL);
	sim_equal(zcs_span_write(app.ctx, -1, 0, NULL, 0, NULL), -EBADF);
	sim_equal(zcs_ctx_new(NULL, &other), 0);
	sim_equal(zcs_span_write(other, file, 0, &app.spans[0].span, 1, NULL), -EINVAL);
	sim_equal(zcs_ctx_free(other), 0);
	sim_equal(zcs_span_write(app.ctx, file, 0, NULL, 0, NULL), 0);
	sim_equal(sim.file_writes, 0);
	sim_equal(zcs_span_write(app.ctx, file, 7, &own, 1, NULL), 1);
	sim_equal(sim.file_writes, 1);
	end();
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "all_direct", all_direct }, { "any_pieces", any_pieces },
		{ "odd_ends", odd_ends },     { "not_this_way", not_this_way },
		{ "disk_full", disk_full },   { "refused", refused },
	};

	return sim_main(cases, sizeof(cases) / sizeof(*cases), 200);
}
