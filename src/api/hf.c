/* api/hf.c - the Hugging Face Inference API, as InferenceClient speaks it.
 *
 * Feature extraction has its parameters beside "inputs", every other task in
 * "parameters". The client posts feature extraction and sentence similarity to
 * the same address: the body's shape tells them apart, and without a shape that
 * tells, the model's own task is meant.
 */
#include "api/infer.h"
#include "ipc/task.h"

enum { ARENA_BYTES = 64 << 20, PARAMS_BYTES = 1 << 20, PARAMS_MAX = 23 };

/* ---- answers ------------------------------------------------------------ */

static void write_item(struct infer *x, size_t at, struct buf *out)
{
    if (at == 0 || at > x->n) {
        if (!x->single)
            infer_open(out, at == 0 ? 0 : x->n, x->n);
        return;
    }
    const struct infer_item *item = &x->items[at - 1];
    if (at > 1)
        buf_putc(out, ',');
    if (item->v)
        infer_rows(x, item, out);
    else
        buf_add(out, item->json.p, item->json.len);
}

/* The scores of all items are one list. */
static void write_scores(struct infer *x, size_t at, struct buf *out)
{
    if (at == 0 || at > x->n) {
        buf_putc(out, at == 0 ? '[' : ']');
        return;
    }
    const struct infer_item *item = &x->items[at - 1];
    for (size_t i = 0; i < item->rows * item->dim; i++) {
        char text[32];
        if (at > 1 || i > 0)
            buf_putc(out, ',');
        buf_add(out, text, json_print_float(text, item->v[i]));
    }
}

/* ---- parameters --------------------------------------------------------- */

struct run {
    struct arena arena;
    struct buf params, members;
    size_t n;
    bool has_truncate;
    char model[MANAGER_NAME_MAX], task[64];
    struct infer_job job;
};

static bool put_scalar(struct buf *out, struct json v)
{
    int64_t i;
    double d;
    bool b;
    struct str s;
    if (json_to_bool(v, &b))
        wire_put_bool(out, b);
    else if (json_type(v) == JSON_INT &&
             json_to_int(v, INT64_MIN, INT64_MAX, &i))
        wire_put_int(out, i);
    else if (json_to_double(v, &d))
        wire_put_float(out, d);
    else if (json_to_str(v, &s))
        wire_put_text(out, s);
    else
        return false;
    return true;
}

static int put_value(struct buf *out, struct str key, struct json v,
                     struct err *err)
{
    bool ok = true;
    if (json_type(v) != JSON_ARRAY) {
        ok = put_scalar(out, v);
    } else {
        wire_put_array(out, json_count(v));
        for (struct json_iter it = json_iter(v); ok && json_next(&it);)
            ok = put_scalar(out, it.value);
    }
    if (!ok)
        return err_set(err, E_INVALID_REQUEST,
                       "the parameter '%.*s' should be a plain value or a list "
                       "of plain values",
                       STR_FMT(key));
    return 0;
}

static int put_param(struct run *x, struct str key, struct json v,
                     struct err *err)
{
    if (json_type(v) == JSON_NULL)
        return 0;
    if (x->n == PARAMS_MAX)
        return err_set(err, E_INVALID_REQUEST,
                       "at most %d parameters are taken", PARAMS_MAX);
    x->n++;
    x->has_truncate |= str_is(key, "truncate");
    wire_put_text(&x->members, key);
    return put_value(&x->members, key, v, err);
}

/* Of feature extraction: those that stand beside "inputs". */
static int root_params(struct run *x, struct json body, struct err *err)
{
    static const char *const known[] = {"normalize", "prompt_name", "truncate",
                                        "truncation_direction", "dimensions"};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(known); i++) {
        struct json v = json_get(body, known[i]);
        if (json_type(v) != JSON_NONE)
            r = put_param(x, str_of(known[i]), v, err);
    }
    struct str format;
    if (r == 0 && json_to_str(json_get(body, "encoding_format"), &format) &&
        !str_is(format, "float"))
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "'encoding_format' can only be 'float' here; "
                       "/v1/embeddings knows base64");
    return r;
}

static int member_params(struct run *x, struct json body, struct err *err)
{
    int r = 0;
    struct json p = json_get(body, "parameters");
    enum json_type t = json_type(p);
    if (t != JSON_NONE && t != JSON_NULL && t != JSON_OBJECT)
        return err_set(err, E_INVALID_REQUEST,
                       "'parameters' is %s, it should be an object",
                       json_type_name(t));
    for (struct json_iter it = json_iter(p); r == 0 && json_next(&it);)
        r = put_param(x, it.key, it.value, err);
    return r;
}

static int read_params(struct run *x, struct json body, struct err *err)
{
    bool vectors = !strcmp(x->task, TASK_FEATURE_EXTRACTION);
    int r = vectors ? root_params(x, body, err) : 0;
    if (r == 0)
        r = member_params(x, body, err);
    if (r < 0)
        return r;
    bool cut = vectors && !x->has_truncate; /* as its pipeline does */
    wire_put_map(&x->params, x->n + cut);
    buf_add(&x->params, x->members.p, x->members.len);
    if (cut) {
        wire_put_text(&x->params, str_of("truncate"));
        wire_put_bool(&x->params, true);
    }
    if (x->params.failed || x->members.failed)
        return err_set(err, E_TOO_LARGE, "the parameters are too long");
    x->job.params = buf_str(&x->params);
    return 0;
}

/* ---- a run -------------------------------------------------------------- */

static void own_task(void *ctx, const struct manager_model_view *v)
{
    struct run *x = ctx;
    if (v->task)
        str_to_z(str_of(v->task), x->task, sizeof(x->task));
}

static int read_model(const struct call *c, struct run *x, struct err *err)
{
    x->job.model = x->model;
    if (c->name.n) {
        str_to_z(c->name, x->model, sizeof(x->model));
        return 0;
    }
    const char *name = api_model(c, x->model, sizeof(x->model), err);
    if (!name)
        return -err->code;
    if (name != x->model)
        str_to_z(str_of(name), x->model, sizeof(x->model));
    return 0;
}

static int read_task(const struct call *c, struct run *x, struct json inputs,
                     struct err *err)
{
    int r = manager_show(c->api->manager, x->model, own_task, x, err);
    if (r < 0)
        return r;
    if (c->task.n && !str_to_z(c->task, x->task, sizeof(x->task)))
        return err_set(err, E_UNSUPPORTED_TASK, "there is no such task");
    if (!c->task.n &&
        json_type(json_get(inputs, "source_sentence")) != JSON_NONE)
        str_to_z(str_of(TASK_SENTENCE_SIMILARITY), x->task, sizeof(x->task));
    if (!c->task.n && json_type(inputs) != JSON_OBJECT &&
        !strcmp(x->task, TASK_SENTENCE_SIMILARITY))
        str_to_z(str_of(TASK_FEATURE_EXTRACTION), x->task, sizeof(x->task));
    x->job.task = x->task[0] ? x->task : NULL;
    return 0;
}

static int read_run(const struct call *c, struct run *x, struct err *err)
{
    struct json inputs = json_get(c->body, "inputs");
    int r = read_model(c, x, err);
    if (r == 0)
        r = read_task(c, x, inputs, err);
    if (r < 0)
        return r;
    bool pairs = !strcmp(x->task, TASK_SENTENCE_SIMILARITY);
    r = pairs ? inputs_pairs(inputs, &x->arena, &x->job.in, err)
              : inputs_read(inputs, "inputs", &x->arena, &x->job.in, err);
    x->job.write = pairs ? write_scores : write_item;
    return r < 0 ? r : read_params(x, c->body, err);
}

void hf_run(const struct call *c)
{
    struct err err;
    struct run x = {.arena = ARENA_MAX(ARENA_BYTES),
                    .params = BUF_MAX(PARAMS_BYTES),
                    .members = BUF_MAX(PARAMS_BYTES)};
    if (read_run(c, &x, &err) < 0)
        api_fail(c->api, c->r, PROTO_HF, &err, NULL);
    else
        infer_submit(c, PROTO_HF, &x.job);
    buf_fini(&x.params);
    buf_fini(&x.members);
    arena_fini(&x.arena);
}

/* ---- looking ------------------------------------------------------------ */

static void info_object(void *ctx, const struct manager_model_view *v)
{
    struct jsonw *w = ctx;
    const struct manager_instance_view *i =
        v->n_instances ? v->instances : NULL;
    jsonw_object(w);
    jsonw_kz(w, "model_id", v->name);
    jsonw_kz(w, "model_sha", v->commit);
    jsonw_kz(w, "model_dtype", i ? i->dtype : NULL);
    jsonw_kz(w, "model_device_type", i ? i->device : NULL);
    jsonw_kz(w, "model_pipeline_tag", v->task);
    jsonw_kuint(w, "max_input_length", v->context);
    jsonw_kz(w, "state", v->state);
    jsonw_kz(w, "version", BERTH_VERSION);
    jsonw_end_object(w);
}

void hf_info(const struct call *c)
{
    struct buf out = BUF_MAX(65536);
    struct jsonw w = jsonw_to(&out);
    char name[MANAGER_NAME_MAX];
    struct err err;
    str_to_z(c->name, name, sizeof(name));
    if (manager_show(c->api->manager, name, info_object, &w, &err) < 0) {
        api_fail(c->api, c->r, PROTO_HF, &err, name);
        buf_fini(&out);
        return;
    }
    api_reply_json(c->r, 200, &out);
}

/* Healthy: it is loaded, or a request would load it. */
static void health_state(void *ctx, const struct manager_model_view *v)
{
    static const char *const ill[] = {"failed", "back_off", "crash_loop"};
    const char **why = ctx;
    for (size_t i = 0; i < ARRAY_LEN(ill); i++)
        if (!strcmp(v->state, ill[i]))
            *why = ill[i];
}

void hf_health(const struct call *c)
{
    char name[MANAGER_NAME_MAX];
    const char *why = NULL;
    struct err err;
    str_to_z(c->name, name, sizeof(name));
    if (manager_show(c->api->manager, name, health_state, &why, &err) < 0)
        api_fail(c->api, c->r, PROTO_HF, &err, name);
    else if (why || c->api->draining)
        api_fail_at(c->api, c->r, PROTO_HF, name, E_LOADING, "%s is %s", name,
                    why ? why : "being shut down");
    else
        http_reply(c->r, 200, NULL, NULL);
}
