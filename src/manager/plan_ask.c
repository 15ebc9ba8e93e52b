/* manager/plan_ask.c - manager_plan(): the inspector's answer for whoever asks.
 *
 * Of a model that is here its files are opened; of one that is not, berth-fetch
 * gets the configuration and the headers of the weights.
 */
#include "base/mem.h"
#include "manager/fetcher.h"
#include "manager/files.h"
#include "manager/registry.h"
#include <errno.h>

struct asked {
    struct manager *m;
    struct model *model; /* NULL: not here */
    struct hub_name name;
    char commit[HUB_COMMIT_MAX];
    char *token;
    uint64_t download_bytes;
    manager_plan_fn *done;
    void *ctx;
};

static void end(struct asked *a, const struct manager_plan *plan,
                const struct err *err)
{
    a->done(a->ctx, plan, err);
    core_leave(a->m, a->model);
    if (a->token)
        explicit_bzero(a->token, strlen(a->token));
    free(a->token);
    free(a);
}

static void on_plan(void *ctx, struct plan *plan, const struct err *err)
{
    struct asked *a = ctx;
    if (!plan) {
        end(a, NULL, err);
        return;
    }
    const struct budget *b = &a->m->budget;
    uint64_t left = budget_free(b, BUDGET_HOST), need = plan->need_bytes;
    struct wanted want;
    struct choice choice;
    struct err none;
    wanted_init(&want, &a->m->config, a->model ? a->model->declared : NULL);
    if (a->model)
        want = a->model->deployment->wanted;
    int r = choice_make(a->m, &want, plan, a->name.id, &choice, &none);
    if (r == 0)
        need = choice.need.bytes[BUDGET_HOST];
    struct manager_plan answer = {
        .name = a->name.id,
        .revision = a->commit,
        .local = a->model,
        .fits = r < 0 ? need <= left : budget_fits(b, &choice.need),
        .need_bytes = need,
        .backend = r < 0 ? "" : backend_name(choice.backend),
        .backend_reason = choice.reason,
        .free_bytes = left,
        .budget_bytes = b->all.bytes[BUDGET_HOST],
        .download_bytes = a->download_bytes,
        .frame = plan->body,
    };
    end(a, &answer, NULL);
}

static void inspect(struct asked *a, const struct cache_files *files)
{
    struct inspection *i;
    struct err err;
    if (inspection_open(a->m, a->model, a->name.id, a->commit, files, on_plan,
                        a, &i, &err) < 0)
        end(a, NULL, &err);
}

static void on_files(void *ctx, struct cache_files *files,
                     const struct err *err)
{
    struct asked *a = ctx;
    if (files)
        inspect(a, files);
    else
        end(a, NULL, err);
}

/* Takes the descriptors of the files that came as more than a name. */
static int take_headers(struct frame *f, struct cache_files *files,
                        struct err *err)
{
    const struct wire_node *list =
        wire_get(wire_get(f->body, "result"), "files");
    size_t n = list && list->kind == WIRE_ARRAY ? list->count : 0;
    *files = (struct cache_files){mem_try(n + 1, sizeof(*files->v)), 0};
    if (!files->v)
        return err_set(err, ENOMEM, "out of memory");
    for (const struct wire_node *e = n ? wire_first(list) : NULL; e;
         e = wire_next(list, e)) {
        int64_t fd = wire_int(e, "fd", -1);
        struct str name = wire_text(e, "name");
        if (fd < 0)
            continue;
        if (fd >= f->n_fds || f->fds[fd] < 0 || hub_path_check(name, err) < 0)
            return err_set(err, E_INTERNAL,
                           "berth-fetch named a file that it did not send");
        struct cache_file *to = &files->v[files->n++];
        to->name = mem_strndup(name);
        to->size = wire_uint(e, "size", 0);
        to->fd = f->fds[fd];
        f->fds[fd] = -1;
    }
    return 0;
}

static void on_headers(void *ctx, struct frame *done, const struct err *err)
{
    struct asked *a = ctx;
    struct cache_files files = {0};
    struct err bad;
    if (!done) {
        end(a, NULL, err);
        return;
    }
    const struct wire_node *result = wire_get(done->body, "result");
    a->download_bytes = wire_uint(result, "bytes", 0);
    if (!str_to_z(wire_text(result, "commit"), a->commit, sizeof(a->commit)))
        a->commit[0] = 0;
    if (take_headers(done, &files, &bad) < 0)
        end(a, NULL, &bad);
    else
        inspect(a, &files);
    cache_files_fini(&files);
}

static void put_params(void *ctx, struct wire_map *params)
{
    const struct asked *a = ctx;
    wire_kz(params, "repo", a->name.id);
    wire_kz(params, "revision", a->name.revision);
    wire_kz(params, "token", a->token ? a->token : "");
    fetcher_put_network(a->m, params);
}

static int begin(struct asked *a, struct err *err)
{
    struct fetcher *f;
    struct fetcher_job job = {"headers", NULL, put_params, NULL, on_headers, a};
    if (!a->model)
        return fetcher_open(a->m, &job, &f, err);
    const struct store_model *is = &a->model->is;
    struct world_place place = {is->id, is->commit, is->dir};
    a->m->w->open_files(a->m->w->ctx, &place, on_files, a);
    return 0;
}

int manager_plan(struct manager *m, const char *name, const char *token,
                 manager_plan_fn *done, void *ctx, struct err *err)
{
    struct model *model = registry_find(m, name);
    const struct alias *alias = alias_find(m, name);
    struct hub_name parsed;
    if (m->draining || m->starting)
        return err_set(err, m->draining ? E_DRAINING : E_LOADING,
                       "the daemon is %s",
                       m->draining ? "shutting down" : "starting");
    int r = hub_name_parse(str_of(model   ? model->name
                                  : alias ? alias->target
                                          : name),
                           &parsed, err);
    if (r < 0)
        return r;
    if (model && model_usable(model, err) < 0)
        model = NULL;
    struct asked *a = mem_new(struct asked);
    *a = (struct asked){
        .m = m, .model = model, .name = parsed, .done = done, .ctx = ctx};
    a->token = token && *token ? mem_strdup(token) : NULL;
    if (model)
        str_to_z(str_of(model->is.commit), a->commit, sizeof(a->commit));
    core_enter(m, model);
    r = begin(a, err);
    if (r < 0) {
        core_leave(m, model);
        free(a->token);
        free(a);
    }
    return r;
}
