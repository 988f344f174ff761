/* SPDX-License-Identifier: MIT */
/*
 * simk_ring.c - io_uring, as far as the library uses it: sends, linked into chains
 *
 * Task work is deferred: the next request of a chain, one that waited for room, and notifications
 * are taken up when somebody enters, in rounds. A request that may lend has an object like a
 * flagged call (struct zobj), whose completion is a notification here. Two chains on one socket
 * mix, as they do in the kernel; the bytes then are wrong.
 */
#include "simk_int.h"

#include <netinet/tcp.h>

struct kreq {
	struct list all;
	struct list list;   /* of the ring: waiting for room, or nowhere */
	struct sys_ring *r; /* NULL: closed */
	struct sim_tcp *s;
	struct ring_req q;
	struct iovec *vec;
	size_t nr_vec;
	uint64_t len, done;
	struct kreq *next; /* linked */
	struct zobj *obj;  /* of one that lends */
	bool issued;
};

struct kres {
	struct list list;
	struct ring_res res;
};

/* Deferred: req is to be taken up, or else a notification to be told. */
struct kwork {
	struct list list;
	struct kreq *req;
	struct ring_res note;
};

struct karea {
	char *base;
	size_t len;
	bool gone; /* unmapped since */
};

struct sys_ring {
	struct list list;
	struct file *file;
	struct list results, work, waiting;
	struct karea areas[RING_AREAS];
	uint64_t locked; /* pages */
	bool entered;	 /* work of our own making makes no edge */
};

static struct list rings, reqs;

static struct list *all_rings(void)
{
	if (!rings.next) {
		list_init(&rings);
		list_init(&reqs);
	}
	return &rings;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void area_drop(struct sys_ring *r, struct karea *a)
{
	r->locked -= a->len >> 12;
	sim.locked_pages -= a->len >> 12;
	*a = (struct karea){ 0 };
}

static int ring_map(struct sys_ring *r, unsigned area, void *base, size_t len)
{
	struct karea *a = &r->areas[area];

	sim_enter("ring_map", (int)area);
	sim_assert(area < RING_AREAS);
	if (a->base)
		area_drop(r, a);
	if (!base)
		return 0;
	if (sim.ring_enter_error)
		return -sim.ring_enter_error;
	if (sim_pct(sim.ring_map_fail_pct) ||
	    (sim.memlock != UINT64_MAX && sim.locked_pages + (len >> 12) > sim.memlock >> 12))
		return -ENOMEM;
	if (kmem_readable(base, len) < len)
		return -EFAULT;
	*a = (struct karea){ base, len, false };
	r->locked += len >> 12;
	sim.locked_pages += len >> 12;
	return 0;
}

static bool overlaps(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* The kernel keeps the old pages of what is registered: sent from there, they are wrong. */
void kring_unmapped(const char *base, size_t len)
{
	for (struct list *e = all_rings()->next; e != &rings; e = e->next) {
		struct sys_ring *r = container_of(e, struct sys_ring, list);

		for (unsigned i = 0; i < RING_AREAS; i++)
			if (r->areas[i].base &&
			    overlaps(r->areas[i].base, r->areas[i].len, base, len))
				r->areas[i].gone = true;
		for (struct list *w = r->waiting.next; w != &r->waiting; w = w->next) {
			struct kreq *q = container_of(w, struct kreq, list);

			for (size_t i = 0; i < q->nr_vec; i++)
				if (overlaps(q->vec[i].iov_base, q->vec[i].iov_len, base, len))
					sim_fail("memory of a request that waits is unmapped");
		}
	}
}

static int check_area(const struct kreq *q)
{
	const struct karea *a = &q->r->areas[q->q.area];
	const char *base = q->q.base;

	if (!a->base || base < a->base || base + q->q.len > a->base + a->len)
		return -EFAULT;
	if (a->gone)
		sim_fail("sent from registered memory that was unmapped: area %d", q->q.area);
	return 0;
}

/* ---- results --------------------------------------------------------------------------------- */

static void post(struct sys_ring *r, uint64_t tag, int res, uint32_t flags)
{
	struct kres *k = calloc(1, sizeof(*k));

	k->res = (struct ring_res){ tag, res, flags };
	list_add_tail(&r->results, &k->list);
}

static void defer(struct sys_ring *r, struct kreq *q, const struct ring_res *note)
{
	struct kwork *w = calloc(1, sizeof(*w));

	w->req = q;
	if (note)
		w->note = *note;
	/* in any order, but the requests of a chain come one by one */
	if (list_is_empty(&r->work) && !r->entered) {
		r->file->count++;
		kfile_wake(r->file, EPOLLIN);
	}
	list_add_tail(sim_pct(50) ? &r->work : r->work.next, &w->list);
}

static void req_free(struct kreq *q)
{
	list_del(&q->all);
	free(q->vec);
	free(q);
}

static void note_now(void *arg)
{
	struct kreq *q = arg;
	struct ring_res note = { .tag = q->q.tag, .flags = RING_NOTE };

	if (q->obj && q->obj->copied && q->q.flags & RING_REPORT)
		note.flags |= RING_COPIED;
	free(q->obj);
	if (q->r)
		defer(q->r, NULL, &note);
	req_free(q);
}

/* The last reference to the memory of a request went. */
void kring_complete(struct zobj *obj)
{
	struct kreq *q = obj->req;

	sim_trace("  socket %d: request %llu is through", q->s->id, (unsigned long long)q->q.tag);
	if (q->r && q->s->k.note_late_ns)
		sim_at(sim_rnd((uint32_t)q->s->k.note_late_ns), note_now, q);
	else
		note_now(q);
}

static void complete(struct kreq *q, int res);

static void cancel_chain(struct kreq *q)
{
	while (q) {
		struct kreq *next = q->next;

		q->next = NULL;
		complete(q, -ECANCELED);
		q = next;
	}
}

static void complete(struct kreq *q, int res)
{
	struct kreq *next = q->next;
	struct zobj *obj = q->obj;
	bool whole = res == (int)q->len;
	uint32_t flags = 0;

	q->next = NULL;
	list_del(&q->list);
	q->s->ring_reqs--;
	sim_trace("  request %llu: %d of %llu", (unsigned long long)q->q.tag, res,
		  (unsigned long long)q->len);
	/* Of one that was cancelled before its time the result says that there will be none. */
	if (obj && (res > 0 || q->issued))
		flags = RING_TO_COME;
	post(q->r, q->q.tag, res, flags);
	if (flags || (obj && res == -ECANCELED)) {
		kobj_put(obj); /* the request's own reference */
	} else {
		if (obj) {
			sim.locked_pages -= obj->pages;
			free(obj);
		}
		req_free(q);
	}
	if (next && whole)
		defer(next->r, next, NULL);
	else
		cancel_chain(next);
}

/* ---- sending --------------------------------------------------------------------------------- */

static int charge(struct kreq *q)
{
	uint64_t pages = (q->len >> 12) + 2;

	if (q->q.area >= 0 || q->obj->pages || sim.memlock == UINT64_MAX)
		return 0;
	if (sim.locked_pages + pages > sim.memlock >> 12)
		return -ENOMEM;
	sim.locked_pages += pages;
	q->obj->pages = pages;
	return 0;
}

/* Why it does not even begin; the kernel takes the memory's object before most of these. */
static int may_begin(struct kreq *q)
{
	int err = 0;

	if (q->s->k.ulp) /* MSG_WAITALL is a flag that it does not know */
		err = -EOPNOTSUPP;
	if (!q->obj)
		return err;
	if (q->q.flags & RING_REPORT && sim.ring_no_report)
		return -EINVAL;
	q->issued = true;
	if (!err && q->s->k.ring_zc_refuse)
		err = -q->s->k.ring_zc_refuse;
	if (!err && q->q.area >= 0)
		err = check_area(q);
	if (!err && sim_pct(q->s->k.ring_nomem_pct))
		err = -ENOMEM;
	return err ? err : charge(q);
}

/* What is not sent yet. */
static struct msghdr rest_of(const struct kreq *q, struct iovec *vec)
{
	struct msghdr mh = { .msg_iov = vec };
	uint64_t skip = q->done;

	for (size_t i = 0; i < q->nr_vec; i++) {
		struct iovec v = q->vec[i];
		size_t n = v.iov_len < skip ? v.iov_len : skip;

		skip -= n;
		vec[mh.msg_iovlen] = (struct iovec){ (char *)v.iov_base + n, v.iov_len - n };
		mh.msg_iovlen += v.iov_len > n;
	}
	return mh;
}

/* More of it goes out: 0, or -EAGAIN, or why it ends. */
static int go_on(struct kreq *q)
{
	struct iovec *vec = calloc(q->nr_vec, sizeof(*vec));
	struct msghdr mh = rest_of(q, vec);
	ssize_t n = ksend_some(q->s, &mh, q->len - q->done, q->obj,
			       q->q.flags & RING_MORE ? MSG_MORE : 0);

	free(vec);
	if (n > 0)
		q->done += (uint64_t)n;
	return n > 0 ? 0 : (int)n;
}

static void issue(struct kreq *q)
{
	int err = q->done || q->issued ? 0 : may_begin(q);

	if (!err && sim_pct(q->s->k.ring_late_pct))
		err = -EAGAIN; /* and somebody else will wake it */
	while (!err && q->done < q->len)
		err = go_on(q);
	if (err == -EAGAIN && q->done && sim_pct(q->s->k.ring_short_pct))
		err = -EINTR;
	if (err == -EAGAIN) {
		list_add_tail(&q->r->waiting, &q->list);
		if (ktcp_poll(q->s) & EPOLLOUT)
			sim_at(1 + sim_rnd(100000), kring_poke, q->s);
		return;
	}
	complete(q, q->done ? (int)q->done : err);
}

/* The socket stirred: what waits for it is taken up. */
void kring_wake(struct sim_tcp *s)
{
	struct list *e, *next;

	if (!s->ring_reqs || !(ktcp_poll(s) & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		return;
	for (struct list *l = all_rings()->next; l != &rings; l = l->next) {
		struct sys_ring *r = container_of(l, struct sys_ring, list);

		for (e = r->waiting.next; e != &r->waiting; e = next) {
			struct kreq *q = container_of(e, struct kreq, list);

			next = e->next;
			if (q->s != s)
				continue;
			list_del(&q->list);
			defer(r, q, NULL);
		}
	}
}

void kring_poke(void *arg)
{
	kring_wake(arg);
}

static unsigned run_round(struct sys_ring *r)
{
	struct list now;
	unsigned n = 0;

	list_init(&now);
	while (!list_is_empty(&r->work)) {
		struct list *e = r->work.next;

		list_del(e);
		list_add_tail(&now, e);
	}
	for (; !list_is_empty(&now); n++) {
		struct kwork *w = container_of(now.next, struct kwork, list);

		list_del(&w->list);
		if (w->req)
			issue(w->req);
		else
			post(r, w->note.tag, 0, w->note.flags);
		free(w);
	}
	return n;
}

static void run_work(struct sys_ring *r, unsigned expect)
{
	unsigned n = run_round(r);

	while (n < expect && !list_is_empty(&r->work))
		n += run_round(r);
}

/* ---- the calls ------------------------------------------------------------------------------- */

static struct kreq *req_new(struct sys_ring *r, const struct ring_req *from)
{
	struct kreq *q = calloc(1, sizeof(*q));
	int err;

	list_add_tail(&reqs, &q->all);
	q->r = r;
	q->q = *from;
	q->s = ktcp_of(from->fd, &err);
	if (!q->s)
		sim_fail("a request for descriptor %d: %d", from->fd, err);
	q->nr_vec = from->nr_vec ? from->nr_vec : 1;
	q->vec = calloc(q->nr_vec, sizeof(*q->vec));
	if (from->nr_vec)
		memcpy(q->vec, from->vec, q->nr_vec * sizeof(*q->vec));
	else
		q->vec[0] = (struct iovec){ (void *)from->base, from->len };
	for (size_t i = 0; i < q->nr_vec; i++)
		q->len += q->vec[i].iov_len;
	sim_equal(q->len, from->len);
	sim_assert(q->len && q->nr_vec <= 1024);
	sim_assert(q->s->state != TCP_SYN_SENT);
	if (from->flags & RING_LEND) {
		q->obj = calloc(1, sizeof(*q->obj));
		q->obj->s = q->s;
		q->obj->req = q;
		q->obj->refs = 1;
	}
	sim.ring_reqs++;
	sim.ring_fixed += from->area >= 0;
	q->s->ring_reqs++;
	q->s->by_ring = true;
	return q;
}

static int ring_submit(struct sys_ring *r, const struct ring_req *reqs, unsigned nr,
		       unsigned expect)
{
	struct kreq *heads[RING_BATCH], *last = NULL;
	unsigned nr_heads = 0;

	sim_enter("ring_submit", (int)nr);
	sim_assert(nr && nr <= RING_BATCH);
	sim.ring_submits++;
	if (sim.ring_enter_error)
		return -sim.ring_enter_error;
	if (sim_pct(sim.ring_submit_pct))
		nr = sim_rnd(nr + 1);
	for (unsigned i = 0; i < nr; i++) {
		struct kreq *q = req_new(r, &reqs[i]);

		if (last)
			last->next = q;
		else
			heads[nr_heads++] = q;
		last = reqs[i].flags & RING_LINK ? q : NULL;
	}
	r->entered = true;
	for (unsigned i = 0; i < nr_heads; i++)
		issue(heads[i]);
	run_work(r, expect);
	r->entered = false;
	return (int)nr;
}

static bool ring_has_work(const struct sys_ring *r)
{
	return !list_is_empty(&r->work);
}

static int ring_enter(struct sys_ring *r, unsigned expect)
{
	sim_enter("ring_enter", (int)expect);
	sim.ring_enters++;
	if (sim.ring_enter_error)
		return -sim.ring_enter_error;
	r->entered = true;
	run_work(r, expect);
	r->entered = false;
	return 0;
}

static unsigned ring_take(struct sys_ring *r, struct ring_res *out, unsigned max)
{
	unsigned n = 0;

	while (n < max && !list_is_empty(&r->results)) {
		struct kres *k = container_of(r->results.next, struct kres, list);

		out[n++] = k->res;
		list_del(&k->list);
		free(k);
	}
	return n;
}

/* Those that wait, or are about to be taken up, end with what they have. */
static void cancel_on(struct sys_ring *r, const struct sim_tcp *s)
{
	struct list *e, *next;

	for (e = r->work.next; e != &r->work; e = next) {
		struct kwork *w = container_of(e, struct kwork, list);

		next = e->next;
		if (!w->req || (s && w->req->s != s))
			continue;
		list_del(&w->list);
		list_add_tail(&r->waiting, &w->req->list);
		free(w);
	}
	for (e = r->waiting.next; e != &r->waiting; e = r->waiting.next) {
		struct kreq *q = NULL;

		for (; e != &r->waiting && !q; e = e->next)
			if (!s || container_of(e, struct kreq, list)->s == s)
				q = container_of(e, struct kreq, list);
		if (!q)
			break;
		complete(q, q->done ? (int)q->done : -ECANCELED);
	}
}

static void ring_cancel(struct sys_ring *r, int fd)
{
	int err;

	sim_enter("ring_cancel", fd);
	if (sim.ring_enter_error)
		return;
	cancel_on(r, ktcp_of(fd, &err));
}

static int ring_open(struct sys_ring **out)
{
	struct sys_ring *r;

	sim_enter("ring_open", -1);
	if (sim.ring_error)
		return -sim.ring_error;
	r = calloc(1, sizeof(*r));
	r->file = kfile_new(FILE_EVENT);
	list_init(&r->results);
	list_init(&r->work);
	list_init(&r->waiting);
	list_add_tail(all_rings(), &r->list);
	*out = r;
	return 0;
}

static int ring_fd(const struct sys_ring *r)
{
	return r->file->fd;
}

static void ring_close(struct sys_ring *r)
{
	struct ring_res drop[32];

	sim_enter("ring_close", r->file->fd);
	cancel_on(r, NULL);
	/* Those whose memory somebody still reads are nobody's from now on. */
	for (struct list *e = reqs.next; e != &reqs; e = e->next)
		if (container_of(e, struct kreq, all)->r == r)
			container_of(e, struct kreq, all)->r = NULL;
	do
		run_round(r);
	while (!list_is_empty(&r->work));
	while (ring_take(r, drop, 32))
		;
	for (unsigned i = 0; i < RING_AREAS; i++)
		if (r->areas[i].base)
			area_drop(r, &r->areas[i]);
	list_del(&r->list);
	sim_sys_close(r->file->fd);
	free(r);
}

const struct ring_ops sim_ring = {
	.open = ring_open,
	.close = ring_close,
	.fd = ring_fd,
	.map = ring_map,
	.submit = ring_submit,
	.has_work = ring_has_work,
	.enter = ring_enter,
	.take = ring_take,
	.cancel = ring_cancel,
};
