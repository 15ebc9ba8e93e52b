/* manager/jobs.c - a job from manager_submit() until its reply has been told.
 *
 * Failures are told by a timer and not where they are found, so that a reply
 * that submits or cancels never does so from inside the manager's own work.
 */
#include "manager/jobs.h"
#include "base/log.h"
#include "base/mem.h"
#include "manager/deployment.h"
#include "manager/idle.h"
#include "manager/instance.h"
#include "manager/registry.h"
#include <assert.h>
#include <errno.h>

enum {
    CRASHES_MAX = 2,
    PRIORITY_MAX = 9,
    JOB_OVERHEAD = 1 << 20,
    CALLER_MAX = 256, /* what the frame takes */
    CREDIT_MIN = FRAME_CHUNK_MAX,
    CREDIT_MAX = 1 << 30,
};

struct job *job_find(const struct manager *m, uint64_t id)
{
    const struct list *bucket = &m->jobs[id % CORE_JOB_BUCKETS];
    list_each(at, (struct list *)bucket)
    {
        struct job *j = list_of(at, struct job, by_id);
        if (j->id == id)
            return j;
    }
    return NULL;
}

/* Out of the queue, the suspects or the air. */
static void leave_phase(struct job *j)
{
    if (j->phase == JOB_QUEUED && j->queued_by)
        line_drop(&j->d->queue, j);
    else
        list_del(&j->link);
    if (j->flight)
        flight_forget(j->flight);
}

static void job_free(struct job *j)
{
    struct manager *m = j->d->m;
    core_timer_clear(m, &j->timer);
    idle_job_ends(j->d, j->id);
    core_leave(m, j->d->model);
    list_del(&j->by_id);
    list_del(&j->link);
    free(j->err);
    arena_fini(&j->arena);
    free(j);
}

void job_fail(struct job *j, int code, const struct err *err)
{
    assert(j->phase != JOB_ENDING);
    leave_phase(j);
    core_timer_clear(j->d->m, &j->timer);
    j->phase = JOB_ENDING;
    j->err = mem_new(struct err);
    *j->err = *err;
    j->err->code = code < 0 ? -code : code;
    list_add(&j->d->m->ending, &j->link);
    core_later(j->d->m);
}

static void end(struct job *j, bool ok)
{
    struct deployment *d = j->d;
    struct manager_reply reply = j->reply;
    *(ok ? &d->n_done : &d->n_failed) += 1;
    *(ok ? &d->m->n_done : &d->m->n_failed) += 1;
    core_enter(d->m, d->model);
    job_free(j);
    reply.done(reply.ctx);
    deployment_look(d);
    core_leave(d->m, d->model);
}

void jobs_tell(struct manager *m)
{
    while (!list_empty(&m->ending)) {
        struct job *j = list_of(m->ending.next, struct job, link);
        uint64_t id = j->id;
        struct err err = *j->err;
        j->reply.failed(j->reply.ctx, -1, &err);
        j = job_find(m, id);
        if (j)
            end(j, false);
    }
}

static void remember(struct job *j)
{
    const struct poison_request request = {j->d->model->name, j->task,
                                           j->params, j->items, j->n_items};
    struct manager *m = j->d->m;
    log_warn("manager: a request ended the inference server of %s twice: it is "
             "refused for some time",
             request.model);
    poison_add(&m->poison, &request, core_now(m));
}

void job_crashed(struct job *j, const char *reason, bool blames)
{
    struct deployment *d = j->d;
    struct err err;
    j->crashes++;
    if (j->began || j->crashes >= CRASHES_MAX || d->ending ||
        (d->state == DEPLOYMENT_DRAINING && !d->rests)) {
        err_set(&err, E_WORKER_CRASHED, "%s: %s%s", d->model->name, reason,
                j->began ? "; the stream ended before its answer did" : "");
        if (j->crashes >= CRASHES_MAX && blames) /* the second time alone */
            remember(j);
        job_fail(j, E_WORKER_CRASHED, &err);
        return;
    }
    d->m->n_retried++;
    j->phase = JOB_SUSPECT;
    list_add(&d->suspects, &j->link);
}

void job_item_done(struct job *j, const struct manager_result *result)
{
    struct deployment *d = j->d;
    j->answered[result->item] = true;
    j->n_left--;
    d->n_tokens += result->tokens;
    d->n_generated += result->generated;
    d->n_truncated += result->truncated;
    d->m->n_truncated += result->truncated;
    j->reply.item(j->reply.ctx, result);
}

void job_chunk(struct job *j, const struct manager_chunk *chunk)
{
    j->began = true;
    j->reply.chunk(j->reply.ctx, chunk);
}

void job_item_failed(struct job *j, size_t item, const struct err *err)
{
    j->answered[item] = true;
    j->n_left--;
    j->n_refused++;
    j->reply.failed(j->reply.ctx, (long)item, err);
}

void job_finish(struct job *j)
{
    assert(j->n_left == 0);
    deployment_answered(j->d);
    end(j, j->n_refused < j->n_items);
}

void jobs_fail_all(struct deployment *d, int code, const struct err *err)
{
    struct job *j;
    while ((j = line_any(&d->queue)))
        job_fail(j, code, err);
    while (!list_empty(&d->suspects))
        job_fail(list_of(d->suspects.next, struct job, link), code, err);
}

bool jobs_any(const struct deployment *d)
{
    return d->queue.n > 0 || !list_empty(&d->suspects);
}

static void on_deadline(struct loop_timer *t)
{
    struct job *j = t->ctx;
    struct err err;
    bool flew = j->phase == JOB_FLYING;
    uint64_t ms = (core_now(j->d->m) - j->submitted_ns) / CORE_MS_NS;
    err_set(&err, E_DEADLINE,
            "%s: no answer within the job's deadline (%llu ms, %s)",
            j->d->model->name, (unsigned long long)ms,
            flew ? "it was running" : "it was waiting");
    job_fail(j, E_DEADLINE, &err);
}

/* ---- submitting ---- */

static bool copy_str(struct arena *a, struct str from, struct str *to)
{
    to->p = arena_str(a, from);
    to->n = from.n;
    return to->p;
}

static bool copy_item(struct arena *a, const struct item *from, struct item *to)
{
    to->n_parts = from->n_parts;
    to->parts = arena_alloc(a, from->n_parts, sizeof(*to->parts));
    if (!to->parts)
        return false;
    for (size_t i = 0; i < from->n_parts; i++) {
        struct part *p = &to->parts[i];
        *p = from->parts[i];
        if (!copy_str(a, p->role, &p->role) ||
            !copy_str(a, p->media, &p->media) ||
            !copy_str(a, p->dtype, &p->dtype) ||
            !copy_str(a, p->data, &p->data))
            return false;
    }
    return true;
}

static size_t count_parts(const struct manager_job *job)
{
    size_t parts = 0;
    for (size_t i = 0; i < job->n_items; i++)
        parts += job->items[i].n_parts;
    return parts;
}

/* What the queue counts. */
static size_t held_bytes(const struct manager_job *job, size_t bytes)
{
    return bytes + job->params.n + count_parts(job) * MANAGER_PART_BYTES;
}

static size_t arena_needed(const struct manager_job *from, size_t bytes)
{
    return JOB_OVERHEAD + bytes + from->params.n +
           count_parts(from) * (sizeof(struct part) + 4 * 64) +
           from->n_items * (sizeof(struct item) + 64);
}

static bool copy_all(struct job *j, const struct manager_job *from)
{
    struct arena *a = &j->arena;
    struct str caller = str_of(from->caller ? from->caller : "");
    if (caller.n > CALLER_MAX)
        caller.n = CALLER_MAX;
    j->caller = arena_str(a, caller);
    j->task = arena_str(a, str_of(from->task ? from->task : ""));
    j->items = arena_alloc(a, from->n_items, sizeof(*j->items));
    j->answered = arena_alloc(a, from->n_items, sizeof(*j->answered));
    if (!j->caller || !j->task || !j->items || !j->answered ||
        !copy_str(a, from->params, &j->params))
        return false;
    for (; j->n_items < from->n_items; j->n_items++)
        if (!copy_item(a, &from->items[j->n_items], &j->items[j->n_items]))
            return false;
    j->n_left = j->n_items;
    return true;
}

static struct job *job_new(struct deployment *d, const struct manager_job *from,
                           size_t bytes)
{
    struct job *j = mem_try(1, sizeof(*j));
    if (!j)
        return NULL;
    j->arena = (struct arena)ARENA_MAX(arena_needed(from, bytes));
    list_init(&j->by_id);
    list_init(&j->link);
    j->d = d;
    if (!copy_all(j, from)) {
        arena_fini(&j->arena);
        free(j);
        return NULL;
    }
    j->bytes = bytes;
    j->held = held_bytes(from, bytes);
    j->priority = from->priority;
    j->reply = from->reply;
    if (from->reply.chunk)
        j->credit = from->credit < CREDIT_MIN   ? CREDIT_MIN
                    : from->credit > CREDIT_MAX ? CREDIT_MAX
                                                : from->credit;
    j->submitted_ns = core_now(d->m);
    j->deadline_ns = from->deadline_ns
                         ? from->deadline_ns
                         : j->submitted_ns + d->m->config.job_deadline_ns;
    j->timer = (struct loop_timer){.fn = on_deadline, .ctx = j};
    return j;
}

static int check_shape(const struct manager_job *job, struct err *err)
{
    if (job->n_items == 0 || job->n_items > FRAME_ITEMS_MAX)
        return err_set(err, E_TOO_LARGE,
                       "%zu inputs in one request; it must be 1 to %d",
                       job->n_items, FRAME_ITEMS_MAX);
    for (size_t i = 0; i < job->n_items; i++)
        if (job->items[i].n_parts > FRAME_PARTS_MAX)
            return err_set(err, E_TOO_LARGE,
                           "input %zu has %zu parts, limit %d", i,
                           job->items[i].n_parts, FRAME_PARTS_MAX);
    if (job->priority < 0 || job->priority > PRIORITY_MAX)
        return err_set(err, E_INVALID_REQUEST, "priority must be 0 to %d",
                       PRIORITY_MAX);
    return 0;
}

/* Whoever serves it knows best; else the inspector does, of what it knows. */
static bool may_do(const struct deployment *d, const char *task)
{
    const struct plan *p = &d->model->plan;
    list_each(at, (struct list *)&d->instances)
    {
        const struct instance *i = list_of(at, struct instance, link);
        if (i->n_tasks)
            return instance_has_task(i, task);
    }
    return !p->n_tasks || plan_has_task(p, task);
}

/* Would the deployment have it at all? */
static int check_state(struct deployment *d, const struct manager_job *job,
                       struct err *err)
{
    const char *name = d->model->name;
    uint64_t pause = deployment_pause_ns(d);
    int r = model_usable(d->model, err);
    if (r < 0)
        return r;
    if (d->model->state == MODEL_FAILED && d->model->error.code)
        return err_set(err, d->model->error.code, "%s", d->model->error.msg);
    if (d->ending || (d->state == DEPLOYMENT_DRAINING && !d->rests))
        return err_set(err, E_DRAINING, "%s is being unloaded", name);
    if (d->state == DEPLOYMENT_CRASH_LOOP)
        return err_set(err, E_CRASH_LOOP,
                       "%s keeps crashing; the next try is in %.1f s: %s", name,
                       (double)pause / 1e9, d->error.msg);
    if (d->state == DEPLOYMENT_BACK_OFF && job->deadline_ns &&
        job->deadline_ns < d->backoff.until_ns)
        return err_set(err, E_BACK_OFF, "%s crashed; the next try is in %.1f s",
                       name, (double)pause / 1e9);
    if (job->task && *job->task && !may_do(d, job->task))
        return err_set(err, E_UNSUPPORTED_TASK, "%s cannot do %s; it does %s",
                       name, job->task, d->model->plan.task);
    return 0;
}

static int check_room(const struct deployment *d, const struct manager_job *job,
                      size_t bytes, struct err *err)
{
    size_t held = held_bytes(job, bytes);
    const struct manager_config *c = &d->m->config;
    if (d->queue.n >= c->queue_jobs)
        return err_set(err, E_QUEUE_FULL,
                       "the queue of %s is full: %u jobs wait", d->model->name,
                       d->queue.n);
    if (held > c->queue_bytes)
        return err_set(err, E_TOO_LARGE,
                       "%zu bytes of input, %zu to be held; the queue takes "
                       "%llu",
                       bytes, held, (unsigned long long)c->queue_bytes);
    if (held > c->queue_bytes - d->queue.bytes)
        return err_set(err, E_QUEUE_FULL,
                       "the queue of %s is full: %llu bytes wait",
                       d->model->name, (unsigned long long)d->queue.bytes);
    return 0;
}

/* An inference server ends when it is sent what it cannot read: whoever asks
 * must not be able to have that sent. */
static int check_params(struct str params, struct err *err)
{
    if (params.n == 0)
        return 0;
    if (params.n > MANAGER_PARAMS_MAX)
        return err_set(err, E_TOO_LARGE,
                       "the parameters have %zu bytes, at most %d are taken",
                       params.n, MANAGER_PARAMS_MAX);
    size_t most = params.n < WIRE_NODES_MAX ? params.n : WIRE_NODES_MAX;
    struct wire_node *nodes = mem_try(most, sizeof(*nodes));
    if (!nodes)
        return err_set(err, E_INSUFFICIENT_MEMORY,
                       "out of memory for %zu bytes of parameters", params.n);
    int r = wire_decode(params, nodes, most, err);
    free(nodes);
    return r < 0 ? err_prefix(err, "the parameters") : 0;
}

static int check_poison(const struct model *model,
                        const struct manager_job *job, struct err *err)
{
    const struct manager *m = model->m;
    const struct poison_request request = {
        model->name, job->task ? job->task : "", job->params, job->items,
        job->n_items};
    return poison_check(&m->poison, &request, core_now(m), err);
}

static void accept(struct deployment *d, struct job *j)
{
    struct manager *m = d->m;
    j->id = ++m->last_id;
    list_add(&m->jobs[j->id % CORE_JOB_BUCKETS], &j->by_id);
    core_enter(m, d->model);
    idle_job_begins(d);
    core_timer_set(m, &j->timer, j->deadline_ns);
    line_push(&d->queue, j);
    deployment_want(d);
    deployment_dispatch(d);
}

int manager_submit(struct manager *m, const struct manager_job *job,
                   uint64_t *ret_id, struct err *err)
{
    struct model *model;
    size_t bytes = items_bytes(job->items, job->n_items);
    if (m->draining)
        return err_set(err, E_DRAINING, "the daemon is shutting down");
    int r = registry_get(m, job->model, &model, err);
    if (r == 0)
        r = check_shape(job, err);
    if (r == 0)
        r = check_state(model->deployment, job, err);
    if (r == 0)
        r = check_params(job->params, err);
    if (r == 0)
        r = check_room(model->deployment, job, bytes, err);
    if (r == 0)
        r = check_poison(model, job, err);
    if (r < 0)
        return r;
    if (job->deadline_ns && job->deadline_ns <= core_now(m))
        return err_set(err, E_DEADLINE, "the deadline had passed already");
    struct job *j = job_new(model->deployment, job, bytes);
    if (!j)
        return err_set(err, E_INSUFFICIENT_MEMORY,
                       "out of memory for %zu bytes of input", bytes);
    accept(model->deployment, j);
    *ret_id = j->id;
    return 0;
}

void manager_cancel(struct manager *m, uint64_t job_id)
{
    struct job *j = job_find(m, job_id);
    if (!j)
        return;
    struct deployment *d = j->d;
    leave_phase(j);
    core_enter(m, d->model);
    job_free(j);
    deployment_look(d);
    core_leave(m, d->model);
}

void manager_credit(struct manager *m, uint64_t job_id, uint64_t bytes)
{
    struct job *j = job_find(m, job_id);
    if (!j || !j->reply.chunk)
        return;
    if (bytes > CREDIT_MAX - j->credit)
        bytes = CREDIT_MAX - j->credit;
    j->credit += bytes;
    if (j->flight && bytes)
        flight_credit(j->flight, bytes);
}
