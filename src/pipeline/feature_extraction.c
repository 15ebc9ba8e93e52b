/* pipeline/feature_extraction.c - a vector for a text: sentence-transformers'
 * encode() where the model has modules.json, else a vector for each token, as
 * the feature-extraction pipeline of transformers gives. */
#include "base/mem.h"
#include "pipeline/task_table.h"
#include <errno.h>

static bool fits(const struct pipeline *p)
{
    (void)p;
    return true;
}

static void defaults(struct request *r)
{
    r->pooled = r->p->embedder.from_modules;
}

/* Fewer dimensions than the model's need a model that was trained for it, which
 * no file says yet. */
static int param_dimensions(struct request *r, const struct value *v,
                            struct err *err)
{
    int dim = r->p->embedder.dim;
    if (v->kind != VALUE_INT)
        return param_wrong(v, "a whole number", err);
    if (v->i != dim)
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "dimensions is %lld, but this model makes vectors of %d "
                       "and of no other length; leave dimensions out",
                       (long long)v->i, dim);
    return 0;
}

static int param(struct request *r, const struct value *v, struct err *err)
{
    if (str_is(v->key, "normalize"))
        return param_bool(v, &r->normalize, err);
    if (str_is(v->key, "pooled"))
        return param_bool(v, &r->pooled, err);
    if (str_is(v->key, "dimensions"))
        return param_dimensions(r, v, err);
    return text_param(r, v, err);
}

static int begin(struct query *q, struct err *err)
{
    q->n_sequences = 1;
    if (q->n_inputs != 1)
        return err_set(err, E_INVALID_REQUEST,
                       "an item of feature-extraction has one input, not %zu",
                       q->n_inputs);
    return 0;
}

/* As they are: whoever sends ids has put in the special tokens too. */
static int take_tokens(struct query *q, struct slot *slot, struct err *err)
{
    const struct pipeline *p = q->req->p;
    size_t n = q->inputs[0].data.n / sizeof(uint32_t), keep = n;
    if (n == 0)
        return err_set(err, E_INVALID_REQUEST,
                       "the list of token ids is empty");
    if (q->req->text.truncate && n > p->cut_tokens)
        keep = p->cut_tokens;
    if (keep > p->info.max_tokens)
        return input_too_long(keep, p->info.max_tokens, err);
    uint32_t *ids = arena_alloc(&q->arena, keep, sizeof(*ids));
    if (!ids)
        return no_memory(err);
    size_t skip = q->req->text.left ? n - keep : 0;
    memcpy(ids, q->inputs[0].data.p + skip * sizeof(*ids), keep * sizeof(*ids));
    slot->seq.ids = ids;
    slot->seq.n = (uint32_t)keep;
    q->answer.tokens = keep;
    q->answer.truncated = keep < n;
    return 0;
}

static int prepare(struct query *q, struct slot *slot, struct err *err)
{
    bool tokens = q->inputs[0].kind == INPUT_TOKENS;
    int r = tokens ? take_tokens(q, slot, err) : text_encode(q, 0, slot, err);
    if (r < 0)
        return r;
    slot->seq.output = ENGINE_HIDDEN;
    if (q->req->pooled)
        embed_rows(q, slot);
    return 0;
}

/* [tokens][hidden], the slot's own memory handed over. */
static void take_rows(struct query *q, struct slot *slot)
{
    int hidden = q->req->p->info.engine.hidden;
    q->data = slot->out;
    slot->out = NULL;
    slot->out_cap = 0;
    q->answer.rank = 2;
    q->answer.shape[0] = slot->seq.n;
    q->answer.shape[1] = hidden;
    if (q->req->normalize)
        for (uint32_t i = 0; i < slot->seq.n; i++)
            normalize_l2(q->data + (size_t)i * (size_t)hidden, hidden);
}

static int collect(struct query *q, struct slot *slot, struct err *err)
{
    const struct embedder *e = &q->req->p->embedder;
    if (!q->req->pooled) {
        take_rows(q, slot);
        q->answer.data = q->data;
        return 0;
    }
    q->data = mem_try((size_t)e->dim, sizeof(*q->data));
    if (!q->data)
        return no_memory(err);
    int r = embed_run(q, slot, q->data, err);
    if (r == 0 && q->req->normalize && !e->normalizes)
        normalize_l2(q->data, e->dim);
    q->answer.data = q->data;
    q->answer.rank = 1;
    q->answer.shape[0] = e->dim;
    return r;
}

const struct task task_feature_extraction = {
    .name = "feature-extraction",
    .fits = fits,
    .defaults = defaults,
    .param = param,
    .begin = begin,
    .prepare = prepare,
    .collect = collect,
};
