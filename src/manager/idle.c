/* manager/idle.c - what has had nothing to do for long enough is unloaded.
 *
 * One timer for a deployment, set when it falls idle and looked at when it
 * fires: a job in between costs nothing.
 */
#include "manager/idle.h"
#include "manager/deployment.h"
#include "manager/room.h"
#include <stdio.h>

static bool watches(const struct deployment *d)
{
    return d->state == DEPLOYMENT_READY && d->n_jobs == 0 &&
           d->wanted.keep_alive_s > 0 && !d->wanted.pin;
}

static uint64_t end_ns(const struct deployment *d)
{
    return d->idle_ns + (uint64_t)d->wanted.keep_alive_s * CORE_SECOND_NS;
}

static void on_idle(struct loop_timer *t)
{
    struct deployment *d = t->ctx;
    char reason[48];
    if (!watches(d))
        return;
    if (core_now(d->m) < end_ns(d)) {
        core_timer_set(d->m, t, end_ns(d));
        return;
    }
    snprintf(reason, sizeof(reason), "idle for %lld s",
             (long long)d->wanted.keep_alive_s);
    deployment_rest(d, UNLOAD_IDLE, reason);
}

void idle_init(struct deployment *d)
{
    d->idle_timer = (struct loop_timer){.fn = on_idle, .ctx = d};
}

void idle_watch(struct deployment *d)
{
    if (watches(d))
        core_timer_set(d->m, &d->idle_timer, end_ns(d));
    else
        core_timer_clear(d->m, &d->idle_timer);
}

void idle_job_begins(struct deployment *d)
{
    d->n_jobs++;
}

void idle_job_ends(struct deployment *d, uint64_t job_id)
{
    d->n_jobs--;
    if (job_id <= d->owed_id && d->n_owed > 0)
        d->n_owed--;
    if (d->n_jobs == 0) {
        d->idle_ns = core_now(d->m);
        if (d->idle_timer.place == 0)
            idle_watch(d);
    }
    if (d->n_jobs == 0 || d->n_owed == 0)
        room_stir(d->m);
}
