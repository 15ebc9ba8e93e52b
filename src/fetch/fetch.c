/* fetch/fetch.c - HELLO, one JOB, the sandbox around it, and the answer.
 *
 * The JOB is read before the sandbox is shut, because it says which folder may
 * be written; it comes from the daemon. Nothing from outside has been read by
 * then, and no connection is open.
 */
#include "fetch/fetch.h"
#include "base/log.h"
#include "fetch/net.h"
#include "fetch/session.h"
#include "sandbox/sandbox.h"
#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { DATA_BYTES = 1 << 30, LAST_WORDS_MS = 10000 };

static const struct {
    const char *task;
    int (*run)(struct session *s, struct err *err);
    bool net, writes;
} tasks[] = {
    {"pull", pull_run, true, true},
    {"headers", headers_run, true, false},
    {"verify", verify_run, false, false},
    {"remove", remove_run, false, true},
};

static int on_hello(struct session *s, struct frame *f, struct err *err)
{
    uint64_t version = wire_uint(f->body, "version", 0);
    if (version != FRAME_VERSION)
        return err_set(err, E_INVALID_REQUEST,
                       "berth-fetch speaks frames of version %d, the daemon "
                       "%llu: they are of different releases",
                       FRAME_VERSION, (unsigned long long)version);
    s->degraded = wire_bool(f->body, "degraded", false);
    s->greeted = true;
    return 0;
}

static int on_job(struct session *s, struct frame *f, struct err *err)
{
    if (s->task[0])
        return err_set(err, E_CONFLICT, "berth-fetch does one job a process");
    if (!str_to_z(wire_text(f->body, "task"), s->task, sizeof(s->task)))
        return err_set(err, E_INVALID_REQUEST, "the task's name is malformed");
    s->job = f->job;
    return params_read(wire_get(f->body, "params"), &s->params, err);
}

static int on_ping(struct session *s, struct frame *f)
{
    struct wire_map m = wire_map_open(channel_begin(s->channel, FRAME_PONG, 0));
    wire_kuint(&m, "time_ns", wire_uint(f->body, "time_ns", 0));
    wire_key(&m, "threads");
    wire_put_array(m.out, 1);
    wire_put_uint(m.out, s->progress.done);
    wire_kuint(&m, "busy", s->task[0] != 0);
    wire_map_close(&m);
    return channel_send(s->channel, NULL, 0);
}

static int on_frame(void *ctx, struct frame *f, struct err *err)
{
    struct session *s = ctx;
    if (!s->greeted && f->type != FRAME_HELLO)
        return err_set(err, E_INVALID_REQUEST, "%s came before HELLO",
                       frame_type_name((int)f->type));
    switch (f->type) {
    case FRAME_HELLO:
        return on_hello(s, f, err);
    case FRAME_JOB:
        return on_job(s, f, err);
    case FRAME_PING:
        return on_ping(s, f);
    case FRAME_CANCEL:
        s->cancelled = true;
        return 0;
    case FRAME_DRAIN:
        s->draining = true;
        return 0;
    default:
        return err_set(err, E_INVALID_REQUEST, "%s is nothing for berth-fetch",
                       frame_type_name((int)f->type));
    }
}

/* Reads until the condition holds: 1; 0 when the daemon left or wants an end.
 */
static int wait_for(struct session *s, const bool *flag, const char *text,
                    struct err *err)
{
    for (;;) {
        if ((flag && *flag) || (text && text[0]))
            return 1; /* it may have come along with the frame before */
        if (s->gone || s->draining || s->cancelled)
            return 0;
        struct pollfd p = {channel_fd(s->channel), POLLIN, 0};
        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            return err_set(err, errno, "cannot wait for the daemon");
        int r = channel_read(s->channel, err);
        if (r < 0)
            return r;
        s->gone = r == 0;
    }
}

static int say_hello(struct session *s, struct err *err)
{
    struct wire_map m =
        wire_map_open(channel_begin(s->channel, FRAME_HELLO, 0));
    wire_kuint(&m, "version", FRAME_VERSION);
    wire_kz(&m, "build", BERTH_VERSION);
    wire_kz(&m, "kind", "fetch");
    wire_kuint(&m, "pid", (uint64_t)getpid());
    wire_key(&m, "tasks");
    wire_put_array(m.out, ARRAY_LEN(tasks));
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
        wire_put_text(m.out, str_of(tasks[i].task));
    wire_map_close(&m);
    int r = channel_send(s->channel, NULL, 0);
    return r < 0 ? err_set(err, -r, "the daemon is gone") : 0;
}

static void say_sandbox(struct session *s, const struct sandbox_state *state)
{
    struct wire_map m =
        wire_map_open(channel_begin(s->channel, FRAME_STATUS, 0));
    wire_kz(&m, "phase", "sandbox");
    wire_key(&m, "sandbox");
    struct wire_map b = wire_map_open(m.out);
    wire_kbool(&b, "no_new_privs", state->no_new_privs);
    wire_kbool(&b, "seccomp", state->seccomp);
    wire_kbool(&b, "landlock", state->landlock);
    wire_kbool(&b, "rlimits", state->rlimits);
    wire_kuint(&b, "landlock_abi", (uint64_t)state->landlock_abi);
    wire_kbool(&b, "degraded", state->degraded);
    wire_map_close(&b);
    wire_map_close(&m);
    if (channel_send(s->channel, NULL, 0) < 0)
        s->gone = true;
}

/* What a resolver and TLS read, and the job's own folders. */
static int shut_in(struct session *s, bool net, bool writes, struct err *err)
{
    const struct fetch_params *p = &s->params;
    const char *read[16], *write[2] = {NULL, NULL};
    size_t n = 0;
    static const char *const system[] = {
        "/etc/ssl",         "/usr/share/ca-certificates",
        "/etc/resolv.conf", "/usr/local/share/ca-certificates",
        "/etc/hosts",       "/etc/nsswitch.conf",
        "/etc/host.conf",   "/etc/gai.conf",
        "/etc/services",    "/run/systemd/resolve"};
    for (size_t i = 0; i < ARRAY_LEN(system) && net; i++)
        read[n++] = system[i];
    if (net && p->ca_file[0])
        read[n++] = p->ca_file;
    if (p->folder[0])
        read[n++] = p->folder;
    if (p->cache[0] && !writes)
        read[n++] = p->cache;
    if (p->cache[0] && writes)
        write[0] = p->cache;
    read[n] = NULL;
    const struct sandbox_rules rules = {.kind = SANDBOX_FETCH,
                                        .read = read,
                                        .write = write,
                                        .data_bytes = DATA_BYTES,
                                        .degraded = s->degraded};
    struct sandbox_state state = {0};
    int r = sandbox_enter(&rules, &state, err);
    if (r == 0)
        r = sandbox_seal(&rules, &state, err);
    if (r == 0)
        r = sandbox_probe(&rules, &state, err);
    if (r == 0)
        say_sandbox(s, &state);
    return r;
}

static int run_task(struct session *s, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++) {
        if (strcmp(tasks[i].task, s->task) != 0)
            continue;
        int r = 0;
        if (tasks[i].writes && !s->params.cache[0])
            return err_set(err, E_INVALID_REQUEST, "%s without \"cache\"",
                           s->task);
        if (tasks[i].writes)
            r = fs_mkdir_p(s->params.cache, 0777, err);
        if (r == 0)
            r = shut_in(s, tasks[i].net, tasks[i].writes, err);
        return r < 0 ? r : tasks[i].run(s, err);
    }
    return err_set(err, E_INVALID_REQUEST, "berth-fetch has no task \"%s\"",
                   s->task);
}

static void say_error(struct session *s, int code, const struct err *err)
{
    struct wire_map m =
        wire_map_open(channel_begin(s->channel, FRAME_ERROR, s->job));
    wire_kz(&m, "code", err_name(code));
    wire_kz(&m, "text", err->msg);
    wire_map_close(&m);
    if (channel_send(s->channel, NULL, 0) < 0)
        s->gone = true;
}

/* The answer leaves before we do. */
static void flush(struct session *s)
{
    while (!s->gone && channel_wants_write(s->channel)) {
        struct pollfd p = {channel_fd(s->channel), POLLOUT, 0};
        if (poll(&p, 1, LAST_WORDS_MS) <= 0 || channel_flush(s->channel) < 0)
            return;
    }
}

/* 0 also when there was no job. */
static int serve(struct session *s, struct err *err)
{
    int r = sandbox_follow_parent(0, err);
    if (r == 0)
        r = wait_for(s, &s->greeted, NULL, err);
    if (r > 0)
        r = say_hello(s, err);
    else
        return r;
    if (r == 0)
        r = wait_for(s, NULL, s->task, err);
    return r > 0 ? run_task(s, err) : r;
}

int fetch_serve(int fd)
{
    struct session s = {0};
    struct err err = {0};
    if (net_init(&err) < 0) {
        log_error("fetch: %s", err.msg);
        return 1;
    }
    s.channel = channel_open(fd, on_frame, &s);
    int r = serve(&s, &err);
    if (r < 0)
        say_error(&s, r, &err);
    flush(&s);
    params_fini(&s.params);
    channel_close(s.channel);
    return 0;
}
