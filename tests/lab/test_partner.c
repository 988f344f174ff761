// SPDX-License-Identifier: MIT
/* The virtual partner as plain sockets meet it: each option does what it says. */
#include "bed.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>

/* ---- plain sockets --------------------------------------------------------------------------- */

static void send_all(int fd, const char *mem, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = send(fd, mem + at, len - at, MSG_NOSIGNAL);

		if (n < 0)
			fail_msg("send: %s", strerror(errno));
		at += (size_t)n;
	}
}

/* len bytes of the pattern, from `off` on; the last of them may still be on their way. */
static void send_right(int fd, uint64_t off, size_t len)
{
	char *mem = malloc(len);

	assert_non_null(mem);
	stream_fill(0, off, mem, len);
	send_all(fd, mem, len);
	free(mem);
}

/* Up to len bytes, which must be right; fewer when the stream ended (errno 0) or broke. */
static uint64_t receive_right(int fd, uint64_t off, uint64_t len)
{
	static char buf[256 * KIB];
	uint64_t at = 0;

	errno = 0;
	while (at < len) {
		size_t want = len - at < sizeof(buf) ? len - at : sizeof(buf);
		ssize_t n = recv(fd, buf, want, 0);

		if (n <= 0)
			break;
		if (stream_check(0, off + at, buf, (size_t)n) != (size_t)n)
			fail_msg("wrong byte near %llu", (unsigned long long)(off + at));
		at += (uint64_t)n;
	}
	return at;
}

static void until_acked(int fd)
{
	FAR_UNTIL(net_unacked(fd) == 0);
}

static void until_received(uint64_t bytes)
{
	FAR_UNTIL(far_stat("received") >= bytes);
	assert_int_equal(far_stat("received"), bytes);
}

/* Enough room that a call takes all at once. */
static int connect_roomy(enum net_family family)
{
	int fd = far_connect(family, LAB_PORT_SINK);

	net_set(fd, SOL_SOCKET, SO_SNDBUFFORCE, 16 * MIB);
	return fd;
}

/* What broke it, once it is broken. */
static int broken_by(int fd)
{
	struct pollfd pf = { .fd = fd };
	socklen_t len = sizeof(int);
	int error = 0;

	assert_int_equal(poll(&pf, 1, NET_MS), 1);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	return error;
}

/* Both halves end, ours first, and the partner forgets it. */
static void part(int fd)
{
	uint64_t open = far_stat("open");
	char c;

	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(recv(fd, &c, 1, 0), 0);
	close(fd);
	FAR_UNTIL(far_stat("open") == open - 1);
}

/* ---- the services ---------------------------------------------------------------------------- */

static void sink__takes_all(void **state)
{
	int fd;

	FAR_START("verify");
	fd = far_connect(FAMILY(state), LAB_PORT_SINK);
	send_right(fd, 0, 10 * MIB);
	until_acked(fd);
	assert_int_equal(far_stat("received"), 10 * MIB);
	assert_int_equal(far_stat("connections"), 1);
	assert_int_equal(far_stat("open"), 1);
	far_was_right();
	part(fd);
}

static void source__sends_without_end(void **state)
{
	uint64_t len = 10 * MIB + 777;
	int fd;

	FAR_PLAIN();
	fd = far_connect(FAMILY(state), LAB_PORT_SOURCE);
	assert_int_equal(receive_right(fd, 0, len), len);
	assert_true(far_stat("sent") >= len);
	close(fd); /* with unread bytes: a reset */
	FAR_UNTIL(far_stat("open") == 0);
}

static void echo__sends_back(void **state)
{
	uint64_t at;
	int fd;

	FAR_PLAIN();
	fd = far_connect(FAMILY(state), LAB_PORT_ECHO);
	for (at = 0; at < 2000000; at += 100000) {
		send_right(fd, at, 100000);
		assert_int_equal(receive_right(fd, at, 100000), 100000);
	}
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(receive_right(fd, at, 1), 0);
	close(fd);
}

static void udp__is_counted(void **state)
{
	struct sockaddr_storage to;
	socklen_t len;
	char text[3000];
	int i, fd;

	FAR_PLAIN();
	memset(text, 'x', sizeof(text));
	far_address(FAMILY(state), LAB_PORT_SINK, &to, &len);
	fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	for (i = 1; i <= 20; i++)
		assert_int_equal(sendto(fd, text, 100 * i, 0, (struct sockaddr *)&to, len),
				 100 * i);
	FAR_UNTIL(far_stat("udp_packets") == 20);
	assert_int_equal(far_stat("udp_bytes"), 21000);
	close(fd);
}

static void connection__as_agreed(void **state)
{
	struct tcp_info info;
	int fd;

	FAR_START("mtu 1500");
	fd = far_connect(FAMILY(state), LAB_PORT_SINK);
	info = far_info(fd);
	assert_int_equal(info.tcpi_options &
				 (TCPI_OPT_SACK | TCPI_OPT_WSCALE | TCPI_OPT_TIMESTAMPS),
			 TCPI_OPT_SACK | TCPI_OPT_WSCALE);
	assert_int_equal(info.tcpi_snd_wscale, 10);
	assert_int_equal(info.tcpi_snd_mss, FAMILY(state) == NET_V6 ? 1440 : 1460);
	close(fd);
}

static void many_at_once(void **state)
{
	int sinks[32], sources[32], round, i;

	(void)state;
	FAR_START("verify");
	for (i = 0; i < 32; i++) {
		sinks[i] = far_connect(i % 2 ? NET_V6 : NET_V4, LAB_PORT_SINK);
		sources[i] = far_connect(i % 2 ? NET_V4 : NET_V6, LAB_PORT_SOURCE);
	}
	for (round = 0; round < 8; round++) {
		for (i = 0; i < 32; i++) {
			send_right(sinks[i], round * 50000ul, 50000);
			assert_int_equal(receive_right(sources[i], round * 50000ul, 50000), 50000);
		}
	}
	for (i = 0; i < 32; i++)
		until_acked(sinks[i]);
	assert_int_equal(far_stat("connections"), 64);
	assert_int_equal(far_stat("open"), 64);
	assert_int_equal(far_stat("received"), 32 * 8 * 50000);
	far_was_right();
	for (i = 0; i < 32; i++) {
		part(sinks[i]);
		close(sources[i]);
	}
	FAR_UNTIL(far_stat("open") == 0);
}

/* ---- acknowledgements ------------------------------------------------------------------------ */

static void ack_bytes(void **state)
{
	int fd;

	FAR_START("ack-bytes 60000", "ack-time 60s");
	far_is_patient();
	fd = connect_roomy(FAMILY(state));
	send_right(fd, 0, 59999);
	until_received(59999);
	assert_int_equal(net_unacked(fd), 59999);
	assert_int_equal(far_stat("acks"), 0);
	send_right(fd, 59999, 1);
	until_acked(fd);
	assert_int_equal(far_stat("acks"), 1);
	close(fd);
}

static void ack_time(void **state)
{
	long start;
	int fd;

	FAR_START("ack-bytes 1M", "ack-time 300ms");
	far_is_patient();
	fd = connect_roomy(FAMILY(state));
	start = net_now_ms();
	send_right(fd, 0, 50000);
	until_acked(fd);
	assert_in_range(net_now_ms() - start, 299, NET_MS);
	assert_int_equal(far_stat("acks"), 1);
	close(fd);
}

static void partial_ack(void **state)
{
	size_t left;
	int fd;

	FAR_START("ack-bytes 50000", "ack-time 60s", "partial-ack");
	far_is_patient();
	fd = connect_roomy(FAMILY(state));
	send_right(fd, 0, 50000);
	FAR_UNTIL(net_unacked(fd) < 50000);
	left = net_unacked(fd);
	assert_in_range(left, 1, 49999);
	assert_int_equal(far_stat("received"), 50000);
	send_right(fd, 50000, 50000 - left);
	until_acked(fd);
	assert_int_equal(far_stat("acks"), 2);
	close(fd);
}

static void hold_acks(void **state)
{
	int fd;

	FAR_START("hold-acks");
	far_is_patient();
	fd = connect_roomy(FAMILY(state));
	send_right(fd, 0, 60000);
	until_received(60000);
	assert_int_equal(net_unacked(fd), 60000);
	assert_int_equal(far_stat("acks"), 0);
	far_tell("hold-acks no");
	until_acked(fd);
	close(fd);
}

/* ---- the network in between ------------------------------------------------------------------ */

static void rtt(void **state)
{
	long start;
	int fd;

	FAR_START("rtt 40ms");
	start = net_now_ms();
	fd = far_connect(FAMILY(state), LAB_PORT_SINK);
	assert_in_range(net_now_ms() - start, 39, NET_MS);
	assert_in_range(far_info(fd).tcpi_min_rtt, 40000, 1000 * NET_MS);
	assert_in_range(far_info(fd).tcpi_rtt, 40000, 1000 * NET_MS);
	far_tell("rtt 0ns");
	FAR_UNTIL((send_right(fd, 0, 1), far_info(fd).tcpi_min_rtt) < 40000);
	close(fd);
}

/* Longer than a SYN waits for its answer: it comes twice, and is one connection. */
static void rtt__of_more_than_a_second(void **state)
{
	int fd;

	FAR_START("rtt 1100ms", "verify");
	fd = far_connect(FAMILY(state), LAB_PORT_SINK);
	send_right(fd, 0, 1000);
	until_acked(fd);
	assert_int_equal(far_stat("connections"), 1);
	assert_int_equal(far_stat("received"), 1000);
	far_was_right();
	close(fd);
}

/* What a ms brings in may come at once, and some more where packets are larger. */
static void rate(void **state)
{
	long start;
	int fd;

	FAR_START("rate 20M");
	fd = connect_roomy(FAMILY(state));
	start = net_now_ms();
	send_right(fd, 0, 8 * MIB);
	until_acked(fd);
	assert_in_range(net_now_ms() - start, 390, NET_MS);
	assert_int_equal(far_stat("received"), 8 * MIB);
	assert_in_range(far_stat("acks"), 100, 4000); /* some at a time, not byte by byte */
	close(fd);
	fd = far_connect(FAMILY(state), LAB_PORT_SOURCE);
	start = net_now_ms();
	assert_int_equal(receive_right(fd, 0, 8 * MIB), 8 * MIB);
	assert_in_range(net_now_ms() - start, 390, NET_MS);
	close(fd);
}

static uint64_t sink_with_losses(const char *mtu, const char *loss, const char *seed)
{
	uint64_t lost;
	int fd;

	FAR_START(mtu, loss, seed, "verify");
	fd = connect_roomy(NET_V4);
	send_right(fd, 0, 3 * MIB);
	until_acked(fd);
	assert_int_equal(far_stat("received"), 3 * MIB);
	far_was_right();
	lost = far_stat("lost");
	assert_true(far_info(fd).tcpi_total_retrans >= lost);
	part(fd);
	far_stop();
	return lost;
}

/* For the same seed the same ones, however the sender and the windows cut the stream. */
static void loss__sink(void **state)
{
	uint64_t lost = sink_with_losses("mtu 9000", "loss 5%", "seed 3");

	(void)state;
	assert_in_range(lost, 7, 35); /* of 352 */
	assert_int_equal(sink_with_losses("mtu 9000", "loss 5%", "seed 3"), lost);
	assert_int_equal(sink_with_losses("mtu 9000", "loss 0", "seed 3"), 0);
	lost = sink_with_losses("mtu 1500", "loss 5%", "seed 3");
	assert_in_range(lost, 60, 160); /* of 2155 */
	assert_int_equal(sink_with_losses("mtu 1500", "loss 5%", "seed 3"), lost);
	assert_int_not_equal(sink_with_losses("mtu 1500", "loss 5%", "seed 4"), lost);
}

static void loss__source_by_the_seed(void **state)
{
	uint64_t lost[3];
	int i, fd;

	(void)state;
	for (i = 0; i < 3; i++) {
		FAR_START("loss 2%", "length 2M", i < 2 ? "seed 3" : "seed 4");
		fd = far_connect(NET_V4, LAB_PORT_SOURCE);
		assert_int_equal(receive_right(fd, 0, 3 * MIB), 2 * MIB);
		lost[i] = far_stat("lost");
		part(fd);
		far_stop();
	}
	assert_int_equal(lost[0], lost[1]);
	assert_int_not_equal(lost[0], lost[2]);
}

static void loss__source(void **state)
{
	int fd;

	FAR_START("loss 2%", "length 4M");
	fd = far_connect(FAMILY(state), LAB_PORT_SOURCE);
	assert_int_equal(receive_right(fd, 0, 5 * MIB), 4 * MIB);
	assert_int_equal(errno, 0);
	assert_true(far_stat("lost") > 5);
	assert_true(far_stat("resent") >= far_stat("lost"));
	part(fd);
}

static void reorder__sink(void **state)
{
	int fd;

	FAR_START("mtu 1500", "reorder 5%", "verify");
	fd = connect_roomy(FAMILY(state));
	send_right(fd, 0, 2 * MIB);
	until_acked(fd);
	assert_int_equal(far_stat("received"), 2 * MIB);
	assert_true(far_stat("reordered") > 20);
	assert_int_equal(far_stat("lost"), 0);
	far_was_right();
	part(fd);
}

static void reorder__source(void **state)
{
	int fd;

	FAR_START("reorder 20%", "length 4M");
	fd = far_connect(FAMILY(state), LAB_PORT_SOURCE);
	assert_int_equal(receive_right(fd, 0, 5 * MIB), 4 * MIB);
	assert_int_equal(errno, 0);
	assert_true(far_stat("reordered") > 50);
	assert_int_equal(far_stat("lost"), 0);
	assert_true(far_info(fd).tcpi_rcv_ooopack > 50);
	part(fd);
}

static void everything_at_once(void **state)
{
	int fd;

	FAR_START("rtt 1ms", "loss 1%", "reorder 5%", "partial-ack", "rate 50M", "length 2M",
		  "verify");
	fd = connect_roomy(FAMILY(state));
	send_right(fd, 0, 2 * MIB);
	until_acked(fd);
	assert_int_equal(far_stat("received"), 2 * MIB);
	far_was_right();
	part(fd);
	fd = far_connect(FAMILY(state), LAB_PORT_SOURCE);
	assert_int_equal(receive_right(fd, 0, 3 * MIB), 2 * MIB);
	assert_int_equal(errno, 0);
	part(fd);
}

/* ---- windows --------------------------------------------------------------------------------- */

static void window(void **state)
{
	int fd;

	FAR_START("window 128K");
	fd = far_connect(FAMILY(state), LAB_PORT_SINK);
	assert_int_equal(far_info(fd).tcpi_snd_wnd, 65535); /* a SYN-ACK says no more */
	send_right(fd, 0, 1000);
	until_acked(fd);
	assert_int_equal(far_info(fd).tcpi_snd_wnd, 128 * KIB);
	far_tell("window 256K");
	FAR_UNTIL(far_info(fd).tcpi_snd_wnd == 256 * KIB);
	far_tell("hold-acks");
	far_is_patient();
	net_set(fd, SOL_SOCKET, SO_SNDBUFFORCE, 16 * MIB);
	send_right(fd, 1000, 1 * MIB);
	FAR_UNTIL(far_stat("received") >= 50000);
	assert_in_range(far_stat("received"), 50000, 256 * KIB + 1000);
	close(fd);
}

/* A window counts in KiB: it may close so much before. */
static void zero_window_at(void **state)
{
	uint64_t at;
	int fd;

	FAR_START("zero-window-at 128K", "verify");
	fd = connect_roomy(FAMILY(state));
	send_right(fd, 0, 300000);
	FAR_UNTIL(far_info(fd).tcpi_snd_wnd == 0);
	at = far_stat("received");
	assert_in_range(at, 127 * KIB + 1, 128 * KIB);
	assert_int_equal(net_unacked(fd), 300000 - at);
	far_tell("zero-window-at never");
	until_acked(fd);
	assert_int_equal(far_stat("received"), 300000);
	far_was_right();
	part(fd);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void length(void **state)
{
	struct tcp_info info;
	int fd;

	/* So little that no window cuts a frame. */
	FAR_START("payload 1000", "length 60000");
	fd = far_connect(FAMILY(state), LAB_PORT_SOURCE);
	assert_int_equal(receive_right(fd, 0, 100000), 60000);
	assert_int_equal(errno, 0);
	info = far_info(fd);
	assert_int_equal(info.tcpi_data_segs_in, 60);
	assert_int_equal(info.tcpi_rcv_mss, 1000);
	part(fd);
	far_tell("length 0");
	fd = far_connect(FAMILY(state), LAB_PORT_SOURCE);
	assert_int_equal(receive_right(fd, 0, 1), 0);
	assert_int_equal(errno, 0);
	part(fd);
}

static void rst_at__sink(void **state)
{
	int fd;

	FAR_START("rst-at 100000");
	fd = connect_roomy(FAMILY(state));
	send_right(fd, 0, 99999);
	until_acked(fd);
	assert_int_equal(far_stat("resets"), 0);
	send_right(fd, 99999, 1);
	assert_int_equal(broken_by(fd), ECONNRESET);
	assert_int_equal(far_stat("received"), 100000);
	assert_int_equal(far_stat("open"), 0);
	close(fd);
}

static void rst_at__source(void **state)
{
	int fd;

	FAR_START("rst-at 10000001");
	fd = far_connect(FAMILY(state), LAB_PORT_SOURCE);
	assert_int_equal(receive_right(fd, 0, 20 * MIB), 10000001);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(far_stat("sent"), 10000001);
	close(fd);
}

static void silent_at__sink(void **state)
{
	int fd;

	FAR_START("silent-at 50000");
	fd = connect_roomy(FAMILY(state));
	net_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 500);
	send_right(fd, 0, 60000);
	FAR_UNTIL(net_unacked(fd) == 10000);
	assert_int_equal(broken_by(fd), ETIMEDOUT);
	assert_int_equal(far_stat("received"), 50000);
	assert_int_equal(far_stat("resets"), 0);
	close(fd);
}

static void silent_at__source(void **state)
{
	struct pollfd pf = { .events = POLLIN };

	FAR_START("silent-at 50000");
	pf.fd = far_connect(FAMILY(state), LAB_PORT_SOURCE);
	assert_int_equal(receive_right(pf.fd, 0, 50000), 50000);
	net_set(pf.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 300);
	assert_int_equal(poll(&pf, 1, 100), 0);
	send_right(pf.fd, 0, 1000);
	assert_int_equal(broken_by(pf.fd), ETIMEDOUT);
	assert_int_equal(far_stat("sent"), 50000);
	close(pf.fd);
}

static void reset__all(void **state)
{
	int i, fds[6];

	(void)state;
	FAR_PLAIN();
	for (i = 0; i < 6; i++)
		fds[i] = far_connect(i % 2 ? NET_V6 : NET_V4,
				     i < 3 ? LAB_PORT_SINK : LAB_PORT_SOURCE);
	for (i = 0; i < 6; i++)
		assert_int_equal(
			i < 3 ? (uint64_t)send(fds[i], "x", 1, 0) : receive_right(fds[i], 0, 1), 1);
	far_tell("reset");
	for (i = 0; i < 6; i++) {
		FAR_UNTIL(far_info(fds[i]).tcpi_state == 7 /* TCP_CLOSE */);
		assert_int_equal(broken_by(fds[i]), ECONNRESET);
		close(fds[i]);
	}
	assert_int_equal(far_stat("open"), 0);
	i = far_connect(NET_V4, LAB_PORT_SINK); /* and on it goes */
	send_right(i, 0, 1000);
	until_acked(i);
	close(i);
}

/* ---- looking at what is sent ----------------------------------------------------------------- */

static void verify__counts_wrong_bytes(void **state)
{
	uint64_t wrong;
	char mem[60000];
	int fd;

	FAR_START("verify", "hold-acks");
	far_is_patient();
	fd = connect_roomy(FAMILY(state));
	stream_fill(0, 0, mem, sizeof(mem));
	mem[30000] ^= 1;
	send_all(fd, mem, sizeof(mem));
	until_received(sizeof(mem));
	wrong = far_stat("wrong");
	assert_in_range(wrong, 1, 4096); /* it is looked at page by page */
	assert_int_equal(far_stat("verified"), sizeof(mem) - wrong);
	far_tell("hold-acks no");
	until_acked(fd);
	send_right(fd, 60000, 60000);
	until_acked(fd);
	assert_int_equal(far_stat("wrong"), wrong);
	part(fd);
}

/* A byte too many: nothing fits from there on. */
static void verify__sees_a_shift(void **state)
{
	int fd;

	FAR_START("verify", "hold-acks");
	far_is_patient();
	fd = connect_roomy(FAMILY(state));
	send_right(fd, 1, 50000);
	until_received(50000);
	assert_in_range(far_stat("wrong"), 49000, 50000);
	close(fd);
}

/* In any order; what is wrong in one counts from its piece of 4096 bytes. */
static void verify__of_datagrams(void **state)
{
	static const uint64_t at[] = { 0, 500000, 8000, 0, 1000000 };
	struct sockaddr_storage to;
	static char data[8000];
	socklen_t len;
	int fd;

	FAR_START("verify");
	far_address(FAMILY(state), LAB_PORT_SINK, &to, &len);
	fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, len), 0);
	for (int i = 0; i < 5; i++) {
		stream_fill(0, at[i], data, sizeof(data));
		assert_int_equal(send(fd, data, sizeof(data), 0), sizeof(data));
	}
	FAR_UNTIL(far_stat("verified") == 40000);
	assert_int_equal(far_stat("wrong"), 0);
	data[4095] ^= 1;
	assert_int_equal(send(fd, data, sizeof(data), 0), sizeof(data));
	FAR_UNTIL(far_stat("verified") == 40000 + 8000 - 4096);
	assert_int_equal(far_stat("wrong"), 4096);
	close(fd);
}

static void verify__from_now_on(void **state)
{
	int fd;

	FAR_PLAIN();
	far_is_patient();
	fd = connect_roomy(FAMILY(state));
	send_right(fd, 7, 50000);
	until_acked(fd);
	assert_int_equal(far_stat("verified") + far_stat("wrong"), 0);
	far_tell("hold-acks");
	far_tell("verify");
	send_right(fd, 50000, 50000);
	until_received(100000);
	assert_int_equal(far_stat("verified"), 50000);
	assert_int_equal(far_stat("wrong"), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(sink__takes_all),
		FAR_TEST_ON(sink__takes_all, NET_MAPPED),
		EACH(source__sends_without_end),
		FAR_TEST_ON(source__sends_without_end, NET_MAPPED),
		EACH(echo__sends_back),
		EACH(udp__is_counted),
		EACH(connection__as_agreed),
		FAR_TEST(many_at_once),
		EACH(ack_bytes),
		EACH(ack_time),
		EACH(partial_ack),
		EACH(hold_acks),
		EACH(rtt),
		FAR_TEST_ON(rtt__of_more_than_a_second, NET_V4),
		EACH(rate),
		FAR_TEST(loss__sink),
		FAR_TEST(loss__source_by_the_seed),
		EACH(loss__source),
		EACH(reorder__sink),
		EACH(reorder__source),
		EACH(everything_at_once),
		EACH(window),
		EACH(zero_window_at),
		EACH(length),
		EACH(rst_at__sink),
		EACH(rst_at__source),
		EACH(silent_at__sink),
		EACH(silent_at__source),
		FAR_TEST(reset__all),
		EACH(verify__counts_wrong_bytes),
		EACH(verify__sees_a_shift),
		EACH(verify__of_datagrams),
		EACH(verify__from_now_on),
	};

	return FAR_MAIN(tests);
}
