/* manager/events.c - what happened, and who listens.
 *
 * A listener remembers the number of the last event that it was told, so that
 * replay and going on are one thing. One that is too slow for the ring misses
 * what fell out of it.
 */
#include "manager/events.h"
#include "base/mem.h"
#include <assert.h>

struct manager_subscription {
    struct list link;
    uint64_t told; /* seq */
    manager_event_fn *fn;
    void *ctx;
    bool gone; /* unsubscribed while events are being told */
};

struct event_name {
    int refs;
    char z[];
};

/* The whole ring is written to at once: the daemon's memory does not grow as
 * it fills. */
void events_init(struct events *ev)
{
    *ev = (struct events){0};
    ev->ring = mem_zero(EVENTS_KEPT, sizeof(*ev->ring));
    for (size_t i = 0; i < EVENTS_KEPT; i++)
        ev->ring[i].e.type = "";
    list_init(&ev->listeners);
}

static void forget(struct event_kept *k)
{
    if (k->name && --k->name->refs == 0)
        free(k->name);
    free(k->strings);
    *k = (struct event_kept){0};
}

void events_fini(struct events *ev)
{
    for (size_t i = 0; i < EVENTS_KEPT; i++)
        forget(&ev->ring[i]);
    free(ev->ring);
    while (!list_empty(&ev->listeners))
        events_unlisten(
            ev, list_of(ev->listeners.next, struct manager_subscription, link));
}

static struct event_name *name_of(const struct event_kept *before,
                                  const char *model)
{
    struct event_name *name = before->name;
    if (!name || strcmp(name->z, model)) {
        size_t n = strlen(model) + 1;
        name = mem_zero(1, sizeof(*name) + n);
        memcpy(name->z, model, n);
    }
    name->refs++;
    return name;
}

static const char *or_empty(const char *z)
{
    return z ? z : "";
}

static void keep_strings(struct event_kept *k, const char *reason,
                         const char *file)
{
    size_t n = strlen(reason) + 1, m = strlen(file) + 1;
    k->e.reason = k->e.file = "";
    if (n + m == 2)
        return;
    k->strings = mem_zero(n + m, 1);
    memcpy(k->strings, reason, n);
    memcpy(k->strings + n, file, m);
    k->e.reason = k->strings;
    k->e.file = k->strings + n;
}

void events_add(struct events *ev, const struct manager_event *e)
{
    uint64_t seq = ++ev->last;
    struct event_kept *k = &ev->ring[seq % EVENTS_KEPT];
    struct event_name *name =
        name_of(&ev->ring[(seq - 1) % EVENTS_KEPT], or_empty(e->model));
    forget(k);
    k->e = *e;
    k->e.seq = seq;
    k->name = name;
    k->e.model = name->z;
    k->e.from = or_empty(e->from);
    k->e.to = or_empty(e->to);
    keep_strings(k, or_empty(e->reason), or_empty(e->file));
}

static uint64_t oldest(const struct events *ev)
{
    return ev->last > EVENTS_KEPT ? ev->last - EVENTS_KEPT + 1 : 1;
}

bool events_waiting(const struct events *ev)
{
    for (struct list *at = ev->listeners.next; at != &ev->listeners;
         at = at->next)
        if (list_of(at, struct manager_subscription, link)->told < ev->last)
            return true;
    return false;
}

static void tell_one(struct events *ev, struct manager_subscription *s)
{
    while (!s->gone && s->told < ev->last) {
        if (s->told + 1 < oldest(ev))
            s->told = oldest(ev) - 1;
        s->told++;
        s->fn(s->ctx, &ev->ring[s->told % EVENTS_KEPT].e);
    }
}

static void drop_gone(struct events *ev)
{
    list_each(at, &ev->listeners)
    {
        struct manager_subscription *s =
            list_of(at, struct manager_subscription, link);
        if (!s->gone)
            continue;
        list_del(&s->link);
        free(s);
    }
}

void events_tell(struct events *ev)
{
    if (ev->telling)
        return;
    ev->telling = true;
    for (struct list *at = ev->listeners.next; at != &ev->listeners;
         at = at->next)
        tell_one(ev, list_of(at, struct manager_subscription, link));
    ev->telling = false;
    drop_gone(ev);
}

struct manager_subscription *events_listen(struct events *ev, uint64_t since,
                                           manager_event_fn *fn, void *ctx)
{
    struct manager_subscription *s = mem_new(struct manager_subscription);
    s->told = since < ev->last ? since : ev->last;
    s->fn = fn;
    s->ctx = ctx;
    list_add(&ev->listeners, &s->link);
    return s;
}

void events_unlisten(struct events *ev, struct manager_subscription *s)
{
    if (ev->telling) {
        s->gone = true;
        return;
    }
    list_del(&s->link);
    free(s);
}
