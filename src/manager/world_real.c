/* manager/world_real.c - the manager's world as it is: the loop's clock and
 * timers, children (manager/supervisor.h), and the helper thread for the store
 * and the cache.
 */
#include "base/clock.h"
#include "base/fs.h"
#include "base/helper.h"
#include "base/mem.h"
#include "manager/supervisor.h"
#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

struct real {
    struct manager_world w;
    struct loop *loop;
    struct helper *helper;
    struct supervisor *supervisor;
    char *home, *cache, **backends;
    char backend[FS_PATH_MAX]; /* the one found last */
    struct store *store;       /* the helper's; NULL: it could not be opened */
    struct err store_err;
};

/* A call on its way to the helper and back. Owner: itself. */
struct call {
    struct real *r;
    void (*work)(struct call *c);
    void (*back)(struct call *c);
    char *a, *b, *c;
    struct store_model model;
    struct world_start start;
    struct cache_files files;
    struct err err; /* code 0: it went well */
    union {
        world_start_fn *started;
        world_files_fn *opened;
        world_done_fn *done;
    };
    void *ctx;
};

/* ---- there and back ---- */

static void call_work(void *ctx)
{
    struct call *c = ctx;
    c->work(c);
}

static void call_back(void *ctx)
{
    struct call *c = ctx;
    c->back(c);
    free(c->a);
    free(c->b);
    free(c->c);
    store_model_fini(&c->model);
    store_content_fini(&c->start.content);
    free(c->start.found);
    cache_files_fini(&c->files);
    free(c);
}

static struct call *call_new(void *ctx, const char *a, const char *b,
                             const char *c)
{
    struct call *call = mem_new(struct call);
    call->r = ctx;
    call->a = a ? mem_strdup(a) : NULL;
    call->b = b ? mem_strdup(b) : NULL;
    call->c = c ? mem_strdup(c) : NULL;
    return call;
}

static void refused_later(struct loop_later *l)
{
    struct call *c = l->ctx;
    free(l);
    call_back(c);
}

/* The line before the helper is bounded; what does not fit is refused. */
static void call_send(struct call *c, void (*work)(struct call *),
                      void (*back)(struct call *))
{
    c->work = work;
    c->back = back;
    if (helper_run(c->r->helper, call_work, call_back, c) == 0)
        return;
    err_set(&c->err, E_QUEUE_FULL, "too much work waits for the disk");
    struct loop_later *l = mem_new(struct loop_later);
    *l = (struct loop_later){.fn = refused_later, .ctx = c};
    loop_later(c->r->loop, l);
}

/* ---- the start ---- */

static int keep_found(void *ctx, const struct cache_found *found)
{
    struct world_start *s = ctx;
    size_t n = s->n_found;
    if ((n & (n - 1)) == 0) {
        size_t cap = n ? 2 * n : 1;
        struct cache_found *p = realloc(s->found, cap * sizeof(*p));
        if (!p)
            return -ENOMEM;
        s->found = p;
    }
    s->found[s->n_found++] = *found;
    return 0;
}

static void work_start(struct call *c)
{
    struct real *r = c->r;
    char set_aside[256];
    struct err err;
    if (store_open(&r->store, r->home, set_aside, &r->store_err) < 0)
        c->err = r->store_err;
    else if (store_read(r->store, &c->start.content, &err) < 0)
        c->err = err;
    else if (set_aside[0])
        err_set(&c->err, E_DAMAGED_FILE, "%s", set_aside);
    if (cache_scan(r->cache, keep_found, &c->start, &err) < 0)
        c->err = err;
}

static void back_start(struct call *c)
{
    c->started(c->ctx, &c->start, &c->err);
}

static void start(void *ctx, world_start_fn *done, void *done_ctx)
{
    struct call *c = call_new(ctx, NULL, NULL, NULL);
    c->started = done;
    c->ctx = done_ctx;
    call_send(c, work_start, back_start);
}

/* ---- files ---- */

static void work_open(struct call *c)
{
    int r = *c->c ? cache_open_folder(c->c, &c->files, &c->err)
                  : cache_open(c->r->cache, c->a, c->b, &c->files, &c->err);
    if (r >= 0)
        c->err = (struct err){0};
}

static void back_open(struct call *c)
{
    c->opened(c->ctx, c->err.code ? NULL : &c->files, &c->err);
}

static void open_files(void *ctx, const struct world_place *place,
                       world_files_fn *done, void *done_ctx)
{
    struct call *c = call_new(ctx, place->id, place->commit, place->dir);
    c->opened = done;
    c->ctx = done_ctx;
    call_send(c, work_open, back_open);
}

static int folder(void *ctx, const struct world_place *place, char *out,
                  char *out_root, struct err *err)
{
    const struct real *r = ctx;
    if (!*place->dir)
        return cache_folder(r->cache, place->id, place->commit, out, out_root,
                            err);
    if (!str_to_z(str_of(place->dir), out, FS_PATH_MAX) ||
        !str_to_z(str_of(place->dir), out_root, FS_PATH_MAX))
        return err_set(err, ENAMETOOLONG, "the path of a folder is too long");
    return 0;
}

/* ---- the store ---- */

static struct store *the_store(struct call *c)
{
    if (!c->r->store)
        c->err = c->r->store_err;
    return c->r->store;
}

static void ended(struct call *c, int r)
{
    if (r >= 0)
        c->err = (struct err){0};
}

static void work_put_model(struct call *c)
{
    struct store *s = the_store(c);
    if (s)
        ended(c, store_put_model(s, &c->model, &c->err));
}

static void work_drop_model(struct call *c)
{
    struct store *s = the_store(c);
    if (s)
        ended(c, store_drop_model(s, c->a, c->b, &c->err));
}

static void work_put_alias(struct call *c)
{
    struct store *s = the_store(c);
    if (s)
        ended(c, store_put_alias(s, c->a, c->b, &c->err));
}

static void back_done(struct call *c)
{
    c->done(c->ctx, -c->err.code, c->err.code ? &c->err : NULL);
}

static void put_model(void *ctx, const struct store_model *model,
                      world_done_fn *done, void *done_ctx)
{
    struct call *c = call_new(ctx, NULL, NULL, NULL);
    store_model_copy(&c->model, model);
    c->done = done;
    c->ctx = done_ctx;
    call_send(c, work_put_model, back_done);
}

static void drop_model(void *ctx, const char *id, const char *revision,
                       world_done_fn *done, void *done_ctx)
{
    struct call *c = call_new(ctx, id, revision, NULL);
    c->done = done;
    c->ctx = done_ctx;
    call_send(c, work_drop_model, back_done);
}

static void put_alias(void *ctx, const char *alias, const char *target,
                      world_done_fn *done, void *done_ctx)
{
    struct call *c = call_new(ctx, alias, target, NULL);
    c->done = done;
    c->ctx = done_ctx;
    call_send(c, work_put_alias, back_done);
}

/* ---- clock, chance, children ---- */

static uint64_t now_ns(void *ctx)
{
    return loop_now_ns(((struct real *)ctx)->loop);
}

static uint64_t wall_ms(void *ctx)
{
    (void)ctx;
    return clock_wall_ms();
}

/* For jitter: without the kernel's, the clock is random enough. */
static uint64_t some_number(void *ctx)
{
    (void)ctx;
    uint64_t v = clock_now_ns();
    if (getrandom(&v, sizeof(v), GRND_NONBLOCK) < 0)
        return clock_now_ns();
    return v;
}

static void timer_set(void *ctx, struct loop_timer *t, uint64_t at_ns)
{
    loop_timer_set(((struct real *)ctx)->loop, t, at_ns);
}

static void timer_clear(void *ctx, struct loop_timer *t)
{
    loop_timer_clear(((struct real *)ctx)->loop, t);
}

static struct world_child *spawn(void *ctx, enum world_program program,
                                 const struct world_launch *launch,
                                 const struct world_ears *ears, void *ears_ctx,
                                 int *ret_pid, struct err *err)
{
    return supervisor_spawn(((struct real *)ctx)->supervisor, program, launch,
                            ears, ears_ctx, ret_pid, err);
}

/* What a backend's folder must hold: an interpreter that can be run, and the
 * word of whoever installed it that it is whole. */
static bool is_backend(const char *dir)
{
    char path[FS_PATH_MAX];
    return fs_join(path, dir, "bin/python") == 0 && access(path, X_OK) == 0 &&
           fs_join(path, dir, "backend.json") == 0 && access(path, R_OK) == 0;
}

/* A few looks at the disk, in the loop's thread: folders of this machine's own,
 * that whoever asks has just used or is about to use. */
static const char *backend(void *ctx, const char *name)
{
    struct real *r = ctx;
    for (char *const *p = r->backends; *p; p++)
        if (fs_join(r->backend, *p, name) == 0 && is_backend(r->backend))
            return r->backend;
    return NULL;
}

/* ---- life ---- */

static char **copy_list(const char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    char **copy = mem_zero(n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = mem_strdup(list[i]);
    return copy;
}

struct manager_world *world_open(const struct world_options *o, struct err *err)
{
    if (!o->programs[0] || !o->home[0]) {
        err_set(err, E_INVALID_REQUEST, "no folder of programs or no home");
        return NULL;
    }
    struct real *r = mem_new(struct real);
    r->w = (struct manager_world){
        .ctx = r,
        .now_ns = now_ns,
        .wall_ms = wall_ms,
        .random = some_number,
        .timer_set = timer_set,
        .timer_clear = timer_clear,
        .spawn = spawn,
        .backend = backend,
        .folder = folder,
        .begin = supervisor_begin,
        .send = supervisor_send,
        .signal = supervisor_signal,
        .start = start,
        .open_files = open_files,
        .put_model = put_model,
        .drop_model = drop_model,
        .put_alias = put_alias,
    };
    r->loop = o->loop;
    r->helper = o->helper;
    r->home = mem_strdup(o->home);
    r->cache = mem_strdup(o->cache);
    r->backends = copy_list(o->backends);
    r->supervisor = supervisor_open(o->loop, o->programs);
    return &r->w;
}

void world_close(struct manager_world *w)
{
    if (!w)
        return;
    struct real *r = w->ctx;
    supervisor_close(r->supervisor);
    store_close(r->store);
    free(r->home);
    free(r->cache);
    for (char **p = r->backends; *p; p++)
        free(*p);
    free(r->backends);
    free(r);
}
