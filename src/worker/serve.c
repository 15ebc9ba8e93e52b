/* worker/serve.c - the worker's loop: frames in, answers out, until the daemon
 * says DRAIN, sends SIGTERM, or is gone. */
#include "base/crew.h"
#include "worker/worker.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int hear_hello(struct worker *w, struct frame *f, struct err *err)
{
    uint64_t version = wire_uint(f->body, "version", 0);
    if (w->phase != WORKER_GREETING)
        return err_set(err, E_INVALID_REQUEST, "a second HELLO");
    if (version != FRAME_VERSION)
        return err_set(err, E_INVALID_REQUEST,
                       "the daemon speaks version %llu of the frames, this "
                       "worker version %d: install both from one release",
                       (unsigned long long)version, FRAME_VERSION);
    w->hello.threads = (int)wire_uint(f->body, "threads", 0);
    w->hello.memory = wire_uint(f->body, "memory", 0);
    w->hello.degraded = wire_bool(f->body, "degraded", false);
    if (!str_to_z(wire_text(f->body, "isa"), w->hello.isa,
                  sizeof(w->hello.isa)))
        return err_set(err, E_INVALID_REQUEST, "HELLO: a bad isa");
    w->phase = WORKER_WAITING;
    return 0;
}

static int on_frame(void *ctx, struct frame *f, struct err *err)
{
    struct worker *w = ctx;
    if (w->phase == WORKER_GREETING && f->type != FRAME_HELLO)
        return err_set(err, E_INVALID_REQUEST, "%s before HELLO",
                       frame_type_name((int)f->type));
    switch (f->type) {
    case FRAME_HELLO:
        return hear_hello(w, f, err);
    case FRAME_LOAD:
        return load_keep(w, f, err);
    case FRAME_JOB:
        return jobs_take(w, f, err);
    case FRAME_CANCEL:
        jobs_cancel(w, f->job);
        return 0;
    case FRAME_CREDIT:
        jobs_credit(w, f->job, wire_uint(f->body, "bytes", 0));
        return 0;
    case FRAME_PING:
        say_pong(w, wire_uint(f->body, "time_ns", 0));
        return 0;
    case FRAME_DRAIN:
        w->draining = true;
        return 0;
    default:
        return err_set(err, E_INVALID_REQUEST, "%s from the daemon",
                       frame_type_name((int)f->type));
    }
}

int worker_open(struct worker *w, struct err *err)
{
    w->channel = channel_open(WORKER_CHANNEL_FD, on_frame, w);
    return w->channel ? 0 : err_set(err, ENOMEM, "no memory for the channel");
}

int worker_read(struct worker *w, struct err *err)
{
    int r = channel_read(w->channel, err);
    if (r == 0)
        w->over = true;
    return r;
}

void worker_awake(struct worker *w)
{
    uint64_t count;
    struct signalfd_siginfo term;
    while (read(w->wake_fd, &count, sizeof(count)) > 0)
        ;
    while (read(w->term_fd, &term, sizeof(term)) > 0)
        w->draining = true;
}

/* Waits for the daemon, the engine, SIGTERM or a deadline. */
static int turn(struct worker *w, struct err *err)
{
    short events = POLLIN;
    if (channel_wants_write(w->channel))
        events |= POLLOUT;
    struct pollfd p[] = {{channel_fd(w->channel), events, 0},
                         {w->wake_fd, POLLIN, 0},
                         {w->term_fd, POLLIN, 0}};
    if (poll(p, ARRAY_LEN(p), jobs_timeout(w)) < 0)
        return errno == EINTR ? 0
                              : err_set(err, errno, "the worker cannot wait");
    worker_awake(w);
    if (p[0].revents & POLLOUT && channel_flush(w->channel) < 0)
        w->over = true;
    int r = 0;
    if (!w->over && p[0].revents & (POLLIN | POLLHUP | POLLERR))
        r = worker_read(w, err);
    return r < 0 ? r : 0;
}

/* Until there is nothing left to do. */
static int loop(struct worker *w, struct err *err)
{
    int r = 0;
    while (r == 0 && !w->over) {
        if (w->load.there && w->phase == WORKER_WAITING && w->inspect)
            return inspect_model(w, err);
        if (w->load.there && w->phase == WORKER_WAITING)
            r = load_model(w, err);
        jobs_run(w);
        if (r < 0 || (w->draining && w->n_jobs == 0))
            return r;
        r = turn(w, err);
    }
    return r;
}

static void worker_fini(struct worker *w)
{
    jobs_end(w);
    pipeline_close(w->pipeline);
    crew_close(w->crew);
    load_fini(&w->load);
    channel_close(w->channel);
    const int fds[] = {w->wake_fd, w->term_fd, w->statm_fd};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* The daemon hears why, unless it is the daemon that is gone; a worker that was
 * not started by one says it to whoever typed its name. */
static void say_why(struct worker *w, const struct err *err)
{
    if (!w->channel) {
        fprintf(stderr, "berth-worker: %s\n", err->msg);
        return;
    }
    say_log(w, "error", err->msg);
    if (!w->over)
        say_error(w, 0, -1, err);
}

void worker_end(struct worker *w, const struct err *err)
{
    if (err->code)
        say_why(w, err);
    if (w->channel)
        say_flush(w);
    worker_fini(w);
}

int worker_serve(struct worker *w)
{
    struct err err = {0};
    list_init(&w->jobs);
    int r = worker_start(w, &err);
    if (r == 0)
        r = loop(w, &err);
    if (r == 0)
        err = (struct err){0};
    worker_end(w, &err);
    return r < 0;
}
