/* manager/manager.c - the ModelManager: its life, and what all its parts need.
 *
 * Outcomes, failures of jobs and events are told by one timer that is set to
 * "now", so that no callback comes from inside the call that caused it.
 */
#include "manager/manager.h"
#include "base/log.h"
#include "base/mem.h"
#include "manager/boot.h"
#include "manager/child.h"
#include "manager/deployment.h"
#include "manager/jobs.h"
#include "manager/pulls.h"
#include "manager/registry.h"
#include "manager/removal.h"
#include "manager/room.h"
#include "manager/standby.h"
#include "manager/verification.h"
#include <assert.h>

enum { CONFIG_MAX = 4 << 20 };

/* ---- what every part needs ---- */

uint64_t core_now(const struct manager *m)
{
    return m->w->now_ns(m->w->ctx);
}

void core_timer_set(struct manager *m, struct loop_timer *t, uint64_t at_ns)
{
    m->w->timer_set(m->w->ctx, t, at_ns);
}

void core_timer_clear(struct manager *m, struct loop_timer *t)
{
    m->w->timer_clear(m->w->ctx, t);
}

void core_later(struct manager *m)
{
    if (m->later.place == 0)
        core_timer_set(m, &m->later, core_now(m));
}

static void answers_tell(struct manager *m)
{
    while (!list_empty(&m->answers)) {
        struct waiter *w = list_of(m->answers.next, struct waiter, link);
        list_del(&w->link);
        w->done(w->ctx, w->code, w->code < 0 ? &w->err : NULL);
        free(w);
    }
}

static void on_later(struct loop_timer *t)
{
    struct manager *m = t->ctx;
    jobs_tell(m);
    answers_tell(m);
    events_tell(&m->events);
    core_settle(m);
}

static void on_sweep(struct loop_timer *t)
{
    registry_sweep(t->ctx);
}

void waiter_add(struct list *waiters, manager_done_fn *done, void *ctx)
{
    struct waiter *w = mem_new(struct waiter);
    w->done = done;
    w->ctx = ctx;
    list_add(waiters, &w->link);
}

void waiters_answer(struct manager *m, struct list *waiters, int code,
                    const struct err *err)
{
    if (list_empty(waiters))
        return;
    list_each(at, waiters)
    {
        struct waiter *w = list_of(at, struct waiter, link);
        w->code = code;
        if (err)
            w->err = *err;
    }
    list_move_all(&m->answers, waiters);
    core_later(m);
}

void core_answer(struct manager *m, manager_done_fn *done, void *ctx, int code,
                 const struct err *err)
{
    struct list one;
    list_init(&one);
    waiter_add(&one, done, ctx);
    waiters_answer(m, &one, code, err);
}

static void publish(struct model *model, enum state_object object, int from,
                    int to, const char *reason)
{
    struct manager *m = model->m;
    struct manager_event e = {
        .type = state_object_name(object),
        .model = model->name,
        .from = state_name(object, from),
        .to = state_name(object, to),
        .reason = reason,
        .wall_ms = m->w->wall_ms(m->w->ctx),
    };
    assert(state_may(object, from, to));
    log_info("manager: %s %s: %s -> %s%s%s", e.type, e.model, e.from, e.to,
             *reason ? ": " : "", reason);
    events_add(&m->events, &e);
    core_later(m);
}

void model_move(struct model *model, enum model_state to, const char *reason)
{
    publish(model, STATE_MODEL, (int)model->state, (int)to, reason);
    model->state = to;
    if (to == MODEL_ABSENT)
        core_timer_set(model->m, &model->m->sweep, core_now(model->m));
    if (to != MODEL_FAILED)
        model->error = (struct err){0};
}

void deployment_move(struct deployment *d, enum deployment_state to,
                     const char *reason)
{
    publish(d->model, STATE_DEPLOYMENT, (int)d->state, (int)to, reason);
    d->state = to;
    if (to == DEPLOYMENT_IDLE && d->model->variant)
        core_timer_set(d->m, &d->m->sweep, core_now(d->m));
}

void core_enter(struct manager *m, struct model *model)
{
    m->pending++;
    if (model)
        model->busy++;
}

void core_leave(struct manager *m, struct model *model)
{
    assert(m->pending > 0);
    m->pending--;
    if (model) {
        assert(model->busy > 0);
        model->busy--;
        if (model->busy == 0 &&
            (model->state == MODEL_ABSENT || model->variant))
            core_timer_set(m, &m->sweep, core_now(m));
    }
    if (m->draining)
        core_later(m);
}

/* ---- draining ---- */

static bool all_quiet(const struct manager *m)
{
    list_each(at, (struct list *)&m->deployments)
    {
        if (!deployment_quiet(list_of(at, struct deployment, link)))
            return false;
    }
    return m->pending == 0 && list_empty(&m->children) &&
           list_empty(&m->ending);
}

void core_settle(struct manager *m)
{
    if (!m->draining || list_empty(&m->drain_waiters) || !all_quiet(m))
        return;
    core_timer_clear(m, &m->drain_timer);
    waiters_answer(m, &m->drain_waiters, 0, NULL);
}

/* Some children (inspectors, fetchers) would not end: drain_s is over, and a
 * grace for what was told to end. */
static void on_drain_limit(struct loop_timer *t)
{
    struct manager *m = t->ctx;
    list_each(at, &m->children)
    {
        child_kill(list_of(at, struct child, link));
    }
}

void manager_drain(struct manager *m, manager_done_fn *done, void *ctx)
{
    enum { GRACE_S = 2 };
    struct manager_event e = {.type = "shutdown",
                              .to = "draining",
                              .wall_ms = m->w->wall_ms(m->w->ctx)};
    waiter_add(&m->drain_waiters, done, ctx);
    core_later(m);
    if (m->draining)
        return;
    m->draining = true;
    events_add(&m->events, &e);
    list_each(at, &m->models)
    {
        struct model *model = list_of(at, struct model, link);
        if (model->pull)
            pull_cancel(model->pull);
    }
    list_each(at, &m->deployments)
    {
        deployment_unload(list_of(at, struct deployment, link));
    }
    standby_stop(m);
    verification_stop(m);
    core_timer_set(m, &m->drain_timer,
                   core_now(m) + m->config.drain_ns +
                       (uint64_t)GRACE_S * CORE_SECOND_NS);
}

/* ---- life ---- */

static const char *keep(struct manager *m, const char *z)
{
    char *copy = z ? arena_str(&m->arena, str_of(z)) : NULL;
    assert(copy || !z);
    return copy;
}

static void copy_config(struct manager *m, const struct manager_config *from)
{
    struct manager_config *c = &m->config;
    *c = *from;
    c->isa = keep(m, from->isa ? from->isa : "");
    c->endpoint = keep(m, from->endpoint ? from->endpoint : "");
    c->cache = keep(m, from->cache ? from->cache : "");
    c->proxy = keep(m, from->proxy ? from->proxy : "");
    c->no_proxy = keep(m, from->no_proxy ? from->no_proxy : "");
    c->ca_file = keep(m, from->ca_file ? from->ca_file : "");
    struct manager_model_config *models =
        arena_alloc(&m->arena, from->n_models, sizeof(*models));
    assert(models);
    for (size_t i = 0; i < from->n_models; i++) {
        const struct manager_model_config *f = &from->models[i];
        models[i] = *f;
        models[i].name = keep(m, f->name);
        models[i].revision = keep(m, f->revision);
        models[i].alias = keep(m, f->alias);
        models[i].dtype = keep(m, f->dtype);
        models[i].device = keep(m, f->device);
        models[i].backend = keep(m, f->backend);
        models[i].task = keep(m, f->task);
    }
    c->models = models;
}

static bool same(const char *a, const char *b)
{
    return !strcmp(a ? a : "", b ? b : "");
}

static int check_model(const struct manager_config *c, size_t i,
                       struct err *err)
{
    const struct manager_model_config *model = &c->models[i];
    struct hub_name name;
    char revision[HUB_REVISION_MAX];
    int r = hub_name_parse(str_of(model->name), &name, err);
    if (r == 0 && strchr(model->name, '@'))
        r = err_set(err, E_INVALID_REQUEST,
                    "the name %s holds a revision: write it as \"revision\"",
                    model->name);
    if (r == 0 && model->revision)
        r = hub_revision_parse(str_of(model->revision), revision, err);
    if (r == 0)
        r = wanted_declared(model, err);
    if (r == 0 && model->alias)
        r = alias_word(model->alias, err);
    for (size_t k = 0; k < i && r == 0; k++) {
        const struct manager_model_config *before = &c->models[k];
        if (!strcmp(before->name, model->name) &&
            same(before->revision, model->revision))
            r = err_set(err, E_CONFLICT, "%s is there twice", model->name);
        else if (model->alias && same(before->alias, model->alias))
            r = err_set(err, E_CONFLICT, "the alias %s is there twice",
                        model->alias);
    }
    return r;
}

static int check_config(const struct manager_config *c, struct err *err)
{
    for (size_t i = 0; i < c->n_models; i++)
        if (check_model(c, i, err) < 0)
            return err_prefix(err, "models[%zu] in the configuration", i);
    return 0;
}

int manager_new(struct manager **ret, const struct manager_config *config,
                const struct manager_world *world, struct err *err)
{
    int r = check_config(config, err);
    if (r < 0)
        return r;
    struct manager *m = mem_new(struct manager);
    m->w = world;
    m->arena = (struct arena)ARENA_MAX(CONFIG_MAX);
    copy_config(m, config);
    m->budget.all.bytes[BUDGET_HOST] = config->memory_bytes;
    list_init(&m->models);
    list_init(&m->deployments);
    list_init(&m->variants);
    list_init(&m->aliases);
    room_init(m);
    standby_init(m);
    list_init(&m->children);
    list_init(&m->verifies);
    list_init(&m->ending);
    list_init(&m->answers);
    list_init(&m->drain_waiters);
    for (size_t i = 0; i < CORE_JOB_BUCKETS; i++)
        list_init(&m->jobs[i]);
    events_init(&m->events);
    poison_init(&m->poison, world->random(world->ctx));
    m->later = (struct loop_timer){.fn = on_later, .ctx = m};
    m->sweep = (struct loop_timer){.fn = on_sweep, .ctx = m};
    m->drain_timer = (struct loop_timer){.fn = on_drain_limit, .ctx = m};
    boot_begin(m);
    *ret = m;
    return 0;
}

void manager_free(struct manager *m)
{
    if (!m)
        return;
    assert(all_quiet(m) && list_empty(&m->answers));
    core_timer_clear(m, &m->later);
    core_timer_clear(m, &m->sweep);
    core_timer_clear(m, &m->drain_timer);
    core_timer_clear(m, &m->room_timer);
    core_timer_clear(m, &m->standby_timer);
    while (!list_empty(&m->variants))
        model_free(list_of(m->variants.next, struct model, link));
    while (!list_empty(&m->models))
        model_free(list_of(m->models.next, struct model, link));
    while (!list_empty(&m->aliases))
        alias_drop(m, list_of(m->aliases.next, struct alias, link));
    events_fini(&m->events);
    arena_fini(&m->arena);
    free(m);
}

struct manager_subscription *manager_subscribe(struct manager *m,
                                               uint64_t since,
                                               manager_event_fn *fn, void *ctx)
{
    core_later(m);
    return events_listen(&m->events, since, fn, ctx);
}

void manager_unsubscribe(struct manager *m, struct manager_subscription *s)
{
    events_unlisten(&m->events, s);
}
