/* SPDX-License-Identifier: MIT */
/*
 * test_budget.c - budgets of lent bytes, WRITABLE, ENOBUFS of both kinds, MORE and flush
 */
#include "app.h"
#include "sys.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static struct app app;

static struct app_conn *open_with(struct zcs_conn_opts o)
{
	struct zcs_ctx_opts co = { .size = sizeof(co), .zerocopy_min = ZCS_NONE };

	o.prior_sends = ZCS_NONE;
	app_open(&app, &co);
	return app_conn(&app, &o);
}

static struct app_conn *open_one(void)
{
	return open_with((struct zcs_conn_opts){ .send_way = ZCS_WAY_ZEROCOPY });
}

static void wait_writable(struct app_conn *c)
{
	c->writable = false;
	while (!c->writable)
		app_take(&app, 1);
}

/* ---- budgets --------------------------------------------------------------------------------- */

static void larger_than_budget(void)
{
	struct app_conn *c = open_with((struct zcs_conn_opts){ .lent_max = 50000 });

	sim_equal(app_send_plain(c, 200000, ZCS_ZEROCOPY), 0);
	sim_equal(app_send_plain(c, 1, ZCS_ZEROCOPY), -EAGAIN);
	wait_writable(c);
	sim_equal(app_stats(c).lent, 0);
	sim_equal(app_send_plain(c, 50000, ZCS_ZEROCOPY), 0);
	app_drain(&app);
	app_end(&app);
}

static void writable_at(void)
{
	struct app_conn *c;

	sim_default.silent = true;
	sim_default.share_bytes = 0;
	c = open_with((struct zcs_conn_opts){ .lent_max = 100000, .writable_at = 30000 });
	for (int i = 0; i < 10; i++)
		sim_equal(app_send_plain(c, 10000, ZCS_ZEROCOPY), 0);
	sim_equal(app_send_plain(c, 10000, ZCS_ZEROCOPY), -EAGAIN);
	for (int i = 1; i <= 6; i++) {
		sim_peer_ack(c->tcp, (uint64_t)i * 10000);
		app_take(&app, 0);
		sim_assert(!c->writable);
	}
	sim_peer_ack(c->tcp, 70000);
	app_take(&app, 0);
	sim_assert(c->writable);
	sim_peer_silence(c->tcp, false);
	app_drain(&app);
	app_end(&app);
}

/* One connection fills the context's budget; another waits for it, and is told. */
static void shared_budget(void)
{
	struct zcs_ctx_opts co = { .size = sizeof(co), .lent_max = 100000 };
	struct app_conn *a, *b;

	sim_default.silent = true;
	app_open(&app, &co);
	a = app_conn(&app, NULL);
	b = app_conn(&app, NULL);
	sim_equal(app_send_plain(a, 100000, ZCS_ZEROCOPY), 0);
	sim_equal(app_send_plain(b, 20000, ZCS_ZEROCOPY), -EAGAIN);
	sim_peer_silence(a->tcp, false);
	wait_writable(b);
	sim_peer_silence(b->tcp, false);
	sim_equal(app_send_plain(b, 20000, ZCS_ZEROCOPY), 0);
	app_drain(&app);
	app_end(&app);
}

/* The kernel's buffer is full: the library goes on by itself. */
static void kernel_is_full(void)
{
	struct app_conn *c;

	sim_default.sndbuf = 10000;
	sim_default.partial_pct = 50;
	c = open_one();
	for (int i = 0; i < 10; i++)
		sim_equal(app_send_plain(c, 33333, 0), 0);
	app_drain(&app);
	sim_equal(sim_tcp_end(c->tcp), 333330);
	app_end(&app);
}

/* ---- MORE ------------------------------------------------------------------------------------ */

static void more_then_flush(void)
{
	struct app_conn *c = open_one();
	uint64_t from = sim.now;

	for (int i = 0; i < 5; i++)
		sim_assert(app_send_plain(c, 300, ZCS_MORE | ZCS_COPY) >= 0);
	sim_equal(zcs_conn_flush(c->conn), 0);
	app_take(&app, 20);
	sim_equal(sim_peer_got(c->tcp), 1500);
	/* and one that ends without MORE */
	sim_assert(app_send_plain(c, 300, ZCS_MORE) >= 0);
	sim_assert(app_send_plain(c, 300, 0) >= 0);
	app_drain(&app);
	sim_equal(sim_peer_got(c->tcp), 2100);
	sim_assert(sim.now - from < 100 * SIM_MS);
	app_end(&app);
}

/* What MORE holds back fills the budget: a refused send must not wait for itself. */
static void more_at_full_budget(void)
{
	struct app_conn *c = open_with((struct zcs_conn_opts){ .lent_max = 50000 });

	for (int i = 0; i < 5; i++)
		sim_equal(app_send_plain(c, 10000, ZCS_ZEROCOPY | ZCS_MORE), 0);
	sim_equal(app_send_plain(c, 10000, ZCS_ZEROCOPY | ZCS_MORE), -EAGAIN);
	wait_writable(c);
	sim_equal(zcs_conn_flush(c->conn), 0);
	app_drain(&app);
	app_end(&app);
}

/* Refused, then a smaller one is held back: WRITABLE must still come. */
static void more_after_refusal(void)
{
	struct app_conn *c;

	c = open_with((struct zcs_conn_opts){ .lent_max = 50000, .writable_at = ZCS_NONE });
	sim_equal(app_send_plain(c, 30000, ZCS_ZEROCOPY), 0);
	sim_equal(app_send_plain(c, 40000, ZCS_ZEROCOPY), -EAGAIN);
	sim_equal(app_send_plain(c, 1000, ZCS_ZEROCOPY | ZCS_MORE), 0);
	wait_writable(c);
	app_drain(&app);
	app_end(&app);
}

static void more_then_close(void)
{
	struct app_conn *c = open_one();

	sim_assert(app_send_plain(c, 300, ZCS_MORE | ZCS_COPY) >= 0);
	sim_equal(app_send_plain(c, 30000, ZCS_MORE), 0);
	app_end(&app);
	sim_equal(sim_peer_got(c->tcp), 30300);
	sim_assert(sim_peer_saw_fin(c->tcp));
}

/* ---- ENOBUFS --------------------------------------------------------------------------------- */

/* Nothing is out and locked memory is too small: nobody will ever notify, so it must not wait. */
static void memlock_with_nothing_out(void)
{
	struct app_conn *c;

	sim.memlock = 4096;
	c = open_one();
	for (int i = 0; i < 5; i++)
		sim_assert(app_send_plain(c, 500000, 0) >= 0);
	sim_assert(app_stats(c).tx_enobufs_memlock > 0);
	sim_equal(app_stats(c).tx_enobufs_optmem, 0);
	sim_equal(app_stats(c).tx_bytes_lent, 0);
	sim_equal(app_stats(c).tx_reason, ZCS_R_MEMLOCK);
	app_drain(&app);
	app_end(&app);
	sim_equal(sim_peer_got(c->tcp), 2500000);
}

/* A small limit is used, by smaller calls, and what does not fit is copied. */
static void memlock_small(void)
{
	struct app_conn *c;

	sim.memlock = 64 << 10;
	c = open_one();
	for (int i = 0; i < 50; i++) {
		sim_assert(app_send_plain(c, 100000, 0) >= 0);
		app_take(&app, 2);
	}
	app_drain(&app);
	sim_assert(app_stats(c).tx_bytes_lent > 0);
	app_end(&app);
	sim_equal(sim_peer_got(c->tcp), 5000000);
}

static void optmem_with_nothing_out(void)
{
	struct app_conn *c;

	sim.optmem_max = 100;
	c = open_one();
	for (int i = 0; i < 5; i++)
		sim_assert(app_send_plain(c, 500000, 0) >= 0);
	sim_assert(app_stats(c).tx_enobufs_optmem > 0);
	sim_equal(app_stats(c).tx_enobufs_memlock, 0);
	sim_equal(app_stats(c).tx_reason, ZCS_R_OPTMEM);
	app_drain(&app);
	app_end(&app);
}

/* Out of it for a while: lending comes back. */
static void optmem_comes_back(void)
{
	struct app_conn *c;
	uint64_t lent;

	sim.optmem_max = 3 * 832;
	sim_default.share_bytes = 0;
	sim_default.silent = true;
	c = open_one();
	for (int i = 0; i < 10; i++)
		sim_assert(app_send_plain(c, 50000, 0) >= 0);
	sim_assert(app_stats(c).tx_enobufs_optmem > 0);
	sim_equal(app_stats(c).tx_bytes_lent, 150000);
	sim_peer_silence(c->tcp, false);
	app_drain(&app);
	lent = app_stats(c).tx_bytes_lent;
	for (int i = 0; i < 100; i++) {
		app_take(&app, 50);
		sim_assert(app_send_plain(c, 50000, 0) >= 0);
	}
	sim_assert(app_stats(c).tx_bytes_lent > lent + 50 * 50000);
	app_drain(&app);
	app_end(&app);
}

/* ---- other answers of the kernel ------------------------------------------------------------- */

static void option_refused(void)
{
	struct app_conn *c;

	sim_default.zc_refuse = EOPNOTSUPP;
	c = open_one();
	sim_equal(app_send_plain(c, 50000, 0), 1);
	sim_equal(app_send_plain(c, 50000, ZCS_ZEROCOPY), 1);
	sim_equal(app_stats(c).tx_reason, ZCS_R_NO_SO_ZEROCOPY);
	sim_equal(app_stats(c).tx_bytes_lent, 0);
	app_end(&app);
}

static void bad_memory(void)
{
	struct app_conn *c = open_one();
	char *mem = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec v = { mem, 8192 };
	struct zcs_msg m = { .size = sizeof(m), .iov = &v, .nr_iov = 1, .token = 1 };
	uint32_t flags[] = { 0, ZCS_ZEROCOPY, ZCS_COPY };

	munmap(mem + 4096, 4096);
	for (int i = 0; i < 3; i++) {
		m.flags = flags[i];
		sim_equal(zcs_conn_send(c->conn, &m), -EFAULT);
	}
	sim_equal(sim_tcp_end(c->tcp), 0);
	munmap(mem, 4096);
	sim_equal(app_stats(c).lent, 0);
	/* nothing was taken, and the connection is as it was */
	sim_equal(app_send_plain(c, 50000, 0), 0);
	app_drain(&app);
	sim_equal(c->nr_errors, 0);
	app_end(&app);
}

static void peer_reset(void)
{
	struct app_conn *c = open_one();
	int ret;

	sim_peer_reset(c->tcp);
	ret = app_send_plain(c, 50000, 0);
	sim_assert(app_by_ring() ? ret == 0 : ret == -ECONNRESET || ret == -EPIPE);
	app_take(&app, 0);
	sim_equal(c->error, -ECONNRESET);
	sim_equal(c->nr_errors, 1);
	app_end(&app);
}

int main(void)
{
	static const struct sim_case cases[] = {
		{ "larger_than_budget", larger_than_budget },
		{ "writable_at", writable_at },
		{ "shared_budget", shared_budget },
		{ "kernel_is_full", kernel_is_full },
		{ "more_then_flush", more_then_flush },
		{ "more_at_full_budget", more_at_full_budget },
		{ "more_after_refusal", more_after_refusal },
		{ "more_then_close", more_then_close },
		{ "memlock_with_nothing_out", memlock_with_nothing_out },
		{ "memlock_small", memlock_small },
		{ "peer_reset", peer_reset },
	};

	/* Of system calls, not of io_uring */
	static const struct sim_case by_socket[] = {
		{ "optmem_with_nothing_out", optmem_with_nothing_out },
		{ "optmem_comes_back", optmem_comes_back },
		{ "option_refused", option_refused },
		{ "bad_memory", bad_memory },
	};
	int r = sim_main(cases, sizeof(cases) / sizeof(*cases), 5);

	if (!r && !app_by_ring())
		r = sim_main(by_socket, sizeof(by_socket) / sizeof(*by_socket), 5);
	return r;
}
