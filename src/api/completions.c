/* api/completions.c - OpenAI's /v1/completions. */
#include "api/openai_text.h"
#include "ipc/task.h"

enum {
    MAX_TOKENS = 16, /* as theirs: a caller who wants more says so */
};

/* The four lists of "logprobs", each element of its own token. */
enum { TOKENS, LOGPROBS, TOP, OFFSETS };
static const char *const names[GENERATION_LISTS] = {
    "tokens", "token_logprobs", "top_logprobs", "text_offset"};

static size_t code_points(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

/* ---- tokens ------------------------------------------------------------- */

/* {text: log-probability}; of two tokens with one text the likelier stays. */
static void top_json(struct jsonw *w, const struct wire_node *top)
{
    jsonw_object(w);
    for (const struct wire_node *t = wire_first(top); t;
         t = wire_next(top, t)) {
        struct str text = wire_text(t, "text");
        bool seen = false;
        for (const struct wire_node *o = wire_first(top); o != t && !seen;
             o = wire_next(top, o))
            seen = str_eq(wire_text(o, "text"), text);
        if (seen)
            continue;
        jsonw_key_n(w, text);
        jsonw_double(w, openai_logprob(t));
    }
    jsonw_end_object(w);
}

/* A token to the four lists. */
static void put_token(struct generation_item *i, const struct wire_node *token,
                      struct buf *lists)
{
    struct str text = wire_text(token, "text");
    const struct wire_node *top = wire_get(token, "top"),
                           *p = wire_get(token, "logprob");
    bool known = p && p->kind != WIRE_NULL; /* not of the first of a prompt */
    struct jsonw w[GENERATION_LISTS];
    for (size_t k = 0; k < GENERATION_LISTS; k++)
        w[k] = (struct jsonw){&lists[k], lists[k].len > 0};
    jsonw_str(&w[TOKENS], text);
    if (known)
        jsonw_double(&w[LOGPROBS], openai_logprob(token));
    else
        jsonw_null(&w[LOGPROBS]);
    if (known && top && top->kind == WIRE_ARRAY)
        top_json(&w[TOP], top);
    else
        jsonw_null(&w[TOP]);
    jsonw_uint(&w[OFFSETS], i->characters);
    i->characters += code_points(text);
}

static void keep_token(struct generation *g, struct generation_item *i,
                       const struct wire_node *token, bool of_prompt)
{
    (void)g;
    if (!of_prompt && !wire_bool(token, "special", false))
        put_token(i, token, i->list);
}

static void put_lists(struct buf *out, const struct buf *lists)
{
    for (size_t k = 0; k < GENERATION_LISTS; k++) {
        buf_addf(out, "%s\"%s\":[", k ? "," : "{", names[k]);
        buf_add(out, lists[k].p, lists[k].len);
        buf_puts(out, "]");
    }
    buf_puts(out, "}");
}

/* ---- answers ------------------------------------------------------------ */

static const char object[] = "text_completion";

/* lists: NULL = no log-probabilities are wanted. */
static void choice_json(struct buf *out, bool comma, size_t index,
                        struct str text, const struct buf *lists,
                        const char *finish)
{
    struct jsonw w = {out, comma};
    jsonw_object(&w);
    jsonw_kstr(&w, "text", text);
    jsonw_kuint(&w, "index", index);
    jsonw_key(&w, "logprobs");
    if (lists)
        put_lists(out, lists);
    else
        jsonw_null(&w);
    w.comma = true;
    jsonw_kz(&w, "finish_reason", finish);
    jsonw_end_object(&w);
}

static void write_answer(struct generation *g, size_t at, struct buf *out)
{
    struct jsonw w = jsonw_to(out);
    if (at == 0) {
        jsonw_object(&w);
        openai_head(&w, g, object);
        jsonw_key(&w, "choices");
        buf_putc(out, '[');
    } else if (at <= g->n) {
        const struct generation_item *i = &g->items[at - 1];
        choice_json(out, at > 1, at - 1, i->text, g->logprobs ? i->list : NULL,
                    openai_finish(i));
    } else {
        openai_tail(g, out);
    }
}

static void send_choice(struct generation *g, size_t item, struct str text,
                        const struct buf *lists, const char *finish)
{
    struct buf data = BUF_MAX(256 << 10);
    struct jsonw w = jsonw_to(&data);
    jsonw_object(&w);
    openai_head(&w, g, object);
    jsonw_key(&w, "choices");
    buf_putc(&data, '[');
    choice_json(&data, false, item, text, lists, finish);
    buf_putc(&data, ']');
    if (g->usage)
        buf_puts(&data, ",\"usage\":null");
    buf_putc(&data, '}');
    generation_event(g, &data);
    buf_fini(&data);
}

static void send_chunk(struct generation *g, size_t item, struct str text,
                       const struct wire_node *tokens)
{
    struct buf lists[GENERATION_LISTS];
    for (size_t k = 0; k < GENERATION_LISTS; k++)
        lists[k] = (struct buf)BUF_MAX(64 << 10);
    for (const struct wire_node *t = tokens ? wire_first(tokens) : NULL; t;
         t = wire_next(tokens, t))
        if (!wire_bool(t, "special", false))
            put_token(&g->items[item], t, lists);
    send_choice(g, item, text, g->logprobs ? lists : NULL, NULL);
    for (size_t k = 0; k < GENERATION_LISTS; k++)
        buf_fini(&lists[k]);
}

static void send_end(struct generation *g, size_t item)
{
    send_choice(g, item, str_of(""), NULL, openai_finish(&g->items[item]));
}

static void send_last(struct generation *g)
{
    openai_last(g, object);
}

static const struct generation_form form = {
    PROTO_OPENAI, keep_token, write_answer, send_chunk, send_end, send_last,
};

/* ---- a request ---------------------------------------------------------- */

static int read_length(struct json body, bool echo, struct openai_text *t,
                       struct err *err)
{
    int64_t n = MAX_TOKENS;
    int r = openai_whole(body, "max_tokens", echo ? 0 : 1, INT32_MAX, &n, err);
    wire_kuint(&t->map, "max_new_tokens", (uint64_t)n);
    return r < 0 ? r : 0;
}

static int read_logprobs(struct json body, struct openai_text *t,
                         struct err *err)
{
    int64_t top;
    int r = openai_whole(body, "logprobs", 0, OPENAI_TOP_MAX, &top, err);
    if (r <= 0)
        return r;
    t->job.tokens = true;
    t->job.top = (unsigned)top;
    wire_kuint(&t->map, "logprobs", (uint64_t)top);
    return 0;
}

static int refuse(struct json body, struct err *err)
{
    struct str suffix;
    int64_t best, n = 1;
    int r = openai_whole(body, "n", 1, OPENAI_CHOICES_MAX, &n, err);
    if (r >= 0)
        r = openai_whole(body, "best_of", 1, OPENAI_CHOICES_MAX, &best, err);
    if (r > 0 && best != n)
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "'best_of' can only be what 'n' is: answers are not "
                       "made to be thrown away");
    if (json_to_str(json_get(body, "suffix"), &suffix) && suffix.n)
        return err_set(err, E_UNSUPPORTED_OPTION, "'suffix' is not supported");
    return r < 0 ? r : 0;
}

static int read_completion(const struct call *c, struct openai_text *t,
                           struct err *err)
{
    bool echo = false;
    int r = openai_text_read(c, t, err);
    if (r == 0)
        r = inputs_read(json_get(c->body, "prompt"), "prompt", &t->arena,
                        &t->job.in, err);
    if (r == 0)
        r = body_bool(c->body, "echo", &echo, err);
    if (r >= 0)
        r = read_length(c->body, echo, t, err);
    if (r == 0)
        r = read_logprobs(c->body, t, err);
    if (r == 0)
        r = refuse(c->body, err);
    if (r == 0 && echo)
        wire_kbool(&t->map, "echo", true);
    return r < 0 ? r : openai_text_choices(t, c->body, err);
}

void completions_run(const struct call *c)
{
    struct err err;
    struct openai_text t;
    openai_text_init(&t);
    t.job.form = &form;
    t.job.id_prefix = "cmpl-";
    t.job.task = TASK_TEXT_GENERATION;
    int r = read_completion(c, &t, &err);
    openai_text_run(c, &t, r, &err);
}
