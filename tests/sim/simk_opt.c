/* SPDX-License-Identifier: MIT */
/*
 * simk_opt.c - socket options
 */
#include "simk_int.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#ifndef TCP_ZEROCOPY_RECEIVE
#define TCP_ZEROCOPY_RECEIVE 35
#endif

static int put(void *val, socklen_t *len, const void *from, size_t size)
{
	if (*len < size)
		size = *len;
	memcpy(val, from, size);
	*len = (socklen_t)size;
	return 0;
}

static int put_int(void *val, socklen_t *len, int v)
{
	return put(val, len, &v, sizeof(v));
}

static int get_socket_opt(struct sim_tcp *s, int name, void *val, socklen_t *len)
{
	uint32_t meminfo[SK_MEMINFO_VARS] = { 0 };

	switch (name) {
	case SO_TYPE:
		return put_int(val, len, s->k.dgram ? SOCK_DGRAM : SOCK_STREAM);
	case SO_DOMAIN:
		return put_int(val, len, s->k.family);
	case SO_PROTOCOL:
		if (s->k.family == AF_VSOCK || s->k.dgram)
			return put_int(val, len, s->k.dgram ? IPPROTO_UDP : 0);
		return put_int(val, len, s->k.protocol ? s->k.protocol : IPPROTO_TCP);
	case SO_ACCEPTCONN:
	case SO_MARK:
	case SO_BINDTOIFINDEX:
		return put_int(val, len, 0);
	case SO_ERROR:
		return put_int(val, len, -ktcp_take_error(s));
	case SO_ZEROCOPY:
		return put_int(val, len, s->zerocopy);
	case SO_RCVLOWAT:
		return put_int(val, len, s->lowat);
	case SO_SNDBUF:
		return put_int(val, len, (int)s->k.sndbuf);
	case SO_RCVBUF:
		return put_int(val, len, 6 << 20);
	case SO_OOBINLINE:
		return put_int(val, len, s->oobinline);
	case SO_MEMINFO:
		meminfo[SK_MEMINFO_OPTMEM] = s->optmem;
		meminfo[SK_MEMINFO_SNDBUF] = s->k.sndbuf;
		meminfo[SK_MEMINFO_WMEM_QUEUED] = (uint32_t)(s->end - s->acked);
		return put(val, len, meminfo, sizeof(meminfo));
	}
	return -ENOPROTOOPT;
}

static int get_tcp_opt(struct sim_tcp *s, int name, void *val, socklen_t *len)
{
	struct tcp_info info = { .tcpi_state = (uint8_t)s->state, .tcpi_snd_mss = 1448 };

	switch (name) {
	case TCP_INFO:
		return put(val, len, &info, sizeof(info));
	case TCP_ULP:
		if (s->k.ulp)
			return put(val, len, "tls", sizeof("tls"));
		*len = 0;
		return 0;
	case TCP_NODELAY:
		return put_int(val, len, s->nodelay);
	case TCP_CORK:
		return put_int(val, len, s->corked_opt);
	case TCP_INQ:
		return put_int(val, len, s->inq_cmsg);
	case TCP_ZEROCOPY_RECEIVE:
		return kmap_getsockopt(s, val, len);
	}
	return -ENOPROTOOPT;
}

int sim_sys_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	struct sim_tcp *s;
	int err;

	sim_enter("getsockopt", fd);
	s = ktcp_of(fd, &err);
	if (!s)
		return err;
	sim_trace("  level %d, option %d", level, name);
	if (level == SOL_SOCKET)
		return get_socket_opt(s, name, val, len);
	return level == SOL_TCP && s->k.family != AF_VSOCK && !s->k.dgram
		       ? get_tcp_opt(s, name, val, len)
		       : -ENOPROTOOPT;
}

static int set_lowat(struct sim_tcp *s, int v)
{
	if (v < 0 || v > 3 << 20)
		v = 3 << 20;
	s->lowat = v ? v : 1;
	if (krx_readable(s))
		ktcp_wake(s, EPOLLIN);
	return 0;
}

static int set_socket_opt(struct sim_tcp *s, int name, const void *val, int v)
{
	switch (name) {
	case SO_ZEROCOPY:
		if (s->k.zc_refuse)
			return -s->k.zc_refuse;
		if (v != 0 && v != 1)
			return -EINVAL;
		s->zerocopy = v;
		return 0;
	case SO_RCVLOWAT:
		return set_lowat(s, v);
	case SO_LINGER:
		s->linger0 = ((const struct linger *)val)->l_onoff &&
			     !((const struct linger *)val)->l_linger;
		return 0;
	case SO_OOBINLINE:
		s->oobinline = v;
		return 0;
	case SO_SNDBUF:
	case SO_RCVBUF:
	case SO_INCOMING_CPU:
		return 0;
	}
	return -ENOPROTOOPT;
}

/* Both of them send what MSG_MORE held back. */
static void uncork(struct sim_tcp *s)
{
	s->corked = false;
	s->pushed = s->end;
	ktx_kick(s);
}

static int set_tcp_opt(struct sim_tcp *s, int name, int v)
{
	switch (name) {
	case TCP_NODELAY:
		s->nodelay = v;
		if (v)
			uncork(s);
		return 0;
	case TCP_CORK:
		s->corked_opt = v;
		if (!v)
			uncork(s);
		return 0;
	case TCP_INQ:
		s->inq_cmsg = v;
		return 0;
	}
	return -ENOPROTOOPT;
}

int sim_sys_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	struct sim_tcp *s;
	int err, v;

	sim_enter("setsockopt", fd);
	s = ktcp_of(fd, &err);
	if (!s)
		return err;
	if (len < sizeof(v))
		return -EINVAL;
	memcpy(&v, val, sizeof(v));
	sim_trace("  level %d, option %d = %d", level, name, v);
	if (level == SOL_SOCKET)
		return set_socket_opt(s, name, val, v);
	if (level == SOL_UDP && s->k.dgram && name == UDP_GRO) {
		s->gro = v;
		return 0;
	}
	return level == SOL_TCP && s->k.family != AF_VSOCK && !s->k.dgram ? set_tcp_opt(s, name, v)
									  : -ENOPROTOOPT;
}
