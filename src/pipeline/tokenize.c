/* pipeline/tokenize.c - the ids of a text: what the model would be given. No
 * sequence goes through the engine. */
#include "pipeline/task_table.h"
#include <errno.h>

static bool fits(const struct pipeline *p)
{
    (void)p;
    return true;
}

static void defaults(struct request *r)
{
    r->text.prompt = NULL;
    r->specials = true;
}

static int param(struct request *r, const struct value *v, struct err *err)
{
    if (str_is(v->key, "add_special_tokens"))
        return param_bool(v, &r->specials, err);
    return -ENOENT;
}

static int put_ids(struct query *q, const struct encoding *e, struct err *err)
{
    struct arena *a = &q->arena;
    struct value *tree = value_new(a, VALUE_MAP);
    struct value *ids =
        tree ? value_add(a, tree, str_of("ids"), VALUE_LIST) : NULL;
    bool ok = ids != NULL;
    for (size_t i = 0; i < e->n && ok; i++)
        ok = value_add_int(a, ids, "", e->ids[i]);
    q->answer.tree = tree;
    q->answer.tokens = e->n;
    return ok ? 0 : no_memory(err);
}

static int begin(struct query *q, struct err *err)
{
    struct encoding e = {0};
    if (q->n_inputs != 1 || q->inputs[0].kind != INPUT_TEXT)
        return err_set(err, E_INVALID_REQUEST,
                       "an item of tokenize is one text");
    int r = tokenizer_encode(q->req->p->tokenizer, q->inputs[0].data, NULL,
                             q->req->specials ? TOKEN_SPECIALS : 0, 0, &e, err);
    if (r == 0)
        r = put_ids(q, &e, err);
    encoding_fini(&e);
    return r;
}

const struct task task_tokenize = {
    .name = "tokenize",
    .fits = fits,
    .defaults = defaults,
    .param = param,
    .begin = begin,
};
