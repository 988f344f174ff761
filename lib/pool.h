/* SPDX-License-Identifier: MIT */
/*
 * pool.h - memory to lend out: page aligned, reference counted, huge pages where they are to be had
 *
 * Memory comes in slabs of 2 MiB, aligned to 2 MiB; a buffer is a run of pages in one slab, a
 * larger one has a mapping of whole slabs to itself. A buffer lives while it has a reference: one
 * of whoever allocated it, one for each message or span that lies in it.
 *
 * A condemned buffer is one that the kernel may still be reading although its socket is gone: its
 * pages are never handed out again, whether its last reference goes before or after it is
 * condemned. When nothing else in its slab is in use the slab is unmapped, which is safe at any
 * time: the kernel holds references of its own to the pages. What is mapped next, there or
 * elsewhere, are other pages.
 */
#ifndef ZCSI_POOL_H
#define ZCSI_POOL_H

#include "internal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool_slab;

struct pool_slot {
	uintptr_t key; /* address / 2 MiB */
	struct pool_slab *slab;
};

struct pool {
	struct pool_slot *slots; /* open hash by address / 2 MiB */
	uint32_t nr_slots;	 /* power of two, 0 before the first slab */
	uint32_t nr_slabs;	 /* slots in use (a large buffer uses one per 2 MiB) */
	struct list all;	 /* every slab once */
	struct pool_slab *hint;	 /* where the last allocation found room */
	uint64_t max;		 /* pool_alloc by the caller stops here */
	uint64_t retain;	 /* free slabs beyond this many bytes are unmapped */
	uint64_t mapped;	 /* bytes */
	uint64_t used;		 /* bytes in caller's buffers, and in freed ones that are lost */
	uint64_t used_internal;	 /* the same of the library's own buffers: not bound by max */
	uint64_t condemned;	 /* bytes that are lost, for now */
	uint64_t idle;		 /* bytes in slabs that are wholly free */
	uint32_t huge;		 /* enum zcs_huge */
	uint32_t page;		 /* page size behind the newest slab: 4096 or 2 MiB */
	const char *backing;	 /* the same in words, for explain */
	bool starved;		 /* an allocation was refused since the flag was last cleared */
	bool hugetlb_tried;	 /* and failed: do not ask at each slab */
	/* Called when a slab was unmapped that has a tag; NULL: nobody is. */
	void (*forget)(void *arg, uint16_t tag);
	void *forget_arg;
};

enum pool_for { POOL_CALLER, POOL_INTERNAL };

void pool_init(struct pool *p, uint64_t max, uint64_t retain, uint32_t huge);
/* Unmaps everything, also what is still referenced: nobody may touch it afterwards. */
void pool_fini(struct pool *p);
/* A buffer with one reference, or NULL. *got (may be NULL): its length, whole pages. */
void *pool_alloc(struct pool *p, size_t len, size_t *got, enum pool_for who);
/* Whether [addr, addr + len) lies in one live buffer. */
bool pool_owns(const struct pool *p, const void *addr, size_t len);
/*
 * References to the buffer that addr lies in; addr need not be its start. What lies in no live
 * buffer is left alone.
 */
void pool_ref(struct pool *p, const void *addr, uint32_t nr);
void pool_unref(struct pool *p, const void *addr);	    /* the last one frees the buffer */
bool pool_is_start(const struct pool *p, const void *addr); /* what zcs_buf_free must be given */
/* Whether addr lies in a live buffer of the caller's, not of the library's own. */
bool pool_is_callers(const struct pool *p, const void *addr);
/* The start of the buffer that addr lies in; NULL: not pool memory. */
void *pool_start(const struct pool *p, const void *addr);
/* Memory that was mapped as a whole, and what somebody remembers of it: 0 at first. */
struct pool_mapping {
	uint16_t *tag; /* NULL: not all of it is memory of one slab */
	char *base;
	size_t len;
};

struct pool_mapping pool_mapping(const struct pool *p, const void *addr, size_t len);
/* pool_map.c: a slab of len bytes, aligned to 2 MiB; NULL: no memory. */
char *pool_map(struct pool *p, size_t len);
/*
 * The pages of the live buffer at addr are never to be used again. The references stay as they are:
 * condemn first, then give up the reference that kept it alive.
 */
void pool_condemn(struct pool *p, const void *addr);

#endif
