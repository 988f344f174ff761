/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what every file of the library may use
 */
#ifndef ZCSI_INTERNAL_H
#define ZCSI_INTERNAL_H

#include "pure/guard.h" /* GUARD(n) */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZCS_EXPORT __attribute__((__visibility__("default")))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define ZCSI_PAGE 4096u
#define ZCSI_HUGE (2u << 20)

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t page_up(uint64_t len)
{
	return (len + ZCSI_PAGE - 1) & ~(uint64_t)(ZCSI_PAGE - 1);
}

/* An intrusive doubly linked list; an element that is in no list points nowhere. */
struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline bool list_is_linked(const struct list *e)
{
	return e->next != NULL;
}

static inline void list_add_tail(struct list *head, struct list *e)
{
	e->prev = head->prev;
	e->next = head;
	head->prev->next = e;
	head->prev = e;
}

static inline void list_del(struct list *e)
{
	if (!e->next)
		return;
	e->prev->next = e->next;
	e->next->prev = e->prev;
	e->next = e->prev = NULL;
}

#endif
