/* manager/pulls.c - models that come from the Hub.
 *
 * berth-fetch downloads, checks every byte and places the files; then they are
 * opened here once, so that what is recorded is what a load will see.
 */
#include "manager/pulls.h"
#include "base/mem.h"
#include "manager/fetcher.h"
#include "manager/files.h"
#include "manager/record.h"
#include "manager/registry.h"

struct pull {
    struct model *model;
    struct fetcher *fetcher;
    char *token;
    uint64_t id;
    struct list waiters;
    bool cancelled;
};

static void wipe(struct pull *p)
{
    if (p->token)
        explicit_bzero(p->token, strlen(p->token));
    free(p->token);
    p->token = NULL;
}

static void end(struct pull *p, const struct err *err)
{
    struct model *model = p->model;
    bool cancelled = err && p->cancelled;
    model->pull = NULL;
    if (err)
        model->error = *err;
    model_move(model,
               !err        ? MODEL_REGISTERED
               : cancelled ? MODEL_ABSENT
                           : MODEL_FAILED,
               err ? err->msg : "");
    waiters_answer(model->m, &p->waiters, err ? -err->code : 0, err);
    waiters_answer(model->m, &model->verify_waiters, err ? -err->code : 0, err);
    /* What came of a pull that failed is partial files and this sentence. */
    if (err && !cancelled)
        model_move(model, MODEL_ABSENT, "");
    wipe(p);
    core_leave(model->m, model);
    free(p);
}

static void publish(const struct pull *p, const struct wire_node *status)
{
    struct manager *m = p->model->m;
    char file[HUB_PATH_MAX + 1], phase[32];
    str_to_z(wire_text(status, "file"), file, sizeof(file));
    str_to_z(wire_text(status, "phase"), phase, sizeof(phase));
    struct manager_event e = {
        .type = "pull",
        .model = p->model->name,
        .reason = phase,
        .file = file,
        .done = wire_uint(status, "done", 0),
        .total = wire_uint(status, "all", 0),
        .rate = wire_uint(status, "rate", 0),
        .wall_ms = m->w->wall_ms(m->w->ctx),
    };
    events_add(&m->events, &e);
    core_later(m);
}

static void on_status(void *ctx, const struct wire_node *status)
{
    if (!str_is(wire_text(status, "phase"), "sandbox"))
        publish(ctx, status);
}

static void put_params(void *ctx, struct wire_map *params)
{
    struct pull *p = ctx;
    wire_kz(params, "repo", p->model->is.id);
    wire_kz(params, "revision", p->model->is.revision);
    wire_kz(params, "token", p->token ? p->token : "");
    wire_kz(params, "cache", p->model->m->config.cache);
    fetcher_put_network(p->model->m, params);
    wipe(p);
}

static void on_recorded(void *ctx)
{
    end(ctx, NULL);
}

static void on_files(void *ctx, struct cache_files *files,
                     const struct err *err)
{
    struct pull *p = ctx;
    struct model *model = p->model;
    struct manager *m = model->m;
    if (!files) {
        end(p, err);
        return;
    }
    files_record(files, &model->is);
    plan_fini(&model->plan);
    model->is.wall_ms = m->w->wall_ms(m->w->ctx);
    record_begin(model, files, on_recorded, p);
}

static void on_done(void *ctx, struct frame *done, const struct err *err)
{
    struct pull *p = ctx;
    struct model *model = p->model;
    char commit[HUB_COMMIT_MAX];
    struct err bad;
    if (!done) {
        end(p, err);
        return;
    }
    struct str said = wire_text(wire_get(done->body, "result"), "commit");
    if (!hub_is_commit(said) || !str_to_z(said, commit, sizeof(commit))) {
        err_set(&bad, E_INTERNAL, "berth-fetch named no commit of %s",
                model->name);
        end(p, &bad);
        return;
    }
    free(model->is.commit);
    model->is.commit = mem_strdup(commit);
    model_move(model, MODEL_VERIFYING, "");
    struct world_place place = {model->is.id, commit, ""};
    model->m->w->open_files(model->m->w->ctx, &place, on_files, p);
}

static int begin(struct model *model, const char *token, struct err *err)
{
    struct pull *p = mem_new(struct pull);
    struct fetcher_job job = {"pull", model, put_params, on_status, on_done, p};
    p->model = model;
    p->id = ++model->m->last_id;
    p->token = token && *token ? mem_strdup(token) : NULL;
    list_init(&p->waiters);
    int r = fetcher_open(model->m, &job, &p->fetcher, err);
    if (r < 0) {
        wipe(p);
        free(p);
        return r;
    }
    model->pull = p;
    free(model->is.origin);
    model->is.origin = mem_strdup("pulled");
    core_enter(model->m, model);
    model_move(model, MODEL_PULLING, "");
    return 0;
}

static int find_or_begin(struct manager *m, const struct manager_pull *pull,
                         struct model **ret, struct err *err)
{
    struct hub_name name;
    const struct alias *a = alias_find(m, pull->name);
    struct str text = str_of(a ? a->target : pull->name);
    int r = m->draining || m->starting
                ? err_set(err, m->draining ? E_DRAINING : E_LOADING,
                          "the daemon is %s",
                          m->draining ? "shutting down" : "starting")
                : hub_name_parse(text, &name, err);
    if (r == 0)
        r = registry_make(m, name.id, name.revision, ret, err);
    if (r < 0)
        return r;
    if ((*ret)->state == MODEL_REMOVING)
        return err_set(err, E_CONFLICT, "%s is being removed", (*ret)->name);
    if (*(*ret)->is.dir)
        return err_set(err, E_CONFLICT,
                       "%s is a folder that was added: remove it first",
                       (*ret)->name);
    if ((*ret)->state == MODEL_ABSENT || (*ret)->state == MODEL_FAILED)
        return begin(*ret, pull->token, err);
    return 0;
}

int manager_pull(struct manager *m, const struct manager_pull *pull,
                 manager_done_fn *done, void *ctx, uint64_t *ret_id,
                 struct err *err)
{
    struct model *model;
    int r = find_or_begin(m, pull, &model, err);
    if (r < 0)
        return r;
    *ret_id = model->pull ? model->pull->id : 0;
    if (model->pull)
        waiter_add(&model->pull->waiters, done, ctx);
    else if (model->state == MODEL_VERIFYING)
        waiter_add(&model->verify_waiters, done, ctx);
    else
        core_answer(m, done, ctx, 0, NULL);
    return 0;
}

void pull_cancel(struct pull *p)
{
    if (p->model->state != MODEL_PULLING)
        return;
    p->cancelled = true;
    fetcher_cancel(p->fetcher);
}

int manager_cancel_pull(struct manager *m, const char *name, uint64_t id,
                        struct err *err)
{
    struct model *model = registry_find(m, name);
    if (!model || model->state != MODEL_PULLING ||
        (id && model->pull->id != id))
        return err_set(err, E_NOT_FOUND, "%s is not being pulled", name);
    pull_cancel(model->pull);
    return 0;
}
