/* api/infer.c - one job for one request, whatever the protocol. */
#include "api/infer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdio.h>

enum {
    RESULT_MAX = 8 << 20, /* of an item's tree, as JSON */
    HELD_MAX = 256 << 20, /* of all items' results */
    WHOLE_MAX = 64 << 10,
    PIECE = 32 << 10,
};

static void infer_free(struct infer *x)
{
    for (size_t i = 0; i < x->n; i++) {
        free(x->items[i].v);
        buf_fini(&x->items[i].json);
    }
    free(x->items);
    buf_fini(&x->head);
    free(x);
}

/* ---- results come in ---------------------------------------------------- */

static int take_tensor(struct infer_item *item, const struct part *p,
                       struct err *err)
{
    if (!str_is(p->dtype, "f32") || p->rank < 1 || p->rank > 3)
        return err_set(err, E_INTERNAL,
                       "the inference server answered with a tensor of another "
                       "kind than asked for");
    item->flat = p->rank == 1;
    item->rows = item->flat ? 1 : (size_t)p->shape[0];
    if (p->rank == 3) {
        item->inner = (size_t)p->shape[1];
        item->rows *= item->inner;
    }
    item->dim = (size_t)p->shape[p->rank - 1];
    if (p->data.n != item->rows * item->dim * sizeof(float))
        return err_set(err, E_INTERNAL,
                       "the inference server answered with a tensor that is "
                       "shorter than it says");
    item->v = mem_try(p->data.n ? p->data.n : 1, 1);
    if (!item->v)
        return err_set(err, E_INSUFFICIENT_MEMORY,
                       "there is no memory for the answer");
    memcpy(item->v, p->data.p, p->data.n);
    return 0;
}

static int take_bytes(struct infer_item *item, const struct part *p,
                      struct err *err)
{
    item->json.max = REPLY_MAX;
    buf_add(&item->json, p->data.p, p->data.n);
    if (item->json.failed)
        return err_set(err, E_TOO_LARGE, "the answer is too large");
    return 0;
}

static int take_result(struct infer *x, const struct manager_result *result)
{
    struct infer_item *item = &x->items[result->item];
    item->tokens = result->tokens;
    if (result->result) {
        struct jsonw w = jsonw_to(&item->json);
        if (x->put)
            x->put(x, &w, result->result);
        else
            wire_json(&w, result->result);
        if (item->json.failed)
            return err_set(&x->err, E_INTERNAL, "the answer is too large");
        return 0;
    }
    const struct part *only = result->parts && result->parts->n_parts == 1
                                  ? result->parts->parts
                                  : NULL;
    if (only && x->bytes && only->kind == PART_BYTES)
        return take_bytes(item, only, &x->err);
    if (!only || x->bytes || only->kind != PART_TENSOR)
        return err_set(&x->err, E_INTERNAL,
                       "the inference server answered without a result");
    return take_tensor(item, only, &x->err);
}

/* Whether the results can still be held. If not, the rest is not computed. */
static bool within_bounds(struct infer *x, const struct manager_result *result)
{
    for (size_t i = 0; result->parts && i < result->parts->n_parts; i++)
        x->held += result->parts->parts[i].data.n;
    if (x->held <= HELD_MAX)
        return true;
    manager_cancel(x->api->manager, x->job);
    api_fail_at(x->api, x->r, x->proto, x->model, E_TOO_LARGE,
                "the answer has more than %d MiB: send fewer inputs at a time",
                HELD_MAX >> 20);
    infer_free(x);
    return false;
}

static void on_item(void *ctx, const struct manager_result *result)
{
    struct infer *x = ctx;
    if (!within_bounds(x, result))
        return;
    x->tokens += result->tokens;
    x->truncated += result->truncated;
    if (result->queue_ns > x->queue_ns)
        x->queue_ns = result->queue_ns;
    if (result->run_ns > x->run_ns)
        x->run_ns = result->run_ns;
    if (x->err.code == 0 && result->item < x->n && take_result(x, result) < 0)
        log_warn("api: a result of %s was refused: %s", x->model, x->err.msg);
    x->held += x->items[result->item].json.len;
}

static void on_failed(void *ctx, long item, const struct err *err)
{
    struct infer *x = ctx;
    if (x->err.code)
        return;
    x->err = *err;
    if (item >= 0 && x->n > 1)
        err_prefix(&x->err, "input %ld", item);
}

/* ---- the answer goes out ------------------------------------------------ */

void infer_open(struct buf *out, size_t i, size_t n)
{
    buf_puts(out, i == 0 ? "[" : i < n ? "," : "]");
}

/* Row i with the brackets and commas around it. */
static void add_row(const struct infer_item *item, size_t i, struct buf *out)
{
    struct jsonw w = jsonw_to(out);
    infer_open(out, i, item->rows);
    if (item->inner && i % item->inner == 0)
        buf_putc(out, '[');
    jsonw_floats(&w, item->v + i * item->dim, item->dim);
    if (item->inner && (i + 1) % item->inner == 0)
        buf_putc(out, ']');
    if (i + 1 == item->rows)
        infer_open(out, item->rows, item->rows);
}

void infer_vector(const struct infer_item *item, struct buf *out)
{
    struct jsonw w = jsonw_to(out);
    if (item->flat) {
        jsonw_floats(&w, item->v, item->dim);
        return;
    }
    for (size_t i = 0; i < item->rows; i++)
        add_row(item, i, out);
    if (item->rows == 0)
        buf_puts(out, "[]");
}

static void write_row(struct infer *x, struct buf *out)
{
    const struct infer_item *item = x->rest;
    add_row(item, x->row++, out);
    if (x->row == item->rows)
        x->rest = NULL;
}

void infer_rows(struct infer *x, const struct infer_item *item, struct buf *out)
{
    if (item->flat || item->rows == 0) {
        infer_vector(item, out);
        return;
    }
    x->rest = item;
    x->row = 0;
    write_row(x, out);
}

/* Until out has that many bytes; false when nothing is left. */
static bool write_some(struct infer *x, struct buf *out, size_t most)
{
    while (out->len < most && !out->failed) {
        if (x->rest)
            write_row(x, out);
        else if (x->at < x->pieces)
            x->write(x, x->at++, out);
        else
            return false;
    }
    return x->rest || x->at < x->pieces;
}

static int more(void *ctx, struct buf *out)
{
    struct infer *x = ctx;
    buf_add(out, x->head.p, x->head.len);
    buf_fini(&x->head);
    x->head = (struct buf){0};
    return write_some(x, out, PIECE);
}

static void fini(void *ctx)
{
    infer_free(ctx);
}

static void backend_text(void *ctx, const struct manager_model_view *v)
{
    const struct manager_instance_view *i = v->instances;
    char *out = ctx;
    if (v->n_instances)
        snprintf(out, INFER_BACKEND_MAX, "%s/%s/%s/%s", i->backend, i->dtype,
                 i->device, i->level);
    else
        snprintf(out, INFER_BACKEND_MAX, "%s", v->backend);
}

void infer_backend(const struct api *a, struct http_request *r,
                   const char *model, char *out)
{
    struct err ignored;
    snprintf(out, INFER_BACKEND_MAX, "gone");
    if (manager_show(a->manager, model, backend_text, out, &ignored) < 0 ||
        *out)
        http_add_header(r, "X-Berth-Backend", "%s", out);
}

static void add_headers(struct infer *x)
{
    char backend[INFER_BACKEND_MAX];
    if (x->truncated)
        http_add_header(x->r, "X-Berth-Truncated", "%zu", x->truncated);
    infer_backend(x->api, x->r, x->model, backend);
    if (x->headers)
        x->headers(x);
}

/* Up to 64 KiB go out with their length; a longer answer is made while it is
 * sent. */
static void answer(struct infer *x)
{
    struct buf out = BUF_MAX(REPLY_MAX);
    struct http_request *r = x->r;
    const char *type = x->type ? x->type : "application/json";
    add_headers(x);
    if (!write_some(x, &out, WHOLE_MAX) || out.failed) {
        if (x->type && !out.failed)
            http_reply(r, 200, x->type, &out);
        else
            api_reply_json(r, 200, &out);
        infer_free(x);
        return;
    }
    struct http_pieces rest = {more, fini, x};
    x->head = out;
    http_reply_pieces(r, 200, type, &rest);
}

static void on_done(void *ctx)
{
    struct infer *x = ctx;
    http_on_abort(x->r, NULL, NULL);
    if (x->err.code == 0) {
        answer(x);
        return;
    }
    api_fail(x->api, x->r, x->proto, &x->err, x->model);
    infer_free(x);
}

static void on_abort(void *ctx)
{
    struct infer *x = ctx;
    manager_cancel(x->api->manager, x->job);
    infer_free(x);
}

static struct infer *infer_new(const struct call *c, enum api_proto proto,
                               const struct infer_job *job)
{
    struct infer *x = mem_new(struct infer);
    x->api = c->api;
    x->r = c->r;
    x->proto = proto;
    x->n = job->in.n;
    x->items = mem_zero(x->n, sizeof(*x->items));
    for (size_t i = 0; i < x->n; i++)
        x->items[i].json.max = RESULT_MAX;
    x->pieces = job->pieces ? job->pieces : x->n + 2;
    x->single = job->in.single;
    x->characters = job->in.characters;
    x->base64 = job->base64;
    x->headers = job->headers;
    x->write = job->write;
    x->put = job->put;
    x->type = job->type;
    x->bytes = job->bytes;
    str_to_z(str_of(job->label), x->label, sizeof(x->label));
    x->several = job->several;
    x->submitted_ns = clock_now_ns();
    str_to_z(str_of(job->model), x->model, sizeof(x->model));
    return x;
}

void infer_submit(const struct call *c, enum api_proto proto,
                  const struct infer_job *job)
{
    struct err err;
    struct infer *x = infer_new(c, proto, job);
    struct manager_job m = {
        .model = x->model,
        .task = job->task,
        .params = job->params,
        .items = job->in.items,
        .n_items = job->in.n,
        .priority = 5,
        .caller = http_view(c->r)->peer == HTTP_UNIX ? "unix" : "tcp",
        .reply = {on_item, on_failed, on_done, x, NULL},
    };
    if (manager_submit(c->api->manager, &m, &x->job, &err) < 0) {
        api_fail(c->api, c->r, proto, &err, x->model);
        infer_free(x);
        return;
    }
    http_on_abort(c->r, on_abort, x);
}
