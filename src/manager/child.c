/* manager/child.c - what every child has in common. */
#include "manager/child.h"
#include "base/log.h"
#include "base/mem.h"
#include <assert.h>
#include <signal.h>
#include <stdio.h>

enum {
    EXIT_LIMIT_S = 2, /* after it hung up or said what was wrong */
    LINES_A_SECOND = 100,
};

static const char *model_name(const struct child *c)
{
    return c->model ? c->model->name : "-";
}

static void on_timer(struct loop_timer *t)
{
    struct child *c = t->ctx;
    if (!c->greeted && !c->doomed)
        log_warn("manager: %s[%llu] %s: no HELLO within %d s", c->role->label,
                 (unsigned long long)c->id, model_name(c), c->role->hello_s);
    child_kill(c);
}

static void arm(struct child *c, uint64_t after_ns)
{
    core_timer_set(c->m, &c->timer, core_now(c->m) + after_ns);
}

/* Keeps the end of what it wrote. */
static void keep_words(struct child *c, struct str line)
{
    size_t n = line.n < LOG_LINE_MAX ? line.n : LOG_LINE_MAX;
    if (c->n_words + n + 1 > LOG_WORDS_MAX) {
        size_t drop = c->n_words + n + 1 - LOG_WORDS_MAX;
        memmove(c->words, c->words + drop, c->n_words - drop);
        c->n_words -= drop;
    }
    memcpy(c->words + c->n_words, line.p, n);
    c->n_words += n;
    c->words[c->n_words++] = '\n';
    c->words[c->n_words] = 0;
}

/* Of the second that is over. */
static void say_what_was_left_out(struct child *c)
{
    if (c->lines > LINES_A_SECOND)
        log_warn("manager: %s[%llu] %s: %u more lines in one second are only "
                 "in its own log (berth logs)",
                 c->role->label, (unsigned long long)c->id, model_name(c),
                 c->lines - LINES_A_SECOND);
    c->lines = 0;
}

static bool may_log(struct child *c)
{
    uint64_t second = core_now(c->m) / CORE_SECOND_NS;
    if (second != c->second)
        say_what_was_left_out(c);
    c->second = second;
    return ++c->lines <= LINES_A_SECOND;
}

static void hear_line(struct child *c, enum log_level level, struct str line)
{
    size_t n = line.n < LOG_LINE_MAX ? line.n : LOG_LINE_MAX;
    keep_words(c, line);
    if (c->model)
        log_ring_add(&c->model->log, line);
    if (may_log(c))
        log_line(level, "%s[%llu] %s: %.*s", c->role->label,
                 (unsigned long long)c->id, model_name(c), (int)n, line.p);
}

static void on_line(void *ctx, struct str line)
{
    hear_line(ctx, LOG_INFO, line);
}

static void hear_log(struct child *c, const struct frame *f)
{
    int level = log_level_parse(wire_text(f->body, "level"));
    hear_line(c, level < 0 ? LOG_INFO : (enum log_level)level,
              wire_text(f->body, "text"));
}

static void hear_error(struct child *c, const struct frame *f)
{
    struct str code = wire_text(f->body, "code"),
               text = wire_text(f->body, "text");
    err_set(&c->error, err_from_name(code.p, code.n), "%.*s", STR_FMT(text));
    arm(c, (uint64_t)EXIT_LIMIT_S * CORE_SECOND_NS);
    c->doomed = true;
}

static int hear_hello(struct child *c, const struct frame *f, struct err *err)
{
    uint64_t version = wire_uint(f->body, "version", 0);
    struct str kind = wire_text(f->body, "kind");
    if (c->greeted)
        return err_set(err, E_INVALID_REQUEST, "a second HELLO");
    if (version != FRAME_VERSION)
        return err_set(err, E_INVALID_REQUEST,
                       "it speaks version %llu of the frames and not %d: "
                       "install programs of one version",
                       (unsigned long long)version, FRAME_VERSION);
    if (!str_is(kind, c->role->kind))
        return err_set(err, E_INVALID_REQUEST, "it says it is \"%.*s\", not %s",
                       STR_FMT(kind), c->role->kind);
    c->greeted = true;
    core_timer_clear(c->m, &c->timer);
    return c->role->greeted(c, err);
}

static int on_frame(void *ctx, struct frame *f, struct err *err)
{
    struct child *c = ctx;
    if (f->type == FRAME_LOG) {
        hear_log(c, f);
        return 0;
    }
    if (c->doomed)
        return 0;
    if (f->type == FRAME_HELLO)
        return hear_hello(c, f, err);
    if (f->type == FRAME_ERROR && f->job == 0) {
        hear_error(c, f);
        return 0;
    }
    if (!c->greeted)
        return err_set(err, E_INVALID_REQUEST, "%s before HELLO",
                       frame_type_name((int)f->type));
    return c->role->frame(c, f, err);
}

static void on_broken(void *ctx, const struct err *err)
{
    struct child *c = ctx;
    if (err->code == 0) {
        child_end(c, 0, (uint64_t)EXIT_LIMIT_S * CORE_SECOND_NS);
        return;
    }
    c->broke = *err;
    log_warn("manager: %s[%llu] %s broke the protocol: %s", c->role->label,
             (unsigned long long)c->id, model_name(c), err->msg);
    child_kill(c);
}

static void on_gone(void *ctx, const struct world_exit *how)
{
    struct child *c = ctx;
    struct manager *m = c->m;
    core_timer_clear(m, &c->timer);
    list_del(&c->link);
    say_what_was_left_out(c);
    log_info("manager: %s[%llu] %s: %s", c->role->label,
             (unsigned long long)c->id, model_name(c), how->text);
    c->role->gone(c, how);
    core_leave(m, c->model);
    free(c);
    core_settle(m);
}

static const struct world_ears ears = {on_frame, on_line, on_broken, on_gone};

static void greet(struct child *c, uint64_t memory)
{
    const struct manager_config *config = &c->m->config;
    struct wire_map m = child_begin(c, FRAME_HELLO, 0);
    wire_kuint(&m, "version", FRAME_VERSION);
    wire_kz(&m, "build", BERTH_VERSION);
    wire_kz(&m, "kind", "daemon");
    wire_kuint(&m, "threads", (uint64_t)config->threads);
    wire_kuint(&m, "cores", (uint64_t)config->cores);
    wire_kuint(&m, "memory", memory);
    wire_kz(&m, "isa", config->isa ? config->isa : "");
    wire_kbool(&m, "degraded", config->degraded_sandbox);
    child_send(c, &m, NULL, 0);
}

int child_open(struct manager *m, const struct child_role *role,
               const struct world_launch *launch, void *owner,
               struct model *model, uint64_t memory, struct child **ret,
               struct err *err)
{
    struct child *c = mem_new(struct child);
    c->m = m;
    c->role = role;
    c->owner = owner;
    c->model = model;
    c->id = ++m->last_id;
    c->timer = (struct loop_timer){.fn = on_timer, .ctx = c};
    c->proc =
        m->w->spawn(m->w->ctx, role->program, launch, &ears, c, &c->pid, err);
    if (!c->proc) {
        free(c);
        return -err->code;
    }
    list_add(&m->children, &c->link);
    core_enter(m, model);
    *ret = c;
    arm(c, (uint64_t)role->hello_s * CORE_SECOND_NS);
    greet(c, memory);
    return 0;
}

void child_adopt(struct child *c, const struct child_role *role, void *owner,
                 struct model *model)
{
    assert(!c->model && role->program == c->role->program);
    core_enter(c->m, model);
    core_leave(c->m, NULL);
    c->role = role;
    c->owner = owner;
    c->model = model;
}

void child_kill(struct child *c)
{
    core_timer_clear(c->m, &c->timer);
    c->doomed = true;
    c->m->w->signal(c->proc, SIGKILL);
}

void child_end(struct child *c, int signal, uint64_t kill_after_ns)
{
    c->doomed = true;
    if (signal)
        c->m->w->signal(c->proc, signal);
    arm(c, kill_after_ns);
}

struct wire_map child_begin(struct child *c, enum frame_type type, uint64_t job)
{
    return wire_map_open(c->m->w->begin(c->proc, type, job));
}

int child_send(struct child *c, struct wire_map *m, const int *fds, int n_fds)
{
    wire_map_close(m);
    return c->m->w->send(c->proc, fds, n_fds);
}

void child_say(struct child *c, enum frame_type type, uint64_t job)
{
    struct wire_map m = child_begin(c, type, job);
    child_send(c, &m, NULL, 0);
}

int child_reason(const struct child *c, const struct world_exit *how,
                 struct err *err)
{
    if (c->error.code)
        return err_set(err, c->error.code, "%s", c->error.msg);
    if (c->broke.code)
        return err_set(err, E_WORKER_CRASHED, "%s broke the protocol: %s",
                       c->role->label, c->broke.msg);
    const char *last = c->words + c->n_words;
    size_t n = c->n_words ? 1 : 0;
    while (n < c->n_words && last[-1 - (long)n] != '\n')
        n++;
    if (n == 0)
        return err_set(err, E_WORKER_CRASHED, "%s ended: %s", c->role->label,
                       how->text);
    return err_set(err, E_WORKER_CRASHED, "%s ended: %s; its last words: %.*s",
                   c->role->label, how->text, (int)n - 1, last - n);
}
