/* manager/removal.c - a model leaves the registry, perhaps with its files.
 *
 * Steps: unload the deployment, let berth-fetch remove the snapshot (only what
 * berth pulled, or all on request; never a folder that was added), drop the
 * row, drop the aliases that pointed at it.
 */
#include "manager/removal.h"
#include "base/log.h"
#include "manager/deployment.h"
#include "manager/fetcher.h"
#include "manager/registry.h"
#include "manager/variants.h"

static void end(struct model *model, const struct err *err)
{
    struct manager *m = model->m;
    if (err)
        model->error = *err;
    model_move(model, err ? MODEL_FAILED : MODEL_ABSENT, err ? err->msg : "");
    waiters_answer(m, &model->remove_waiters, err ? -err->code : 0, err);
    core_timer_set(m, &m->sweep, core_now(m) + CORE_MS_NS);
    core_leave(m, model);
}

static void on_dropped(void *ctx, int code, const struct err *err)
{
    end(ctx, code < 0 ? err : NULL);
}

static void on_alias_dropped(void *ctx, int code, const struct err *err)
{
    struct model *model = ctx;
    if (code < 0)
        log_warn("manager: an alias of %s stays in the store: %s", model->name,
                 err->msg);
    core_leave(model->m, model);
}

static void drop_aliases(struct model *model)
{
    struct manager *m = model->m;
    list_each(at, &m->aliases)
    {
        struct alias *a = list_of(at, struct alias, link);
        if (strcmp(a->target, model->name) || a->declared)
            continue;
        core_enter(m, model);
        m->w->put_alias(m->w->ctx, a->name, NULL, on_alias_dropped, model);
        alias_drop(m, a);
    }
}

static void forget(struct model *model)
{
    struct manager *m = model->m;
    drop_aliases(model);
    m->w->drop_model(m->w->ctx, model->is.id, model->is.revision, on_dropped,
                     model);
}

static void put_params(void *ctx, struct wire_map *params)
{
    const struct model *model = ctx;
    wire_kz(params, "cache", model->m->config.cache);
    wire_kz(params, "repo", model->is.id);
    wire_kz(params, "commit", model->is.commit);
}

static void on_removed(void *ctx, struct frame *done, const struct err *err)
{
    struct model *model = ctx;
    if (done || err->code == E_MODEL_NOT_FOUND)
        forget(model);
    else
        end(model, err);
}

/* Another revision of it that is to stay has the same snapshot. */
static bool is_shared(const struct model *model)
{
    list_each(at, &model->m->models)
    {
        const struct model *other = list_of(at, struct model, link);
        if (other != model && other->state != MODEL_ABSENT &&
            other->state != MODEL_REMOVING &&
            !strcmp(other->is.id, model->is.id) &&
            !strcmp(other->is.commit, model->is.commit))
            return true;
    }
    return false;
}

static void on_unloaded(void *ctx, int code, const struct err *err)
{
    (void)code;
    (void)err;
    struct model *model = ctx;
    struct fetcher *fetcher;
    struct err why;
    bool pulled = !strcmp(model->is.origin, "pulled"),
         found = !strcmp(model->is.origin, "found");
    struct fetcher_job job = {"remove", model,      put_params,
                              NULL,     on_removed, model};
    if (!*model->is.commit || is_shared(model) ||
        !(pulled || (found && model->removes_all)))
        forget(model);
    else if (fetcher_open(model->m, &job, &fetcher, &why) < 0)
        end(model, &why);
}

void removal_begin(struct model *model)
{
    core_enter(model->m, model);
    model_move(model, MODEL_REMOVING, "");
    variants_unload(model);
    waiter_add(&model->deployment->unload_waiters, on_unloaded, model);
    deployment_unload(model->deployment);
}
