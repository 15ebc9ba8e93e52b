/* manager/room.c - memory for a load: reserved, or made free, or waited for.
 *
 * Nobody is sent away before it has answered the jobs that it was loaded for
 * (deployment.n_owed): deployments that do not fit together take turns, and
 * each turn answers something.
 */
#include "manager/room.h"
#include "base/log.h"
#include "base/mem.h"
#include "manager/deployment.h"
#include "manager/instance.h"
#include "manager/jobs.h"
#include "manager/standby.h"
#include <stdio.h>

enum {
    PATIENCE_MS = 2000, /* before somebody who is busy has to go */
};

static struct deployment *deployment_at(const struct list *l)
{
    return list_of(l, struct deployment, link);
}

/* ---- vectors ---- */

static void add_reserved(struct budget_vector *sum, const struct deployment *d)
{
    list_each(at, (struct list *)&d->instances)
    {
        budget_add(sum, &list_of(at, struct instance, link)->reserved);
    }
}

/* In what is free and more. */
static bool fits(const struct deployment *d, const struct budget_vector *more)
{
    const struct budget *b = &d->m->budget;
    const struct budget_vector *need = &d->choice.need;
    for (int i = 0; i < BUDGET_DEVICES; i++) {
        uint64_t left = budget_free(b, i);
        if (need->bytes[i] > left && need->bytes[i] - left > more->bytes[i])
            return false;
    }
    return true;
}

/* ---- who could go ---- */

static bool may_go(const struct deployment *v, const struct deployment *d)
{
    return v != d && !v->wanted.pin && v->wanted.priority <= d->wanted.priority;
}

static bool is_going(const struct deployment *v)
{
    return v->state == DEPLOYMENT_DRAINING || v->ending;
}

/* What comes back by itself. */
static struct budget_vector coming(const struct deployment *d)
{
    struct budget_vector sum = {{0}};
    list_each(at, &d->m->deployments)
    {
        if (is_going(deployment_at(at)))
            add_reserved(&sum, deployment_at(at));
    }
    standby_add_reserved(d->m, &sum);
    return sum;
}

/* What could come back, sooner or later. */
static struct budget_vector could_come(const struct deployment *d)
{
    struct budget_vector sum = coming(d);
    list_each(at, &d->m->deployments)
    {
        const struct deployment *v = deployment_at(at);
        if (!is_going(v) && may_go(v, d))
            add_reserved(&sum, v);
    }
    return sum;
}

/* Does a go before b? The less important, then the one that is idle, for
 * longest. */
static bool goes_before(const struct deployment *a, const struct deployment *b)
{
    if (a->wanted.priority != b->wanted.priority)
        return a->wanted.priority < b->wanted.priority;
    if (!a->n_jobs != !b->n_jobs)
        return !a->n_jobs;
    return a->idle_ns < b->idle_ns;
}

struct victims {
    struct deployment **v; /* [n] in the order in which they go */
    size_t n;
};

static void victims_add(struct victims *s, struct deployment *v)
{
    size_t at = s->n++;
    for (; at > 0 && goes_before(v, s->v[at - 1]); at--)
        s->v[at] = s->v[at - 1];
    s->v[at] = v;
}

static struct victims candidates(const struct deployment *d, bool busy)
{
    struct victims s = {
        mem_zero(list_count(&d->m->deployments) + 1, sizeof(*s.v)), 0};
    list_each(at, &d->m->deployments)
    {
        struct deployment *v = deployment_at(at);
        if (v->state == DEPLOYMENT_READY && !v->ending && may_go(v, d) &&
            v->n_owed == 0 && (busy || v->n_jobs == 0))
            victims_add(&s, v);
    }
    return s;
}

/* Without its nth. */
static struct budget_vector sum_of(const struct victims *s, size_t without,
                                   const struct budget_vector *have)
{
    struct budget_vector sum = *have;
    for (size_t i = 0; i < s->n; i++)
        if (i != without)
            add_reserved(&sum, s->v[i]);
    return sum;
}

/* As few of them as are enough; false: all are not. */
static bool choose(struct victims *s, const struct deployment *d,
                   const struct budget_vector *have)
{
    struct budget_vector sum = sum_of(s, SIZE_MAX, have);
    if (!fits(d, &sum))
        return false;
    for (size_t i = s->n; i-- > 0;) { /* the last are to stay */
        sum = sum_of(s, i, have);
        if (!fits(d, &sum))
            continue;
        memmove(&s->v[i], &s->v[i + 1], (s->n - i - 1) * sizeof(*s->v));
        s->n--;
    }
    return true;
}

static bool send_away(const struct deployment *d, bool busy,
                      const struct budget_vector *have)
{
    struct victims s = candidates(d, busy);
    char reason[MANAGER_NAME_MAX + 32];
    bool enough = choose(&s, d, have);
    snprintf(reason, sizeof(reason), "to make room for %s", d->model->name);
    for (size_t i = 0; enough && i < s.n; i++)
        deployment_rest(s.v[i], UNLOAD_EVICTED, reason);
    free(s.v);
    return enough;
}

/* ---- the line ---- */

static struct deployment *head(const struct manager *m)
{
    return list_of(m->room.next, struct deployment, room_link);
}

static bool reserve(struct deployment *d)
{
    struct budget *b = &d->m->budget;
    const struct budget_vector gift = standby_reserved(standby_for(d));
    if (!fits(d, &gift))
        return false;
    d->standby = standby_for(d);
    standby_give(d->standby);
    budget_add(&b->reserved, &d->choice.need);
    return true;
}

static int check_ever(const struct deployment *d, struct err *err)
{
    const struct budget_vector room = could_come(d);
    return fits(d, &room) ? 0
                          : budget_refuse(&d->m->budget, &d->choice.need, &room,
                                          d->model->name, err);
}

static void make_room(struct deployment *d)
{
    struct manager *m = d->m;
    uint64_t until = d->room_ns + (uint64_t)PATIENCE_MS * CORE_MS_NS;
    standby_yield(m, standby_for(d));
    const struct budget_vector have = coming(d);
    if (fits(d, &have) || send_away(d, false, &have))
        return;
    if (core_now(m) < until)
        core_timer_set(m, &m->room_timer, until);
    else
        send_away(d, true, &have);
}

/* Is there anybody for whom it is loaded? */
static bool is_wanted(const struct deployment *d)
{
    return d->n_jobs > 0 || !list_empty(&d->load_waiters) || d->wanted.pin ||
           (d->model->declared && d->model->declared->preload);
}

static void on_room(struct loop_timer *t)
{
    struct manager *m = t->ctx;
    struct err err;
    while (!list_empty(&m->room)) {
        struct deployment *d = head(m);
        if (!is_wanted(d)) {
            deployment_unload(d);
        } else if (reserve(d)) {
            room_leave(d);
            deployment_admitted(d, NULL);
        } else if (check_ever(d, &err) < 0) {
            room_leave(d);
            deployment_admitted(d, &err);
        } else {
            make_room(d);
            return;
        }
    }
}

void room_init(struct manager *m)
{
    list_init(&m->room);
    m->room_timer = (struct loop_timer){.fn = on_room, .ctx = m};
}

void room_stir(struct manager *m)
{
    if (!list_empty(&m->room))
        core_timer_set(m, &m->room_timer, core_now(m));
}

bool room_waits(const struct deployment *d)
{
    return !list_empty(&d->room_link);
}

int room_take(struct deployment *d, struct err *err)
{
    struct manager *m = d->m;
    if (list_empty(&m->room) && reserve(d))
        return 1;
    int r = check_ever(d, err);
    if (r < 0)
        return r;
    struct list *place = &m->room;
    while (place->prev != &m->room &&
           list_of(place->prev, struct deployment, room_link)->wanted.priority <
               d->wanted.priority)
        place = place->prev;
    list_add(place, &d->room_link);
    d->room_ns = core_now(m);
    log_info("manager: %s waits for memory", d->model->name);
    room_stir(m);
    return 0;
}

void room_leave(struct deployment *d)
{
    list_del(&d->room_link);
    room_stir(d->m);
    if (list_empty(&d->m->room))
        core_timer_clear(d->m, &d->m->room_timer);
}
