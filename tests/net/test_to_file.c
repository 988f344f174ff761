// SPDX-License-Identifier: MIT
/*
 * Received spans -> file, on the file system that the tests run on: what went directly is not in
 * the page cache, and every byte is right whatever is odd about memory, offset and length.
 */
#include "net.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE 4096u
#define SEED 33
#define WARM_UP                                                                                    \
	(24 * MAP_PIECE) /* the first packets of a connection are smaller, and out of step */

struct bed {
	struct net net;
	struct net_pair pair;
	struct app *app;
	struct peer *peer;
	int file;
	uint64_t start; /* of the stream, once packets are as large as they get */
};

/* A file without a name; -1: the file system has none, or no O_DIRECT. */
static int make_file(int flags)
{
	return open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600);
}

static bool has_direct(void)
{
	int fd = make_file(O_DIRECT);
	struct statx st = { 0 };
	bool yes = fd >= 0 && statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) == 0 &&
		   st.stx_mask & STATX_DIOALIGN && st.stx_dio_offset_align > 0 &&
		   st.stx_dio_offset_align <= PAGE;

	if (fd >= 0)
		close(fd);
	return yes;
}

static void bed_end(struct bed *b)
{
	app_release_held(b->app);
	close(b->file);
	net_finish(&b->net);
}

/* Arrives in pages that can be mapped, or in none. */
static void receive(struct bed *b, size_t len, bool mapped)
{
	b->peer->tx_flags = mapped ? MSG_ZEROCOPY : 0;
	peer_send(b->peer, len);
	PUMP_UNTIL(&b->net, b->app->rx_pos == b->peer->tx_pos);
}

static void bed_make(struct bed *b, int flags)
{
	struct zcs_conn_opts opts = { .size = sizeof(opts),
				      .trust = ZCS_TRUST_PEER,
				      .recv_way = ZCS_WAY_ZEROCOPY };

	net_lo_mtu(MTU_MAPS);
	net_start(&b->net, NULL);
	net_pair(&b->pair, NET_V4, NET_LO);
	b->app = app_open(&b->net, b->pair.near, &opts);
	b->peer = peer_open(&b->net, b->pair.far);
	net_set(b->pair.far, SOL_SOCKET, SO_ZEROCOPY, 1);
	b->app->rx_seed = b->peer->tx_seed = SEED;
	receive(b, WARM_UP, true);
	b->app->rx_hold = true;
	b->app->rx_mapped = 0;
	b->start = b->app->rx_pos;
	b->file = make_file(flags);
	assert_true(b->file >= 0);
}

/* All that is held, which then goes back and is overwritten by what comes next. */
static uint64_t write_held(struct bed *b, uint64_t off)
{
	uint64_t direct = 77, len = 0;

	for (size_t i = 0; i < b->app->nr_held; i++)
		len += b->app->held[i].len;
	assert_int_equal(
		zcs_span_write(b->net.ctx, b->file, off, b->app->held, b->app->nr_held, &direct),
		len);
	app_check_held(b->app);
	app_release_held(b->app);
	b->app->rx_hold = false;
	receive(b, 4 * MIB, true);
	b->app->rx_hold = true;
	return direct;
}

/* The file holds the stream [pos, pos + len) at off. */
static void check_file(const struct bed *b, uint64_t off, uint64_t pos, size_t len)
{
	char *mem = aligned_alloc(PAGE, len / PAGE * PAGE + 2 * PAGE);
	size_t skip = off % PAGE;
	struct stat st;
	ssize_t n;

	assert_int_equal(fstat(b->file, &st), 0);
	assert_int_equal(st.st_size, off + len);
	n = pread(b->file, mem, len / PAGE * PAGE + 2 * PAGE, (off_t)(off - skip));
	assert_int_equal(n, skip + len);
	assert_int_equal(stream_check(SEED, b->start + pos, mem + skip, len), len);
	free(mem);
}

/* Bytes of the file that are in the page cache. */
static size_t cached(const struct bed *b, size_t len)
{
	size_t nr = (len + PAGE - 1) / PAGE, bytes = 0;
	unsigned char *in = malloc(nr);
	void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, b->file, 0);

	assert_true(map != MAP_FAILED);
	assert_int_equal(mincore(map, len, in), 0);
	for (size_t i = 0; i < nr; i++)
		bytes += in[i] & 1 ? PAGE : 0;
	munmap(map, len);
	free(in);
	return bytes;
}

static void file__direct_is_not_in_the_page_cache(void **state)
{
	struct bed b;
	uint64_t direct, mapped;

	(void)state;
	bed_make(&b, O_DIRECT);
	receive(&b, 8 * MAP_PIECE, true);
	mapped = b.app->rx_mapped;
	assert_true(mapped > 0);
	direct = write_held(&b, 0);
	assert_true(direct > mapped / 2);
	assert_true(cached(&b, 8 * MAP_PIECE) <= 8 * MAP_PIECE - direct);
	assert_int_equal(fcntl(b.file, F_GETFL) & O_DIRECT, O_DIRECT);
	check_file(&b, 0, 0, 8 * MAP_PIECE);
	bed_end(&b);
}

/* The same call without O_DIRECT: all through the page cache. */
static void file__without_direct(void **state)
{
	struct bed b;

	(void)state;
	bed_make(&b, 0);
	receive(&b, MAP_PIECE + 99, true);
	assert_int_equal(write_held(&b, 12345), 0);
	assert_int_equal(fcntl(b.file, F_GETFL) & O_DIRECT, 0);
	check_file(&b, 12345, 0, MAP_PIECE + 99);
	/* but for the three pages in front, of which nobody wrote a byte */
	assert_int_equal(cached(&b, 12345 + MAP_PIECE + 99),
			 (12345 + MAP_PIECE + 99 + PAGE - 1) / PAGE * PAGE - 3 * PAGE);
	bed_end(&b);
}

/* Where memory and file are out of step nothing can go directly, and all is right. */
static void file__offset_out_of_step(void **state)
{
	struct bed b;

	(void)state;
	bed_make(&b, O_DIRECT);
	receive(&b, MAP_PIECE, true);
	assert_int_equal(write_held(&b, 4097), 0);
	assert_int_equal(fcntl(b.file, F_GETFL) & O_DIRECT, O_DIRECT);
	check_file(&b, 4097, 0, MAP_PIECE);
	bed_end(&b);
}

/* A head that was looked at elsewhere, an odd tail: what lies between still goes directly. */
static void file__narrowed_head_and_odd_tail(void **state)
{
	struct bed b;
	struct zcs_span *first;
	uint64_t direct;

	(void)state;
	bed_make(&b, O_DIRECT);
	receive(&b, 4 * MAP_PIECE + 777, true);
	first = &b.app->held[0];
	assert_true(first->len > 100);
	first->base = (const char *)first->base + 100;
	first->len -= 100;
	b.app->held_pos[0] += 100;
	direct = write_held(&b, 100);
	assert_true(direct > 2 * MAP_PIECE);
	check_file(&b, 100, 100, 4 * MAP_PIECE + 677);
	bed_end(&b);
}

/* Pieces that were copied stand between those that were mapped, in step with the file or not. */
static void file__copied_between_mapped(void **state)
{
	uint64_t direct = 0;
	struct bed b;

	(void)state;
	bed_make(&b, O_DIRECT);
	for (int i = 0; i < 6; i++) {
		uint64_t pos = b.app->rx_pos - b.start;

		receive(&b, 2 * MAP_PIECE, true);
		receive(&b, i % 2 ? 3 * PAGE : 50001, false);
		receive(&b, MAP_PIECE, true);
		assert_int_equal(ftruncate(b.file, 0), 0);
		direct += write_held(&b, 0);
		check_file(&b, 0, pos, 3 * MAP_PIECE + (i % 2 ? 3 * PAGE : 50001));
	}
	assert_true(direct > 6 * MAP_PIECE);
	bed_end(&b);
}

/* In many calls, each where the last one ended, as a program does that has no batch. */
static void file__call_by_call(void **state)
{
	struct bed b;
	uint64_t off = 0, r = 7;

	(void)state;
	bed_make(&b, O_DIRECT);
	for (int i = 0; i < 40; i++) {
		receive(&b,
			i % 5 ? MAP_PIECE / 16 * (1 + net_random(&r) % 20)
			      : 1 + net_random(&r) % 9000,
			true);
		for (size_t j = 0; j < b.app->nr_held; j++) {
			int64_t n =
				zcs_span_write(b.net.ctx, b.file, off, &b.app->held[j], 1, NULL);

			assert_int_equal(n, b.app->held[j].len);
			off += (uint64_t)n;
		}
		app_release_held(b.app);
	}
	check_file(&b, 0, 0, off);
	bed_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(file__direct_is_not_in_the_page_cache),
		NET_TEST(file__without_direct),
		NET_TEST(file__offset_out_of_step),
		NET_TEST(file__narrowed_head_and_odd_tail),
		NET_TEST(file__copied_between_mapped),
		NET_TEST(file__call_by_call),
	};

	if (!has_direct()) {
		printf("skipped: there is no O_DIRECT in /var/tmp, or nobody says how\n");
		return 77;
	}
	return NET_MAIN(tests);
}
