/* manager/boot.c - what the store knows and what the cache holds, at the start.
 *
 * What the store remembers counts as registered if the cache still has that
 * snapshot: a load compares its files with the record anyhow. What the cache
 * holds beyond that is hashed first (manager/verification.h).
 */
#include "manager/boot.h"
#include "base/log.h"
#include "base/mem.h"
#include "manager/deployment.h"
#include "manager/record.h"
#include "manager/registry.h"
#include "manager/verification.h"

static bool cache_has(const struct world_start *start,
                      const struct store_model *s)
{
    for (size_t i = 0; i < start->n_found; i++)
        if (!strcmp(start->found[i].id, s->id) &&
            !strcmp(start->found[i].commit, s->commit))
            return true;
    return false;
}

static void on_dropped(void *ctx, int code, const struct err *err)
{
    struct manager *m = ctx;
    if (code < 0)
        log_warn("manager: a model that is gone stays in the store: %s",
                 err->msg);
    core_leave(m, NULL);
}

/* The inspector's answer, if it is this build's. */
static void restore_plan(struct model *model)
{
    struct wire_node *nodes = mem_zero(WIRE_NODES_MAX, sizeof(*nodes));
    struct str body = str_n(model->is.plan, model->is.plan_bytes);
    struct err err;
    if (body.p && !strcmp(model->is.plan_build, BERTH_VERSION) &&
        (frame_body_read(FRAME_PLAN, body, nodes, WIRE_NODES_MAX, &err) < 0 ||
         plan_read(&model->plan, nodes, model->m->config.threads, &err) < 0))
        log_warn("manager: %s: its plan is asked for again: %s", model->name,
                 err.msg);
    free(nodes);
}

static void restore(struct manager *m, const struct world_start *start,
                    const struct store_model *s)
{
    struct model *model;
    struct err err;
    if (!*s->dir && !cache_has(start, s)) {
        log_info("manager: %s@%s is no longer in the cache", s->id,
                 s->revision);
        core_enter(m, NULL);
        m->w->drop_model(m->w->ctx, s->id, s->revision, on_dropped, m);
        return;
    }
    if (registry_make(m, s->id, s->revision, &model, &err) < 0)
        return;
    store_model_fini(&model->is);
    store_model_copy(&model->is, s);
    restore_plan(model);
    model_move(model, MODEL_VERIFYING, "");
    model_move(model, MODEL_REGISTERED, "");
}

static bool known(const struct manager *m, const struct cache_found *found)
{
    list_each(at, (struct list *)&m->models)
    {
        const struct model *model = list_of(at, struct model, link);
        if (!strcmp(model->is.id, found->id) &&
            !strcmp(model->is.commit, found->commit))
            return true;
    }
    return false;
}

static void discover(struct manager *m, const struct cache_found *found)
{
    struct model *model;
    struct err err;
    const char *revision = *found->revision ? found->revision : found->commit;
    if (known(m, found) ||
        registry_make(m, found->id, revision, &model, &err) < 0 ||
        model->state != MODEL_ABSENT)
        return;
    free(model->is.commit);
    free(model->is.origin);
    model->is.commit = mem_strdup(found->commit);
    model->is.origin = mem_strdup("found");
    verification_start(model, false);
}

/* Models and aliases that the configuration names exist as long as it does. */
static void declare(struct manager *m, const struct manager_model_config *c)
{
    struct model *model;
    struct err err;
    int r = registry_make(m, c->name, c->revision ? c->revision : "main",
                          &model, &err);
    if (r == 0 && !*model->is.origin) {
        free(model->is.origin);
        model->is.origin = mem_strdup("config");
    }
    if (r == 0 && c->alias)
        r = alias_set(m, c->alias, model->name, true, &err);
    if (r < 0)
        log_warn("manager: %s in the configuration: %s", c->name, err.msg);
}

static void preload(struct model *model)
{
    struct err err;
    if (model_usable(model, &err) < 0)
        log_warn("manager: %s is to be preloaded, but: %s", model->name,
                 err.msg);
    else
        deployment_want(model->deployment);
}

static void on_start(void *ctx, struct world_start *start,
                     const struct err *err)
{
    struct manager *m = ctx;
    struct err bad;
    if (err->code)
        log_warn("manager: %s", err->msg);
    for (size_t i = 0; i < start->content.n_models; i++)
        restore(m, start, &start->content.models[i]);
    for (size_t i = 0; i < m->config.n_models; i++)
        declare(m, &m->config.models[i]);
    for (size_t i = 0; i < start->content.n_aliases; i++)
        if (!alias_find(m, start->content.aliases[i].alias) &&
            alias_set(m, start->content.aliases[i].alias,
                      start->content.aliases[i].target, false, &bad) < 0)
            log_warn("manager: %s", bad.msg);
    for (size_t i = 0; i < start->n_found; i++)
        discover(m, &start->found[i]);
    m->starting = false;
    log_info("manager: %zu models", m->n_models);
    list_each(at, &m->models)
    {
        struct model *model = list_of(at, struct model, link);
        if (model->declared && model->declared->preload && !m->draining)
            preload(model);
    }
    record_missing(m);
    core_leave(m, NULL);
}

void boot_begin(struct manager *m)
{
    m->starting = true;
    core_enter(m, NULL);
    m->w->start(m->w->ctx, on_start, m);
}

/* It has been, and whoever asks for it has it loaded again. */
static bool as_good_as_ready(const struct deployment *d)
{
    return d->state == DEPLOYMENT_READY ||
           (d->rests && d->state != DEPLOYMENT_BACK_OFF &&
            d->state != DEPLOYMENT_CRASH_LOOP);
}

const char *boot_waits_for(const struct manager *m)
{
    if (m->starting)
        return "the cache";
    list_each(at, (struct list *)&m->models)
    {
        const struct model *model = list_of(at, struct model, link);
        if (model->declared && model->declared->preload &&
            !as_good_as_ready(model->deployment))
            return model->name;
    }
    return NULL;
}
