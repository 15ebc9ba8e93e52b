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

void events_init(struct events *ev)
{
    *ev = (struct events){0};
    ev->ring = mem_zero(EVENTS_KEPT, sizeof(*ev->ring));
    list_init(&ev->listeners);
}

void events_fini(struct events *ev)
{
    for (size_t i = 0; i < EVENTS_KEPT; i++)
        free(ev->ring[i].strings);
    free(ev->ring);
    while (!list_empty(&ev->listeners))
        events_unlisten(
            ev, list_of(ev->listeners.next, struct manager_subscription, link));
}

static const char *keep(char **at, const char *z)
{
    size_t n = z ? strlen(z) : 0;
    char *to = *at;
    if (n)
        memcpy(to, z, n);
    to[n] = 0;
    *at = to + n + 1;
    return to;
}

static size_t length(const char *z)
{
    return (z ? strlen(z) : 0) + 1;
}

void events_add(struct events *ev, const struct manager_event *e)
{
    uint64_t seq = ++ev->last;
    struct event_kept *k = &ev->ring[seq % EVENTS_KEPT];
    free(k->strings);
    k->e = *e;
    k->e.seq = seq;
    k->strings =
        mem_zero(length(e->type) + length(e->model) + length(e->from) +
                     length(e->to) + length(e->reason) + length(e->file),
                 1);
    char *at = k->strings;
    k->e.type = keep(&at, e->type);
    k->e.model = keep(&at, e->model);
    k->e.from = keep(&at, e->from);
    k->e.to = keep(&at, e->to);
    k->e.reason = keep(&at, e->reason);
    k->e.file = keep(&at, e->file);
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
