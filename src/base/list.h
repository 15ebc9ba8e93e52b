/* base/list.h - doubly linked lists whose links live in what they link.
 *
 * A head and a link are the same type. An unlinked link points at itself, so
 * list_del() may be called twice.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H
#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

/* The struct of the given type whose member is at p. */
#define list_of(p, type, member) \
    ((type *)(void *)((char *)(p) - offsetof(type, member)))

/* Safe against the removal of the current link only. */
#define list_each(at, head)                                                   \
    for (struct list *at = (head)->next, *next_##at = at->next; at != (head); \
         at = next_##at, next_##at = at->next)

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}
static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}
/* Before place: at the end, when place is the head. */
static inline void list_add(struct list *place, struct list *l)
{
    l->prev = place->prev;
    l->next = place;
    place->prev->next = l;
    place->prev = l;
}
static inline void list_del(struct list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}
/* Everything of from goes to the end of to. */
static inline void list_move_all(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}
static inline size_t list_count(const struct list *l)
{
    size_t n = 0;
    for (const struct list *at = l->next; at != l; at = at->next)
        n++;
    return n;
}

#endif
