/* manager/record.c - what is learnt about a model's files is written down once.
 *
 * The plan is kept with the model, so that listings know what a model can do,
 * and a restart needs no inspector. It is the answer of one build: another asks
 * again.
 */
#include "manager/record.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdlib.h>

struct recording {
    struct model *model;
    void (*done)(void *ctx);
    void *ctx;
};

static void end(struct recording *r)
{
    struct model *model = r->model;
    r->done(r->ctx);
    core_leave(model->m, model);
    free(r);
}

static void on_stored(void *ctx, int code, const struct err *err)
{
    struct recording *r = ctx;
    if (code < 0)
        log_warn("manager: %s is not remembered: %s", r->model->name, err->msg);
    end(r);
}

/* A model that is being removed meanwhile must not come back. */
static void store(struct recording *r)
{
    struct manager *m = r->model->m;
    enum model_state state = r->model->state;
    bool here = state == MODEL_REGISTERED || state == MODEL_VERIFYING;
    if (here && !r->model->variant)
        m->w->put_model(m->w->ctx, &r->model->is, on_stored, r);
    else
        end(r);
}

/* Into the model, and encoded into what the store keeps. */
static void keep_plan(struct model *model, struct plan *plan)
{
    struct buf b = BUF_MAX(FRAME_BODY_MAX);
    plan_fini(&model->plan);
    model->plan = *plan;
    *plan = (struct plan){0};
    wire_put_tree(&b, model->plan.body);
    free(model->is.plan);
    model->is.plan_bytes = b.failed ? 0 : b.len;
    model->is.plan = b.failed ? NULL : buf_detach(&b);
    free(model->is.plan_build);
    model->is.plan_build = mem_strdup(BERTH_VERSION);
    buf_fini(&b);
}

static void on_plan(void *ctx, struct plan *plan, const struct err *err)
{
    struct recording *r = ctx;
    if (plan)
        keep_plan(r->model, plan);
    else
        log_warn("manager: %s: %s", r->model->name, err->msg);
    store(r);
}

void record_begin(struct model *model, const struct cache_files *files,
                  void (*done)(void *ctx), void *ctx)
{
    struct recording *r = mem_new(struct recording);
    struct inspection *i;
    struct err err;
    *r = (struct recording){model, done, ctx};
    core_enter(model->m, model);
    if (!model->plan.body &&
        inspection_open(model->m, model, model->is.id, model->is.commit, files,
                        on_plan, r, &i, &err) == 0)
        return;
    store(r);
}

/* ---- models that the store knew without a plan ---- */

static void on_recorded(void *ctx)
{
    record_missing(ctx);
}

static void on_files(void *ctx, struct cache_files *files,
                     const struct err *err)
{
    struct model *model = ctx;
    struct manager *m = model->m;
    if (files && model->state == MODEL_REGISTERED && !m->draining)
        record_begin(model, files, on_recorded, m);
    else if (!m->draining)
        record_missing(m);
    if (!files)
        log_info("manager: %s: %s", model->name, err->msg);
    core_leave(m, model);
}

void record_missing(struct manager *m)
{
    list_each(at, &m->models)
    {
        struct model *model = list_of(at, struct model, link);
        struct world_place place = {model->is.id, model->is.commit,
                                    model->is.dir};
        if (model->state != MODEL_REGISTERED || model->plan.body ||
            model->surveyed || m->draining)
            continue;
        model->surveyed = true;
        core_enter(m, model);
        m->w->open_files(m->w->ctx, &place, on_files, model);
        return;
    }
}
