/* manager/instance.c - one worker process and the jobs that it has. */
#include "manager/instance.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "manager/deployment.h"
#include "manager/files.h"
#include "manager/jobs.h"
#include "manager/room.h"
#include "manager/standby.h"
#include <assert.h>
#include <signal.h>

enum {
    PING_S = 1,
    SILENT_BUSY = 3, /* PINGs without progress while it has jobs */
    SILENT_BUSY_PYTHON =
        10,              /* imports, compilation: nothing counts meanwhile */
    SILENT_IDLE = 10,    /* PINGs without an answer */
    EXIT_LIMIT_S = 5,    /* after its last job, once it drains */
    IMPORT_LIMIT_S = 60, /* an interpreter, from a cold disk under load */
    CREDIT_JOBS_MAX = 1 << 20,
    MEMORY_SLACK = 256 << 20, /* allocators and stacks are not exact */
};
static const uint64_t CREDIT_BYTES_MAX = UINT64_C(1) << 40;

static const char *model_name(const struct instance *i)
{
    return i->d->model->name;
}

static void move(struct instance *i, enum instance_state to, const char *why)
{
    struct manager_event e = {
        .type = state_object_name(STATE_INSTANCE),
        .model = model_name(i),
        .from = state_name(STATE_INSTANCE, (int)i->state),
        .to = state_name(STATE_INSTANCE, (int)to),
        .reason = why,
        .instance = i->id,
        .wall_ms = i->m->w->wall_ms(i->m->w->ctx),
    };
    assert(state_may(STATE_INSTANCE, (int)i->state, (int)to));
    log_info("manager: worker[%llu] %s: %s -> %s%s%s",
             (unsigned long long)i->id, e.model, e.from, e.to,
             why && *why ? ": " : "", why ? why : "");
    i->state = to;
    events_add(&i->m->events, &e);
    core_later(i->m);
}

static void arm(struct instance *i, uint64_t after_ns)
{
    core_timer_set(i->m, &i->timer, core_now(i->m) + after_ns);
}

/* ---- flights ---- */

static struct flight *flight_find(struct instance *i, uint64_t id)
{
    list_each(at, &i->flights)
    {
        struct flight *f = list_of(at, struct flight, link);
        if (f->id == id)
            return f;
    }
    return NULL;
}

static void flight_free(struct flight *f)
{
    list_del(&f->link);
    f->instance->n_flights--;
    if (f->job)
        f->job->flight = NULL;
    free(f->item);
    free(f->answered);
    free(f);
}

void flight_forget(struct flight *f)
{
    f->job->flight = NULL;
    f->job = NULL;
    child_say(f->instance->child, FRAME_CANCEL, f->id);
}

void flight_credit(struct flight *f, uint64_t bytes)
{
    struct wire_map m = child_begin(f->instance->child, FRAME_CREDIT, f->id);
    f->room += bytes;
    wire_kuint(&m, "bytes", bytes);
    child_send(f->instance->child, &m, NULL, 0);
}

static struct flight *flight_new(struct instance *i, struct job *j)
{
    struct flight *f = mem_new(struct flight);
    f->instance = i;
    f->id = j->id;
    f->job = j;
    f->chunks = j->reply.chunk;
    f->room = j->credit;
    f->item = mem_zero(j->n_left, sizeof(*f->item));
    f->answered = mem_zero(j->n_left, sizeof(*f->answered));
    for (size_t k = 0; k < j->n_items; k++)
        if (!j->answered[k])
            f->item[f->n++] = (uint16_t)k;
    f->n_left = f->n;
    list_add(&i->flights, &f->link);
    i->n_flights++;
    j->flight = f;
    return f;
}

/* The items that are not yet answered, in their order. */
static struct item *items_left(const struct job *j, const struct flight *f)
{
    struct item *items = mem_zero(f->n + 1, sizeof(*items));
    for (size_t k = 0; k < f->n; k++)
        items[k] = j->items[f->item[k]];
    return items;
}

static const char *instance_task(const struct instance *i)
{
    const char *wanted = i->d->wanted.task;
    return *wanted ? wanted : i->task;
}

static int send_job(struct instance *i, const struct job *j,
                    const struct item *items, size_t n, struct err *err)
{
    int fd;
    int r = parts_seal(items, n, &fd, err);
    if (r < 0)
        return r;
    struct wire_map m = child_begin(i->child, FRAME_JOB, j->id);
    wire_kz(&m, "task", *j->task ? j->task : instance_task(i));
    wire_kuint(&m, "deadline_ns", j->deadline_ns);
    wire_kuint(&m, "priority", (uint64_t)j->priority);
    wire_kz(&m, "caller", j->caller);
    if (j->params.n) {
        wire_key(&m, "params");
        buf_add(m.out, j->params.p, j->params.n);
    }
    wire_key(&m, "items");
    items_put(m.out, items, n, fd >= 0);
    if (fd >= 0)
        wire_kuint(&m, "data", items_bytes(items, n));
    if (j->reply.chunk)
        wire_kuint(&m, "credit", j->credit);
    if (child_send(i->child, &m, &fd, fd >= 0) < 0)
        return err_set(err, E_TOO_LARGE,
                       "the job is too large: send fewer inputs at a time");
    return 0;
}

void instance_run(struct instance *i, struct job *j)
{
    struct err err;
    struct flight *f = flight_new(i, j);
    struct item *items = items_left(j, f);
    j->phase = JOB_FLYING;
    i->credit_jobs--;
    f->bytes = j->bytes < i->credit_bytes ? j->bytes : i->credit_bytes;
    i->credit_bytes -= f->bytes;
    int r = send_job(i, j, items, f->n, &err);
    free(items);
    if (r == 0)
        return;
    i->credit_jobs++;
    i->credit_bytes += f->bytes;
    flight_free(f);
    job_fail(j, r, &err);
}

bool instance_can_take(const struct instance *i, const struct job *j)
{
    bool fits = i->credit_bytes >= j->bytes || i->n_flights == 0;
    return i->state == INSTANCE_READY && !i->expected && i->credit_jobs > 0 &&
           fits;
}

bool instance_has_task(const struct instance *i, const char *task)
{
    for (size_t k = 0; k < i->n_tasks; k++)
        if (!strcmp(i->tasks[k], task))
            return true;
    return !*task;
}

/* ---- what it says ---- */

static int hear_status(struct instance *i, const struct frame *f)
{
    const struct wire_node *sandbox = wire_get(f->body, "sandbox");
    if (!sandbox)
        return 0;
    free(i->sandbox); /* it narrows, once it knows its model */
    i->sandbox = wire_dup(sandbox);
    return 0;
}

static void copy_text(const struct wire_node *body, const char *key, char *to,
                      size_t size)
{
    if (!str_to_z(wire_text(body, key), to, size))
        to[0] = 0;
}

static int hear_ready(struct instance *i, const struct frame *f,
                      struct err *err)
{
    if (i->state != INSTANCE_LOADING)
        return err_set(err, E_INVALID_REQUEST, "READY in state %s",
                       state_name(STATE_INSTANCE, (int)i->state));
    const struct wire_node *list = wire_get(f->body, "tasks");
    for (const struct wire_node *t = wire_first(list); t;
         t = wire_next(list, t))
        if (t->kind == WIRE_TEXT && i->n_tasks < INSTANCE_TASKS_MAX &&
            str_to_z(t->s, i->tasks[i->n_tasks], sizeof(i->tasks[0])))
            i->n_tasks++;
    copy_text(f->body, "task", i->task, sizeof(i->task));
    copy_text(f->body, "dtype", i->dtype, sizeof(i->dtype));
    copy_text(f->body, "isa", i->level, sizeof(i->level));
    budget_learn(&i->m->budget, choice_device(i->device),
                 wire_uint(wire_get(f->body, "limits"), "device_bytes", 0));
    i->dim = (uint32_t)wire_uint(f->body, "dim", 0);
    i->real_bytes = wire_uint(f->body, "memory", 0);
    i->extra = wire_dup(wire_get(f->body, "extra"));
    if (!strcmp(i->device, "auto") && wire_text(i->extra, "device").n)
        copy_text(i->extra, "device", i->device, sizeof(i->device));
    i->load_ns = core_now(i->m) - i->born_ns;
    move(i, INSTANCE_READY, "");
    arm(i, (uint64_t)PING_S * CORE_SECOND_NS);
    deployment_ready(i->d, i);
    return 0;
}

static int hear_pong(struct instance *i, const struct frame *f)
{
    const struct wire_node *list = wire_get(f->body, "threads");
    uint64_t sum = 0;
    for (const struct wire_node *t = wire_first(list); t;
         t = wire_next(list, t))
        sum += t->kind == WIRE_UINT ? t->u : 0;
    i->ponged = true;
    i->moved |= sum != i->progress;
    i->progress = sum;
    i->real_bytes = wire_uint(f->body, "memory", i->real_bytes);
    return 0;
}

static int hear_credit(struct instance *i, const struct frame *f)
{
    i->credit_jobs += wire_uint(f->body, "jobs", 0);
    i->credit_bytes += wire_uint(f->body, "bytes", 0);
    if (i->credit_jobs > CREDIT_JOBS_MAX)
        i->credit_jobs = CREDIT_JOBS_MAX;
    if (i->credit_bytes > CREDIT_BYTES_MAX)
        i->credit_bytes = CREDIT_BYTES_MAX;
    deployment_dispatch(i->d);
    return 0;
}

static int check_item(const struct flight *fl, uint64_t item, struct err *err)
{
    if (item < fl->n && !fl->answered[item])
        return 0;
    return err_set(err, E_INVALID_REQUEST,
                   "an answer to item %llu of a job that does not wait for it",
                   (unsigned long long)item);
}

static bool has_flag(const struct wire_node *body, const char *flag)
{
    const struct wire_node *list = wire_get(body, "flags");
    for (const struct wire_node *t = wire_first(list); t;
         t = wire_next(list, t))
        if (t->kind == WIRE_TEXT && str_is(t->s, flag))
            return true;
    return false;
}

static int tell_item(struct flight *fl, size_t item, const struct frame *f,
                     struct err *err)
{
    struct arena arena = ARENA_MAX(4 * FRAME_BODY_MAX + (1 << 20));
    struct part_map map;
    struct item parts;
    int r = parts_read(f, &arena, &map, &parts, err);
    if (r == 0) {
        const struct wire_node *times = wire_get(f->body, "times"),
                               *usage = wire_get(f->body, "usage");
        struct manager_result result = {
            .item = fl->item[item],
            .parts = &parts,
            .result = wire_get(f->body, "result"),
            .tokens = wire_uint(usage, "tokens", 0),
            .generated = wire_uint(usage, "generated", 0),
            .truncated = has_flag(f->body, "truncated"),
            .queue_ns = wire_uint(times, "queue_ns", 0),
            .run_ns = wire_uint(times, "run_ns", 0),
        };
        job_item_done(fl->job, &result);
        part_map_fini(&map);
    }
    arena_fini(&arena);
    return r;
}

/* One item of a flight is over. */
static void item_over(struct flight *fl, size_t item)
{
    struct job *j = fl->job;
    fl->answered[item] = true;
    if (--fl->n_left > 0)
        return;
    flight_free(fl);
    if (j)
        job_finish(j);
}

static int hear_done(struct instance *i, const struct frame *f, struct err *err)
{
    struct flight *fl = flight_find(i, f->job);
    uint64_t item = wire_uint(f->body, "item", 0);
    if (!fl)
        return err_set(err, E_INVALID_REQUEST, "DONE of an unknown job");
    int r = check_item(fl, item, err);
    if (r == 0 && fl->job)
        r = tell_item(fl, item, f, err);
    if (r == 0) {
        struct deployment *d = i->d;
        i->moved = true;
        item_over(fl, item);
        deployment_dispatch(d);
    }
    return r;
}

/* Whether the flight may send it: what a stream makes the daemon hold has an
 * end, which is its reader's. */
static int check_chunk(const struct flight *fl, uint64_t item,
                       const struct frame *f, struct err *err)
{
    int r = check_item(fl, item, err);
    if (r < 0)
        return r;
    if (!fl->chunks)
        return err_set(err, E_INVALID_REQUEST, "CHUNK of a job without credit");
    if (f->n_fds > 0 || f->bytes > FRAME_CHUNK_MAX)
        return err_set(err, E_INVALID_REQUEST,
                       "a CHUNK of %u bytes and %d descriptors", f->bytes,
                       f->n_fds);
    if (f->bytes > fl->room)
        return err_set(err, E_INVALID_REQUEST,
                       "a CHUNK of %u bytes with credit for %llu", f->bytes,
                       (unsigned long long)fl->room);
    return 0;
}

static int tell_chunk(struct flight *fl, size_t item, const struct frame *f,
                      struct err *err)
{
    struct arena arena = ARENA_MAX(1 << 20);
    struct part_map map;
    struct item parts;
    int r = parts_read(f, &arena, &map, &parts, err);
    if (r == 0) {
        struct manager_chunk chunk = {
            .item = fl->item[item],
            .parts = &parts,
            .result = wire_get(f->body, "result"),
            .bytes = f->bytes,
        };
        fl->job->credit -= f->bytes;
        job_chunk(fl->job, &chunk);
        part_map_fini(&map);
    }
    arena_fini(&arena);
    return r;
}

static int hear_chunk(struct instance *i, const struct frame *f,
                      struct err *err)
{
    struct flight *fl = flight_find(i, f->job);
    uint64_t item = wire_uint(f->body, "item", 0);
    if (!fl)
        return err_set(err, E_INVALID_REQUEST, "CHUNK of an unknown job");
    int r = check_chunk(fl, item, f, err);
    if (r < 0)
        return r;
    i->moved = true;
    fl->room -= f->bytes;
    return fl->job ? tell_chunk(fl, item, f, err) : 0;
}

static void fail_rest(struct flight *fl, const struct err *why)
{
    for (size_t k = 0; k < fl->n && fl->n_left > 1; k++)
        if (!fl->answered[k]) {
            if (fl->job)
                job_item_failed(fl->job, fl->item[k], why);
            item_over(fl, k);
        }
    size_t last = 0;
    while (fl->answered[last])
        last++;
    if (fl->job)
        job_item_failed(fl->job, fl->item[last], why);
    item_over(fl, last);
}

static int hear_error(struct instance *i, const struct frame *f,
                      struct err *err)
{
    struct flight *fl = flight_find(i, f->job);
    const struct wire_node *item = wire_get(f->body, "item");
    struct str code = wire_text(f->body, "code"),
               text = wire_text(f->body, "text");
    struct err why;
    if (!fl)
        return err_set(err, E_INVALID_REQUEST, "ERROR of an unknown job");
    err_set(&why, err_from_name(code.p, code.n), "%.*s", STR_FMT(text));
    int r = item ? check_item(fl, item->u, err) : 0;
    if (r < 0)
        return r;
    struct deployment *d = i->d;
    i->moved = true;
    if (!item) {
        fail_rest(fl, &why);
    } else {
        if (fl->job)
            job_item_failed(fl->job, fl->item[item->u], &why);
        item_over(fl, item->u);
    }
    deployment_dispatch(d);
    return 0;
}

static int on_frame(struct child *c, struct frame *f, struct err *err)
{
    struct instance *i = c->owner;
    switch (f->type) {
    case FRAME_STATUS:
        return hear_status(i, f);
    case FRAME_READY:
        return hear_ready(i, f, err);
    case FRAME_PONG:
        return hear_pong(i, f);
    case FRAME_CREDIT:
        return hear_credit(i, f);
    case FRAME_CHUNK:
        return hear_chunk(i, f, err);
    case FRAME_DONE:
        return hear_done(i, f, err);
    case FRAME_ERROR:
        return hear_error(i, f, err);
    default:
        return err_set(err, E_INVALID_REQUEST, "%s from a worker",
                       frame_type_name((int)f->type));
    }
}

/* ---- its life ---- */

static void ping(struct instance *i)
{
    struct wire_map m = child_begin(i->child, FRAME_PING, 0);
    wire_kuint(&m, "time_ns", core_now(i->m));
    child_send(i->child, &m, NULL, 0);
    i->ponged = i->moved = false;
    arm(i, (uint64_t)PING_S * CORE_SECOND_NS);
}

/* Hung: SIGABRT leaves a trace of where, SIGKILL follows. */
static void give_up(struct instance *i, const char *why)
{
    log_warn("manager: worker[%llu] %s: %s", (unsigned long long)i->id,
             model_name(i), why);
    err_set(&i->child->error, E_WORKER_CRASHED, "%s", why);
    core_timer_clear(i->m, &i->timer);
    child_end(i->child, SIGABRT, CORE_SECOND_NS);
}

/* Whether it has something to go on with: a stream whose reader does not read
 * stands still, and that is no fault of its own. To end a cancelled one it
 * needs no reader. */
static bool can_move(const struct instance *i)
{
    list_each(at, (struct list *)&i->flights)
    {
        const struct flight *f = list_of(at, struct flight, link);
        if (!f->job || !f->chunks || f->room >= FRAME_CHUNK_MAX)
            return true;
    }
    return false;
}

/* Counts PINGs and not time, so that a daemon that was stopped does not take
 * its own sleep for its workers'. */
static void on_timer(struct loop_timer *t)
{
    struct instance *i = t->ctx;
    if (i->state == INSTANCE_LOADING) {
        give_up(i, "loading took longer than its limit (load_s)");
        return;
    }
    bool busy = can_move(i);
    bool alive = i->ponged && (i->moved || !busy);
    bool native = i->backend == BACKEND_NATIVE;
    i->silent = alive ? 0 : i->silent + 1;
    if (busy && native && i->silent >= SILENT_BUSY)
        give_up(i, "it had jobs and made no progress for 3 s");
    else if (busy && i->silent >= SILENT_BUSY_PYTHON)
        give_up(i, "it had jobs and made no progress for 10 s");
    else if (i->silent >= SILENT_IDLE)
        give_up(i, "it did not answer for 10 s");
    else
        ping(i);
}

/* What it may have where its weights are: a reservation is what it should
 * need. */
static uint64_t memory_limit(const struct instance *i)
{
    return 2 * i->reserved.bytes[choice_device(i->device)] + MEMORY_SLACK;
}

static int greeted(struct child *c, struct err *err)
{
    struct instance *i = c->owner;
    struct deployment *d = i->d;
    const struct store_model *is = &d->model->is;
    const struct world_place place = {is->id, is->commit, is->dir};
    const struct manager_config *all = &i->m->config;
    char folder[FS_PATH_MAX], root[FS_PATH_MAX];
    uint64_t limit =
        all->load_base_ns + all->load_per_100mb_ns * (is->bytes / 100000000);
    struct files_load load = {.model = is->id,
                              .revision =
                                  *is->commit ? is->commit : is->revision,
                              .dtype = d->wanted.dtype,
                              .device = i->device};
    move(i, INSTANCE_LOADING, "");
    arm(i, limit);
    if (i->backend == BACKEND_TRANSFORMERS) {
        if (i->m->w->folder(i->m->w->ctx, &place, folder, root, err) < 0)
            return -err->code;
        load.folder = folder;
        load.root = root;
        load.task = *d->wanted.task ? d->wanted.task : d->model->plan.task;
        load.memory = memory_limit(i);
    }
    return files_send(c, &load, &d->files, err);
}

/* What was in flight goes back to the deployment, each with its blame. */
static void return_flights(struct instance *i, const char *reason,
                           const struct world_exit *how)
{
    /* An operator or the kernel kills; a request makes it fall or hang. */
    bool blames =
        how->signal != SIGKILL || i->child->error.code || i->child->broke.code;
    while (!list_empty(&i->flights)) {
        struct flight *f = list_of(i->flights.next, struct flight, link);
        struct job *j = f->job;
        flight_free(f);
        if (j)
            job_crashed(j, reason, blames);
    }
}

static void instance_free(struct instance *i)
{
    core_timer_clear(i->m, &i->timer);
    list_del(&i->link);
    free(i->sandbox);
    free(i->extra);
    free(i);
}

static void gone(struct child *c, const struct world_exit *how)
{
    struct instance *i = c->owner;
    struct deployment *d = i->d;
    struct err why;
    child_reason(c, how, &why);
    bool died = !i->expected,
         refused = c->error.code && why.code != E_WORKER_CRASHED;
    budget_return(&i->m->budget, &i->reserved);
    room_stir(i->m);
    standby_stir(i->m);
    move(i, INSTANCE_GONE, died ? why.msg : "");
    if (died) {
        i->m->n_deaths++;
        memcpy(d->model->last_words, c->words, sizeof(c->words));
    }
    refused = refused && i->load_ns == 0;
    list_del(&i->link);
    return_flights(i, why.msg, how);
    deployment_lost(d, died ? &why : NULL, refused);
    instance_free(i);
}

static const struct child_role native = {
    WORLD_WORKER, "native", "worker", CHILD_HELLO_S, greeted, on_frame, gone,
};
static const struct child_role transformers = {
    WORLD_TRANSFORMERS, "transformers", "worker", IMPORT_LIMIT_S, greeted,
    on_frame,           gone,
};

/* One that has waited is as good as greeted, or is about to be. */
static int open_standby(struct instance *i, struct standby *s)
{
    struct err err;
    i->child = standby_adopt(s, &transformers, i, i->d->model, &i->sandbox);
    i->id = i->child->id;
    if (i->child->greeted && greeted(i->child, &err) < 0) {
        i->child->broke = err;
        child_kill(i->child);
    }
    return 0;
}

static int open_transformers(struct instance *i, struct err *err)
{
    struct standby *s = i->d->standby;
    i->d->standby = NULL;
    if (s)
        return open_standby(i, s);
    const struct manager_world *w = i->m->w;
    const struct store_model *is = &i->d->model->is;
    const struct world_place place = {is->id, is->commit, is->dir};
    char folder[FS_PATH_MAX], root[FS_PATH_MAX];
    int r = w->folder(w->ctx, &place, folder, root, err);
    const char *const read[] = {root, NULL};
    struct world_launch launch = {w->backend(w->ctx, "transformers"), i->device,
                                  read};
    if (r == 0 && !launch.backend)
        r = err_set(err, E_UNSUPPORTED_ARCHITECTURE,
                    "the Transformers backend is no longer there: berth "
                    "backend install transformers");
    return r < 0 ? r
                 : child_open(i->m, &transformers, &launch, i, i->d->model, 0,
                              &i->child, err);
}

int instance_open(struct deployment *d, const struct budget_vector *reserved,
                  struct err *err)
{
    struct instance *i = mem_new(struct instance);
    i->m = d->m;
    i->d = d;
    i->backend = d->choice.backend;
    i->reserved = *reserved;
    i->born_ns = core_now(d->m);
    i->timer = (struct loop_timer){.fn = on_timer, .ctx = i};
    bool here = i->backend == BACKEND_NATIVE; /* whatever "auto" would mean */
    str_to_z(str_of(here ? "cpu" : d->wanted.device), i->device,
             sizeof(i->device));
    list_init(&i->flights);
    list_add(&d->instances, &i->link);
    int r = i->backend == BACKEND_TRANSFORMERS
                ? open_transformers(i, err)
                : child_open(d->m, &native, NULL, i, d->model, memory_limit(i),
                             &i->child, err);
    if (r < 0) {
        budget_return(&d->m->budget, reserved);
        instance_free(i);
        return r;
    }
    i->id = i->child->id;
    return 0;
}

void instance_drain(struct instance *i)
{
    if (i->expected)
        return;
    i->expected = true;
    core_timer_clear(i->m, &i->timer);
    if (i->state != INSTANCE_READY) {
        child_kill(i->child);
        return;
    }
    move(i, INSTANCE_DRAINING, "");
    child_say(i->child, FRAME_DRAIN, 0);
    child_end(i->child, 0, (uint64_t)EXIT_LIMIT_S * CORE_SECOND_NS);
}

void instance_kill(struct instance *i, const char *why)
{
    log_warn("manager: worker[%llu] %s: killed: %s", (unsigned long long)i->id,
             model_name(i), why);
    i->expected = true;
    core_timer_clear(i->m, &i->timer);
    child_kill(i->child);
}
