// SPDX-License-Identifier: MIT
/* Connected pairs of sockets, and what can be done to one end from outside. */
#include "net.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

void net_address(struct sockaddr_storage *ss, socklen_t *len, enum net_family family,
		 enum net_path path)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;
	struct sockaddr_vm *vm = (struct sockaddr_vm *)ss;

	memset(ss, 0, sizeof(*ss));
	if (family == NET_VSOCK) {
		vm->svm_family = AF_VSOCK;
		vm->svm_cid = VMADDR_CID_LOCAL;
		vm->svm_port = VMADDR_PORT_ANY;
		*len = sizeof(*vm);
	} else if (family == NET_V6) {
		v6->sin6_family = AF_INET6;
		inet_pton(AF_INET6, path == NET_LO ? "::1" : "fd99::2", &v6->sin6_addr);
		*len = sizeof(*v6);
	} else {
		v4->sin_family = AF_INET;
		inet_pton(AF_INET, path == NET_LO ? "127.0.0.1" : "10.99.0.2", &v4->sin_addr);
		*len = sizeof(*v4);
	}
}

int net_listen(enum net_family family, enum net_path path, struct sockaddr_storage *to_out,
	       socklen_t *len_out)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to_out;
	in_port_t port;
	int fd;

	if (path == NET_VETH && !net_has_veth())
		skip();
	if (family == NET_VSOCK && !getenv("ZCS_TEST_OWN_MACHINE"))
		skip();
	net_address(to_out, len_out, family, path);
	if (path == NET_VETH)
		net_go_far();
	fd = socket(to_out->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	net_go_near();
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)to_out, *len_out), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)to_out, len_out), 0);
	if (family == NET_MAPPED) {
		port = ((struct sockaddr_in *)to_out)->sin_port;
		memset(to_out, 0, sizeof(*to_out));
		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		inet_pton(AF_INET6, path == NET_LO ? "::ffff:127.0.0.1" : "::ffff:10.99.0.2",
			  &v6->sin6_addr);
		*len_out = sizeof(*v6);
	}
	return fd;
}

int net_connect(const struct sockaddr_storage *to, socklen_t len)
{
	int i, fd;

	/* A device that was just set up takes a moment to have its routes. */
	for (i = 0; i < 200; i++) {
		fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_true(fd >= 0);
		if (connect(fd, (struct sockaddr *)to, len) == 0)
			return fd;
		close(fd);
		poll(NULL, 0, 10);
	}
	fail_msg("connect: %s", strerror(errno));
	return -1;
}

void net_pair(struct net_pair *p, enum net_family family, enum net_path path)
{
	struct sockaddr_storage to;
	socklen_t len;
	int listener = net_listen(family, path, &to, &len);

	p->near = net_connect(&to, len);
	p->far = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(p->far >= 0);
	close(listener);
	if (family == NET_VSOCK)
		return;
	net_set(p->near, IPPROTO_TCP, TCP_NODELAY, 1);
	net_set(p->far, IPPROTO_TCP, TCP_NODELAY, 1);
}

void net_set(int fd, int level, int name, int value)
{
	assert_int_equal(setsockopt(fd, level, name, &value, sizeof(value)), 0);
}

void net_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	assert_int_equal(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK), 0);
}

void net_silence(int fd)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { .len = 1, .filter = &drop };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), 0);
}

void net_unsilence(int fd)
{
	net_set(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

void net_reset(int fd)
{
	struct linger hard = { .l_onoff = 1 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
	close(fd);
}

size_t net_unacked(int fd)
{
	int count = -1;

	assert_int_equal(ioctl(fd, SIOCOUTQ, &count), 0);
	return (size_t)count;
}

size_t net_queued(int fd)
{
	int count = -1;

	assert_int_equal(ioctl(fd, FIONREAD, &count), 0);
	return (size_t)count;
}
