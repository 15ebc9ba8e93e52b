/* worker/inspector.c - LOAD answered with a PLAN: what the model is and needs,
 * before a byte of its weights is read. */
#include "arch/inspect.h"
#include "base/mem.h"
#include "worker/worker.h"
#include <stdio.h>

static void put_tasks(struct wire_map *m, const struct inspection *s)
{
    size_t n = 0;
    while (s->tasks[n])
        n++;
    wire_kz(m, "task", n ? s->tasks[0] : "");
    wire_key(m, "tasks");
    wire_put_array(m->out, n);
    for (size_t i = 0; i < n; i++)
        wire_put_text(m->out, str_of(s->tasks[i]));
}

static void put_bytes(struct wire_map *m, const struct inspection *s)
{
    wire_key(m, "bytes");
    wire_put_map(m->out, s->n_bytes);
    for (size_t i = 0; i < s->n_bytes; i++) {
        wire_put_text(m->out, str_of(s->bytes[i].dtype));
        wire_put_uint(m->out, s->bytes[i].bytes);
    }
}

static void put_unsupported(struct wire_map *m, const struct inspection *s)
{
    wire_key(m, "unsupported");
    wire_put_array(m->out, s->n_unsupported);
    for (size_t i = 0; i < s->n_unsupported; i++) {
        struct wire_map one = wire_map_open(m->out);
        wire_kz(&one, "what", s->unsupported[i].what);
        wire_kz(&one, "why", s->unsupported[i].why);
        wire_map_close(&one);
    }
}

static void put_runtime(struct wire_map *m, const struct inspection *s)
{
    wire_key(m, "runtime");
    wire_put_array(m->out, s->n_runtime);
    for (size_t i = 0; i < s->n_runtime; i++) {
        wire_put_array(m->out, 2);
        wire_put_uint(m->out, s->runtime[i].tokens);
        wire_put_uint(m->out, s->runtime[i].bytes);
    }
}

static void put_extra(struct wire_map *m, const struct inspection *s)
{
    wire_key(m, "extra");
    struct wire_map one = wire_map_open(m->out);
    wire_kbool(&one, "auto_map", s->auto_map);
    if (s->pipeline_tag[0])
        wire_kz(&one, "pipeline_tag", s->pipeline_tag);
    if (s->pickles)
        wire_kz(&one, "refused",
                "its weights are in a format that can run code when it is "
                "read; berth reads safetensors only");
    wire_map_close(&one);
}

static int say_plan(struct worker *w, const struct inspection *s)
{
    struct wire_map m = say_begin(w, FRAME_PLAN, 0);
    wire_kz(&m, "architecture", s->architecture);
    wire_kz(&m, "model_type", s->model_type);
    put_tasks(&m, s);
    wire_kuint(&m, "tensors", s->n_tensors);
    wire_kuint(&m, "parameters", s->n_parameters);
    put_bytes(&m, s);
    wire_kuint(&m, "context", s->context);
    wire_kuint(&m, "dim", s->dim);
    wire_kuint(&m, "vocab", s->vocab);
    wire_kuint(&m, "labels", s->n_labels);
    put_unsupported(&m, s);
    wire_kuint(&m, "weights", s->weight_bytes);
    put_runtime(&m, s);
    if (s->licence[0])
        wire_kz(&m, "licence", s->licence);
    put_extra(&m, s);
    return say_end(w, &m, NULL, 0);
}

/* What the model's other files ask for and the worker does not have is one more
 * reason why it cannot be served; a damaged file is an error. Of a model that
 * the worker does not serve in any case they are not its to judge. */
static int check_rest(const struct snapshot *s, struct inspection *seen,
                      struct err *err)
{
    struct err why;
    int r = seen->n_unsupported ? 0 : pipeline_check(s, &why);
    if (r == 0)
        return 0;
    if (r != -E_UNSUPPORTED_OPTION) {
        *err = why;
        return r;
    }
    size_t at = seen->n_unsupported++;
    snprintf(seen->unsupported[at].what, sizeof(seen->unsupported[at].what),
             "option");
    snprintf(seen->unsupported[at].why, sizeof(seen->unsupported[at].why),
             "%.250s", why.msg);
    return 0;
}

int inspect_model(struct worker *w, struct err *err)
{
    struct inspection *seen = mem_new(struct inspection);
    int r = arch_inspect(&w->load.files, seen, err);
    if (r == 0)
        r = check_rest(&w->load.files, seen, err);
    if (r == 0 && say_plan(w, seen) < 0)
        r = err_set(err, E_INTERNAL, "the plan does not fit into a frame");
    free(seen);
    load_fini(&w->load);
    return r;
}
