/* api/openai_text.c - what chat and completions have in common. */
#include "api/openai_text.h"
#include "ipc/task.h"

enum { ARENA_BYTES = 64 << 20, IMPOSSIBLE = -9999 };

void openai_text_init(struct openai_text *t)
{
    *t = (struct openai_text){.arena = ARENA_MAX(ARENA_BYTES),
                              .params = BUF_MAX(MANAGER_PARAMS_MAX),
                              .job.choices = 1};
    t->map = wire_map_open(&t->params);
}

void openai_text_fini(struct openai_text *t)
{
    buf_fini(&t->params);
    arena_fini(&t->arena);
}

/* ---- options ------------------------------------------------------------ */

static bool is_absent(struct json v)
{
    return json_type(v) == JSON_NONE || json_type(v) == JSON_NULL;
}

int openai_whole(struct json body, const char *key, int64_t min, int64_t max,
                 int64_t *ret, struct err *err)
{
    struct json v = json_get(body, key);
    if (is_absent(v))
        return 0;
    if (!json_to_int(v, min, max, ret))
        return err_set(err, E_INVALID_REQUEST,
                       "'%s' should be a whole number from %lld to %lld", key,
                       (long long)min, (long long)max);
    return 1;
}

/* Key, name of the parameter, least and most. */
struct number {
    const char *key, *to;
    double min, max;
};
static const struct number numbers[] = {
    {"temperature", "temperature", 0, 2},
    {"top_p", "top_p", 0, 1},
    {"min_p", "min_p", 0, 1},
    {"repetition_penalty", "repetition_penalty", 0.01, 10},
    {"frequency_penalty", "frequency_penalty", -2, 2},
    {"presence_penalty", "presence_penalty", -2, 2},
};

static int read_numbers(struct openai_text *t, struct json body,
                        struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        const struct number *n = &numbers[i];
        struct json v = json_get(body, n->key);
        double d;
        if (is_absent(v))
            continue;
        if (!json_to_double(v, &d) || d < n->min || d > n->max)
            return err_set(err, E_INVALID_REQUEST,
                           "'%s' should be a number from %g to %g", n->key,
                           n->min, n->max);
        wire_kfloat(&t->map, n->to, d);
    }
    return 0;
}

static int read_wholes(struct openai_text *t, struct json body, struct err *err)
{
    int64_t v;
    int r = openai_whole(body, "top_k", -1, INT32_MAX, &v, err);
    if (r > 0 && v > 0) /* -1 and 0: all of them, as vLLM has it */
        wire_kuint(&t->map, "top_k", (uint64_t)v);
    if (r >= 0)
        r = openai_whole(body, "seed", INT64_MIN, INT64_MAX, &v, err);
    if (r > 0)
        wire_kint(&t->map, "seed", v);
    return r < 0 ? r : 0;
}

static int bad_stop(struct err *err)
{
    return err_set(err, E_INVALID_REQUEST,
                   "'stop' should be a text, or a list of at most %d of them, "
                   "none of them empty",
                   OPENAI_STOP_MAX);
}

static int read_stop(struct openai_text *t, struct json body, struct err *err)
{
    struct json v = json_get(body, "stop");
    struct str s;
    if (is_absent(v) || (json_type(v) == JSON_ARRAY && json_count(v) == 0))
        return 0;
    bool one = json_to_str(v, &s);
    if (!one && (json_type(v) != JSON_ARRAY || json_count(v) > OPENAI_STOP_MAX))
        return bad_stop(err);
    wire_key(&t->map, "stop");
    wire_put_array(t->map.out, one ? 1 : json_count(v));
    if (one) {
        wire_put_text(t->map.out, s);
        return s.n ? 0 : bad_stop(err);
    }
    for (struct json_iter it = json_iter(v); json_next(&it);) {
        if (!json_to_str(it.value, &s) || s.n == 0)
            return bad_stop(err);
        wire_put_text(t->map.out, s);
    }
    return 0;
}

/* What changes an answer and is not here is refused, not ignored. */
static int refuse_unsupported(struct json body, struct err *err)
{
    struct str type = str_of("text");
    json_to_str(json_get(json_get(body, "response_format"), "type"), &type);
    if (!str_is(type, "text"))
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "'response_format' can only be {\"type\": \"text\"}: "
                       "answers of a given form are not supported");
    if (json_count(json_get(body, "logit_bias")))
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "'logit_bias' is not supported");
    return 0;
}

static int read_model(const struct call *c, struct openai_text *t,
                      struct err *err)
{
    t->job.model = t->model;
    if (c->name.n && str_to_z(c->name, t->model, sizeof(t->model)))
        return 0;
    t->job.model = api_model(c, t->model, sizeof(t->model), err);
    return t->job.model ? 0 : -err->code;
}

static int read_stream(const struct call *c, struct openai_text *t,
                       struct err *err)
{
    struct json options = json_get(c->body, "stream_options");
    int r = body_bool(c->body, "stream", &t->job.streams, err);
    if (r >= 0)
        r = body_bool(options, "include_usage", &t->job.usage, err);
    return r < 0 ? r : 0;
}

int openai_text_read(const struct call *c, struct openai_text *t,
                     struct err *err)
{
    int r = read_model(c, t, err);
    if (r == 0)
        r = read_stream(c, t, err);
    if (r == 0)
        r = refuse_unsupported(c->body, err);
    if (r == 0)
        r = read_numbers(t, c->body, err);
    if (r == 0)
        r = read_wholes(t, c->body, err);
    return r < 0 ? r : read_stop(t, c->body, err);
}

int openai_text_choices(struct openai_text *t, struct json body,
                        struct err *err)
{
    struct inputs *in = &t->job.in;
    int64_t n = 1;
    int r = openai_whole(body, "n", 1, OPENAI_CHOICES_MAX, &n, err);
    if (r < 0 || n == 1)
        return r < 0 ? r : 0;
    if (in->n > FRAME_ITEMS_MAX / (size_t)n)
        return err_set(err, E_TOO_LARGE,
                       "%zu prompts with %lld answers each; at most %d answers "
                       "are given at once",
                       in->n, (long long)n, FRAME_ITEMS_MAX);
    struct item *all =
        arena_alloc(&t->arena, in->n * (size_t)n, sizeof(*in->items));
    if (!all)
        return err_set(err, E_TOO_LARGE, "'n' times the prompts is too much");
    for (size_t i = 0; i < in->n * (size_t)n; i++)
        all[i] = in->items[i / (size_t)n];
    in->items = all;
    in->n *= (size_t)n;
    t->job.choices = (size_t)n;
    return 0;
}

void openai_text_run(const struct call *c, struct openai_text *t, int code,
                     const struct err *err)
{
    struct err too_long;
    if (code == 0) {
        wire_map_close(&t->map);
        t->job.params = buf_str(&t->params);
    }
    if (code == 0 && t->params.failed) {
        code = err_set(&too_long, E_TOO_LARGE,
                       "the options and tools are longer than %d KiB",
                       MANAGER_PARAMS_MAX >> 10);
        err = &too_long;
    }
    if (code < 0)
        api_fail(c->api, c->r, PROTO_OPENAI, err, NULL);
    else
        generation_submit(c, &t->job);
    openai_text_fini(t);
}

/* ---- answers ------------------------------------------------------------ */

void openai_head(struct jsonw *w, const struct generation *g,
                 const char *object)
{
    jsonw_kz(w, "id", g->id);
    jsonw_kz(w, "object", object);
    jsonw_kuint(w, "created", g->created_s);
    jsonw_kz(w, "model", g->model);
    jsonw_kz(w, "system_fingerprint", g->backend);
}

const char *openai_finish(const struct generation_item *i)
{
    return strcmp(i->finish, "length") ? "stop" : "length";
}

double openai_logprob(const struct wire_node *token)
{
    double p = wire_float(token, "logprob", 0);
    return p > IMPOSSIBLE ? p : IMPOSSIBLE;
}

void openai_usage(struct jsonw *w, const struct generation *g)
{
    uint64_t prompt = 0, completion = 0;
    for (size_t i = 0; i < g->n; i++) {
        prompt += i % g->choices == 0 ? g->items[i].tokens : 0;
        completion += g->items[i].generated;
    }
    jsonw_key(w, "usage");
    jsonw_object(w);
    jsonw_kuint(w, "prompt_tokens", prompt);
    jsonw_kuint(w, "completion_tokens", completion);
    jsonw_kuint(w, "total_tokens", prompt + completion);
    jsonw_end_object(w);
}

void openai_tail(struct generation *g, struct buf *out)
{
    struct jsonw w = jsonw_to(out);
    buf_puts(out, "],");
    openai_usage(&w, g);
    buf_putc(out, '}');
}

void openai_last(struct generation *g, const char *object)
{
    struct buf data = BUF_MAX(65536), done = BUF_MAX(16);
    struct jsonw w = jsonw_to(&data);
    if (g->usage) {
        jsonw_object(&w);
        openai_head(&w, g, object);
        jsonw_key(&w, "choices");
        jsonw_array(&w);
        jsonw_end_array(&w);
        openai_usage(&w, g);
        jsonw_end_object(&w);
        generation_event(g, &data);
    }
    buf_puts(&done, "[DONE]");
    generation_event(g, &done);
    buf_fini(&data);
    buf_fini(&done);
}
