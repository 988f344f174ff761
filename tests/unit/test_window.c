// SPDX-License-Identifier: MIT
/*
 * window.c over the real kernel, and over ones that fail or know less.
 */
#include "unit.h"

#include "internal.h"
#include "sys.h"
#include "window.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE ((size_t)ZCSI_PAGE)
#define SEG  ((size_t)RING_SEG_PAGES * PAGE)

/* ---- other kernels ----------------------------------------------------------------------- */

static struct {
	bool no_ipv4;
	bool mmap_fails;
	bool madvise_fails;
	int nr_madvise;
	size_t longest_advice;
	int nr_open;	  /* sockets */
	int64_t mapped;	  /* bytes */
	socklen_t exact;  /* the option's struct must have this length, or */
	socklen_t known;  /* is cut to this one */
	int option_error; /* or the option fails so */
	uint64_t option_address;
} fake;

static int fake_socket(int domain, int type, int protocol)
{
	int fd;

	if (domain == AF_INET && fake.no_ipv4)
		return -EAFNOSUPPORT;
	fd = zcsi_sys_kernel.socket(domain, type, protocol);
	fake.nr_open += fd >= 0;
	return fd;
}

static int fake_close(int fd)
{
	fake.nr_open--;
	return zcsi_sys_kernel.close(fd);
}

static void *fake_mmap(void *addr, size_t len, int prot, int flags, int fd)
{
	void *mem = fake.mmap_fails ? NULL : zcsi_sys_kernel.mmap(addr, len, prot, flags, fd);

	fake.mapped += mem ? (int64_t)len : 0;
	return mem;
}

static int fake_munmap(void *addr, size_t len)
{
	fake.mapped -= (int64_t)len;
	return zcsi_sys_kernel.munmap(addr, len);
}

static int fake_madvise(void *addr, size_t len, int advice)
{
	if (fake.madvise_fails)
		return -ENOMEM;
	if (advice == MADV_DONTNEED) {
		fake.nr_madvise++;
		if (len > fake.longest_advice)
			fake.longest_advice = len;
	}
	return zcsi_sys_kernel.madvise(addr, len, advice);
}

static int fake_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	if (name != TCP_ZEROCOPY_RECEIVE)
		return zcsi_sys_kernel.getsockopt(fd, level, name, val, len);
	memcpy(&fake.option_address, val, sizeof(fake.option_address));
	if (fake.option_error)
		return fake.option_error;
	if (fake.exact && *len != fake.exact)
		return -EINVAL;
	if (fake.known && *len > fake.known)
		*len = fake.known;
	return 0;
}

static struct zcsi_sys fake_sys;

static int set_up(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake_sys = zcsi_sys_kernel;
	fake_sys.socket = fake_socket;
	fake_sys.close = fake_close;
	fake_sys.mmap = fake_mmap;
	fake_sys.munmap = fake_munmap;
	fake_sys.madvise = fake_madvise;
	fake_sys.getsockopt = fake_getsockopt;
	zcsi_sys = &fake_sys;
	return 0;
}

static int set_up_real(void **state)
{
	(void)state;
	zcsi_sys = &zcsi_sys_kernel;
	return 0;
}

/* A data socket that the guardless build would map from; not looked at otherwise. */
static int spare_socket(void)
{
	return zcsi_sys_kernel.socket(AF_INET, SOCK_STREAM, 0);
}

static int open_window(struct window *w, size_t len)
{
	int fd = spare_socket();
	int ret = window_open(w, len, fd);

	zcsi_sys_kernel.close(fd);
	return ret;
}

/* ---- opening ----------------------------------------------------------------------------- */

static void open__is_aligned_and_leaves_no_descriptor(void **state)
{
	static const size_t lens[] = { 0, 1, SEG, SEG + 1, 8 * SEG };
	static const size_t want[] = { SEG, SEG, SEG, 2 * SEG, 8 * SEG };
	struct window w;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		assert_int_equal(open_window(&w, lens[i]), 0);
		assert_int_equal(w.len, want[i]);
		assert_int_equal((uintptr_t)w.base % SEG, 0);
		assert_int_equal(fake.mapped, w.len);
		assert_int_equal(fake.nr_open, 0);
		assert_int_equal(fake.option_address, (uintptr_t)w.base);
		window_close(&w);
		assert_int_equal(fake.mapped, 0);
		assert_null(w.base);
		window_close(&w);
	}
	assert_int_equal(window_open(&w, SIZE_MAX, -1), -ENOMEM);
}

static void check_option(socklen_t exact, socklen_t known, int error, int want)
{
	struct window w;
	int ret;

	fake.exact = exact;
	fake.known = known;
	fake.option_error = error;
	ret = open_window(&w, SEG);
	assert_int_equal(ret < 0 ? ret : (int)w.optlen, want);
	window_close(&w);
	assert_int_equal(fake.mapped, 0);
	assert_int_equal(fake.nr_open, 0);
}

static void open__learns_what_the_kernel_knows(void **state)
{
	(void)state;
	check_option(0, 0, 0, WINDOW_OPT_ALL);
	check_option(0, 56, 0, WINDOW_OPT_COPYBUF);
	check_option(0, 40, 0, WINDOW_OPT_COPYBUF);
	check_option(0, 24, 0, WINDOW_OPT_ERR);
	check_option(40, 0, 0, WINDOW_OPT_COPYBUF);
	check_option(24, 0, 0, WINDOW_OPT_ERR);
	check_option(16, 0, 0, WINDOW_OPT_MAP);
	check_option(12, 0, 0, -EOPNOTSUPP);
	check_option(0, 12, 0, -EOPNOTSUPP);
	check_option(0, 0, -ENOPROTOOPT, -EOPNOTSUPP);
	check_option(0, 0, -EPERM, -EOPNOTSUPP);
}

static void open__fails_without_a_trace(void **state)
{
	struct window w;

	(void)state;
	fake.mmap_fails = true;
	assert_int_equal(open_window(&w, SEG), -ENOMEM);
	assert_null(w.base);
	fake.mmap_fails = false;
	fake.madvise_fails = true;
	assert_int_equal(open_window(&w, SEG), -ENOMEM);
	assert_null(w.base);
	assert_int_equal(fake.mapped, 0);
	assert_int_equal(fake.nr_open, 0);
}

static void open__where_there_is_one_family_only(void **state)
{
	struct window w;
	int ret;

	(void)state;
	fake.no_ipv4 = true;
	ret = open_window(&w, SEG);
	if (ret == -EAFNOSUPPORT) {
		print_message("no IPv6 here\n");
		skip();
	}
	assert_int_equal(ret, 0);
	window_close(&w);
}

/* ---- addresses --------------------------------------------------------------------------- */

static char *take(struct window *w, size_t want, size_t *got)
{
	char *addr = NULL;

	*got = window_room(w, want, &addr);
	if (*got)
		window_commit(w, addr, *got);
	return addr;
}

static void release__knows_its_spans(void **state)
{
	struct window w;
	char *a, *b, here;
	size_t len;

	(void)state;
	assert_int_equal(open_window(&w, 2 * SEG), 0);
	a = take(&w, 3 * PAGE, &len);
	assert_int_equal(len, 3 * PAGE);
	b = take(&w, PAGE, &len);
	assert_ptr_equal(b, a + 3 * PAGE);
	assert_true(window_owns(&w, a));
	assert_true(window_owns(&w, w.base + w.len - 1));
	assert_false(window_owns(&w, w.base + w.len));
	assert_false(window_owns(&w, w.base - 1));
	assert_false(window_owns(&w, &here));
	assert_false(window_release(&w, &here, PAGE));
	assert_false(window_release(&w, a + 1, 3 * PAGE));
	assert_false(window_release(&w, a, 3 * PAGE - 1));
	assert_false(window_release(&w, a, 2 * PAGE));
	assert_false(window_release(&w, a + PAGE, PAGE));
	assert_false(window_release(&w, a, SEG + PAGE));
	assert_false(window_release(&w, a, (size_t)1 << 44)); /* 2^32 pages */
	assert_true(window_release(&w, a, 3 * PAGE));
	assert_false(window_release(&w, a, 3 * PAGE));
	assert_true(window_release(&w, b, PAGE));
	assert_int_equal(window_room(&w, PAGE - 1, &a), 0);
	assert_int_equal(window_room(&w, SIZE_MAX, &a), SEG - 4 * PAGE);
	window_close(&w);
	assert_false(window_owns(&w, a));
	assert_false(window_release(&w, a, PAGE));
	assert_int_equal(window_room(&w, PAGE, &a), 0);
}

static void release__unmaps_segments_in_halves(void **state)
{
	struct window w;
	char *span[4];
	size_t len;

	(void)state;
	assert_int_equal(open_window(&w, 2 * SEG), 0);
	for (int i = 0; i < 4; i++)
		span[i] = take(&w, SEG / 2, &len);
	assert_null(take(&w, PAGE, &len));
	assert_int_equal(len, 0);
	assert_true(window_release(&w, span[2], SEG / 2));
	assert_true(window_release(&w, span[1], SEG / 2));
	assert_int_equal(fake.nr_madvise, 0);
	assert_int_equal(window_room(&w, PAGE, &span[1]), 0);
	assert_true(window_release(&w, span[3], SEG / 2));
	assert_int_equal(fake.nr_madvise, 2);
	assert_true(fake.longest_advice < SEG);
	assert_int_equal(window_room(&w, SEG, &span[2]), SEG);
	assert_ptr_equal(span[2], w.base + SEG);
	assert_true(window_release(&w, span[0], SEG / 2));
	window_close(&w);
}

static void release__what_stays_filled_is_not_used(void **state)
{
	struct window w;
	char *a, *b;
	size_t len;

	(void)state;
	assert_int_equal(open_window(&w, SEG), 0);
	a = take(&w, SEG, &len);
	assert_int_equal(len, SEG);
	fake.madvise_fails = true;
	assert_true(window_release(&w, a, SEG));
	assert_int_equal(window_room(&w, SEG, &b), 0);
	fake.madvise_fails = false;
	assert_int_equal(window_room(&w, SEG, &b), SEG);
	assert_int_equal(fake.nr_madvise, 2);
	window_close(&w);
}

/* ---- the real thing ---------------------------------------------------------------------- */

struct pair {
	int tx, rx;
};

/* Segments of whole pages, so that what MSG_ZEROCOPY sends over loopback can be mapped. */
static struct pair connect_pair(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pair p = { .tx = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	int mss = (int)PAGE + 12, on = 1;

	setsockopt(listener, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss));
	setsockopt(p.tx, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss));
	setsockopt(p.tx, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on));
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	assert_int_equal(connect(p.tx, (struct sockaddr *)&addr, len), 0);
	p.rx = accept(listener, NULL, NULL);
	assert_true(p.rx >= 0);
	close(listener);
	return p;
}

static void wait_readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&pfd, 1, 10000), 1);
}

/* One mapping call; what cannot be mapped is read and dropped. Bytes mapped. */
static size_t map_some(int fd, struct window *w, size_t want, char **addr)
{
	struct tcp_zerocopy_receive zc = { .flags = 1 /* TLB_CLEAN_HINT */ };
	socklen_t len = w->optlen;
	char drop[PAGE];

	wait_readable(fd);
	want = window_room(w, want, addr);
	assert_true(want > 0);
	zc.address = (uintptr_t)*addr;
	zc.length = (uint32_t)want;
	assert_int_equal(zcsi_sys->getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len), 0);
	if (zc.length)
		window_commit(w, *addr, zc.length);
	else if (zc.recv_skip_hint)
		assert_true(recv(fd, drop, zc.recv_skip_hint < PAGE ? zc.recv_skip_hint : PAGE,
				 MSG_DONTWAIT) > 0);
	return zc.length;
}

static long status_kb(const char *name)
{
	char text[4096];
	char *at;

	assert_true(zcsi_sys->read_file("/proc/self/status", text, sizeof(text)) > 0);
	at = strstr(text, name);
	return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

/* Before Linux 6.2 a thread counts what it maps by itself, and tells when it unmaps something. */
static void tell_rss(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(page, MAP_FAILED);
	page[0] = 1;
	munmap(page, PAGE);
}

#define MAX_SPANS 1024

struct filled {
	char *addr[MAX_SPANS];
	size_t len[MAX_SPANS];
	size_t nr;
	size_t total;
};

/* Fills the first segment to its end with mapped pages, each of which must read as it was sent. */
static void fill_segment(struct pair *p, struct window *w, struct filled *f)
{
	static char data[16 * PAGE] __attribute__((aligned(4096)));

	memset(data, 'z', sizeof(data));
	f->nr = f->total = 0;
	for (int tries = 0; f->total < SEG && tries < 4000; tries++) {
		(void)send(p->tx, data, sizeof(data), MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL);
		f->len[f->nr] = map_some(p->rx, w, SEG - f->total, &f->addr[f->nr]);
		for (size_t at = 0; at < f->len[f->nr]; at += PAGE)
			assert_int_equal(f->addr[f->nr][at], 'z');
		f->total += f->len[f->nr];
		f->nr += f->len[f->nr] > 0;
		assert_true(f->nr < MAX_SPANS);
	}
}

static void map__released_pages_go_and_page_tables_stay(void **state)
{
	static struct filled f;
	struct pair p = connect_pair();
	struct window w;
	long rss, tables;

	(void)state;
	assert_int_equal(window_open(&w, 2 * SEG, p.rx), 0);
	for (int round = 0; round < 3; round++) {
		fill_segment(&p, &w, &f);
		if (f.total < SEG) {
			print_message("loopback data could not be mapped here\n");
			skip();
		}
		assert_ptr_equal(f.addr[0], w.base); /* again, and clean */
		tell_rss();
		rss = status_kb("RssFile:");
		tables = status_kb("VmPTE:");
		for (size_t i = f.nr; i > 0; i--)
			assert_true(window_release(&w, f.addr[i - 1], f.len[i - 1]));
		assert_true(rss - status_kb("RssFile:") >= (long)(SEG / 1024) - 256);
		assert_true(status_kb("VmPTE:") >= tables);
	}
	window_close(&w);
	close(p.tx);
	close(p.rx);
}

/* Guard 10: a window made from the data socket would hold it open. */
static void close__of_the_data_socket_sends_fin(void **state)
{
	struct pair p = connect_pair();
	struct pollfd pfd = { .fd = p.tx, .events = POLLIN };
	struct window w;
	char c;

	(void)state;
	assert_int_equal(window_open(&w, SEG, p.rx), 0);
	close(p.rx);
	assert_int_equal(poll(&pfd, 1, 1000), 1);
	assert_int_equal(recv(p.tx, &c, 1, MSG_DONTWAIT), 0);
	window_close(&w);
	close(p.tx);
}

static void fork__child_has_no_window(void **state)
{
	struct window w;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(open_window(&w, SEG), 0);
	assert_int_equal(madvise(w.base, w.len, MADV_NORMAL), 0);
	pid = fork();
	if (pid == 0)
		_exit(madvise(w.base, w.len, MADV_NORMAL) < 0 && errno == ENOMEM ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	window_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(open__is_aligned_and_leaves_no_descriptor, set_up),
		cmocka_unit_test_setup(open__learns_what_the_kernel_knows, set_up),
		cmocka_unit_test_setup(open__fails_without_a_trace, set_up),
		cmocka_unit_test_setup(open__where_there_is_one_family_only, set_up),
		cmocka_unit_test_setup(release__knows_its_spans, set_up),
		cmocka_unit_test_setup(release__unmaps_segments_in_halves, set_up),
		cmocka_unit_test_setup(release__what_stays_filled_is_not_used, set_up),
		cmocka_unit_test_setup(map__released_pages_go_and_page_tables_stay, set_up_real),
		cmocka_unit_test_setup(close__of_the_data_socket_sends_fin, set_up_real),
		cmocka_unit_test_setup(fork__child_has_no_window, set_up_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
