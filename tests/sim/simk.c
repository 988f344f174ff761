/* SPDX-License-Identifier: MIT */
/*
 * simk.c - time, randomness, streams, failing, and the runner of the tests
 */
#include "simk_int.h"
#include "slowness.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/personality.h>
#include <unistd.h>

#define NR_TRACE 80
#define PERIOD	 65521 /* a prime: bytes that are off by whole pages differ */

struct sim_knobs sim_default;
struct sim_world sim;
struct list sim_socks;

struct step {
	uint64_t at, seq;
	void (*fn)(void *arg);
	void *arg;
};

static struct step *steps; /* a heap */
static size_t nr_steps, max_steps;
static uint64_t step_seq;
static uint64_t rnd_state;
static char traces[NR_TRACE][160];
static unsigned nr_traces;
static bool tracing, stepping;
static const char *case_name = "?";
static unsigned char table[2 * PERIOD];

/* ---- randomness: xorshift64* ----------------------------------------------------------------- */

uint64_t sim_rnd64(void)
{
	rnd_state ^= rnd_state >> 12;
	rnd_state ^= rnd_state << 25;
	rnd_state ^= rnd_state >> 27;
	return rnd_state * 2685821657736338717ull;
}

uint32_t sim_rnd(uint32_t n)
{
	return n ? (uint32_t)((sim_rnd64() >> 32) % n) : 0;
}

bool sim_pct(unsigned pct)
{
	return pct && sim_rnd(100) < pct;
}

/* ---- failing --------------------------------------------------------------------------------- */

void sim_trace(const char *fmt, ...)
{
	char *line = traces[nr_traces++ % NR_TRACE];
	int n = snprintf(line, sizeof(traces[0]), "%10.3f ms  ", (double)sim.now / 1e6);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(traces[0]) - (size_t)n, fmt, ap);
	va_end(ap);
	if (tracing)
		fprintf(stderr, "%s\n", line);
}

void sim_fail(const char *fmt, ...)
{
	unsigned from = nr_traces > NR_TRACE ? nr_traces - NR_TRACE : 0;
	va_list ap;

	for (unsigned i = from; !tracing && i < nr_traces; i++)
		fprintf(stderr, "  %s\n", traces[i % NR_TRACE]);
	fprintf(stderr, "FAIL %s, seed %llu: ", case_name, (unsigned long long)sim.seed);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nreplay: ZCS_SIM_CASE=%s ZCS_SIM_SEED=%llu\n", case_name,
		(unsigned long long)sim.seed);
	if (getenv("ZCS_SIM_ABORT"))
		abort();
	_exit(1);
}

/* Memory was touched that is not there: an unfilled page of the window, or freed memory. */
static void fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (sig == SIGALRM)
		sim_fail("it takes for ever, without system calls");
	sim_fail("signal %d: nothing is at %p", sig, info->si_addr);
}

/* ---- time ------------------------------------------------------------------------------------ */

static bool before(const struct step *a, const struct step *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

void sim_at(uint64_t in_ns, void (*fn)(void *arg), void *arg)
{
	struct step s = { sim.now + in_ns, step_seq++, fn, arg };
	size_t i = nr_steps++;

	if (nr_steps > max_steps) {
		max_steps = 2 * nr_steps;
		steps = realloc(steps, max_steps * sizeof(*steps));
	}
	for (; i && before(&s, &steps[(i - 1) / 2]); i = (i - 1) / 2)
		steps[i] = steps[(i - 1) / 2];
	steps[i] = s;
}

static struct step pop_step(void)
{
	struct step first = steps[0], last = steps[--nr_steps];
	size_t i = 0, child;

	for (; (child = 2 * i + 1) < nr_steps; i = child) {
		if (child + 1 < nr_steps && before(&steps[child + 1], &steps[child]))
			child++;
		if (!before(&steps[child], &last))
			break;
		steps[i] = steps[child];
	}
	steps[i] = last;
	return first;
}

bool sim_next_at(uint64_t *at_ns)
{
	if (!nr_steps)
		return false;
	*at_ns = steps[0].at;
	return true;
}

bool sim_has_steps(void)
{
	return nr_steps > 0;
}

void sim_run_due(void)
{
	if (stepping)
		return;
	stepping = true;
	while (nr_steps && steps[0].at <= sim.now) {
		struct step s = pop_step();

		s.fn(s.arg);
	}
	stepping = false;
}

void sim_run(uint64_t ns)
{
	uint64_t until = sim.now + ns, at;

	while (sim_next_at(&at) && at <= until) {
		if (at > sim.now)
			sim.now = at;
		sim_run_due();
	}
	if (sim.now < until)
		sim.now = until;
}

void sim_enter(const char *call, int fd)
{
	if (++sim.calls > sim.max_calls)
		sim_fail("%llu system calls: it spins", (unsigned long long)sim.calls);
	if (sim.step_ns) {
		sim.now += sim_rnd((uint32_t)sim.step_ns);
		sim_run_due();
	}
	sim_trace("%s(%d)", call, fd);
}

bool sim_run_until_readable(int fd, uint64_t ns)
{
	uint64_t until = sim.now + ns, at;

	for (;;) {
		sim_run_due();
		if (sim_poll(fd) & EPOLLIN)
			return true;
		if (!sim_next_at(&at) || at > until)
			return false;
		if (at > sim.now)
			sim.now = at;
	}
}

/* ---- streams: slices of a table that repeats ------------------------------------------------- */

static size_t phase(uint32_t key, uint64_t pos)
{
	return (size_t)((pos + key * 7919ull) % PERIOD);
}

void sim_fill(void *buf, size_t len, uint32_t key, uint64_t pos)
{
	char *to = buf;

	while (len) {
		size_t n = len < PERIOD ? len : PERIOD;

		memcpy(to, table + phase(key, pos), n);
		to += n;
		pos += n;
		len -= n;
	}
}

size_t sim_differs(const void *buf, size_t len, uint32_t key, uint64_t pos)
{
	const unsigned char *have = buf;
	size_t done = 0;

	while (done < len) {
		size_t n = len - done < PERIOD ? len - done : PERIOD;
		const unsigned char *want = table + phase(key, pos + done);

		if (memcmp(have + done, want, n) != 0) {
			while (have[done] == *want++)
				done++;
			return done;
		}
		done += n;
	}
	return len;
}

/* ---- the world ------------------------------------------------------------------------------- */

static const struct sim_knobs quiet = {
	.family = AF_INET,
	.sndbuf = 4u << 20,
	.cwnd = 1u << 20,
	.ack_min_ns = 20 * SIM_US,
	.ack_max_ns = 20 * SIM_US,
	.ack_max = 1u << 20,
	.share_bytes = 512 << 10,
	.share_pct = 100,
	.merge_pct = 100,
	.map_optlen = 64,
	.map_errno = EINVAL,
};

void sim_begin(uint64_t seed)
{
	uint64_t z = seed + 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	rnd_state = (z ^ (z >> 31)) | 1;
	sim_default = quiet;
	sim = (struct sim_world){
		.seed = seed,
		.memlock = UINT64_MAX,
		/* about 20 KiB cost the same either way */
		.copy_price = { 1000, 100 },
		.flag_price = { 2500, 20 },
		.optmem_max = 128 << 10,
		.max_calls = 300000,
		.disk_left = UINT64_MAX,
		.now = 1000 * SIM_S + sim_rnd(1000000),
	};
	nr_steps = nr_traces = 0;
	list_init(&sim_socks);
	for (size_t i = 0; i < PERIOD; i++)
		table[i] = table[i + PERIOD] = (unsigned char)(sim_rnd64() >> 40);
	zcsi_sys = &sim_table;
}

void sim_end(void)
{
	struct list *e, *next;

	for (e = sim_socks.next; e != &sim_socks; e = e->next)
		sim_let_go(container_of(e, struct sim_tcp, list));
	for (unsigned i = 0; sim_has_steps(); i++) {
		if (i > 1000000)
			sim_fail("the simulated kernel does not come to rest");
		sim_run(SIM_S);
	}
	kfd_end();
	kmem_end();
	for (e = sim_socks.next; e != &sim_socks; e = next) {
		struct sim_tcp *s = container_of(e, struct sim_tcp, list);

		next = e->next;
		if (sim_tcp_refs(s) && !s->k.silent)
			sim_fail("socket %d: %u pieces are still read", s->id, sim_tcp_refs(s));
		ktx_free(s);
		kerrq_free(s);
		krx_purge(s);
		free(s->expects);
		free(s->dgrams);
		free(s);
	}
	list_init(&sim_socks);
	if (sim.locked_pages)
		sim_fail("%llu pages are still locked", (unsigned long long)sim.locked_pages);
	zcsi_sys = &zcsi_sys_kernel;
}

/* ---- the runner ------------------------------------------------------------------------------ */

/* Addresses play a part (hashes, order of pages): a seed should see the same ones again. */
static void fix_addresses(void)
{
	int now = personality(0xffffffff);
	char path[4096], *args[] = { path, NULL };
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n < 0 || now < 0 || (now & ADDR_NO_RANDOMIZE) || getenv("ZCS_SIM_FIXED"))
		return;
	path[n] = '\0';
	if (personality((unsigned long)now | ADDR_NO_RANDOMIZE) < 0)
		return;
	setenv("ZCS_SIM_FIXED", "1", 1);
	execv(path, args);
}

static void run_case(const struct sim_case *c, uint64_t seed)
{
	case_name = c->name;
	alarm(30 * slowness());
	sim_begin(seed);
	c->run();
	sim_end();
}

int sim_main(const struct sim_case *cases, size_t nr, unsigned seeds)
{
	const char *one = getenv("ZCS_SIM_SEED"), *many = getenv("ZCS_SIM_SEEDS");
	const char *only = getenv("ZCS_SIM_CASE");
	struct sigaction act = { .sa_sigaction = fault, .sa_flags = SA_SIGINFO };

	fix_addresses();
	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
	sigaction(SIGALRM, &act, NULL);
	tracing = getenv("ZCS_SIM_TRACE") != NULL;
	seeds = tries(seeds);
	if (many)
		seeds = (unsigned)strtoul(many, NULL, 10);
	for (size_t i = 0; i < nr; i++) {
		if (only && strcmp(only, cases[i].name) != 0)
			continue;
		if (one) {
			run_case(&cases[i], strtoull(one, NULL, 10));
			continue;
		}
		for (unsigned seed = 1; seed <= seeds; seed++)
			run_case(&cases[i], seed);
		printf("ok %s\n", cases[i].name);
		fflush(stdout);
	}
	free(steps);
	steps = NULL;
	max_steps = 0;
	return 0;
}
