/* api/hf_generation.c - text-generation of the Hugging Face Inference API.
 *
 * A stream has one event for each token. The last one also brings the whole
 * text and how it ended, which is known only after it: so each event waits for
 * the next one, or for the end.
 */
#include "api/hf_generation.h"
#include "api/generation.h"
#include "ipc/task.h"

enum {
    ARENA_BYTES = 64 << 20,
    PARAMS_MAX = 20, /* of wire_map's 23, beside our own */
    TOP_MAX = 20,
};

/* The lists of an item. Streamed: TOKEN and TOP are the event that waits. */
enum { TOKEN, TOP, PREFILL };

/* ---- tokens ------------------------------------------------------------- */

static void token_json(struct buf *out, bool comma, const struct wire_node *t,
                       bool special, struct str text)
{
    struct jsonw w = {out, comma};
    jsonw_object(&w);
    jsonw_kuint(&w, "id", wire_uint(t, "id", 0));
    jsonw_kstr(&w, "text", text);
    jsonw_kdouble(&w, "logprob", wire_float(t, "logprob", 0));
    if (special)
        jsonw_kbool(&w, "special", wire_bool(t, "special", false));
    jsonw_end_object(&w);
}

static void top_json(struct buf *out, const struct wire_node *top)
{
    bool comma = false;
    buf_putc(out, '[');
    for (const struct wire_node *t =
             top && top->kind == WIRE_ARRAY ? wire_first(top) : NULL;
         t; t = wire_next(top, t)) {
        token_json(out, comma, t, true, wire_text(t, "text"));
        comma = true;
    }
    buf_putc(out, ']');
}

static void keep_token(struct generation *g, struct generation_item *i,
                       const struct wire_node *token, bool of_prompt)
{
    struct buf *list = &i->list[of_prompt ? PREFILL : TOKEN];
    token_json(list, list->len > 0, token, !of_prompt,
               wire_text(token, "text"));
    if (of_prompt || !g->top)
        return;
    if (i->list[TOP].len)
        buf_putc(&i->list[TOP], ',');
    top_json(&i->list[TOP], wire_get(token, "top"));
}

/* ---- how it ended ------------------------------------------------------- */

static const char *finish(const struct generation_item *i)
{
    return strcmp(i->finish, "stop") ? i->finish : "eos_token";
}

static void end_json(struct jsonw *w, const struct generation_item *i)
{
    jsonw_kz(w, "finish_reason", finish(i));
    jsonw_kuint(w, "generated_tokens", i->generated);
    jsonw_key(w, "seed");
    if (i->sampled)
        jsonw_int(w, i->seed);
    else
        jsonw_null(w);
}

/* ---- whole -------------------------------------------------------------- */

static void put_list(struct jsonw *w, const char *key, const struct buf *list)
{
    jsonw_key(w, key);
    buf_putc(w->out, '[');
    buf_add(w->out, list->p, list->len);
    buf_putc(w->out, ']');
    w->comma = true;
}

static void write_text(const struct generation *g,
                       const struct generation_item *i, struct buf *out)
{
    struct jsonw w = jsonw_to(out);
    jsonw_object(&w);
    jsonw_kstr(&w, "generated_text", i->text);
    if (g->details) {
        jsonw_key(&w, "details");
        jsonw_object(&w);
        end_json(&w, i);
        put_list(&w, "prefill", &i->list[PREFILL]);
        put_list(&w, "tokens", &i->list[TOKEN]);
        if (g->top)
            put_list(&w, "top_tokens", &i->list[TOP]);
        jsonw_end_object(&w);
    }
    jsonw_end_object(&w);
}

/* Of one text [{}], of a list of them [[{}], ...], as the pipeline has it. */
static void write_answer(struct generation *g, size_t at, struct buf *out)
{
    if (at == 0 || at > g->n) {
        if (!g->single)
            buf_putc(out, at == 0 ? '[' : ']');
        return;
    }
    if (at > 1)
        buf_putc(out, ',');
    buf_putc(out, '[');
    write_text(g, &g->items[at - 1], out);
    buf_putc(out, ']');
}

/* ---- streamed ----------------------------------------------------------- */

/* The event that waits; last: with the text and how it ended. */
static void send_token(struct generation *g, struct generation_item *i,
                       bool last)
{
    struct buf data = BUF_MAX(1 << 20);
    struct jsonw w = jsonw_to(&data);
    jsonw_object(&w);
    jsonw_kuint(&w, "index", i->n_told);
    jsonw_key(&w, "token");
    jsonw_raw(&w, buf_str(&i->list[TOKEN]));
    if (g->top) {
        jsonw_key(&w, "top_tokens");
        jsonw_raw(&w, buf_str(&i->list[TOP]));
    }
    jsonw_key(&w, "generated_text");
    if (last) {
        jsonw_str(&w, i->text);
        jsonw_key(&w, "details");
        jsonw_object(&w);
        end_json(&w, i);
        jsonw_kuint(&w, "input_length", i->tokens);
        jsonw_end_object(&w);
    } else {
        jsonw_null(&w);
        jsonw_key(&w, "details");
        jsonw_null(&w);
    }
    jsonw_end_object(&w);
    generation_event(g, &data);
    buf_fini(&data);
}

/* Who did not ask for details prints the texts one after the other: the end of
 * sequence and the like are not to be read. */
static void hold_token(struct generation *g, struct generation_item *i,
                       const struct wire_node *token, struct str text)
{
    bool hide = !g->details && wire_bool(token, "special", false);
    if (i->n_told > 0)
        send_token(g, i, false);
    i->n_told++;
    buf_reset(&i->list[TOKEN]);
    buf_reset(&i->list[TOP]);
    token_json(&i->list[TOKEN], false, token, true, hide ? str_of("") : text);
    top_json(&i->list[TOP], wire_get(token, "top"));
}

static void send_chunk(struct generation *g, size_t item, struct str text,
                       const struct wire_node *tokens)
{
    struct generation_item *i = &g->items[item];
    if (!tokens)
        hold_token(g, i, NULL, text);
    for (const struct wire_node *t = tokens ? wire_first(tokens) : NULL; t;
         t = wire_next(tokens, t))
        hold_token(g, i, t, wire_text(t, "text"));
}

static void send_end(struct generation *g, size_t item)
{
    struct generation_item *i = &g->items[item];
    if (i->n_told == 0)
        hold_token(g, i, NULL, str_of(""));
    send_token(g, i, true);
}

static const struct generation_form form = {
    PROTO_HF, keep_token, write_answer, send_chunk, send_end, NULL,
};

/* ---- a request ---------------------------------------------------------- */

struct reading {
    struct wire_map map;
    size_t n;
    bool prefill;
    struct generation_job job;
};

static bool is_off(struct json v)
{
    bool b;
    return json_type(v) == JSON_NULL || (json_to_bool(v, &b) && !b);
}

static int read_flag(struct json v, const char *key, bool *ret, struct err *err)
{
    if (json_type(v) == JSON_NULL || json_to_bool(v, ret))
        return 0;
    return err_set(err, E_INVALID_REQUEST, "'%s' should be true or false", key);
}

static int read_top(struct reading *x, struct json v, struct err *err)
{
    int64_t n = 0;
    if (json_type(v) != JSON_NULL && !json_to_int(v, 0, TOP_MAX, &n))
        return err_set(err, E_INVALID_REQUEST,
                       "'top_n_tokens' should be a whole number from 0 to %d",
                       TOP_MAX);
    x->job.top = (unsigned)n;
    return 0;
}

/* What the official API has and this has not. */
static int read_refused(struct str key, struct json v, bool *known,
                        struct err *err)
{
    static const char *const refused[] = {"watermark", "grammar", "adapter_id",
                                          /* as top_n_tokens and
                                             decoder_input_details they are */
                                          "logprobs", "prefill"};
    int64_t n;
    *known = str_is(key, "best_of");
    if (*known && !is_off(v) && !json_to_int(v, 1, 1, &n))
        return err_set(err, E_UNSUPPORTED_OPTION, "'best_of' can only be 1");
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (!str_is(key, refused[i]))
            continue;
        *known = true;
        if (!is_off(v))
            return err_set(err, E_UNSUPPORTED_OPTION, "'%s' is not supported",
                           refused[i]);
    }
    return 0;
}

static int read_param(struct reading *x, struct str key, struct json v,
                      struct err *err)
{
    bool known;
    if (str_is(key, "details"))
        return read_flag(v, "details", &x->job.details, err);
    if (str_is(key, "decoder_input_details"))
        return read_flag(v, "decoder_input_details", &x->prefill, err);
    if (str_is(key, "top_n_tokens"))
        return read_top(x, v, err);
    int r = read_refused(key, v, &known, err);
    if (r < 0 || known || json_type(v) == JSON_NULL)
        return r;
    if (x->n++ == PARAMS_MAX)
        return err_set(err, E_INVALID_REQUEST,
                       "at most %d parameters are taken", PARAMS_MAX);
    char name[64];
    if (!str_to_z(key, name, sizeof(name)))
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "text-generation has no parameter '%.*s'",
                       STR_FMT(str_n(key.p, key.n < 64 ? key.n : 64)));
    wire_key(&x->map, name);
    r = json_wire(x->map.out, v, err);
    return r < 0 ? err_prefix(err, "'%s'", name) : 0;
}

static int read_params(struct reading *x, struct json body, struct err *err)
{
    struct json p = json_get(body, "parameters");
    int r = 0;
    if (json_type(p) != JSON_NONE && json_type(p) != JSON_NULL &&
        json_type(p) != JSON_OBJECT)
        return err_set(err, E_INVALID_REQUEST,
                       "'parameters' is %s, it should be an object",
                       json_type_name(json_type(p)));
    for (struct json_iter it = json_iter(p); r == 0 && json_next(&it);)
        r = read_param(x, it.key, it.value, err);
    if (r < 0)
        return r;
    x->job.tokens = x->job.details || x->job.streams;
    if (x->job.tokens && x->job.top)
        wire_kuint(&x->map, "logprobs", x->job.top);
    else if (x->job.tokens)
        wire_kbool(&x->map, "details", true);
    if (x->job.details && x->prefill && !x->job.streams)
        wire_kbool(&x->map, "prefill", true);
    wire_map_close(&x->map);
    x->job.params = buf_str(x->map.out);
    return x->map.out->failed
               ? err_set(err, E_TOO_LARGE, "the parameters are too long")
               : 0;
}

static int read_request(const struct call *c, struct reading *x,
                        struct arena *a, struct err *err)
{
    int r =
        inputs_read(json_get(c->body, "inputs"), "inputs", a, &x->job.in, err);
    if (r == 0)
        r = body_bool(c->body, "stream", &x->job.streams, err);
    if (r >= 0 && x->job.streams && x->job.in.n != 1)
        return err_set(err, E_INVALID_REQUEST,
                       "one text at a time can be streamed");
    return r < 0 ? r : read_params(x, c->body, err);
}

void hf_generate(const struct call *c, const char *model)
{
    struct err err;
    struct arena arena = ARENA_MAX(ARENA_BYTES);
    struct buf params = BUF_MAX(MANAGER_PARAMS_MAX);
    struct reading x = {.map = wire_map_open(&params)};
    x.job = (struct generation_job){.form = &form,
                                    .model = model,
                                    .task = TASK_TEXT_GENERATION,
                                    .id_prefix = "",
                                    .choices = 1};
    if (read_request(c, &x, &arena, &err) < 0)
        api_fail(c->api, c->r, PROTO_HF, &err, NULL);
    else
        generation_submit(c, &x.job);
    buf_fini(&params);
    arena_fini(&arena);
}
