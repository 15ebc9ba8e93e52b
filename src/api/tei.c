/* api/tei.c - Text Embeddings Inference: /embed, /info, /health.
 *
 * The answer is always a list of vectors. What is too long is refused unless
 * "truncate" is true.
 */
#include "api/infer.h"
#include "base/clock.h"
#include "ipc/task.h"

enum { ARENA_BYTES = 64 << 20, PARAMS_BYTES = 8192 };

static void write_vectors(struct infer *x, size_t at, struct buf *out)
{
    if (at == 0 || at > x->n) {
        buf_putc(out, at == 0 ? '[' : ']');
        return;
    }
    if (at > 1)
        buf_putc(out, ',');
    infer_vector(&x->items[at - 1], out);
}

static unsigned long long ms(uint64_t ns)
{
    return ns / 1000000;
}

static void timing_headers(struct infer *x)
{
    uint64_t total = clock_now_ns() - http_view(x->r)->began_ns;
    uint64_t inside = x->queue_ns + x->run_ns;
    http_add_header(x->r, "X-Compute-Type", "cpu");
    http_add_header(x->r, "X-Compute-Time", "%llu", ms(total));
    http_add_header(x->r, "X-Compute-Characters", "%zu", x->characters);
    http_add_header(x->r, "X-Compute-Tokens", "%llu",
                    (unsigned long long)x->tokens);
    http_add_header(x->r, "X-Total-Time", "%llu", ms(total));
    http_add_header(x->r, "X-Tokenization-Time", "%llu",
                    ms(total > inside ? total - inside : 0));
    http_add_header(x->r, "X-Queue-Time", "%llu", ms(x->queue_ns));
    http_add_header(x->r, "X-Inference-Time", "%llu", ms(x->run_ns));
}

struct embed {
    struct arena arena;
    struct buf params;
    char model[MANAGER_NAME_MAX];
    struct infer_job job;
};

/* "Right", "right", "Left", "left". */
static int put_direction(struct wire_map *m, struct json body, struct err *err)
{
    char side[16];
    int r = body_z(body, "truncation_direction", side, sizeof(side), err);
    if (r <= 0)
        return r;
    side[0] = (char)(side[0] | 0x20);
    if (strcmp(side, "left") && strcmp(side, "right"))
        return err_set(err, E_INVALID_REQUEST,
                       "'truncation_direction' should be 'Right' or 'Left'");
    wire_kz(m, "truncation_direction", side);
    return 0;
}

static int put_params(struct wire_map *m, struct json body, struct err *err)
{
    bool truncate = false, normalize = true;
    char prompt[256];
    int r = body_bool(body, "truncate", &truncate, err);
    if (r >= 0)
        r = body_bool(body, "normalize", &normalize, err);
    if (r >= 0)
        r = put_direction(m, body, err);
    if (r >= 0)
        r = body_z(body, "prompt_name", prompt, sizeof(prompt), err);
    if (r > 0)
        wire_kz(m, "prompt_name", prompt);
    if (r >= 0)
        r = inputs_dimensions(body, m, err);
    wire_kbool(m, "pooled", true);
    wire_kbool(m, "truncate", truncate);
    wire_kbool(m, "normalize", normalize);
    return r < 0 ? r : 0;
}

static int read_embed(const struct call *c, struct embed *e, struct err *err)
{
    e->job.model = api_model(c, e->model, sizeof(e->model), err);
    if (!e->job.model)
        return -err->code;
    int r = inputs_read(json_get(c->body, "inputs"), "inputs", &e->arena,
                        &e->job.in, err);
    struct wire_map m = wire_map_open(&e->params);
    if (r == 0)
        r = put_params(&m, c->body, err);
    wire_map_close(&m);
    e->job.params = buf_str(&e->params);
    return r;
}

void tei_embed(const struct call *c)
{
    struct err err;
    struct embed e = {.arena = ARENA_MAX(ARENA_BYTES),
                      .params = BUF_MAX(PARAMS_BYTES)};
    e.job.task = TASK_FEATURE_EXTRACTION;
    e.job.write = write_vectors;
    e.job.headers = timing_headers;
    if (read_embed(c, &e, &err) < 0)
        api_fail(c->api, c->r, PROTO_TEI, &err, NULL);
    else
        infer_submit(c, PROTO_TEI, &e.job);
    buf_fini(&e.params);
    arena_fini(&e.arena);
}

/* ---- looking ------------------------------------------------------------ */

struct info {
    struct api *api;
    struct jsonw w;
};

static void info_object(void *ctx, const struct manager_model_view *v)
{
    struct info *i = ctx;
    struct jsonw *w = &i->w;
    const struct manager_instance_view *inst =
        v->n_instances ? v->instances : NULL;
    struct str pooling = wire_text(inst ? inst->extra : NULL, "pooling");
    jsonw_object(w);
    jsonw_kz(w, "model_id", v->name);
    jsonw_kz(w, "model_sha", v->commit);
    jsonw_kz(w, "model_dtype", inst ? inst->dtype : NULL);
    jsonw_kz(w, "served_model_name", v->alias ? v->alias : v->name);
    jsonw_key(w, "model_type");
    jsonw_object(w);
    jsonw_key(w, "embedding");
    jsonw_object(w);
    jsonw_kstr(w, "pooling", pooling.n ? pooling : str_of("mean"));
    jsonw_end_object(w);
    jsonw_end_object(w);
    jsonw_kuint(w, "max_input_length", v->context);
    jsonw_kint(w, "max_client_batch_size", FRAME_ITEMS_MAX);
    jsonw_kbool(w, "auto_truncate", false);
    jsonw_kint(w, "tokenization_workers", i->api->config.threads);
    jsonw_kz(w, "version", i->api->config.version);
    jsonw_end_object(w);
}

void tei_info(const struct call *c)
{
    char given[MANAGER_NAME_MAX];
    struct err err;
    struct buf out = BUF_MAX(65536);
    struct info i = {c->api, jsonw_to(&out)};
    const char *name = http_query(c->r, "model", given, sizeof(given))
                           ? given
                           : api_model(c, given, sizeof(given), &err);
    if (!name ||
        manager_show(c->api->manager, name, info_object, &i, &err) < 0) {
        api_fail(c->api, c->r, PROTO_TEI, &err, name);
        buf_fini(&out);
        return;
    }
    api_reply_json(c->r, 200, &out);
}

void tei_health(const struct call *c)
{
    if (c->api->draining)
        api_fail_at(c->api, c->r, PROTO_TEI, NULL, E_DRAINING, "unhealthy");
    else
        http_reply(c->r, 200, NULL, NULL);
}
