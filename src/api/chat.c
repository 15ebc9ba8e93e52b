/* api/chat.c - OpenAI's /v1/chat/completions.
 *
 * Tools go to the model's chat template, which knows how to put them; what a
 * model then writes is text, and stays text here: each has its own form for a
 * call, and there is no parser for them.
 */
#include "api/messages.h"
#include "api/openai_text.h"
#include "ipc/task.h"

enum { CONTENT };

/* ---- answers ------------------------------------------------------------ */

static void token_json(struct jsonw *w, const struct wire_node *t)
{
    struct str text = wire_text(t, "text");
    jsonw_kstr(w, "token", text);
    jsonw_kdouble(w, "logprob", openai_logprob(t));
    jsonw_key(w, "bytes");
    jsonw_array(w);
    for (size_t i = 0; i < text.n; i++)
        jsonw_uint(w, (unsigned char)text.p[i]);
    jsonw_end_array(w);
}

static void logprob_json(struct jsonw *w, const struct wire_node *t)
{
    const struct wire_node *top = wire_get(t, "top");
    jsonw_object(w);
    token_json(w, t);
    jsonw_key(w, "top_logprobs");
    jsonw_array(w);
    for (const struct wire_node *o = top ? wire_first(top) : NULL; o;
         o = wire_next(top, o)) {
        jsonw_object(w);
        token_json(w, o);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
    jsonw_end_object(w);
}

/* The end of sequence and the like are no content. */
static void keep_token(struct generation *g, struct generation_item *i,
                       const struct wire_node *token, bool of_prompt)
{
    struct buf *list = &i->list[CONTENT];
    struct jsonw w = {list, list->len > 0};
    (void)g;
    if (!of_prompt && !wire_bool(token, "special", false))
        logprob_json(&w, token);
}

static void write_choice(struct generation *g, size_t at, struct buf *out)
{
    const struct generation_item *i = &g->items[at];
    struct jsonw w = {out, at > 0};
    jsonw_object(&w);
    jsonw_kuint(&w, "index", at);
    jsonw_key(&w, "message");
    jsonw_object(&w);
    jsonw_kz(&w, "role", "assistant");
    jsonw_kstr(&w, "content", i->text);
    jsonw_end_object(&w);
    jsonw_key(&w, "logprobs");
    if (g->logprobs) {
        buf_puts(out, "{\"content\":[");
        buf_add(out, i->list[CONTENT].p, i->list[CONTENT].len);
        buf_puts(out, "]}");
        w.comma = true;
    } else {
        jsonw_null(&w);
    }
    jsonw_kz(&w, "finish_reason", openai_finish(i));
    jsonw_end_object(&w);
}

static void write_answer(struct generation *g, size_t at, struct buf *out)
{
    struct jsonw w = jsonw_to(out);
    if (at == 0) {
        jsonw_object(&w);
        openai_head(&w, g, "chat.completion");
        jsonw_key(&w, "choices");
        buf_putc(out, '[');
    } else if (at <= g->n) {
        write_choice(g, at - 1, out);
    } else {
        openai_tail(g, out);
    }
}

/* ---- chunks ------------------------------------------------------------- */

static const char object[] = "chat.completion.chunk";

/* role: the first of a choice; finish: its last; NULL: neither. */
static void send_delta(struct generation *g, size_t item, const char *role,
                       struct str text, const struct wire_node *tokens,
                       const char *finish)
{
    struct buf data = BUF_MAX(256 << 10);
    struct jsonw w = jsonw_to(&data);
    jsonw_object(&w);
    openai_head(&w, g, object);
    jsonw_key(&w, "choices");
    jsonw_array(&w);
    jsonw_object(&w);
    jsonw_kuint(&w, "index", item);
    jsonw_key(&w, "delta");
    jsonw_object(&w);
    if (role)
        jsonw_kz(&w, "role", role);
    if (!finish)
        jsonw_kstr(&w, "content", text);
    jsonw_end_object(&w);
    if (tokens) {
        jsonw_key(&w, "logprobs");
        jsonw_object(&w);
        jsonw_key(&w, "content");
        jsonw_array(&w);
        for (const struct wire_node *t = wire_first(tokens); t;
             t = wire_next(tokens, t))
            if (!wire_bool(t, "special", false))
                logprob_json(&w, t);
        jsonw_end_array(&w);
        jsonw_end_object(&w);
    }
    jsonw_kz(&w, "finish_reason", finish);
    jsonw_end_object(&w);
    jsonw_end_array(&w);
    if (g->usage) {
        jsonw_key(&w, "usage");
        jsonw_null(&w);
    }
    jsonw_end_object(&w);
    generation_event(g, &data);
    buf_fini(&data);
}

static void send_role(struct generation *g, size_t item)
{
    if (!g->items[item].began)
        send_delta(g, item, "assistant", str_of(""), NULL, NULL);
    g->items[item].began = true;
}

static void send_chunk(struct generation *g, size_t item, struct str text,
                       const struct wire_node *tokens)
{
    send_role(g, item);
    send_delta(g, item, NULL, text, g->logprobs ? tokens : NULL, NULL);
}

static void send_end(struct generation *g, size_t item)
{
    send_role(g, item);
    send_delta(g, item, NULL, str_of(""), NULL, openai_finish(&g->items[item]));
}

static void send_last(struct generation *g)
{
    openai_last(g, object);
}

static const struct generation_form form = {
    PROTO_OPENAI, keep_token, write_answer, send_chunk, send_end, send_last,
};

/* ---- a request ---------------------------------------------------------- */

/* Which of the model's tasks answers messages. */
struct choice {
    bool media;
    const char *task;
};

static void choose(void *ctx, const struct manager_model_view *v)
{
    static const char *const seeing[] = {TASK_IMAGE_TEXT, TASK_ANY_TO_ANY};
    struct choice *x = ctx;
    bool chats = false;
    for (size_t i = 0; v->tasks[i]; i++) {
        chats |= !strcmp(v->tasks[i], TASK_CHAT);
        for (size_t k = 0; k < ARRAY_LEN(seeing); k++)
            if (!strcmp(v->tasks[i], seeing[k]))
                x->task = seeing[k];
    }
    if (chats && !x->media)
        x->task = TASK_CHAT;
}

static int read_messages(const struct call *c, struct openai_text *t,
                         struct err *err)
{
    struct messages m;
    int r = messages_read(json_get(c->body, "messages"), &t->arena, &m, err);
    if (r < 0)
        return r;
    struct choice x = {m.image || m.audio, NULL};
    t->job.in = (struct inputs){.items = m.item, .n = 1, .single = true};
    r = manager_show(c->api->manager, t->job.model, choose, &x, err);
    t->job.task = x.task     ? x.task
                  : !x.media ? TASK_CHAT
                  : m.image  ? TASK_IMAGE_TEXT
                             : TASK_ANY_TO_ANY;
    return r;
}

static int read_length(struct json body, struct openai_text *t, struct err *err)
{
    int64_t n;
    int r = openai_whole(body, "max_completion_tokens", 1, INT32_MAX, &n, err);
    if (r == 0)
        r = openai_whole(body, "max_tokens", 1, INT32_MAX, &n, err);
    if (r > 0)
        wire_kuint(&t->map, "max_new_tokens", (uint64_t)n);
    return r < 0 ? r : 0;
}

static int read_logprobs(struct json body, struct openai_text *t,
                         struct err *err)
{
    int64_t top = 0;
    int r = body_bool(body, "logprobs", &t->job.tokens, err);
    if (r >= 0)
        r = openai_whole(body, "top_logprobs", 0, OPENAI_TOP_MAX, &top, err);
    if (r > 0 && !t->job.tokens)
        return err_set(err, E_INVALID_REQUEST,
                       "'top_logprobs' needs 'logprobs': true");
    if (t->job.tokens)
        wire_kuint(&t->map, "logprobs", (uint64_t)top);
    t->job.top = (unsigned)top;
    return r < 0 ? r : 0;
}

/* "none": as if there were no tools. Nothing makes a model use one. */
static int read_tools(struct json body, struct openai_text *t, struct err *err)
{
    struct json tools = json_get(body, "tools"),
                choice = json_get(body, "tool_choice");
    struct str s = str_of("auto");
    if (json_count(json_get(body, "functions")))
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "'functions' are not supported: use 'tools'");
    if (json_type(choice) == JSON_OBJECT ||
        (json_to_str(choice, &s) && !str_is(s, "auto") && !str_is(s, "none")))
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "'tool_choice' can only be \"auto\" or \"none\"");
    if (json_count(tools) == 0 || str_is(s, "none"))
        return 0;
    if (json_type(tools) != JSON_ARRAY)
        return err_set(err, E_INVALID_REQUEST, "'tools' should be a list");
    wire_key(&t->map, "tools");
    int r = json_wire(t->map.out, tools, err);
    return r < 0 ? err_prefix(err, "'tools'") : 0;
}

static int read_template(struct json body, struct openai_text *t,
                         struct err *err)
{
    bool more = false;
    struct json args = json_get(body, "chat_template_kwargs");
    int r = body_bool(body, "continue_final_message", &more, err);
    if (more)
        wire_kbool(&t->map, "continue", true);
    if (r < 0 || json_count(args) == 0)
        return r < 0 ? r : 0;
    if (json_type(args) != JSON_OBJECT)
        return err_set(err, E_INVALID_REQUEST,
                       "'chat_template_kwargs' should be an object");
    wire_key(&t->map, "template");
    r = json_wire(t->map.out, args, err);
    return r < 0 ? err_prefix(err, "'chat_template_kwargs'") : 0;
}

static int refuse_sound(struct json body, struct err *err)
{
    struct str s;
    for (struct json_iter it = json_iter(json_get(body, "modalities"));
         json_next(&it);)
        if (json_to_str(it.value, &s) && !str_is(s, "text"))
            return err_set(err, E_UNSUPPORTED_OPTION,
                           "'modalities' can only be [\"text\"]");
    return 0;
}

static int read_chat(const struct call *c, struct openai_text *t,
                     struct err *err)
{
    int r = openai_text_read(c, t, err);
    if (r == 0)
        r = read_messages(c, t, err);
    if (r == 0)
        r = read_length(c->body, t, err);
    if (r == 0)
        r = read_logprobs(c->body, t, err);
    if (r == 0)
        r = read_tools(c->body, t, err);
    if (r == 0)
        r = read_template(c->body, t, err);
    if (r == 0)
        r = refuse_sound(c->body, err);
    return r < 0 ? r : openai_text_choices(t, c->body, err);
}

void chat_complete(const struct call *c)
{
    struct err err;
    struct openai_text t;
    openai_text_init(&t);
    t.job.form = &form;
    t.job.id_prefix = "chatcmpl-";
    int r = read_chat(c, &t, &err);
    openai_text_run(c, &t, r, &err);
}
