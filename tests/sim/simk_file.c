/* SPDX-License-Identifier: MIT */
/*
 * simk_file.c - files: a real descriptor, with a simulated O_DIRECT, disk and alignment
 *
 * The library writes to one file at a time, so its flags are the world's.
 */
#include "simk_int.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

static bool is_aligned(const struct iovec *v, int nr, uint64_t off)
{
	for (int i = 0; i < nr; i++)
		if ((uintptr_t)v[i].iov_base % sim.dio_mem || v[i].iov_len % sim.dio_block)
			return false;
	return off % sim.dio_block == 0;
}

/* How much of len the disk takes now; whole blocks of a direct write. */
static uint64_t takes(uint64_t len, bool direct)
{
	uint64_t n = len < sim.disk_left ? len : sim.disk_left;

	if (sim_pct(sim.write_short_pct))
		n = 1 + sim_rnd((uint32_t)n);
	if (direct && n < len)
		n -= n % sim.dio_block;
	return n;
}

static void write_some(int file, const struct iovec *v, uint64_t off, uint64_t len)
{
	for (; len; v++) {
		uint64_t n = len < v->iov_len ? len : v->iov_len;

		sim_assert(kmem_readable(v->iov_base, n) == n);
		sim_assert(pwrite(file, v->iov_base, n, (off_t)off) == (ssize_t)n);
		off += n;
		len -= n;
	}
}

ssize_t sim_sys_pwritev(int file, const struct iovec *v, int nr, uint64_t off)
{
	bool direct = sim.file_flags & O_DIRECT;
	uint64_t len = 0, n;

	sim_enter("pwritev", nr);
	for (int i = 0; i < nr; i++)
		len += v[i].iov_len;
	sim.file_writes++;
	sim.direct_writes += direct;
	if (direct && !is_aligned(v, nr, off)) {
		sim.misaligned++;
		return -EINVAL;
	}
	if (direct && sim.direct_errno)
		return -sim.direct_errno;
	if (sim.write_errno)
		return -sim.write_errno;
	n = takes(len, direct);
	if (!n)
		return sim.disk_left < len ? -ENOSPC : direct ? -EINVAL : -EIO;
	write_some(file, v, off, n);
	sim.disk_left -= n;
	sim_trace("  %llu of %llu at %llu%s", (unsigned long long)n, (unsigned long long)len,
		  (unsigned long long)off, direct ? " direct" : "");
	return (ssize_t)n;
}

int sim_sys_fcntl(int fd, int cmd, int arg)
{
	sim_enter("fcntl", fd);
	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	if (cmd == F_GETFL)
		return sim.file_flags;
	sim_equal(cmd, F_SETFL);
	sim.file_flags = arg;
	return 0;
}

int sim_sys_dio_align(int file, uint32_t *mem_out, uint32_t *block_out)
{
	sim_enter("dio_align", file);
	if (!sim.dio_block)
		return -EOPNOTSUPP;
	*mem_out = sim.dio_mem;
	*block_out = sim.dio_block;
	return 0;
}
