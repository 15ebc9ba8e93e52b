/* manager/plans.c - what the inspector says about a model's files.
 *
 * One inspector a question: it gets the descriptors in LOAD, answers PLAN and
 * is told to DRAIN.
 */
#include "manager/plans.h"
#include "base/mem.h"
#include "manager/child.h"
#include "manager/files.h"
#include <errno.h>
#include <stdlib.h>

enum {
    PLAN_OVERHEAD = 16 << 20, /* a worker's own: program, tokenizer, stacks */
    INSPECTOR_MEMORY = 1 << 30,
    INSPECTOR_LIMIT_S = 30,
};
static const uint64_t BYTES_SANE = UINT64_C(1) << 50;

struct inspection {
    struct child *child;
    char *name, *revision;
    struct cache_files files; /* until they are sent */
    inspection_fn *done;
    void *ctx;
    struct plan plan;
    struct loop_timer timer;
};

void plan_fini(struct plan *p)
{
    free(p->body);
    *p = (struct plan){0};
}

void plan_copy(struct plan *to, const struct plan *from)
{
    *to = *from;
    to->body = wire_dup(from->body);
    if (!to->body) /* not known: asked for again */
        *to = (struct plan){0};
}

bool plan_has_task(const struct plan *p, const char *task)
{
    for (size_t i = 0; i < p->n_tasks; i++)
        if (!strcmp(p->tasks[i], task))
            return true;
    return false;
}

int plan_supported(const struct plan *p, const char *name, struct err *err)
{
    const struct wire_node *list = wire_get(p->body, "unsupported");
    const struct wire_node *first = wire_first(list);
    if (!first)
        return 0;
    struct str what = wire_text(first, "what"), why = wire_text(first, "why");
    err_set(err, E_UNSUPPORTED_ARCHITECTURE, "%s cannot be served: %.*s: %.*s",
            name, STR_FMT(what), STR_FMT(why));
    if (list->count > 1)
        return err_prefix(err, "%u reasons, the first", list->count);
    return -E_UNSUPPORTED_ARCHITECTURE;
}

static void copy_text(const struct wire_node *body, const char *key, char *to,
                      size_t size)
{
    struct str s = wire_text(body, key);
    str_to_z(s.n < size ? s : str_n(s.p, 0), to, size);
}

static void copy_tasks(struct plan *p)
{
    const struct wire_node *list = wire_get(p->body, "tasks");
    for (const struct wire_node *t = wire_first(list); t;
         t = wire_next(list, t))
        if (t->kind == WIRE_TEXT && p->n_tasks < MANAGER_TASKS_MAX &&
            str_to_z(t->s, p->tasks[p->n_tasks], sizeof(p->tasks[0])))
            p->n_tasks++;
}

/* What so many threads need: row i is for 2^i of them. */
static uint64_t runtime_bytes(const struct wire_node *body, int threads)
{
    const struct wire_node *list = wire_get(body, "runtime");
    uint64_t need = 0, of = 1;
    for (const struct wire_node *row = wire_first(list); row;
         row = wire_next(list, row), of *= 2) {
        const struct wire_node *tokens = wire_first(row);
        const struct wire_node *bytes = tokens ? wire_next(row, tokens) : NULL;
        if (bytes && bytes->kind == WIRE_UINT)
            need = bytes->u;
        if (of >= (uint64_t)threads)
            break;
    }
    return need;
}

/* Of all dtypes; UINT64_MAX when that is beyond reason. */
static uint64_t tensor_bytes(const struct wire_node *body)
{
    const struct wire_node *map = wire_get(body, "bytes");
    uint64_t sum = 0;
    for (const struct wire_node *v = wire_first(map); v;
         v = wire_next(map, v)) {
        if (v->kind != WIRE_UINT) /* a key */
            continue;
        if (v->u > BYTES_SANE)
            return UINT64_MAX;
        sum += v->u;
    }
    return sum;
}

int plan_read(struct plan *p, const struct wire_node *body, int threads,
              struct err *err)
{
    uint64_t weights = wire_uint(body, "weights", 0),
             runtime = runtime_bytes(body, threads),
             parameters = wire_uint(body, "parameters", 0),
             tensors = tensor_bytes(body);
    if (weights > BYTES_SANE || runtime > BYTES_SANE ||
        parameters > BYTES_SANE || tensors > BYTES_SANE)
        return err_set(err, E_INVALID_REQUEST, "a PLAN of impossible sizes");
    p->body = wire_dup(body);
    if (!p->body)
        return err_set(err, ENOMEM, "out of memory");
    copy_text(body, "architecture", p->architecture, sizeof(p->architecture));
    copy_text(body, "model_type", p->model_type, sizeof(p->model_type));
    copy_text(body, "task", p->task, sizeof(p->task));
    copy_tasks(p);
    p->context = (uint32_t)wire_uint(body, "context", 0);
    p->dim = (uint32_t)wire_uint(body, "dim", 0);
    p->need_bytes = weights + runtime + PLAN_OVERHEAD;
    p->parameters = parameters;
    p->tensor_bytes = tensors;
    return 0;
}

static int greeted(struct child *c, struct err *err)
{
    struct inspection *i = c->owner;
    if (!i)
        return 0;
    const struct files_load load = {.model = i->name,
                                    .revision = i->revision,
                                    .dtype = "exact",
                                    .device = "cpu"};
    return files_send(c, &load, &i->files, err);
}

static int on_frame(struct child *c, struct frame *f, struct err *err)
{
    struct inspection *i = c->owner;
    if (f->type == FRAME_STATUS || f->type == FRAME_PONG || !i)
        return 0;
    if (f->type != FRAME_PLAN || i->plan.body)
        return err_set(err, E_INVALID_REQUEST, "%s from an inspector",
                       frame_type_name((int)f->type));
    int r = plan_read(&i->plan, f->body, c->m->config.threads, err);
    if (r == 0)
        child_say(c, FRAME_DRAIN, 0);
    return r;
}

static void inspection_free(struct manager *m, struct inspection *i)
{
    core_timer_clear(m, &i->timer);
    cache_files_fini(&i->files);
    plan_fini(&i->plan);
    free(i->name);
    free(i->revision);
    free(i);
}

/* The answer waits for the reaping, so that nothing of it is left behind. */
static void gone(struct child *c, const struct world_exit *how)
{
    struct inspection *i = c->owner;
    struct err err = {0};
    if (!i)
        return;
    if (i->plan.body) {
        i->done(i->ctx, &i->plan, NULL);
    } else {
        child_reason(c, how, &err);
        i->done(i->ctx, NULL, &err);
    }
    inspection_free(c->m, i);
}

static const struct child_role role = {
    WORLD_INSPECTOR, "inspect", "inspector", CHILD_HELLO_S,
    greeted,         on_frame,  gone,
};

static void on_limit(struct loop_timer *t)
{
    struct inspection *i = t->ctx;
    err_set(&i->child->error, E_DAMAGED_FILE,
            "inspecting its files took longer than %d s", INSPECTOR_LIMIT_S);
    child_kill(i->child);
}

int inspection_open(struct manager *m, struct model *model, const char *name,
                    const char *revision, const struct cache_files *files,
                    inspection_fn *done, void *ctx, struct inspection **ret,
                    struct err *err)
{
    struct inspection *i = mem_new(struct inspection);
    i->name = mem_strdup(name);
    i->revision = mem_strdup(revision);
    i->done = done;
    i->ctx = ctx;
    i->timer = (struct loop_timer){.fn = on_limit, .ctx = i};
    int r = files_dup(&i->files, files, err);
    if (r == 0)
        r = child_open(m, &role, NULL, i, model, INSPECTOR_MEMORY, &i->child,
                       err);
    if (r < 0) {
        inspection_free(m, i);
        return r;
    }
    core_timer_set(m, &i->timer,
                   core_now(m) + (uint64_t)INSPECTOR_LIMIT_S * CORE_SECOND_NS);
    *ret = i;
    return 0;
}

void inspection_drop(struct inspection *i)
{
    struct child *c = i->child;
    c->owner = NULL;
    inspection_free(c->m, i);
    child_kill(c);
}
