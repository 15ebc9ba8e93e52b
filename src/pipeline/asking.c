/* pipeline/asking.c - the parameters of a job, read once for all its items,
 * and the text of an item on its way to tokens. */
#include "base/mem.h"
#include "pipeline/task_table.h"
#include <errno.h>

int no_memory(struct err *err)
{
    return err_set(err, E_INSUFFICIENT_MEMORY,
                   "the model's process has no memory left for this");
}

int param_wrong(const struct value *v, const char *want, struct err *err)
{
    return err_set(err, E_INVALID_REQUEST, "%.*s is %s, not %s",
                   (int)(v->key.n < 100 ? v->key.n : 100), v->key.p,
                   value_kind_name(v->kind), want);
}

int param_bool(const struct value *v, bool *ret, struct err *err)
{
    if (v->kind != VALUE_BOOL)
        return param_wrong(v, "true or false", err);
    *ret = v->b;
    return 0;
}

static int param_direction(const struct value *v, bool *ret_left,
                           struct err *err)
{
    if (v->kind != VALUE_TEXT)
        return param_wrong(v, "text", err);
    char name[16];
    bool fits = str_to_z(v->s, name, sizeof(name));
    if (!fits || (strcasecmp(name, "left") && strcasecmp(name, "right")))
        return err_set(err, E_INVALID_REQUEST,
                       "truncation_direction is neither \"left\" nor "
                       "\"right\"");
    *ret_left = !strcasecmp(name, "left");
    return 0;
}

/* The names of the prompts there are, for who asked for another. */
static int unknown_prompt(const struct embedder *e, struct str name,
                          struct err *err)
{
    struct buf list = BUF_MAX(200);
    for (int i = 0; i < e->n_prompts && !list.failed; i++)
        buf_addf(&list, "%s\"%.*s\"", i ? ", " : "",
                 STR_FMT(e->prompts[i].name));
    int r = err_set(
        err, E_INVALID_REQUEST, "the model has no prompt named \"%.*s\"%s%.*s",
        (int)(name.n < 100 ? name.n : 100), name.p, list.len ? "; it has " : "",
        (int)list.len, list.p ? list.p : "");
    buf_fini(&list);
    return r;
}

static int param_prompt(struct request *r, const struct value *v,
                        struct err *err)
{
    const struct embedder *e = &r->p->embedder;
    if (v->kind != VALUE_TEXT)
        return param_wrong(v, "text", err);
    for (int i = 0; i < e->n_prompts; i++) {
        if (!str_eq(e->prompts[i].name, v->s))
            continue;
        r->text.prompt = &e->prompts[i];
        return 0;
    }
    return unknown_prompt(e, v->s, err);
}

int text_param(struct request *r, const struct value *v, struct err *err)
{
    if (str_is(v->key, "truncate"))
        return param_bool(v, &r->text.truncate, err);
    if (str_is(v->key, "truncation_direction"))
        return param_direction(v, &r->text.left, err);
    if (str_is(v->key, "prompt_name"))
        return param_prompt(r, v, err);
    return -ENOENT;
}

static int read_params(struct request *r, const struct value *params,
                       struct err *err)
{
    if (params && params->kind != VALUE_MAP)
        return param_wrong(params, "a map", err);
    for (const struct value *v = params ? params->first : NULL; v;
         v = v->next) {
        if (v->kind == VALUE_NULL)
            continue;
        int code = r->task->param(r, v, err);
        if (code == -ENOENT)
            return err_set(err, E_UNSUPPORTED_OPTION,
                           "%s has no parameter \"%.*s\"", r->task->name,
                           (int)(v->key.n < 100 ? v->key.n : 100), v->key.p);
        if (code < 0)
            return code;
    }
    return 0;
}

static const struct task *find_task(struct str name)
{
    static const struct task *const all[] = {&task_feature_extraction,
                                             &task_sentence_similarity,
                                             &task_fill_mask, &task_tokenize};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (str_is(name, all[i]->name))
            return all[i];
    return NULL;
}

int request_open(struct request **ret, struct pipeline *p, struct str name,
                 const struct value *params, struct err *err)
{
    const struct task *task = find_task(name);
    if (!task || !task->fits(p))
        return err_set(err, E_UNSUPPORTED_TASK,
                       "the model does not do \"%.*s\"; it does \"%s\"",
                       (int)(name.n < 100 ? name.n : 100), name.p,
                       p->info.tasks[0]);
    struct request *r = mem_new(struct request);
    r->p = p;
    r->task = task;
    r->arena.max = 1 << 20;
    int d = p->embedder.default_prompt;
    r->text.prompt = d < 0 ? NULL : &p->embedder.prompts[d];
    task->defaults(r);
    int code = read_params(r, params, err);
    if (code < 0) {
        request_close(r);
        return code;
    }
    *ret = r;
    return 0;
}

void request_close(struct request *r)
{
    if (!r)
        return;
    arena_fini(&r->arena);
    free(r);
}

const char *const *pipeline_tasks(void)
{
    static const char *const names[] = {"feature-extraction",
                                        "sentence-similarity", "fill-mask",
                                        "tokenize", NULL};
    return names;
}

int input_too_long(size_t n, uint32_t limit, struct err *err)
{
    return err_set(err, E_INPUT_TOO_LONG,
                   "the input is %zu tokens long, the model takes at most %u; "
                   "shorten it, or ask for truncation",
                   n, limit);
}

/* Keeps the special tokens and the last of the others. */
static void cut_left(struct encoding *e, size_t max)
{
    size_t drop = e->n - max, to = 0;
    for (size_t i = 0; i < e->n; i++) {
        if (drop > 0 && !e->special[i]) {
            drop--;
            continue;
        }
        e->ids[to] = e->ids[i];
        e->types[to] = e->types[i];
        e->special[to++] = e->special[i];
    }
    e->n = to;
    e->truncated = true;
}

/* The prompt and the text after it, in the query's arena. */
static int with_prompt(struct query *q, struct str *text, struct err *err)
{
    const struct prompt *prompt = q->req->text.prompt;
    if (!prompt || prompt->text.n == 0)
        return 0;
    size_t n = prompt->text.n + text->n;
    char *both = arena_alloc(&q->arena, n, 1);
    if (!both)
        return no_memory(err);
    memcpy(both, prompt->text.p, prompt->text.n);
    if (text->n)
        memcpy(both + prompt->text.n, text->p, text->n);
    *text = str_n(both, n);
    return 0;
}

int text_encode(struct query *q, size_t i, struct slot *slot, struct err *err)
{
    const struct pipeline *p = q->req->p;
    const struct text_params *t = &q->req->text;
    struct encoding *e = &slot->enc;
    struct str text = q->inputs[i].data;
    if (q->inputs[i].kind != INPUT_TEXT)
        return err_set(err, E_INVALID_REQUEST, "%s takes text, not token ids",
                       q->req->task->name);
    int r = with_prompt(q, &text, err);
    if (r < 0)
        return r;
    bool cut_right = t->truncate && !t->left;
    r = tokenizer_encode(p->tokenizer, text, NULL, TOKEN_SPECIALS,
                         cut_right ? p->cut_tokens : 0, e, err);
    if (r < 0)
        return r;
    if (t->truncate && t->left && e->n > p->cut_tokens)
        cut_left(e, p->cut_tokens);
    if (e->n > p->info.max_tokens)
        return input_too_long(e->n, p->info.max_tokens, err);
    if (e->n == 0)
        return err_set(err, E_INVALID_REQUEST, "the input holds no token");
    slot->seq.ids = e->ids;
    slot->seq.n = (uint32_t)e->n;
    q->answer.tokens += e->n;
    q->answer.truncated |= e->truncated;
    return 0;
}

static uint32_t prompt_tokens(const struct query *q)
{
    const struct prompt *prompt = q->req->text.prompt;
    return prompt ? prompt->tokens : 0;
}

void embed_rows(struct query *q, struct slot *slot)
{
    const struct embedder *e = &q->req->p->embedder;
    if (embedder_rows(e, slot->seq.n, prompt_tokens(q), &slot->row)) {
        slot->seq.rows = &slot->row;
        slot->seq.n_rows = 1;
    }
}

int embed_run(struct query *q, struct slot *slot, float *out, struct err *err)
{
    return embedder_run(&q->req->p->embedder, slot->out, slot->seq.n_rows,
                        prompt_tokens(q), out, err);
}
