/* SPDX-License-Identifier: MIT */
/*
 * simk_map.c - TCP_ZEROCOPY_RECEIVE, step by step as tcp_zerocopy_receive() in net/ipv4/tcp.c
 */
#include "simk_int.h"

#include <netinet/tcp.h>
#include <stdio.h>

#define PAGE 4096u

struct zc {
	uint64_t address;
	uint32_t length, recv_skip_hint, inq;
	int32_t err;
	uint64_t copybuf_address;
	int32_t copybuf_len;
	uint32_t flags;
	uint64_t msg_control, msg_controllen;
	uint32_t msg_flags, reserved;
};

/* Bytes from pos to the next page that can be mapped, at most to the end of its segment. */
static uint64_t to_next_page(const struct seg *g, uint64_t pos)
{
	uint64_t off = pos - g->pos, left = g->len - off, skip;

	if (g->layout == SIM_UNMAPPED)
		return left;
	if (off < g->head)
		skip = g->head - off;
	else
		skip = (PAGE - (off - g->head) % PAGE) % PAGE;
	return skip + PAGE <= left ? skip : left;
}

/* In the middle of a fragment, or of the linear part, the kernel gives up: the whole rest. */
static bool mid_fragment(const struct seg *g, uint64_t pos)
{
	uint64_t off = pos - g->pos;

	return off < g->head || (off - g->head) % PAGE != 0;
}

static int copy_whole(struct sim_tcp *s, struct zc *zc, uint64_t inq)
{
	ssize_t n;
	const struct seg *g;

	zc->length = zc->recv_skip_hint = 0;
	n = krx_copy(s, (char *)(uintptr_t)zc->copybuf_address, inq, MSG_DONTWAIT);
	if (n < 0)
		return (int)n;
	zc->copybuf_len = (int32_t)n;
	g = n ? krx_seg(s, s->rx_pos) : NULL;
	if (g)
		zc->recv_skip_hint =
			(uint32_t)(mid_fragment(g, s->rx_pos) ? g->pos + g->len - s->rx_pos
							      : to_next_page(g, s->rx_pos));
	return 0;
}

static int insert(struct sim_tcp *s, const struct zc *zc, char *at, uint64_t pos, uint64_t len)
{
	if (!len)
		return 0;
	if (sim_pct(s->k.map_err_pct))
		return -s->k.map_errno;
	for (uint64_t i = 0; i < len; i += PAGE) {
		if (!karea_filled(at + i))
			continue;
		/* With the hint the kernel replaces them: a span that is borrowed changes. */
		sim_fail("mapped over filled page %p%s", (void *)(at + i),
			 zc->flags & 1 ? " with the TLB-clean hint" : "");
	}
	karea_fill(at, len, sim_rx_key(s), pos);
	return 0;
}

/* Maps what can be; the position behind it. */
static int map_pages(struct sim_tcp *s, struct zc *zc, uint64_t *pos, uint32_t *length_out)
{
	char *at = (char *)(uintptr_t)zc->address;
	uint32_t length = 0, limit = zc->length;
	int err = 0;

	if (limit > PAGE && sim_pct(s->k.map_part_pct))
		limit = PAGE * (1 + sim_rnd(limit / PAGE));
	while (!err && length + PAGE <= limit) {
		const struct seg *g = krx_seg(s, *pos);
		uint64_t run;

		zc->recv_skip_hint = (uint32_t)(g->pos + g->len - *pos);
		if (mid_fragment(g, *pos))
			break;
		run = to_next_page(g, *pos);
		if (run) {
			zc->recv_skip_hint = (uint32_t)run;
			break;
		}
		run = (g->pos + g->len - *pos) / PAGE * PAGE;
		if (run > limit - length)
			run = (limit - length) / PAGE * PAGE;
		err = insert(s, zc, at + length, *pos, run);
		if (err)
			break;
		length += (uint32_t)run;
		*pos += run;
		zc->recv_skip_hint -= (uint32_t)run;
		if (zc->recv_skip_hint && zc->recv_skip_hint < PAGE)
			break;
	}
	*length_out = length;
	return err;
}

static void copy_leftover(struct sim_tcp *s, struct zc *zc, int32_t room, uint64_t *pos)
{
	uint32_t n = zc->recv_skip_hint;
	char *to = (char *)(uintptr_t)zc->copybuf_address;

	if (room < 0)
		sim_fail("copybuf_len is negative: the kernel takes it for 4 GiB");
	if (n > (uint32_t)room)
		n = (uint32_t)room;
	if (!n)
		return;
	if (kmem_readable(to, n) < n) {
		zc->copybuf_len = -EFAULT;
		return;
	}
	/* runs across the urgent mark, as the kernel does */
	sim_fill(to, n, sim_rx_key(s), *pos);
	*pos += n;
	zc->recv_skip_hint -= n;
	zc->copybuf_len = (int32_t)n;
}

static int finish(struct sim_tcp *s, struct zc *zc, uint32_t length, uint64_t pos, int err)
{
	if (pos > s->rx_pos) {
		krx_consume(s, pos - s->rx_pos);
		if (length == zc->length)
			zc->recv_skip_hint = 0;
		err = 0;
	} else if (!zc->recv_skip_hint && s->fin_in && !err) {
		err = -EIO;
	}
	zc->length = length;
	return err;
}

static int zerocopy_receive(struct sim_tcp *s, struct zc *zc)
{
	int32_t room = zc->copybuf_len;
	char *at = (char *)(uintptr_t)zc->address;
	uint64_t inq = s->state == TCP_SYN_SENT ? 0 : krx_inq(s), vma_len, pos = s->rx_pos;
	uint32_t length = 0;
	int err;

	zc->copybuf_len = 0;
	zc->msg_flags = 0;
	if (zc->address % PAGE)
		return -EINVAL;
	if (inq && inq <= (uint64_t)(room < 0 ? 0 : room))
		return copy_whole(s, zc, inq);
	if (inq < PAGE) {
		zc->length = 0;
		zc->recv_skip_hint = (uint32_t)inq;
		return !inq && s->fin_in ? -EIO : 0;
	}
	vma_len = karea_room(at) * PAGE;
	if (!vma_len)
		return -EINVAL;
	if (vma_len > zc->length)
		vma_len = zc->length;
	if (vma_len > inq)
		vma_len = inq;
	zc->length = zc->recv_skip_hint = (uint32_t)vma_len;
	if (vma_len >= PAGE) {
		zc->length -= zc->length % PAGE;
		zc->recv_skip_hint = 0;
		if (!(zc->flags & 1))
			karea_zap(at, zc->length);
	}
	sim.hint_calls += zc->flags & 1;
	err = map_pages(s, zc, &pos, &length);
	if (!err)
		copy_leftover(s, zc, room, &pos);
	return finish(s, zc, length, pos, err);
}

/* Which option lengths report inq and err: 1 and 2; later kernels know more of them. */
static int reports(socklen_t size, socklen_t len)
{
	if (size <= 16)
		return 0;
	if (len == 20)
		return 1;
	if (len == 24 || (size >= 40 && (len == 32 || len == 36 || len == 40)))
		return 3;
	return size == 64 && (len == 48 || len == 56 || len >= 60) ? 3 : 0;
}

static int check_length(const struct sim_tcp *s, const char *val, socklen_t *len)
{
	socklen_t size = s->k.map_optlen;

	if (!size)
		return -ENOPROTOOPT;
	if (size == 16 ? *len != 16 : *len < 12)
		return -EINVAL;
	if (*len <= size)
		return 0;
	for (socklen_t i = size; size == 64 && i < *len; i++)
		if (val[i])
			return -EINVAL;
	*len = size;
	return 0;
}

int kmap_getsockopt(struct sim_tcp *s, void *val, socklen_t *len)
{
	struct zc zc = { 0 };
	int err, what;

	sim.map_calls++;
	sim_assert(!s->k.ulp);
	err = check_length(s, val, len);
	if (err)
		return err;
	memcpy(&zc, val, *len);
	if (s->k.map_optlen < 64 && *len > 24)
		zc.flags = s->k.map_optlen < 40 ? 0 : zc.flags;
	if (*len == 64 && (zc.reserved || (zc.msg_flags & ~2u)))
		return -EINVAL;
	err = zerocopy_receive(s, &zc);
	what = reports(s->k.map_optlen, *len);
	if (!err && (what & 2))
		zc.err = ktcp_take_error(s);
	if (what & 1)
		zc.inq = krx_inq_hint(s);
	sim_trace("  %d: mapped %u, copied %d, hint %u, inq %u, err %d; at %llu of %llu", err,
		  zc.length, zc.copybuf_len, zc.recv_skip_hint, zc.inq, zc.err,
		  (unsigned long long)s->rx_pos, (unsigned long long)s->rx_end);
	if (!err)
		memcpy(val, &zc, *len);
	return err;
}
