/* SPDX-License-Identifier: MIT */
/* Intrusive circular doubly linked lists. An initialised node that is in no
 * list points at itself, so removing it twice is harmless. */
#ifndef LIB_LIST_H
#define LIB_LIST_H

#include "lib/types.h"

struct list {
	struct list *prev, *next;
};

#define LIST_INIT(name)          \
	{                        \
		&(name), &(name) \
	}

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert_after(struct list *at, struct list *node)
{
	node->prev = at;
	node->next = at->next;
	at->next->prev = node;
	at->next = node;
}

static inline void list_push_front(struct list *l, struct list *node)
{
	list_insert_after(l, node);
}

static inline void list_push_back(struct list *l, struct list *node)
{
	list_insert_after(l->prev, node);
}

static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_first(l, type, member) list_entry((l)->next, type, member)

#define list_for_each(pos, l, member)                               \
	for (pos = list_entry((l)->next, __typeof__(*pos), member); \
		&pos->member != (l);                                \
		pos = list_entry(pos->member.next, __typeof__(*pos), member))

/* As above; the body may remove `pos`. */
#define list_for_each_safe(pos, tmp, l, member)                           \
	for (pos = list_entry((l)->next, __typeof__(*pos), member),       \
	    tmp = list_entry(pos->member.next, __typeof__(*pos), member); \
		&pos->member != (l); pos = tmp,                           \
	    tmp = list_entry(tmp->member.next, __typeof__(*pos), member))

#endif
