/* pipeline/sentence_similarity.c - the cosine of each sentence to one other, as
 * sentence-transformers' encode() and similarity() give it. */
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
    r->text.truncate = true;
    r->pooled = true;
}

static int param(struct request *r, const struct value *v, struct err *err)
{
    return text_param(r, v, err);
}

static int begin(struct query *q, struct err *err)
{
    size_t sources = 0;
    for (size_t i = 0; i < q->n_inputs; i++)
        sources += str_is(q->inputs[i].role, "source");
    if (q->n_inputs < 2 || sources != 1 || !str_is(q->inputs[0].role, "source"))
        return err_set(err, E_INVALID_REQUEST,
                       "sentence-similarity needs one source sentence and at "
                       "least one sentence to compare it with");
    size_t dim = (size_t)q->req->p->embedder.dim;
    q->n_sequences = q->n_inputs;
    /* [n_inputs][dim], of length 1, the source's first */
    q->data = mem_try(q->n_inputs, dim * sizeof(*q->data));
    return q->data ? 0 : no_memory(err);
}

static int prepare(struct query *q, struct slot *slot, struct err *err)
{
    int r = text_encode(q, slot->index, slot, err);
    if (r < 0)
        return r;
    slot->seq.output = ENGINE_HIDDEN;
    embed_rows(q, slot);
    return 0;
}

static int collect(struct query *q, struct slot *slot, struct err *err)
{
    size_t dim = (size_t)q->req->p->embedder.dim;
    float *to = q->data + slot->index * dim;
    int r = embed_run(q, slot, to, err);
    if (r == 0)
        normalize_l2(to, (int)dim);
    return r;
}

static int finish(struct query *q, struct err *err)
{
    size_t dim = (size_t)q->req->p->embedder.dim, n = q->n_inputs - 1;
    float *scores = arena_alloc(&q->arena, n, sizeof(*scores));
    if (!scores)
        return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        const float *v = q->data + (i + 1) * dim;
        double dot = 0.0;
        for (size_t j = 0; j < dim; j++)
            dot += (double)q->data[j] * (double)v[j];
        scores[i] = (float)dot;
    }
    q->answer.data = scores;
    q->answer.rank = 1;
    q->answer.shape[0] = (int64_t)n;
    return 0;
}

const struct task task_sentence_similarity = {
    .name = "sentence-similarity",
    .fits = fits,
    .defaults = defaults,
    .param = param,
    .begin = begin,
    .prepare = prepare,
    .collect = collect,
    .finish = finish,
};
