/* worker/say.c - frames to the daemon. */
#include "base/clock.h"
#include "worker/worker.h"
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FLUSH_MS = 2000, THREADS_MAX = 4096 };

struct wire_map say_begin(struct worker *w, enum frame_type type, uint64_t job)
{
    return wire_map_open(channel_begin(w->channel, type, job));
}

/* -E2BIG is the caller's to handle; any other failure means that the daemon is
 * gone. */
int say_end(struct worker *w, struct wire_map *m, const int *fds, int n_fds)
{
    wire_map_close(m);
    int r = channel_send(w->channel, fds, n_fds);
    if (r < 0 && r != -E2BIG)
        w->over = true;
    return r;
}

/* Frames that are always small. */
static void end_small(struct worker *w, struct wire_map *m)
{
    if (say_end(w, m, NULL, 0) < 0)
        w->over = true;
}

void say_error(struct worker *w, uint64_t job, int64_t item,
               const struct err *err)
{
    struct wire_map m = say_begin(w, FRAME_ERROR, job);
    wire_kz(&m, "code", err_name(err->code));
    wire_kz(&m, "text", err->msg);
    if (item >= 0)
        wire_kuint(&m, "item", (uint64_t)item);
    end_small(w, &m);
}

void say_log(struct worker *w, const char *level, const char *text)
{
    struct wire_map m = say_begin(w, FRAME_LOG, 0);
    wire_kz(&m, "level", level);
    wire_kz(&m, "text", text);
    end_small(w, &m);
}

static void put_texts(struct buf *out, const char *const *list)
{
    size_t n = 0;
    while (list[n])
        n++;
    wire_put_array(out, n);
    for (size_t i = 0; i < n; i++)
        wire_put_text(out, str_of(list[i]));
}

static void put_limits(struct wire_map *m)
{
    wire_key(m, "limits");
    struct wire_map limits = wire_map_open(m->out);
    wire_kuint(&limits, "jobs", WORKER_JOBS);
    wire_kuint(&limits, "bytes", WORKER_BYTES);
    wire_map_close(&limits);
}

void say_hello(struct worker *w)
{
    static const char *const features[] = {"cancel", "credit", "deadline",
                                           "drain", NULL};
    struct wire_map m = say_begin(w, FRAME_HELLO, 0);
    wire_kuint(&m, "version", FRAME_VERSION);
    wire_kz(&m, "build", BERTH_VERSION);
    wire_kz(&m, "kind", w->inspect ? "inspect" : "native");
    wire_kuint(&m, "pid", (uint64_t)getpid());
    wire_key(&m, "tasks");
    put_texts(m.out, pipeline_tasks());
    wire_key(&m, "features");
    put_texts(m.out, features);
    put_limits(&m);
    end_small(w, &m);
}

void say_sandbox(struct worker *w)
{
    const struct sandbox_state *s = &w->sandbox;
    struct wire_map m = say_begin(w, FRAME_STATUS, 0);
    wire_kz(&m, "phase", "sandbox");
    wire_key(&m, "sandbox");
    struct wire_map in = wire_map_open(m.out);
    wire_kbool(&in, "no_new_privs", s->no_new_privs);
    wire_kbool(&in, "rlimits", s->rlimits);
    wire_kbool(&in, "landlock", s->landlock);
    wire_kuint(&in, "landlock_abi", (uint64_t)s->landlock_abi);
    wire_kbool(&in, "seccomp", s->seccomp);
    wire_kbool(&in, "degraded", s->degraded);
    wire_map_close(&in);
    end_small(w, &m);
}

void say_progress(struct worker *w, const char *phase, uint64_t done,
                  uint64_t all)
{
    struct wire_map m = say_begin(w, FRAME_STATUS, 0);
    wire_kz(&m, "phase", phase);
    wire_kuint(&m, "done", done);
    wire_kuint(&m, "all", all);
    end_small(w, &m);
}

/* As LOAD writes them: "f32" for the file's "F32". */
static void put_dtype(struct wire_map *m, const char *dtype)
{
    char low[16];
    size_t n = 0;
    for (; dtype[n] && n + 1 < sizeof(low); n++)
        low[n] = (char)tolower((unsigned char)dtype[n]);
    wire_ktext(m, "dtype", str_n(low, n));
}

int say_ready(struct worker *w, uint64_t load_ns, struct err *err)
{
    const struct pipeline_info *info = pipeline_info(w->pipeline);
    struct arena a = ARENA_MAX(1 << 20);
    const struct value *extra = pipeline_extra(w->pipeline, &a);
    int r = -E2BIG;
    if (extra) {
        struct wire_map m = say_begin(w, FRAME_READY, 0);
        wire_key(&m, "tasks");
        put_texts(m.out, info->tasks);
        wire_kz(&m, "task", info->tasks[0]);
        wire_kuint(&m, "dim", info->dim);
        wire_kuint(&m, "max_tokens", info->max_tokens);
        wire_kuint(&m, "memory", worker_memory(w));
        put_dtype(&m, info->engine.dtype);
        wire_kz(&m, "isa", info->engine.level);
        wire_kuint(&m, "load_ns", load_ns);
        put_limits(&m);
        wire_key(&m, "extra");
        value_put(m.out, extra);
        r = say_end(w, &m, NULL, 0);
    }
    arena_fini(&a);
    return r != -E2BIG
               ? 0
               : err_set(err, E_DAMAGED_FILE,
                         "the names of the model's prompts and of its mask "
                         "token are too long for one message");
}

void say_credit(struct worker *w, uint64_t jobs, uint64_t bytes)
{
    struct wire_map m = say_begin(w, FRAME_CREDIT, 0);
    wire_kuint(&m, "jobs", jobs);
    wire_kuint(&m, "bytes", bytes);
    end_small(w, &m);
}

void say_pong(struct worker *w, uint64_t time_ns)
{
    uint64_t counters[THREADS_MAX];
    int n = w->pipeline && w->phase == WORKER_SERVING
                ? pipeline_progress(w->pipeline, counters, THREADS_MAX)
                : 0;
    struct wire_map m = say_begin(w, FRAME_PONG, 0);
    wire_kuint(&m, "time_ns", time_ns);
    wire_key(&m, "threads");
    wire_put_array(m.out, (size_t)n);
    for (int i = 0; i < n; i++)
        wire_put_uint(m.out, counters[i]);
    wire_kuint(&m, "busy", w->n_jobs);
    wire_kuint(&m, "memory", worker_memory(w));
    end_small(w, &m);
}

void say_flush(struct worker *w)
{
    uint64_t end = clock_now_ns() + (uint64_t)FLUSH_MS * 1000000;
    while (!w->over && channel_wants_write(w->channel) &&
           clock_now_ns() < end) {
        struct pollfd p = {channel_fd(w->channel), POLLOUT, 0};
        if (poll(&p, 1, FLUSH_MS) < 0 && errno != EINTR)
            return;
        if (channel_flush(w->channel) < 0)
            w->over = true;
    }
}

/* /proc/self/statm, opened before the paths were closed: pages of address
 * space, pages resident, ... */
uint64_t worker_memory(const struct worker *w)
{
    char text[128];
    unsigned long long pages = 0;
    ssize_t n =
        w->statm_fd < 0 ? 0 : pread(w->statm_fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = 0;
    const char *space = strchr(text, ' ');
    for (const char *p = space ? space + 1 : ""; *p >= '0' && *p <= '9'; p++)
        pages = pages * 10 + (unsigned)(*p - '0');
    return pages * 4096;
}
