/* SPDX-License-Identifier: MIT */
/*
 * simk_int.h - inside the simulated kernel
 *
 *	simk.c		time, randomness, streams, failing, the runner
 *	simk_fd.c	descriptors, epoll, eventfd, timerfd
 *	simk_sock.c	TCP sockets: life, names, the system call table
 *	simk_opt.c	their options
 *	simk_send.c	send, sendmsg, sendfile
 *	simk_ring.c	io_uring
 *	simk_tx.c	what becomes of it: the peer, completion
 *	simk_errq.c	the error queue
 *	simk_rx.c	receiving by copy and what the peer sends
 *	simk_map.c	TCP_ZEROCOPY_RECEIVE
 *	simk_file.c	files that are written
 *	simk_mem.c	mappings, and references into the program's memory
 */
#ifndef SIMK_INT_H
#define SIMK_INT_H

#include "simk.h"
#include "internal.h"
#include "sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define SIM_FD0	     1000 /* simulated descriptors start here: no real one is as high */
#define SIM_NR_FDS   2048
#define SIM_OPT_SIZE 832 /* option memory that a completion object takes */

enum file_kind { FILE_TCP = 1, FILE_EPOLL, FILE_EVENT, FILE_TIMER };

struct file {
	enum file_kind kind;
	int fd;
	bool nonblock;
	struct list watchers; /* struct watch, by .of_file */
	struct list watches;  /* FILE_EPOLL: struct watch, by .of_ep */
	struct sim_tcp *tcp;
	uint64_t count; /* FILE_EVENT, FILE_TIMER: what read gives */
	uint64_t at;	/* FILE_TIMER: when it expires, 0: off */
};

/* A descriptor in an epoll set. */
struct watch {
	struct list of_file, of_ep;
	struct file *file, *ep;
	uint32_t events;
	uint64_t data;
	bool ready; /* in the ready list, in the words of the kernel */
};

/* A completion object: flagged calls with consecutive numbers that complete together. */
struct zobj {
	struct sim_tcp *s;
	uint32_t id, len;
	uint64_t bytes, pages;
	unsigned refs;
	bool copied;
	struct kreq *req; /* of a ring: it is told there */
};

/* A piece of memory that may be read until its call is complete. */
struct ref {
	const char *ptr;
	size_t len;
	char *own; /* the bytes, when the memory they were in is gone */
};

/* What one call put into the stream. Copied bytes are checked at once and not kept. */
struct piece {
	struct list list;
	struct sim_tcp *s;
	uint64_t pos, len;
	struct zobj *obj;
	struct ref *refs;
	unsigned nr_refs;
	int file; /* sendfile: our own descriptor of it, or -1 */
	uint64_t file_off;
	bool hold; /* a qdisc has a clone of it */
	uint64_t hold_until;
};

struct expect {
	uint64_t at, len, pos;
	uint32_t key;
	uint32_t segment; /* UDP: of its datagrams; 0: it is one */
};

enum note_kind { NOTE_ZEROCOPY, NOTE_TIMESTAMP, NOTE_ICMP };

struct note {
	struct list list;
	enum note_kind kind;
	uint32_t lo, hi;
	bool copied;
	uint32_t charge; /* of option memory */
	size_t payload;
};

/* Received and not yet read; offsets are counted from pos. */
struct seg {
	struct list list;
	uint64_t pos, len;
	enum sim_layout layout;
	size_t head;
	uint16_t segment; /* UDP: a train of datagrams of so many bytes */
};

struct sim_tcp {
	struct list list;
	struct sim_knobs k;
	struct file *file; /* NULL: closed */
	int id;
	int state; /* TCP_ESTABLISHED ... */
	int err;
	bool zerocopy, wr_shut, rd_shut, nospace, corked, linger0, inq_cmsg, oobinline;
	int corked_opt, nodelay;
	unsigned ring_reqs; /* requests without a result */
	bool by_ring;
	unsigned pins; /* mappings that hold it open after close */
	/* sending; positions in the stream: acked <= delivered <= sent <= end */
	uint32_t zckey;
	struct list pieces;
	struct list held; /* acknowledged or purged, but a qdisc has them */
	struct zobj *tail_obj;
	uint64_t end, sent, delivered, acked, pushed;
	uint64_t cork_until;
	bool stepping, fin_queued, fin_acked, peer_fin_seen, peer_reset_seen;
	bool gro;
	uint32_t *dgrams; /* lengths, as sent */
	size_t nr_dgrams, max_dgrams;
	bool dropped_last, icmp;
	/* a datagram at s->end that fails again; an error told there that may be another's; + 1 */
	uint64_t bad_at, told_at;
	uint64_t nr_dropped;
	struct expect *expects;
	size_t nr_expects, max_expects;
	/* error queue */
	struct list errq;
	uint32_t optmem;
	/* receiving */
	struct list segs;
	uint64_t rx_pos, rx_end;
	uint64_t urg_pos;
	enum { URG_NONE, URG_VALID, URG_READ } urg;
	bool fin_in; /* a FIN came (SOCK_DONE) */
	bool early;  /* poll ignores the low-water mark until the queue is empty */
	int lowat;
};

extern struct list sim_socks;

/* simk.c */
void sim_enter(const char *call, int fd); /* at the start of each system call */
bool sim_next_at(uint64_t *at_ns);
void sim_run_due(void);
bool sim_has_steps(void);

/* simk_fd.c */
struct file *kfile_new(enum file_kind kind);
struct file *kfile_get(int fd); /* NULL: not ours */
void kfile_wake(struct file *f, uint32_t mask);
uint32_t kfile_poll(struct file *f);
int sim_sys_close(int fd);
int sim_sys_epoll_create(void);
int sim_sys_epoll_ctl(int ep, int op, int fd, struct epoll_event *ev);
int sim_sys_epoll_wait(int ep, struct epoll_event *evs, int max, int timeout_ms);
int sim_sys_eventfd(void);
int sim_sys_timerfd(void);
int sim_sys_timer_set(int fd, uint64_t at_ns);
ssize_t sim_sys_read(int fd, void *buf, size_t len);
ssize_t sim_sys_write(int fd, const void *buf, size_t len);
void kfd_end(void); /* fails if any is open */

/* simk_sock.c */
extern const struct zcsi_sys sim_table;
struct sim_tcp *ktcp_create(struct file *f);
struct sim_tcp *ktcp_of(int fd, int *err);
uint32_t ktcp_poll(struct sim_tcp *s);
void ktcp_close(struct sim_tcp *s);
void ktcp_unpin(struct sim_tcp *s);
void ktcp_wake(struct sim_tcp *s, uint32_t mask);
int ktcp_take_error(struct sim_tcp *s); /* 0 or negative errno, once */

/* simk_opt.c */
int sim_sys_getsockopt(int fd, int level, int name, void *val, socklen_t *len);
int sim_sys_setsockopt(int fd, int level, int name, const void *val, socklen_t len);

/* simk_send.c */
ssize_t sim_sys_send(int fd, const struct iovec *v, int flags);
ssize_t sim_sys_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t sim_sys_sendfile(int sock, int file, uint64_t *off, size_t len);

/* Parts of sending: an object and its charge, or NULL; given up; memory that is there; a piece */
struct zobj *kobj_get(struct sim_tcp *s, uint64_t size);
void kobj_abort(struct sim_tcp *s, struct zobj *obj, uint64_t size);
uint64_t ksend_readable(const struct msghdr *msg, uint64_t n);
void ksend_take(struct sim_tcp *s, const struct msghdr *msg, uint64_t n, struct zobj *obj);

/* More of a request of a ring: bytes, or a negative errno; never 0. */
ssize_t ksend_some(struct sim_tcp *s, const struct msghdr *msg, uint64_t size, struct zobj *obj,
		   int flags);

void ksend_pay(int flags, ssize_t bytes); /* CPU time */
ssize_t ksend_pipe(struct sim_tcp *s, int pipe, size_t len);

/* simk_dgram.c */
ssize_t kdgram_send(struct sim_tcp *s, const struct msghdr *msg, int flags, uint64_t size,
		    bool alone);
int sim_sys_sendmmsg(int fd, struct mmsghdr *msgs, unsigned nr, int flags);

/* simk_ring.c */
extern const struct ring_ops sim_ring;
void kring_wake(struct sim_tcp *s);
void kring_poke(void *sock);
void kring_complete(struct zobj *obj);
void kring_unmapped(const char *base, size_t len);

/* simk_tx.c */
void kobj_put(struct zobj *obj);
bool ktx_writable(const struct sim_tcp *s);
void ktx_kick(struct sim_tcp *s);
void ktx_purge(struct sim_tcp *s); /* the unsent part first, as the kernel does */
void ktx_ack(struct sim_tcp *s, uint64_t pos);
void ktx_deliver(struct sim_tcp *s, uint64_t pos);
void kpiece_read(struct piece *p, uint64_t from, uint64_t to, const char *why);
void ktx_free(struct sim_tcp *s);

/* simk_errq.c */
ssize_t kerrq_recv(struct sim_tcp *s, struct msghdr *msg);
void kerrq_complete(struct sim_tcp *s, struct zobj *obj);
void kerrq_free(struct sim_tcp *s);
void sim_put_cmsg(struct msghdr *msg, size_t *used, int level, int type, const void *data,
		  size_t len);

/* simk_rx.c */
ssize_t sim_sys_recv(int fd, void *buf, size_t len, int flags);
int sim_sys_recvmmsg(int fd, struct mmsghdr *msgs, unsigned nr, int flags);
ssize_t sim_sys_splice(int in, int out, size_t len);
int sim_sys_pipe_bytes(int fd);
int sim_sys_pipe_room(int fd);
ssize_t sim_sys_recvmsg(int fd, struct msghdr *msg, int flags);
uint64_t krx_inq(const struct sim_tcp *s);	/* up to the urgent mark */
uint32_t krx_inq_hint(const struct sim_tcp *s); /* what TCP_INQ says: 1 for a FIN */
bool krx_readable(const struct sim_tcp *s);
ssize_t krx_copy(struct sim_tcp *s, char *buf, size_t len, int flags);
void krx_consume(struct sim_tcp *s, uint64_t len);
void krx_purge(struct sim_tcp *s);
void krx_ready(struct sim_tcp *s);
struct seg *krx_seg(const struct sim_tcp *s, uint64_t pos);

/* simk_map.c */
int kmap_getsockopt(struct sim_tcp *s, void *val, socklen_t *len);

/* simk_file.c */
ssize_t sim_sys_pwritev(int file, const struct iovec *v, int nr, uint64_t off);
int sim_sys_fcntl(int fd, int cmd, int arg);
int sim_sys_dio_align(int file, uint32_t *mem_out, uint32_t *block_out);

/* simk_mem.c */
void *sim_sys_mmap(void *addr, size_t len, int prot, int flags, int fd);
int sim_sys_munmap(void *addr, size_t len);
int sim_sys_madvise(void *addr, size_t len, int advice);
/* Bytes from addr on that may be read, at most len. */
size_t kmem_readable(const void *addr, size_t len);
/* Pages in the mapping of a TCP socket from addr on; 0: not in one. */
size_t karea_room(const char *addr);
bool karea_filled(const char *addr);
void karea_fill(char *addr, size_t len, uint32_t key, uint64_t pos);
void karea_zap(char *addr, size_t len);
void kmem_end(void); /* fails if anything is mapped */

#endif
