/* api/generation.c - text that is made token by token: whole, or streamed. */
#include "api/generation.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdio.h>

enum {
    CREDIT = 3 * FRAME_CHUNK_MAX, /* as events about 200 KiB at the worst, which
                                     is less than a stream may hold */
    GIVE_BACK = FRAME_CHUNK_MAX,  /* not a frame for each token */
    ITEM_MAX = 6 << 20,           /* of an item, as JSON */
    HELD_MAX = 64 << 20,          /* of all items */
    WHOLE_MAX = 64 << 10,
    PIECES_MAX = 8 << 20,
};
static const uint64_t WAIT_NS = GENERATION_WAIT_S * 1000000000ull;

static void item_fini(struct generation_item *i)
{
    free((char *)i->text.p);
    for (size_t k = 0; k < GENERATION_LISTS; k++)
        buf_fini(&i->list[k]);
}

static void generation_free(struct generation *g)
{
    loop_timer_clear(g->api->loop, &g->wait);
    for (size_t i = 0; i < g->n; i++)
        item_fini(&g->items[i]);
    free(g->items);
    buf_fini(&g->head);
    free(g);
}

/* ---- a stream ----------------------------------------------------------- */

void generation_event(struct generation *g, const struct buf *data)
{
    g->n_events++;
    stream_event(&g->stream, 0, NULL, buf_str(data));
}

static void closed(struct stream *s)
{
    struct generation *g = list_of(s, struct generation, stream);
    manager_cancel(g->api->manager, g->job);
    generation_free(g);
}

/* The reader has taken everything. */
static void drained(struct stream *s)
{
    struct generation *g = list_of(s, struct generation, stream);
    if (g->owed < GIVE_BACK)
        return;
    manager_credit(g->api->manager, g->job, g->owed);
    g->owed = 0;
}

static void begin(struct generation *g)
{
    if (g->begun)
        return;
    g->begun = true;
    loop_timer_clear(g->api->loop, &g->wait);
    infer_backend(g->api, g->r, g->model, g->backend);
    g->stream.closed = closed;
    g->stream.drained = drained;
    stream_job(&g->stream, g->api, g->r);
}

static void waited(struct loop_timer *t)
{
    struct generation *g = t->ctx;
    begin(g);
    stream_bytes(&g->stream, ": ping\n\n", 8);
}

static void stream_chunk(struct generation *g, size_t item, struct str text,
                         const struct wire_node *tokens)
{
    begin(g);
    if (text.n || tokens)
        g->form->chunk(g, item, text, tokens);
    g->items[item].began = true;
}

static void end_stream(struct generation *g, const struct err *err)
{
    struct buf data = BUF_MAX(16384);
    begin(g);
    if (err) {
        api_error_body(&data, g->form->proto, err);
        generation_event(g, &data);
    } else if (g->form->last) {
        g->form->last(g);
    }
    buf_fini(&data);
    stream_end(&g->stream);
    generation_free(g);
}

/* One failure is the whole answer's: what else runs for it is dropped. */
static void fail(struct generation *g, const struct err *err)
{
    manager_cancel(g->api->manager, g->job);
    if (g->begun) {
        end_stream(g, err);
        return;
    }
    http_on_abort(g->r, NULL, NULL);
    api_fail(g->api, g->r, g->form->proto, err, g->model);
    generation_free(g);
}

static void fail_too_large(struct generation *g)
{
    struct err err;
    err_set(&err, E_TOO_LARGE,
            "the answer is too large: ask for fewer tokens, or fewer "
            "log-probabilities of each");
    fail(g, &err);
}

/* ---- results come in ---------------------------------------------------- */

static const struct wire_node *list_in(const struct wire_node *result,
                                       const char *key)
{
    const struct wire_node *list = wire_get(result, key);
    return list && list->kind == WIRE_ARRAY ? list : NULL;
}

static size_t item_bytes(const struct generation_item *i)
{
    size_t n = i->text.n;
    for (size_t k = 0; k < GENERATION_LISTS; k++)
        n += i->list[k].len;
    return n;
}

static void keep_tokens(struct generation *g, struct generation_item *i,
                        const struct wire_node *list, bool of_prompt)
{
    for (const struct wire_node *t = list ? wire_first(list) : NULL; t;
         t = wire_next(list, t))
        g->form->token(g, i, t, of_prompt);
}

/* Whole: what came is kept, and the worker may go on at once. */
static void keep_chunk(struct generation *g, const struct manager_chunk *chunk)
{
    struct generation_item *i = &g->items[chunk->item];
    size_t before = item_bytes(i);
    keep_tokens(g, i, list_in(chunk->result, "prefill"), true);
    keep_tokens(g, i, list_in(chunk->result, "tokens"), false);
    size_t now = item_bytes(i);
    g->held += now - before;
    for (size_t k = 0; k < GENERATION_LISTS; k++)
        now += i->list[k].failed ? ITEM_MAX : 0;
    if (now <= ITEM_MAX && g->held <= HELD_MAX) {
        manager_credit(g->api->manager, g->job, chunk->bytes);
        return;
    }
    fail_too_large(g);
}

static struct str text_of(const struct item *parts)
{
    if (parts && parts->n_parts && parts->parts[0].kind == PART_TEXT)
        return parts->parts[0].data;
    return str_n("", 0);
}

static void on_chunk(void *ctx, const struct manager_chunk *chunk)
{
    struct generation *g = ctx;
    size_t before = g->n_events;
    if (!g->streams) {
        keep_chunk(g, chunk);
        return;
    }
    stream_chunk(g, chunk->item, text_of(chunk->parts),
                 list_in(chunk->result, "tokens"));
    if (g->n_events > before)
        g->owed += chunk->bytes;
    else
        manager_credit(g->api->manager, g->job, chunk->bytes);
}

static void take_result(struct generation *g,
                        const struct manager_result *result)
{
    struct generation_item *i = &g->items[result->item];
    const struct wire_node *seed = wire_get(result->result, "seed");
    struct str text = wire_text(result->result, "text");
    i->text = str_n(mem_strndup(text), text.n);
    i->tokens = result->tokens;
    i->generated = result->generated;
    i->sampled = seed;
    i->seed = wire_int(result->result, "seed", 0);
    str_to_z(wire_text(result->result, "finish"), i->finish, sizeof(i->finish));
    g->held += text.n;
}

static void on_item(void *ctx, const struct manager_result *result)
{
    struct generation *g = ctx;
    struct err err;
    if (!result->result || result->result->kind != WIRE_MAP) {
        err_set(&err, E_INTERNAL,
                "the inference server answered without a result");
        log_warn("api: a result of %s was refused: %s", g->model, err.msg);
        fail(g, &err);
        return;
    }
    take_result(g, result);
    if (g->held > HELD_MAX) {
        fail_too_large(g);
        return;
    }
    if (!g->streams)
        return;
    struct generation_item *i = &g->items[result->item];
    if (!i->began && i->text.n) /* by a worker that does not stream */
        stream_chunk(g, result->item, i->text, NULL);
    begin(g);
    g->form->ended(g, result->item);
}

static void on_failed(void *ctx, long item, const struct err *err)
{
    struct generation *g = ctx;
    struct err why = *err;
    if (item >= 0 && g->n > 1)
        err_prefix(&why, "answer %ld", item);
    fail(g, &why);
}

/* ---- a whole answer ----------------------------------------------------- */

/* Until out has that many bytes; false when nothing is left. */
static bool write_some(struct generation *g, struct buf *out, size_t most)
{
    while (out->len < most && !out->failed && g->at < g->n + 2)
        g->form->write(g, g->at++, out);
    return g->at < g->n + 2;
}

static int more(void *ctx, struct buf *out)
{
    struct generation *g = ctx;
    buf_add(out, g->head.p, g->head.len);
    buf_fini(&g->head);
    g->head = (struct buf){0};
    return write_some(g, out, 1);
}

static void fini(void *ctx)
{
    generation_free(ctx);
}

static void answer(struct generation *g)
{
    struct buf out = BUF_MAX(PIECES_MAX);
    struct http_request *r = g->r;
    infer_backend(g->api, r, g->model, g->backend);
    if (!write_some(g, &out, WHOLE_MAX) || out.failed) {
        api_reply_json(r, 200, &out);
        generation_free(g);
        return;
    }
    struct http_pieces rest = {more, fini, g};
    g->head = out;
    http_reply_pieces(r, 200, "application/json", &rest);
}

static void on_done(void *ctx)
{
    struct generation *g = ctx;
    if (g->streams) {
        end_stream(g, NULL);
        return;
    }
    http_on_abort(g->r, NULL, NULL);
    answer(g);
}

static void on_abort(void *ctx)
{
    struct generation *g = ctx;
    manager_cancel(g->api->manager, g->job);
    generation_free(g);
}

/* ---- its beginning ------------------------------------------------------ */

static struct generation *generation_new(const struct call *c,
                                         const struct generation_job *job)
{
    struct generation *g = mem_new(struct generation);
    uint64_t now = clock_wall_ms();
    g->api = c->api;
    g->r = c->r;
    g->form = job->form;
    g->n = job->in.n;
    g->items = mem_zero(g->n, sizeof(*g->items));
    for (size_t i = 0; i < g->n; i++)
        for (size_t k = 0; k < GENERATION_LISTS; k++)
            g->items[i].list[k].max = ITEM_MAX;
    g->streams = job->streams;
    g->logprobs = job->tokens;
    g->usage = job->usage;
    g->details = job->details;
    g->top = job->top;
    g->choices = job->choices;
    g->single = job->in.single;
    g->created_s = now / 1000;
    g->wait = (struct loop_timer){.fn = waited, .ctx = g};
    snprintf(g->id, sizeof(g->id), "%s%016llx", job->id_prefix,
             (unsigned long long)c->api->next_id++);
    str_to_z(str_of(job->model), g->model, sizeof(g->model));
    return g;
}

void generation_submit(const struct call *c, const struct generation_job *job)
{
    struct err err;
    struct generation *g = generation_new(c, job);
    struct manager_job m = {
        .model = g->model,
        .task = job->task,
        .params = job->params,
        .items = job->in.items,
        .n_items = job->in.n,
        .priority = 5,
        .caller = http_view(c->r)->peer == HTTP_UNIX ? "unix" : "tcp",
        .credit = CREDIT,
        .reply = {on_item, on_failed, on_done, g,
                  job->streams || job->tokens ? on_chunk : NULL},
    };
    if (manager_submit(c->api->manager, &m, &g->job, &err) < 0) {
        api_fail(c->api, c->r, job->form->proto, &err, g->model);
        generation_free(g);
        return;
    }
    http_on_abort(c->r, on_abort, g);
    if (g->streams)
        loop_timer_set(g->api->loop, &g->wait, clock_now_ns() + WAIT_NS);
}
