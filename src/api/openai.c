/* api/openai.c - OpenAI's protocol: /v1/models and /v1/embeddings.
 *
 * Unknown fields are ignored, as OpenAI does. Beyond it: "truncate": true cuts
 * what is too long instead of refusing it.
 */
#include "api/infer.h"
#include "base/base64.h"
#include "base/clock.h"
#include "ipc/task.h"

enum { ARENA_BYTES = 64 << 20, PARAMS_BYTES = 4096 };

/* ---- models ------------------------------------------------------------- */

struct listing {
    struct jsonw w;
    uint64_t created;
};

static void model_object(void *ctx, const struct manager_model_view *v)
{
    struct listing *l = ctx;
    const char *slash = strchr(v->name, '/');
    jsonw_object(&l->w);
    jsonw_kz(&l->w, "id", v->name);
    jsonw_kz(&l->w, "object", "model");
    jsonw_kuint(&l->w, "created", l->created);
    jsonw_kstr(&l->w, "owned_by",
               slash ? str_n(v->name, (size_t)(slash - v->name))
                     : str_of("berth"));
    jsonw_end_object(&l->w);
}

/* When the daemon began to offer them: files have no other honest date. */
static uint64_t created(const struct api *a)
{
    return (clock_wall_ms() - (clock_now_ns() - a->started_ns) / 1000000) /
           1000;
}

void openai_list(const struct call *c)
{
    struct buf out = BUF_MAX(REPLY_MAX);
    struct listing l = {jsonw_to(&out), created(c->api)};
    jsonw_object(&l.w);
    jsonw_kz(&l.w, "object", "list");
    jsonw_key(&l.w, "data");
    jsonw_array(&l.w);
    manager_list(c->api->manager, model_object, &l);
    jsonw_end_array(&l.w);
    jsonw_end_object(&l.w);
    api_reply_json(c->r, 200, &out);
}

void openai_show(const struct call *c)
{
    struct buf out = BUF_MAX(65536);
    struct listing l = {jsonw_to(&out), created(c->api)};
    char name[MANAGER_NAME_MAX];
    struct err err;
    str_to_z(c->name, name, sizeof(name));
    if (manager_show(c->api->manager, name, model_object, &l, &err) < 0) {
        api_fail(c->api, c->r, PROTO_OPENAI, &err, name);
        buf_fini(&out);
        return;
    }
    api_reply_json(c->r, 200, &out);
}

/* ---- embeddings --------------------------------------------------------- */

static void write_vector(const struct infer *x, const struct infer_item *item,
                         struct buf *out)
{
    if (!x->base64) {
        infer_vector(item, out);
        return;
    }
    buf_putc(out, '"');
    base64_encode(out, item->v, item->rows * item->dim * sizeof(float));
    buf_putc(out, '"');
}

static void write_tail(const struct infer *x, struct buf *out)
{
    struct jsonw w = jsonw_to(out);
    buf_puts(out, "],\"model\":");
    jsonw_z(&w, x->model);
    buf_addf(out, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}",
             (unsigned long long)x->tokens, (unsigned long long)x->tokens);
}

static void write_embeddings(struct infer *x, size_t at, struct buf *out)
{
    if (at == 0) {
        buf_puts(out, "{\"object\":\"list\",\"data\":[");
        return;
    }
    if (at > x->n) {
        write_tail(x, out);
        return;
    }
    buf_addf(out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":",
             at > 1 ? "," : "", at - 1);
    write_vector(x, &x->items[at - 1], out);
    buf_putc(out, '}');
}

struct embed {
    struct arena arena;
    struct buf params;
    char model[MANAGER_NAME_MAX];
    struct infer_job job;
};

static int read_format(struct json body, bool *ret_base64, struct err *err)
{
    char format[16];
    int r = body_z(body, "encoding_format", format, sizeof(format), err);
    if (r <= 0)
        return r;
    *ret_base64 = !strcmp(format, "base64");
    if (!*ret_base64 && strcmp(format, "float"))
        return err_set(err, E_INVALID_REQUEST,
                       "'encoding_format' is '%s', it should be 'float' or "
                       "'base64'",
                       format);
    return 0;
}

static int read_embed(const struct call *c, struct embed *e, struct err *err)
{
    bool truncate = false;
    e->job.model = api_model(c, e->model, sizeof(e->model), err);
    if (!e->job.model)
        return -err->code;
    int r = inputs_read(json_get(c->body, "input"), "input", &e->arena,
                        &e->job.in, err);
    if (r == 0)
        r = read_format(c->body, &e->job.base64, err);
    struct wire_map m = wire_map_open(&e->params);
    if (r == 0)
        r = inputs_dimensions(c->body, &m, err);
    if (r == 0)
        r = body_bool(c->body, "truncate", &truncate, err);
    if (r < 0)
        return r;
    wire_kbool(&m, "pooled", true);
    wire_kbool(&m, "truncate", truncate);
    wire_map_close(&m);
    e->job.params = buf_str(&e->params);
    return 0;
}

void openai_embed(const struct call *c)
{
    struct err err;
    struct embed e = {.arena = ARENA_MAX(ARENA_BYTES),
                      .params = BUF_MAX(PARAMS_BYTES)};
    e.job.task = TASK_FEATURE_EXTRACTION;
    e.job.write = write_embeddings;
    if (read_embed(c, &e, &err) < 0)
        api_fail(c->api, c->r, PROTO_OPENAI, &err, NULL);
    else
        infer_submit(c, PROTO_OPENAI, &e.job);
    buf_fini(&e.params);
    arena_fini(&e.arena);
}
