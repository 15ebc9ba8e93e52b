/* manager/verification.c - files that berth did not fetch itself are hashed
 * once.
 *
 * One model after the other: open the files (their sizes, times and inodes are
 * what will be recorded), have berth-fetch hash them, record. Whatever changes
 * after they were opened differs from the record at the next load.
 */
#include "manager/verification.h"
#include "base/mem.h"
#include "manager/fetcher.h"
#include "manager/files.h"
#include "manager/record.h"

static void next(struct manager *m);

/* What the cache holds and berth cannot serve is not berth's to list; a folder
 * that could not be added leaves its name free. */
static bool worth_listing(const struct model *model, const struct err *err)
{
    return !strcmp(model->is.origin, "found") && err->code != E_DAMAGED_FILE &&
           err->code != E_UNSUPPORTED_ARCHITECTURE &&
           err->code != E_MODEL_NOT_FOUND;
}

static void end(struct model *model, const struct err *err)
{
    struct manager *m = model->m;
    bool fresh = err && model->is.wall_ms == 0;
    m->verifying = NULL;
    model->verifier = NULL;
    if (err)
        model->error = *err;
    model_move(model, err ? MODEL_FAILED : MODEL_REGISTERED,
               err ? err->msg : "");
    waiters_answer(m, &model->verify_waiters, err ? -err->code : 0, err);
    if (fresh && !worth_listing(model, err))
        model_move(model, MODEL_ABSENT, "");
    core_leave(m, model);
    if (!m->draining)
        next(m);
}

static void on_recorded(void *ctx)
{
    end(ctx, NULL);
}

/* Opened again for the inspector: berth-fetch had them for a while. */
static void on_files_again(void *ctx, struct cache_files *files,
                           const struct err *err)
{
    struct model *model = ctx;
    if (files)
        record_begin(model, files, on_recorded, model);
    else
        end(model, err);
}

static void open_files(struct model *model, world_files_fn *done)
{
    struct world_place place = {model->is.id, model->is.commit, model->is.dir};
    model->m->w->open_files(model->m->w->ctx, &place, done, model);
}

static void put_params(void *ctx, struct wire_map *params)
{
    const struct model *model = ctx;
    if (*model->is.dir) {
        wire_kz(params, "folder", model->is.dir);
        return;
    }
    wire_kz(params, "cache", model->m->config.cache);
    wire_kz(params, "repo", model->is.id);
    wire_kz(params, "commit", model->is.commit);
}

static void on_status(void *ctx, const struct wire_node *status)
{
    const struct model *model = ctx;
    struct manager_event e = {
        .type = "pull",
        .model = model->name,
        .done = wire_uint(status, "done", 0),
        .total = wire_uint(status, "all", 0),
        .rate = wire_uint(status, "rate", 0),
        .reason = "verifying",
        .wall_ms = model->m->w->wall_ms(model->m->w->ctx),
    };
    events_add(&model->m->events, &e);
    core_later(model->m);
}

/* The first file that is not what its name in the cache promises. */
static struct str wrong_file(const struct wire_node *result)
{
    const struct wire_node *files = wire_get(result, "files");
    for (const struct wire_node *f = wire_first(files); f;
         f = wire_next(files, f))
        if (str_is(wire_text(f, "state"), "wrong"))
            return wire_text(f, "name");
    return str_of("a file");
}

static void on_hashed(void *ctx, struct frame *done, const struct err *err)
{
    struct model *model = ctx;
    struct manager *m = model->m;
    const struct wire_node *result =
        done ? wire_get(done->body, "result") : NULL;
    struct err wrong;
    model->verifier = NULL;
    if (!done) {
        end(model, err);
    } else if (wire_uint(result, "wrong", 1) > 0) {
        err_set(&wrong, E_WRONG_HASH,
                "%s: %.*s is not what the Hub says it must be: remove the "
                "model (berth rm --all) and pull it again",
                model->name, STR_FMT(wrong_file(result)));
        end(model, &wrong);
    } else {
        model->is.wall_ms = m->w->wall_ms(m->w->ctx);
        open_files(model, on_files_again);
    }
}

static void on_files(void *ctx, struct cache_files *files,
                     const struct err *err)
{
    struct model *model = ctx;
    struct err why;
    struct fetcher_job job = {"verify",  model,     put_params,
                              on_status, on_hashed, model};
    if (!files || model->m->draining) {
        err_set(&why, E_DRAINING, "the daemon is shutting down");
        end(model, files ? &why : err);
        return;
    }
    files_record(files, &model->is);
    plan_fini(&model->plan);
    if (fetcher_open(model->m, &job, &model->verifier, &why) < 0)
        end(model, &why);
}

static void next(struct manager *m)
{
    if (m->verifying || list_empty(&m->verifies))
        return;
    struct model *model = list_of(m->verifies.next, struct model, verify_link);
    list_del(&model->verify_link);
    m->verifying = model;
    core_enter(m, model);
    open_files(model, on_files);
}

void verification_start(struct model *model, bool first)
{
    struct manager *m = model->m;
    bool waits = !list_empty(&model->verify_link);
    if (model->pull) /* it verifies, and will tell the waiters */
        return;
    if (model->state != MODEL_VERIFYING)
        model_move(model, MODEL_VERIFYING, "");
    else if (m->verifying == model || (waits && !first))
        return;
    list_del(&model->verify_link);
    list_add(first ? m->verifies.next : &m->verifies, &model->verify_link);
    next(m);
}

void verification_stop(struct manager *m)
{
    struct err err;
    err_set(&err, E_DRAINING, "the daemon is shutting down");
    while (!list_empty(&m->verifies)) {
        struct model *model =
            list_of(m->verifies.next, struct model, verify_link);
        list_del(&model->verify_link);
        waiters_answer(m, &model->verify_waiters, -E_DRAINING, &err);
    }
    if (m->verifying && m->verifying->verifier)
        fetcher_cancel(m->verifying->verifier);
}
