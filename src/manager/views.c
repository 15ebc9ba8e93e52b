/* manager/views.c - what anybody may see of the manager's objects. */
#include "base/mem.h"
#include "manager/boot.h"
#include "manager/deployment.h"
#include "manager/instance.h"
#include "manager/registry.h"
#include "manager/room.h"
#include "manager/standby.h"
#include "manager/variants.h"

/* What a view points at while its callback runs. */
struct frame_of_view {
    struct manager_model_view view;
    struct manager_instance_view *instances;
    const char **aliases;
};

static void see_instance(const struct instance *i,
                         struct manager_instance_view *v)
{
    *v = (struct manager_instance_view){
        .id = i->id,
        .pid = i->child->pid,
        .state = state_name(STATE_INSTANCE, (int)i->state),
        .backend = backend_name(i->backend),
        .dtype = *i->dtype ? i->dtype : "exact",
        .device = i->device,
        .level = i->level,
        .why = i->child->error.code ? i->child->error.msg : "",
        .reserved_bytes = i->reserved.bytes[BUDGET_HOST],
        .real_bytes = i->real_bytes,
        .jobs = i->n_flights,
        .age_ns = core_now(i->m) - i->born_ns,
        .load_ns = i->load_ns,
        .sandbox = i->sandbox,
        .extra = i->extra,
    };
}

static void see_instances(const struct deployment *d, struct frame_of_view *f)
{
    size_t n = list_count(&d->instances), k = 0;
    f->instances = mem_zero(n + 1, sizeof(*f->instances));
    list_each(at, (struct list *)&d->instances)
    {
        const struct instance *i = list_of(at, struct instance, link);
        see_instance(i, &f->instances[k++]);
        f->view.running_jobs += i->n_flights;
        if (i->dim)
            f->view.dim = i->dim;
    }
    f->view.instances = f->instances;
    f->view.n_instances = n;
}

static void see_aliases(const struct model *model, struct frame_of_view *f)
{
    size_t n = 0;
    f->aliases = mem_zero(model->m->n_aliases + 1, sizeof(*f->aliases));
    list_each(at, (struct list *)&model->m->aliases)
    {
        const struct alias *a = list_of(at, struct alias, link);
        if (registry_find(model->m, a->name) == model)
            f->aliases[n++] = a->name;
    }
    f->view.aliases = f->aliases;
    f->view.alias = f->aliases[0];
}

static void see_plan(const struct plan *p, struct manager_model_view *v)
{
    v->architecture = p->architecture;
    v->model_type = p->model_type;
    v->task = p->task;
    v->context = p->context;
    v->dim = p->dim;
    for (size_t i = 0; i < p->n_tasks; i++)
        v->tasks[i] = p->tasks[i];
}

/* What serves it, or would if it were loaded now. */
static void see_choice(const struct model *model, struct choice *c,
                       struct manager_model_view *v)
{
    const struct deployment *d = model->deployment;
    struct err ignored;
    *c = d->choice;
    if (model->plan.body && list_empty(&d->instances) &&
        choice_make(model->m, &d->wanted, &model->plan, model->name, c,
                    &ignored) < 0)
        c->backend = BACKEND_AUTO;
    v->backend = c->backend == BACKEND_AUTO ? "" : backend_name(c->backend);
    v->backend_reason = c->reason;
    v->backend_wanted = backend_name(d->wanted.backend);
    for (int i = 0; i < BUDGET_DEVICES; i++)
        v->need_bytes += c->need.bytes[i];
    if (c->backend == BACKEND_AUTO)
        v->need_bytes = model->plan.need_bytes;
}

static const char *reason(const struct model *model)
{
    const struct deployment *d = model->deployment;
    if (model->state == MODEL_FAILED)
        return model->error.msg;
    if (room_waits(d))
        return "waiting for memory";
    return d->state == DEPLOYMENT_FAILED || d->state == DEPLOYMENT_BACK_OFF ||
                   d->state == DEPLOYMENT_CRASH_LOOP
               ? d->error.msg
               : "";
}

static void see(const struct model *model, manager_view_fn *fn, void *ctx)
{
    const struct deployment *d = model->deployment;
    struct frame_of_view f = {0};
    struct choice choice;
    f.view = (struct manager_model_view){
        .name = model->name,
        .revision = model->is.revision,
        .commit = model->is.commit,
        .model_state = state_name(STATE_MODEL, (int)model->state),
        .state = state_name(STATE_DEPLOYMENT, (int)d->state),
        .reason = reason(model),
        .last_words = model->last_words,
        .origin = model->is.origin,
        .file_bytes = model->is.bytes,
        .preload = model->declared && model->declared->preload,
        .pin = d->wanted.pin,
        .keep_alive_s = d->wanted.keep_alive_s,
        .priority = d->wanted.priority,
        .idle_ns = d->n_jobs ? 0 : core_now(model->m) - d->idle_ns,
        .loads = d->n_loads,
        .unloads_idle = d->n_unloads[UNLOAD_IDLE],
        .unloads_requested = d->n_unloads[UNLOAD_REQUESTED],
        .unloads_evicted = d->n_unloads[UNLOAD_EVICTED],
        .unloads_crashed = d->n_unloads[UNLOAD_CRASHED],
        .queued_jobs = d->queue.n + (uint32_t)list_count(&d->suspects),
        .restarts = d->restarts,
        .done_jobs = d->n_done,
        .failed_jobs = d->n_failed,
        .truncated_items = d->n_truncated,
        .tokens = d->n_tokens,
        .generated = d->n_generated,
        .retry_after_ms = deployment_pause_ns(d) / CORE_MS_NS,
    };
    see_plan(&model->plan, &f.view);
    see_choice(model, &choice, &f.view);
    if (*d->wanted.task)
        f.view.task = d->wanted.task;
    see_instances(d, &f);
    see_aliases(model, &f);
    fn(ctx, &f.view);
    free(f.instances);
    free(f.aliases);
}

static bool listed(const struct model *model)
{
    return model->state != MODEL_ABSENT || model->declared;
}

static void list_variants(const struct model *model, manager_view_fn *fn,
                          void *ctx)
{
    list_each(at, &model->m->variants)
    {
        const struct model *v = list_of(at, struct model, link);
        if (variant_of(v, model) && v->deployment->state != DEPLOYMENT_IDLE)
            see(v, fn, ctx);
    }
}

void manager_list(struct manager *m, manager_view_fn *fn, void *ctx)
{
    list_each(at, &m->models)
    {
        const struct model *model = list_of(at, struct model, link);
        if (listed(model))
            see(model, fn, ctx);
        list_variants(model, fn, ctx);
    }
}

int manager_show(struct manager *m, const char *name, manager_view_fn *fn,
                 void *ctx, struct err *err)
{
    struct model *model;
    int r = registry_get(m, name, &model, err);
    if (r == 0)
        see(model, fn, ctx);
    return r;
}

/* Does path begin with name, or a variant of it, at a '/' or at its end? */
static size_t begins(struct str path, const char *name)
{
    size_t n = strlen(name);
    if (!str_starts(path, name))
        return 0;
    size_t suffix = variant_suffix(str_n(path.p + n, path.n - n));
    bool whole = path.n == n || path.p[n] == '/';
    return whole ? n : suffix ? n + suffix : 0;
}

size_t manager_match(const struct manager *m, struct str path)
{
    size_t best = 0;
    list_each(at, (struct list *)&m->models)
    {
        const struct model *model = list_of(at, struct model, link);
        size_t n = listed(model) ? begins(path, model->name) : 0;
        best = n > best ? n : best;
    }
    list_each(at, (struct list *)&m->aliases)
    {
        size_t n = begins(path, list_of(at, struct alias, link)->name);
        best = n > best ? n : best;
    }
    return best;
}

const char *manager_only_model(const struct manager *m)
{
    const struct model *only = NULL;
    list_each(at, (struct list *)&m->models)
    {
        const struct model *model = list_of(at, struct model, link);
        if (!listed(model))
            continue;
        if (only)
            return NULL;
        only = model;
    }
    return only ? only->name : NULL;
}

void manager_status(const struct manager *m, struct manager_status *ret)
{
    *ret = (struct manager_status){
        .memory_budget = m->budget.all.bytes[BUDGET_HOST],
        .memory_reserved = m->budget.reserved.bytes[BUDGET_HOST],
        .jobs_done = m->n_done,
        .jobs_failed = m->n_failed,
        .jobs_retried = m->n_retried,
        .worker_deaths = m->n_deaths,
        .truncations = m->n_truncated,
        .starting = m->starting,
        .draining = m->draining,
        .waiting_for = boot_waits_for(m),
    };
    ret->preloads_ready = !ret->waiting_for;
    standby_see(m, ret);
    list_each(at, (struct list *)&m->models)
    {
        const struct model *model = list_of(at, struct model, link);
        ret->models += listed(model);
    }
    list_each(at, (struct list *)&m->deployments)
    {
        const struct deployment *d = list_of(at, struct deployment, link);
        ret->deployments_ready += d->state == DEPLOYMENT_READY;
        ret->jobs_queued += d->queue.n + (uint32_t)list_count(&d->suspects);
        list_each(i, (struct list *)&d->instances)
        {
            ret->instances++;
            ret->jobs_running += list_of(i, struct instance, link)->n_flights;
        }
    }
}

unsigned manager_retry_after(const struct manager *m, const char *name)
{
    enum { LONGEST_S = 60 };
    const struct model *model = registry_find(m, name);
    if (!model)
        return 1;
    const struct deployment *d = model->deployment;
    uint64_t ns = deployment_pause_ns(d);
    if (ns == 0)
        ns = d->queue.n * d->job_ns;
    uint64_t s = (ns + CORE_SECOND_NS - 1) / CORE_SECOND_NS;
    return s < 1 ? 1 : s > LONGEST_S ? LONGEST_S : (unsigned)s;
}

struct str manager_log(struct manager *m, const char *name)
{
    const struct model *model = registry_find(m, name);
    return model ? log_ring_text(&model->log) : str_of("");
}
