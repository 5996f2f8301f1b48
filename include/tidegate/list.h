/* list.h: an intrusive doubly linked ring. Insert and remove are O(1) and need no allocation.
 * A head is a link that points at itself when empty. No owner of its own, no lock. */
#ifndef TIDEGATE_LIST_H
#define TIDEGATE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include <tidegate/view.h>

struct tg_link {
	struct tg_link *next, *prev;
};

static inline void tg_list_init(struct tg_link *head)
{
	head->next = head->prev = head;
}

static inline bool tg_list_empty(const struct tg_link *head)
{
	return head->next == head;
}

/* Puts l at the tail of the ring of head. l must not be in a ring. */
static inline void tg_list_push(struct tg_link *head, struct tg_link *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

/* Takes l out of its ring and leaves it pointing at itself, so that a second call is harmless. */
static inline void tg_list_del(struct tg_link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	tg_list_init(l);
}

/* The oldest link, taken out; NULL when empty. */
static inline struct tg_link *tg_list_shift(struct tg_link *head)
{
	struct tg_link *l = head->next;

	if (l == head)
		return NULL;
	tg_list_del(l);
	return l;
}

#define tg_list_for_each(l, head) for (struct tg_link *l = (head)->next; l != (head); l = l->next)
/* The body may take l out. */
#define tg_list_for_each_safe(l, nxt, head) \
	for (struct tg_link *l = (head)->next, *nxt = l->next; l != (head); \
		l = nxt, nxt = nxt->next)

#endif
