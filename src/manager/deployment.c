/* manager/deployment.c - a wish: that a model be served.
 *
 * The load is a chain of steps, each begun by the answer of the one before:
 * load_files, on_files (perhaps on_verified and again), on_plan, admit; the
 * instance then says deployment_ready or deployment_lost.
 */
#include "manager/deployment.h"
#include "base/log.h"
#include "base/mem.h"
#include "manager/files.h"
#include "manager/idle.h"
#include "manager/instance.h"
#include "manager/jobs.h"
#include "manager/room.h"
#include "manager/standby.h"
#include "manager/verification.h"
#include <assert.h>

static void on_timer(struct loop_timer *t);
static void on_verified(void *ctx, int code, const struct err *err);
static void start(struct deployment *d);

struct deployment *deployment_new(struct model *model)
{
    struct deployment *d = mem_new(struct deployment);
    d->m = model->m;
    d->model = model;
    d->timer = (struct loop_timer){.fn = on_timer, .ctx = d};
    wanted_init(&d->wanted, &d->m->config, model->declared);
    list_init(&d->instances);
    list_init(&d->suspects);
    list_init(&d->load_waiters);
    list_init(&d->unload_waiters);
    list_init(&d->room_link);
    line_init(&d->queue);
    idle_init(d);
    list_add(&d->m->deployments, &d->link);
    return d;
}

void deployment_free(struct deployment *d)
{
    if (!d)
        return;
    assert(deployment_quiet(d));
    core_timer_clear(d->m, &d->timer);
    core_timer_clear(d->m, &d->idle_timer);
    list_del(&d->link);
    free(d);
}

uint64_t deployment_pause_ns(const struct deployment *d)
{
    uint64_t now = core_now(d->m);
    bool pauses =
        d->state == DEPLOYMENT_BACK_OFF || d->state == DEPLOYMENT_CRASH_LOOP;
    return pauses && d->backoff.until_ns > now ? d->backoff.until_ns - now : 0;
}

static bool nothing_left(const struct deployment *d)
{
    return !d->opening && !d->waiting && !d->inspecting && !room_waits(d) &&
           list_empty(&d->instances);
}

bool deployment_quiet(const struct deployment *d)
{
    return d->state == DEPLOYMENT_IDLE && nothing_left(d);
}

/* ---- its end ---- */

static void fail_unloaded(struct deployment *d)
{
    struct err err;
    err_set(&err, E_DRAINING, "%s was unloaded before the job was done",
            d->model->name);
    jobs_fail_all(d, E_DRAINING, &err);
}

/* Idle, once the last piece of a load or of a drain is gone. */
static void settle(struct deployment *d)
{
    bool ends = d->ending || d->state == DEPLOYMENT_DRAINING;
    bool again = d->asked || (d->rests && jobs_any(d));
    if (!ends || !nothing_left(d))
        return;
    if (!d->rests)
        fail_unloaded(d); /* nobody is left to do them */
    core_timer_clear(d->m, &d->timer);
    cache_files_fini(&d->files);
    d->ending = false;
    backoff_completed(&d->backoff);
    deployment_move(d, DEPLOYMENT_IDLE, "");
    waiters_answer(d->m, &d->unload_waiters, 0, NULL);
    standby_stir(d->m);
    if (again)
        start(d);
    core_settle(d->m);
}

/* Refused: trying again by itself would not help. */
static void fail(struct deployment *d, const struct err *err)
{
    cache_files_fini(&d->files);
    if (d->ending) {
        settle(d);
        return;
    }
    d->error = *err;
    d->rests = false;
    standby_stir(d->m);
    deployment_move(d, DEPLOYMENT_FAILED, err->msg);
    waiters_answer(d->m, &d->load_waiters, -err->code, err);
    jobs_fail_all(d, err->code, err);
    if (d->model->variant) /* there is nothing that could be asked again */
        deployment_move(d, DEPLOYMENT_IDLE, "");
}

static uint32_t live_flights(const struct deployment *d)
{
    uint32_t n = 0;
    list_each(at, (struct list *)&d->instances)
    {
        struct instance *i = list_of(at, struct instance, link);
        list_each(f, &i->flights)
        {
            n += list_of(f, struct flight, link)->job != NULL;
        }
    }
    return n;
}

void deployment_look(struct deployment *d)
{
    bool waits_for_us = !d->rests && jobs_any(d);
    if (d->state != DEPLOYMENT_DRAINING || waits_for_us || live_flights(d))
        return;
    list_each(at, &d->instances)
    {
        instance_drain(list_of(at, struct instance, link));
    }
    settle(d);
}

/* Those that fly have a deadline each; that is limit enough. */
void deployment_rest(struct deployment *d, enum unload_cause cause,
                     const char *reason)
{
    assert(d->state == DEPLOYMENT_READY);
    d->rests = true;
    d->n_unloads[cause]++;
    deployment_move(d, DEPLOYMENT_DRAINING, reason);
    deployment_look(d);
}

static void begin_drain(struct deployment *d)
{
    d->n_unloads[UNLOAD_REQUESTED]++;
    deployment_move(d, DEPLOYMENT_DRAINING, "");
    core_timer_set(d->m, &d->timer, core_now(d->m) + d->m->config.drain_ns);
    deployment_look(d);
}

/* Its verification goes on without it. */
static void stop_waiting(struct deployment *d)
{
    list_each(at, &d->model->verify_waiters)
    {
        struct waiter *w = list_of(at, struct waiter, link);
        if (w->ctx != d || w->done != on_verified)
            continue;
        list_del(&w->link);
        free(w);
        d->waiting = false;
        core_leave(d->m, d->model);
    }
}

static void give_up_load(struct deployment *d)
{
    d->ending = true;
    stop_waiting(d);
    room_leave(d);
    if (d->inspecting)
        inspection_drop(d->inspecting);
    if (d->inspecting)
        core_leave(d->m, d->model);
    d->inspecting = NULL;
    list_each(at, &d->instances)
    {
        instance_drain(list_of(at, struct instance, link));
    }
    settle(d);
}

/* What waited for it to be loaded again is not done any more. */
static void no_rest(struct deployment *d, const struct err *why)
{
    jobs_fail_all(d, E_DRAINING, why);
    core_timer_set(d->m, &d->timer, core_now(d->m) + d->m->config.drain_ns);
    deployment_look(d);
}

void deployment_unload(struct deployment *d)
{
    struct err err;
    err_set(&err, E_DRAINING, "%s is being unloaded", d->model->name);
    bool rested = d->rests;
    d->asked = d->rests = false;
    waiters_answer(d->m, &d->load_waiters, -E_DRAINING, &err);
    switch (d->state) {
    case DEPLOYMENT_READY:
        begin_drain(d);
        break;
    case DEPLOYMENT_DRAINING:
        if (rested)
            no_rest(d, &err);
        break;
    case DEPLOYMENT_LOADING:
        jobs_fail_all(d, E_DRAINING, &err);
        give_up_load(d);
        break;
    case DEPLOYMENT_FAILED:
    case DEPLOYMENT_BACK_OFF:
    case DEPLOYMENT_CRASH_LOOP:
        jobs_fail_all(d, E_DRAINING, &err);
        d->ending = true;
        settle(d);
        break;
    default:
        break;
    }
    if (deployment_quiet(d))
        waiters_answer(d->m, &d->unload_waiters, 0, NULL);
}

/* The time for draining is over. */
static void cut_off(struct deployment *d)
{
    struct err err;
    err_set(&err, E_DRAINING, "%s was unloaded before the job was done",
            d->model->name);
    jobs_fail_all(d, E_DRAINING, &err);
    list_each(at, &d->instances)
    {
        struct instance *i = list_of(at, struct instance, link);
        list_each(f, &i->flights)
        {
            struct flight *fl = list_of(f, struct flight, link);
            if (fl->job)
                job_fail(fl->job, E_DRAINING, &err);
        }
        instance_kill(i, "it did not drain in time (drain_s)");
    }
}

static void on_timer(struct loop_timer *t)
{
    struct deployment *d = t->ctx;
    if (d->state == DEPLOYMENT_DRAINING)
        cut_off(d);
    else if (d->state == DEPLOYMENT_BACK_OFF ||
             d->state == DEPLOYMENT_CRASH_LOOP)
        start(d);
}

/* ---- crashes ---- */

static void open_breaker(struct deployment *d)
{
    struct err err;
    deployment_move(d, DEPLOYMENT_CRASH_LOOP, d->error.msg);
    err_set(&err, E_CRASH_LOOP, "%s crashed %u times in a row: %s",
            d->model->name, d->backoff.crashes, d->error.msg);
    waiters_answer(d->m, &d->load_waiters, -E_CRASH_LOOP, &err);
    jobs_fail_all(d, E_CRASH_LOOP, &err);
}

static void pause_after(struct deployment *d, const struct err *why)
{
    d->error = *why;
    d->n_unloads[UNLOAD_CRASHED]++;
    uint64_t until = backoff_crashed(&d->backoff, core_now(d->m),
                                     d->m->w->random(d->m->w->ctx));
    deployment_move(d, DEPLOYMENT_BACK_OFF, why->msg);
    if (backoff_open(&d->backoff))
        open_breaker(d);
    core_timer_set(d->m, &d->timer, until);
}

/* ---- loading ---- */

/* Its memory is reserved: a process for it. */
static void open_instance(struct deployment *d)
{
    struct err err;
    if (instance_open(d, &d->choice.need, &err) == 0)
        return;
    room_stir(d->m);
    if (d->backoff.crashes > 0) {
        cache_files_fini(&d->files);
        pause_after(d, &err); /* it ran before: a process may start later */
    } else {
        fail(d, &err);
    }
}

void deployment_admitted(struct deployment *d, const struct err *err)
{
    if (err)
        fail(d, err);
    else
        open_instance(d);
}

static void admit(struct deployment *d)
{
    struct model *model = d->model;
    struct err err;
    int r = choice_make(d->m, &d->wanted, &model->plan, model->name, &d->choice,
                        &err);
    if (r == 0)
        log_info("manager: %s is loaded by %s", model->name, d->choice.reason);
    if (r == 0)
        r = room_take(d, &err);
    if (r > 0)
        open_instance(d);
    else if (r < 0)
        fail(d, &err);
}

static void on_plan(void *ctx, struct plan *plan, const struct err *err)
{
    struct deployment *d = ctx;
    d->inspecting = NULL;
    core_leave(d->m, d->model);
    if (d->ending) {
        settle(d);
    } else if (!plan) {
        fail(d, err);
    } else {
        plan_fini(&d->model->plan);
        d->model->plan = *plan;
        *plan = (struct plan){0};
        admit(d);
    }
}

static void inspect(struct deployment *d)
{
    struct err err;
    struct model *model = d->model;
    if (model->plan.body) {
        admit(d);
        return;
    }
    core_enter(d->m, model);
    int r = inspection_open(d->m, model, model->is.id, model->is.commit,
                            &d->files, on_plan, d, &d->inspecting, &err);
    if (r < 0) {
        core_leave(d->m, model);
        fail(d, &err);
    }
}

static void load_files(struct deployment *d);

static void on_verified(void *ctx, int code, const struct err *err)
{
    struct deployment *d = ctx;
    d->waiting = false;
    core_leave(d->m, d->model);
    if (d->ending)
        settle(d);
    else if (code < 0)
        fail(d, err);
    else
        load_files(d);
}

static void wait_for_verify(struct deployment *d)
{
    d->waiting = true;
    core_enter(d->m, d->model);
    waiter_add(&d->model->verify_waiters, on_verified, d);
    verification_start(d->model, true);
}

static void on_files(void *ctx, struct cache_files *files,
                     const struct err *err)
{
    struct deployment *d = ctx;
    struct err changed;
    d->opening = false;
    core_leave(d->m, d->model);
    if (d->ending) {
        settle(d);
    } else if (!files) {
        fail(d, err);
    } else if (files_as_recorded(files, &d->model->is)) {
        d->files = *files;
        *files = (struct cache_files){0};
        inspect(d);
    } else if (!d->verified) {
        d->verified = true;
        plan_fini(&d->model->plan);
        wait_for_verify(d);
    } else {
        err_set(&changed, E_DAMAGED_FILE,
                "the files of %s change while they are being read",
                d->model->name);
        fail(d, &changed);
    }
}

static void load_files(struct deployment *d)
{
    const struct store_model *is = &d->model->is;
    struct world_place place = {is->id, is->commit, is->dir};
    d->opening = true;
    core_enter(d->m, d->model);
    d->m->w->open_files(d->m->w->ctx, &place, on_files, d);
}

static void start(struct deployment *d)
{
    core_timer_clear(d->m, &d->timer);
    d->asked = false;
    d->verified = false;
    deployment_move(d, DEPLOYMENT_LOADING, "");
    if (d->model->state == MODEL_REGISTERED)
        load_files(d);
    else if (d->model->state == MODEL_VERIFYING || *d->model->is.commit ||
             *d->model->is.dir)
        wait_for_verify(d);
    else
        fail(d, &d->model->error);
}

void deployment_want(struct deployment *d)
{
    bool ends = d->state == DEPLOYMENT_IDLE || d->state == DEPLOYMENT_FAILED;
    if (ends && !d->ending)
        start(d);
}

void deployment_ask(struct deployment *d)
{
    bool pauses =
        d->state == DEPLOYMENT_BACK_OFF || d->state == DEPLOYMENT_CRASH_LOOP;
    if (d->state == DEPLOYMENT_DRAINING || d->ending)
        d->asked = true;
    else if (pauses)
        start(d);
    else
        deployment_want(d);
}

/* ---- from its instances ---- */

void deployment_ready(struct deployment *d, struct instance *i)
{
    if (d->ending) {
        instance_drain(i);
        return;
    }
    d->error = (struct err){0};
    d->rests = false;
    d->n_loads++;
    d->idle_ns = core_now(d->m);
    d->owed_id = d->m->last_id;
    d->n_owed = d->n_jobs;
    deployment_move(d, DEPLOYMENT_READY, "");
    waiters_answer(d->m, &d->load_waiters, 0, NULL);
    idle_watch(d);
    room_stir(d->m);
    if (i->backend == BACKEND_TRANSFORMERS)
        standby_in_use(d->m);
    standby_stir(d->m);
    deployment_dispatch(d);
}

void deployment_lost(struct deployment *d, const struct err *why, bool refused)
{
    cache_files_fini(&d->files);
    if (d->ending || d->state == DEPLOYMENT_DRAINING || !why) {
        settle(d);
        return;
    }
    if (refused) {
        fail(d, why);
        return;
    }
    d->restarts++;
    pause_after(d, why);
}

void deployment_answered(struct deployment *d)
{
    uint64_t now = core_now(d->m), took = now - d->last_done_ns;
    if (d->last_done_ns && took < 10 * (uint64_t)CORE_SECOND_NS)
        d->job_ns = d->job_ns ? (7 * d->job_ns + took) / 8 : took;
    d->last_done_ns = now;
    backoff_completed(&d->backoff);
}

/* ---- jobs to instances ---- */

/* After a crash one job at a time flies, until every job that was in one has
 * been answered and one has been answered at all. */
static bool must_be_alone(const struct deployment *d)
{
    if (!list_empty(&d->suspects) || d->backoff.crashes > 0)
        return true;
    list_each(at, (struct list *)&d->instances)
    {
        struct instance *i = list_of(at, struct instance, link);
        list_each(f, &i->flights)
        {
            const struct job *j = list_of(f, struct flight, link)->job;
            if (j && j->crashes > 0)
                return true;
        }
    }
    return false;
}

static bool anything_flies(const struct deployment *d)
{
    uint32_t n = 0;
    list_each(at, (struct list *)&d->instances)
    {
        n += list_of(at, struct instance, link)->n_flights;
    }
    return n > 0;
}

static void refuse_task(struct job *j, const struct instance *i)
{
    struct err err;
    err_set(&err, E_UNSUPPORTED_TASK, "%s cannot do %s; it does %s",
            j->d->model->name, j->task, i->task);
    job_fail(j, E_UNSUPPORTED_TASK, &err);
}

static bool send_one(struct deployment *d, struct instance *i)
{
    bool suspect = !list_empty(&d->suspects);
    struct job *j = suspect ? list_of(d->suspects.next, struct job, link)
                            : line_next(&d->queue);
    if (!j || !instance_can_take(i, j))
        return false;
    if (must_be_alone(d) && anything_flies(d))
        return false;
    if (!instance_has_task(i, j->task)) {
        refuse_task(j, i);
        return true;
    }
    if (suspect)
        list_del(&j->link);
    else
        line_take(&d->queue, j);
    instance_run(i, j);
    return true;
}

void deployment_dispatch(struct deployment *d)
{
    bool drains = d->state == DEPLOYMENT_DRAINING && !d->rests;
    if (d->state != DEPLOYMENT_READY && !drains)
        return;
    list_each(at, &d->instances)
    {
        struct instance *i = list_of(at, struct instance, link);
        while (send_one(d, i))
            ;
    }
}
