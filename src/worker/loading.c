/* worker/loading.c - LOAD: descriptors to a model that answers. */
#include "base/clock.h"
#include "base/crew.h"
#include "worker/worker.h"
#include <errno.h>
#include <unistd.h>

static int add_file(struct load *l, const struct wire_node *v, struct frame *f,
                    struct err *err)
{
    struct str name = wire_text(v, "name");
    uint64_t size = wire_uint(v, "size", UINT64_MAX);
    int64_t at = wire_int(v, "fd", -1);
    if (name.n == 0 || size > INT64_MAX || at < 0 || at >= f->n_fds ||
        f->fds[at] < 0)
        return err_set(err, E_INVALID_REQUEST,
                       "LOAD: a file without its name, size or descriptor");
    int fd = f->fds[at];
    f->fds[at] = -1;
    return snapshot_add(&l->files, name, fd, size, err);
}

static void note_option(struct load *l, const struct wire_node *options)
{
    const struct wire_node *first = wire_first(options);
    if (first && !str_to_z(first->s, l->option, sizeof(l->option)))
        str_to_z(str_of("?"), l->option, sizeof(l->option));
}

/* Only keeps what was said: reading the files is the loop's, not the channel's,
 * so that PINGs are answered meanwhile. */
int load_keep(struct worker *w, struct frame *f, struct err *err)
{
    struct load *l = &w->load;
    if (l->there || w->phase > WORKER_WAITING)
        return err_set(err, E_INVALID_REQUEST, "a second LOAD");
    l->there = true;
    str_to_z(wire_text(f->body, "dtype"), l->dtype, sizeof(l->dtype));
    str_to_z(wire_text(f->body, "device"), l->device, sizeof(l->device));
    note_option(l, wire_get(f->body, "options"));
    const struct wire_node *files = wire_get(f->body, "files");
    int r = 0;
    for (const struct wire_node *v = wire_first(files); v && r == 0;
         v = wire_next(files, v))
        r = add_file(l, v, f, err);
    return r;
}

void load_fini(struct load *l)
{
    snapshot_fini(&l->files);
}

static int check_load(const struct load *l, struct err *err)
{
    static const char *const dtypes[] = {"exact", "auto", "f32"};
    if (strcmp(l->device, "cpu"))
        return err_set(
            err, E_UNSUPPORTED_OPTION,
            "the native engine runs on the device cpu, not on \"%s\"",
            l->device);
    if (l->option[0])
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "the native engine has no option \"%s\"", l->option);
    for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
        if (!strcmp(l->dtype, dtypes[i]))
            return 0;
    return err_set(
        err, E_UNSUPPORTED_OPTION,
        "the native engine computes in f32 (exact, auto or f32), not "
        "in \"%s\"",
        l->dtype);
}

static void wake(void *ctx)
{
    const struct worker *w = ctx;
    const uint64_t one = 1;
    ssize_t n = write(w->wake_fd, &one, sizeof(one));
    (void)n; /* full: it is awake */
}

static void progress(void *ctx, const char *phase, uint64_t done, uint64_t all)
{
    struct worker *w = ctx;
    struct err err;
    say_progress(w, phase, done, all);
    int r = worker_read(w, &err);
    worker_awake(w);
    if (r <= 0 || w->draining || w->over)
        _exit(r < 0); /* nobody waits for this model any more */
}

int load_model(struct worker *w, struct err *err)
{
    uint64_t begin = clock_now_ns();
    const struct pipeline_options options = {
        .threads = crew_size(w->crew),
        .isa = w->isa,
        .crew = w->crew,
        .wake = wake,
        .progress = progress,
        .ctx = w,
    };
    w->phase = WORKER_LOADING;
    int r = check_load(&w->load, err);
    if (r == 0)
        r = pipeline_open(&w->pipeline, &w->load.files, &options, err);
    load_fini(&w->load);
    if (r < 0)
        return r;
    r = say_ready(w, clock_now_ns() - begin, err);
    if (r < 0)
        return r;
    w->phase = WORKER_SERVING;
    say_credit(w, WORKER_JOBS, WORKER_BYTES);
    return 0;
}
