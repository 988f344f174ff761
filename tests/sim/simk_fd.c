/* SPDX-License-Identifier: MIT */
/*
 * simk_fd.c - descriptors, epoll, eventfd, timerfd
 *
 * An entry of an epoll set becomes ready when something wakes it (an edge), and is reported if its
 * level still says so when somebody looks; edge-triggered, it is then forgotten until the next
 * edge.
 */
#include "simk_int.h"

static struct file *files[SIM_NR_FDS];
static struct list closed; /* struct file, by .watchers */

struct file *kfile_new(enum file_kind kind)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!closed.next)
		list_init(&closed);
	f->kind = kind;
	f->nonblock = kind != FILE_TCP;
	list_init(&f->watchers);
	list_init(&f->watches);
	for (int i = 0; i < SIM_NR_FDS; i++) {
		if (!files[i]) {
			files[i] = f;
			f->fd = SIM_FD0 + i;
			return f;
		}
	}
	sim_fail("descriptors leak");
}

struct file *kfile_get(int fd)
{
	if (fd < SIM_FD0 || fd >= SIM_FD0 + SIM_NR_FDS)
		return NULL;
	if (!files[fd - SIM_FD0])
		sim_fail("descriptor %d is used after close", fd);
	return files[fd - SIM_FD0];
}

bool sim_is_open(int fd)
{
	return fd >= SIM_FD0 && fd < SIM_FD0 + SIM_NR_FDS && files[fd - SIM_FD0];
}

static bool watch_is_up(const struct watch *w)
{
	return (kfile_poll(w->file) & (w->events | EPOLLERR | EPOLLHUP)) != 0;
}

uint32_t kfile_poll(struct file *f)
{
	switch (f->kind) {
	case FILE_TCP:
		return ktcp_poll(f->tcp);
	case FILE_EVENT:
		return EPOLLOUT | (f->count ? EPOLLIN : 0);
	case FILE_TIMER:
		return f->count ? EPOLLIN : 0;
	case FILE_EPOLL:
		for (struct list *e = f->watches.next; e != &f->watches; e = e->next) {
			struct watch *w = container_of(e, struct watch, of_ep);

			if (w->ready && watch_is_up(w))
				return EPOLLIN;
		}
		return 0;
	}
	return 0;
}

uint32_t sim_poll(int fd)
{
	return kfile_poll(kfile_get(fd));
}

uint32_t sim_watched(int fd)
{
	struct file *f = kfile_get(fd);
	uint32_t events = 0;

	for (struct list *e = f->watchers.next; e != &f->watchers; e = e->next)
		events |= container_of(e, struct watch, of_file)->events;
	return events;
}

/* mask 0 wakes everybody, as a change of state does. */
void kfile_wake(struct file *f, uint32_t mask)
{
	if (!f)
		return;
	for (struct list *e = f->watchers.next; e != &f->watchers; e = e->next) {
		struct watch *w = container_of(e, struct watch, of_file);

		/* a one-shot entry that fired has no events until it is armed again */
		if (!(w->events & ~(EPOLLET | EPOLLONESHOT)) && (w->events & EPOLLONESHOT))
			continue;
		if (mask && !(mask & (w->events | EPOLLERR | EPOLLHUP)))
			continue;
		w->ready = true;
		kfile_wake(w->ep, EPOLLIN);
	}
}

static void watch_free(struct watch *w)
{
	list_del(&w->of_file);
	list_del(&w->of_ep);
	free(w);
}

int sim_sys_close(int fd)
{
	struct file *f;

	sim_enter("close", fd);
	f = kfile_get(fd);
	if (!f)
		return -EBADF;
	while (!list_is_empty(&f->watchers))
		watch_free(container_of(f->watchers.next, struct watch, of_file));
	while (!list_is_empty(&f->watches))
		watch_free(container_of(f->watches.next, struct watch, of_ep));
	files[fd - SIM_FD0] = NULL;
	if (f->tcp) {
		f->tcp->file = NULL;
		ktcp_close(f->tcp);
	}
	/* an expiry may still be on its way to it, so it is kept */
	f->at = 0;
	f->fd = -1;
	list_add_tail(&closed, &f->watchers);
	return 0;
}

void kfd_end(void)
{
	while (closed.next && !list_is_empty(&closed)) {
		struct file *f = container_of(closed.next, struct file, watchers);

		list_del(&f->watchers);
		free(f);
	}
	list_init(&closed);
	for (int i = 0; i < SIM_NR_FDS; i++)
		if (files[i])
			sim_fail("descriptor %d of kind %d is still open", SIM_FD0 + i,
				 files[i]->kind);
}

/* ---- epoll ----------------------------------------------------------------------------------- */

int sim_sys_epoll_create(void)
{
	sim_enter("epoll_create", -1);
	return kfile_new(FILE_EPOLL)->fd;
}

static struct watch *watch_find(struct file *ep, const struct file *f)
{
	for (struct list *e = ep->watches.next; e != &ep->watches; e = e->next) {
		struct watch *w = container_of(e, struct watch, of_ep);

		if (w->file == f)
			return w;
	}
	return NULL;
}

int sim_sys_epoll_ctl(int ep_fd, int op, int fd, struct epoll_event *ev)
{
	struct file *ep, *f;
	struct watch *w;

	sim_enter(op == EPOLL_CTL_DEL ? "epoll_del" : "epoll_ctl", fd);
	ep = kfile_get(ep_fd);
	f = kfile_get(fd);
	if (!ep || !f)
		return -EBADF;
	w = watch_find(ep, f);
	if (op == EPOLL_CTL_ADD ? w != NULL : w == NULL)
		return op == EPOLL_CTL_ADD ? -EEXIST : -ENOENT;
	if (op == EPOLL_CTL_DEL) {
		watch_free(w);
		return 0;
	}
	if (!w) {
		w = calloc(1, sizeof(*w));
		w->file = f;
		w->ep = ep;
		list_add_tail(&f->watchers, &w->of_file);
		list_add_tail(&ep->watches, &w->of_ep);
	}
	w->events = ev->events;
	w->data = ev->data.u64;
	if (watch_is_up(w)) {
		w->ready = true;
		kfile_wake(ep, EPOLLIN);
	}
	return 0;
}

/* Reports what is ready; what was reported goes to the end of the row, so that nobody starves. */
static int collect(struct file *ep, struct epoll_event *evs, int max)
{
	struct list *e, *next, *last = ep->watches.prev;
	int n = 0;

	for (e = ep->watches.next; e != &ep->watches && n < max; e = next) {
		struct watch *w = container_of(e, struct watch, of_ep);
		uint32_t up = 0;

		next = e == last ? &ep->watches : e->next;
		if (w->ready)
			up = kfile_poll(w->file) & (w->events | EPOLLERR | EPOLLHUP);
		if (!up) {
			w->ready = false;
			continue;
		}
		sim.reports += w->file->kind == FILE_TCP;
		sim.out_reports += w->file->kind == FILE_TCP && up & EPOLLOUT;
		evs[n].events = up;
		evs[n++].data.u64 = w->data;
		w->ready = !(w->events & EPOLLET);
		if (w->events & EPOLLONESHOT)
			w->events &= EPOLLET | EPOLLONESHOT;
		list_del(e);
		list_add_tail(&ep->watches, e);
	}
	return n;
}

int sim_sys_epoll_wait(int ep_fd, struct epoll_event *evs, int max, int timeout_ms)
{
	uint64_t until = timeout_ms < 0 ? UINT64_MAX : sim.now + (uint64_t)timeout_ms * SIM_MS;
	struct file *ep;
	uint64_t at;
	int n;

	sim_enter("epoll_wait", timeout_ms);
	ep = kfile_get(ep_fd);
	if (!ep || max <= 0)
		return -EINVAL;
	for (;;) {
		sim_run_due();
		n = collect(ep, evs, max);
		if (n || sim.now >= until)
			return n;
		if (sim_pct(sim.eintr_pct))
			return -EINTR;
		if (!sim_next_at(&at))
			at = UINT64_MAX;
		if (at == UINT64_MAX && until == UINT64_MAX)
			sim_fail("hang: it waits for ever and nothing is left to happen");
		if (at > until)
			at = until;
		if (at > sim.now)
			sim.now = at;
	}
}

/* ---- eventfd, timerfd ------------------------------------------------------------------------ */

int sim_sys_eventfd(void)
{
	sim_enter("eventfd", -1);
	return kfile_new(FILE_EVENT)->fd;
}

int sim_sys_timerfd(void)
{
	sim_enter("timerfd", -1);
	return kfile_new(FILE_TIMER)->fd;
}

/* One for each time that a timer was set; a later setting makes it void. */
struct expiry {
	struct file *f;
	uint64_t at;
};

static void expire(void *arg)
{
	struct expiry *x = arg;

	if (x->f->at == x->at && x->f->fd >= 0) {
		x->f->at = 0;
		x->f->count = 1;
		kfile_wake(x->f, EPOLLIN);
	}
	free(x);
}

int sim_sys_timer_set(int fd, uint64_t at_ns)
{
	struct file *f;
	struct expiry *x;

	sim_enter("timer_set", fd);
	f = kfile_get(fd);
	if (!f || f->kind != FILE_TIMER)
		return -EINVAL;
	f->count = 0;
	f->at = at_ns;
	if (!at_ns)
		return 0;
	x = malloc(sizeof(*x));
	*x = (struct expiry){ f, at_ns };
	sim_at(at_ns > sim.now ? at_ns - sim.now : 0, expire, x);
	return 0;
}

ssize_t sim_sys_read(int fd, void *buf, size_t len)
{
	struct file *f;

	sim_enter("read", fd);
	f = kfile_get(fd);
	if (!f || (f->kind != FILE_EVENT && f->kind != FILE_TIMER) || len < 8)
		return -EINVAL;
	if (!f->count)
		return -EAGAIN;
	memcpy(buf, &f->count, 8);
	f->count = 0;
	kfile_wake(f, EPOLLOUT);
	return 8;
}

ssize_t sim_sys_write(int fd, const void *buf, size_t len)
{
	struct file *f;
	uint64_t n;

	sim_enter("write", fd);
	f = kfile_get(fd);
	if (!f || f->kind != FILE_EVENT || len != 8)
		return -EINVAL;
	memcpy(&n, buf, 8);
	f->count += n;
	kfile_wake(f, EPOLLIN);
	return 8;
}
