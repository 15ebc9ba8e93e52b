/* manager/fetcher.c - one job of berth-fetch. */
#include "manager/fetcher.h"
#include "base/mem.h"
#include "manager/child.h"

enum { JOB_ID = 1, CANCEL_LIMIT_S = 5 };

struct fetcher {
    struct child *child;
    struct fetcher_job job;
    bool told, cancelled;
};

static int greeted(struct child *c, struct err *err)
{
    struct fetcher *f = c->owner;
    if (f->cancelled) {
        child_say(c, FRAME_DRAIN, 0);
        child_end(c, 0, (uint64_t)CANCEL_LIMIT_S * CORE_SECOND_NS);
        return 0;
    }
    struct wire_map m = child_begin(c, FRAME_JOB, JOB_ID);
    wire_kz(&m, "task", f->job.task);
    wire_key(&m, "params");
    struct wire_map params = wire_map_open(m.out);
    f->job.params(f->job.ctx, &params);
    wire_map_close(&params);
    return child_send(c, &m, NULL, 0) < 0
               ? err_set(err, E_TOO_LARGE, "the job does not fit a frame")
               : 0;
}

static void tell(struct fetcher *f, struct frame *done, const struct err *err)
{
    if (f->told)
        return;
    f->told = true;
    f->job.done(f->job.ctx, done, err);
}

static int on_frame(struct child *c, struct frame *frame, struct err *err)
{
    struct fetcher *f = c->owner;
    if (frame->type == FRAME_PONG || f->told)
        return 0;
    if (frame->type == FRAME_STATUS) {
        if (f->job.status)
            f->job.status(f->job.ctx, frame->body);
        return 0;
    }
    if (frame->job != JOB_ID ||
        (frame->type != FRAME_DONE && frame->type != FRAME_ERROR))
        return err_set(err, E_INVALID_REQUEST, "%s from berth-fetch",
                       frame_type_name((int)frame->type));
    struct err why;
    struct str code = wire_text(frame->body, "code"),
               text = wire_text(frame->body, "text");
    if (frame->type == FRAME_ERROR)
        err_set(&why, err_from_name(code.p, code.n), "%.*s", STR_FMT(text));
    child_say(c, FRAME_DRAIN, 0);
    child_end(c, 0, (uint64_t)CANCEL_LIMIT_S * CORE_SECOND_NS);
    if (frame->type == FRAME_DONE)
        tell(f, frame, NULL);
    else
        tell(f, NULL, &why);
    return 0;
}

static void gone(struct child *c, const struct world_exit *how)
{
    struct fetcher *f = c->owner;
    struct err err = {0};
    if (f->cancelled)
        err_set(&err, E_CANCELLED, "cancelled");
    else
        child_reason(c, how, &err);
    tell(f, NULL, &err);
    free(f);
}

static const struct child_role role = {
    WORLD_FETCHER, "fetch", "fetch", CHILD_HELLO_S, greeted, on_frame, gone,
};

void fetcher_put_network(const struct manager *m, struct wire_map *params)
{
    wire_kz(params, "endpoint", m->config.endpoint);
    wire_kbool(params, "offline", m->config.offline);
    wire_kz(params, "proxy", m->config.proxy);
    wire_kz(params, "no_proxy", m->config.no_proxy);
    wire_kz(params, "ca_file", m->config.ca_file);
}

int fetcher_open(struct manager *m, const struct fetcher_job *job,
                 struct fetcher **ret, struct err *err)
{
    struct fetcher *f = mem_new(struct fetcher);
    f->job = *job;
    int r = child_open(m, &role, NULL, f, job->model, 0, &f->child, err);
    if (r < 0) {
        free(f);
        return r;
    }
    *ret = f;
    return 0;
}

void fetcher_cancel(struct fetcher *f)
{
    f->cancelled = true;
    if (f->told)
        return;
    if (f->child->greeted)
        child_say(f->child, FRAME_CANCEL, JOB_ID);
    core_timer_set(f->child->m, &f->child->timer,
                   core_now(f->child->m) +
                       (uint64_t)CANCEL_LIMIT_S * CORE_SECOND_NS);
}
