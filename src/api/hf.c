/* api/hf.c - the Hugging Face Inference API, as its clients speak it.
 *
 * The client posts several tasks to the same address. Which one is meant: the
 * path's, else the one that the body's shape tells, else the model's own. A
 * model whose own task nobody knows yet is loaded first. What each task takes
 * and how its answer is wrapped is in api/hf_tasks.def.
 */
#include "api/hf_generation.h"
#include "api/hf_task.h"
#include "base/mem.h"
#include "ipc/task.h"

enum { ARENA_BYTES = 64 << 20 };

/* ---- which model, which task -------------------------------------------- */

struct run {
    const struct call *c;
    struct arena arena;
    struct buf params;
    struct json inputs, parameters;
    char model[MANAGER_NAME_MAX];
    char own[64]; /* the model's default task; "" = not known */
    bool zero_shot, translates;
    bool generates; /* text-generation: it has its own way, which streams */
    const struct hf_task *task;
    struct infer_job job;
};

static int read_model(struct run *x, struct err *err)
{
    const struct call *c = x->c;
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

static void see_tasks(void *ctx, const struct manager_model_view *v)
{
    struct run *x = ctx;
    if (v->task)
        str_to_z(str_of(v->task), x->own, sizeof(x->own));
    for (const char *const *t = v->tasks; *t; t++) {
        x->zero_shot |= !strcmp(*t, "zero-shot-classification");
        x->translates |= !strcmp(*t, "translation");
    }
}

static bool has(struct json object, const char *key)
{
    return json_type(json_get(object, key)) != JSON_NONE;
}

/* The task that only one body has the shape of; NULL: it may be several. */
static const char *shape(const struct run *x)
{
    struct json in = x->inputs;
    if (has(in, "source_sentence"))
        return TASK_SENTENCE_SIMILARITY;
    if (has(in, "question") && has(in, "context"))
        return "question-answering";
    if (has(in, "table"))
        return "table-question-answering";
    if (has(in, "question") && has(in, "image"))
        return "document-question-answering";
    if (x->zero_shot && has(x->parameters, "candidate_labels"))
        return "zero-shot-classification";
    if (x->translates && has(x->parameters, "tgt_lang"))
        return "translation";
    if (json_type(in) != JSON_OBJECT &&
        !strcmp(x->own, TASK_SENTENCE_SIMILARITY))
        return TASK_FEATURE_EXTRACTION;
    return NULL;
}

/* 1: the model's own, which is not known yet. */
static int read_task(struct run *x, struct err *err)
{
    int r = manager_show(x->c->api->manager, x->model, see_tasks, x, err);
    if (r < 0)
        return r;
    struct str name = x->c->task;
    if (!name.n)
        name = str_of(shape(x));
    if (!name.n)
        name = str_of(x->own);
    if (!name.n)
        return 1;
    /* A conversation has its own route; here its model continues a text. */
    x->generates =
        str_is(name, TASK_TEXT_GENERATION) || str_is(name, TASK_CHAT);
    x->task = hf_task_find(name);
    if (!x->task && !x->generates)
        return err_set(err, E_UNSUPPORTED_TASK,
                       "there is no task '%.*s' on this route",
                       (int)(name.n < 64 ? name.n : 64), name.p);
    x->job.task = x->task ? x->task->name : TASK_TEXT_GENERATION;
    return 0;
}

/* ---- a run -------------------------------------------------------------- */

static int read_job(struct run *x, struct err *err)
{
    const struct call *c = x->c;
    const struct hf_source from = {
        .inputs = x->inputs,
        .parameters = x->parameters,
        .raw = c->raw,
        .bytes = http_view(c->r)->body,
        .media = c->raw ? api_media(c->r) : str_n("", 0),
        .arena = &x->arena,
    };
    int64_t top_k = 1;
    hf_write(x->task, &x->job);
    json_to_int(json_get(x->parameters, "top_k"), 0, INT32_MAX, &top_k);
    x->job.several = top_k > 1;
    int r = x->task->read(&from, &x->job.in, err);
    if (r == 0)
        r = hf_params(x->task, c->body, &x->params, err);
    x->job.params = buf_str(&x->params);
    if (r == 0 && x->task->answer == HF_SOUND && x->job.in.n > 1)
        return err_set(err, E_INVALID_REQUEST,
                       "%s answers with sound: one text at a time",
                       x->task->name);
    return r;
}

static void wait_for_task(const struct call *c, const char *model);

static void start(const struct call *c, bool may_wait)
{
    struct err err;
    struct run x = {
        .c = c,
        .arena = ARENA_MAX(ARENA_BYTES + c->api->config.body_bytes),
        .params = BUF_MAX(MANAGER_PARAMS_MAX),
        .inputs = json_get(c->body, "inputs"),
        .parameters = json_get(c->body, "parameters"),
    };
    int r = read_model(&x, &err);
    if (r == 0)
        r = read_task(&x, &err);
    if (r == 1 && may_wait) {
        wait_for_task(c, x.model);
        return;
    }
    if (r == 1)
        r = err_set(&err, E_UNSUPPORTED_TASK,
                    "%s has no task of its own: name one, as in "
                    "/models/%s/pipeline/TASK",
                    x.model, x.model);
    if (r == 0 && !x.generates)
        r = read_job(&x, &err);
    if (r < 0)
        api_fail(c->api, c->r, PROTO_HF, &err, NULL);
    else if (x.generates)
        hf_generate(c, x.model);
    else
        infer_submit(c, PROTO_HF, &x.job);
    buf_fini(&x.params);
    arena_fini(&x.arena);
}

void hf_run(const struct call *c)
{
    start(c, true);
}

/* ---- the first use ------------------------------------------------------ */

/* A request that waits until its model is loaded. Owns the parsed body. */
struct waiting {
    struct call call;
    bool left; /* the client */
    char model[MANAGER_NAME_MAX];
};

static void on_left(void *ctx)
{
    struct waiting *w = ctx;
    w->left = true;
}

static void on_loaded(void *ctx, int code, const struct err *err)
{
    struct waiting *w = ctx;
    if (!w->left) {
        http_on_abort(w->call.r, NULL, NULL);
        if (code < 0)
            api_fail(w->call.api, w->call.r, PROTO_HF, err, w->model);
        else
            start(&w->call, false);
    }
    json_free(w->call.doc);
    free(w);
}

static void wait_for_task(const struct call *c, const char *model)
{
    struct err err;
    struct waiting *w = mem_new(struct waiting);
    w->call = *c;
    str_to_z(str_of(model), w->model, sizeof(w->model));
    if (manager_load(c->api->manager, model, NULL, on_loaded, w, &err) < 0) {
        api_fail(c->api, c->r, PROTO_HF, &err, model);
        free(w);
        return;
    }
    *c->kept = true;
    http_on_abort(c->r, on_left, w);
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
