/* pipeline/fill_mask.c - what stands behind each mask of a text: the
 * FillMaskPipeline of transformers. */
#include "base/mem.h"
#include "pipeline/task_table.h"
#include <errno.h>
#include <math.h>

enum {
    TOP_K = 5,
    TEXT_BYTES_MAX = 16 << 20,
    FILLS_MAX = 4096, /* of an item: more would not fit into an answer */
};

static const char said_replaced[] = "target_replaced",
                  said_ignored[] = "target_ignored";

static bool fits(const struct pipeline *p)
{
    return p->info.engine.vocab > 0 &&
           tokenizer_role(p->tokenizer, TOKEN_MASK) >= 0;
}

static void defaults(struct request *r)
{
    r->top_k = TOP_K;
    r->text.prompt = NULL;
}

static int param_top_k(struct request *r, const struct value *v,
                       struct err *err)
{
    if (v->kind != VALUE_INT)
        return param_wrong(v, "a whole number", err);
    if (v->i < 1)
        return err_set(err, E_INVALID_REQUEST, "top_k is %lld; it starts at 1",
                       (long long)v->i);
    int vocab = r->p->info.engine.vocab;
    r->top_k = (uint32_t)(v->i < vocab ? v->i : vocab);
    return 0;
}

/* A token of the vocabulary, or else the first token of the word; -1: none. */
static int target_id(struct request *r, struct str word, struct encoding *e,
                     int64_t *ret, struct err *err)
{
    *ret = tokenizer_id(r->p->tokenizer, word);
    if (*ret >= 0)
        return 0;
    int code = tokenizer_encode(r->p->tokenizer, word, NULL, 0, 0, e, err);
    if (code < 0)
        return code;
    if (e->n > 0)
        *ret = e->ids[0];
    r->flags[e->n == 0] = e->n ? said_replaced : said_ignored;
    return 0;
}

static bool listed(const uint32_t *ids, size_t n, uint32_t id)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static int add_target(struct request *r, const struct value *v, uint32_t *ids,
                      struct encoding *e, struct err *err)
{
    if (v->kind != VALUE_TEXT)
        return err_set(err, E_INVALID_REQUEST, "a target is %s, not text",
                       value_kind_name(v->kind));
    int64_t id;
    int code = target_id(r, v->s, e, &id, err);
    if (code < 0)
        return code;
    if (id >= 0 && id < r->p->info.engine.vocab &&
        !listed(ids, r->n_targets, (uint32_t)id))
        ids[r->n_targets++] = (uint32_t)id;
    return 0;
}

static int param_targets(struct request *r, const struct value *v,
                         struct err *err)
{
    if (v->kind != VALUE_TEXT && v->kind != VALUE_LIST)
        return param_wrong(v, "a list of words", err);
    bool list = v->kind == VALUE_LIST;
    size_t n = list ? v->count : 1;
    if (n > TARGETS_MAX)
        return err_set(err, E_INVALID_REQUEST,
                       "%zu targets are more than the %d that are allowed", n,
                       TARGETS_MAX);
    uint32_t *ids = arena_alloc(&r->arena, n, sizeof(*ids));
    if (!ids)
        return no_memory(err);
    struct encoding e = {0};
    int code = 0;
    const struct value *word = list ? v->first : v;
    for (size_t i = 0; i < n && code == 0; i++, word = word->next)
        code = add_target(r, word, ids, &e, err);
    encoding_fini(&e);
    if (code == 0 && r->n_targets == 0)
        code = err_set(err, E_INVALID_REQUEST,
                       "none of the targets is a word that the model knows");
    r->targets = ids;
    return code;
}

static int param(struct request *r, const struct value *v, struct err *err)
{
    if (str_is(v->key, "top_k"))
        return param_top_k(r, v, err);
    if (str_is(v->key, "targets"))
        return param_targets(r, v, err);
    if (str_is(v->key, "prompt_name"))
        return -ENOENT;
    return text_param(r, v, err);
}

static int begin(struct query *q, struct err *err)
{
    q->n_sequences = 1;
    if (q->n_inputs != 1)
        return err_set(err, E_INVALID_REQUEST,
                       "an item of fill-mask is one text, not %zu",
                       q->n_inputs);
    return 0;
}

static int prepare(struct query *q, struct slot *slot, struct err *err)
{
    const struct tokenizer *t = q->req->p->tokenizer;
    uint32_t mask = (uint32_t)tokenizer_role(t, TOKEN_MASK), n = 0;
    int r = text_encode(q, 0, slot, err);
    if (r < 0)
        return r;
    uint32_t *rows = arena_alloc(&q->arena, slot->seq.n, sizeof(*rows));
    if (!rows)
        return no_memory(err);
    for (uint32_t i = 0; i < slot->seq.n; i++)
        if (slot->seq.ids[i] == mask)
            rows[n++] = i;
    struct str token = tokenizer_token(t, mask);
    if (n == 0)
        return err_set(err, E_INVALID_REQUEST,
                       "there is no mask in the text%s; put %.*s where a word "
                       "is to be found",
                       slot->enc.truncated ? " after its truncation" : "",
                       STR_FMT(token));
    size_t all = q->req->n_targets ? q->req->n_targets : q->req->top_k;
    size_t each = all < q->req->top_k ? all : q->req->top_k;
    if (each * n > FILLS_MAX)
        return err_set(err, E_TOO_LARGE,
                       "%zu words for each of %u masks are more than the %d "
                       "that an answer holds; ask for a smaller top_k",
                       each, n, FILLS_MAX);
    slot->seq.output = ENGINE_LOGITS;
    slot->seq.rows = rows;
    slot->seq.n_rows = n;
    return 0;
}

/* Candidates: a heap of the best top_k so far, the worst of them on top. Higher
 * logits are better; of two that are equal, the lower id. */
struct pick {
    float logit;
    uint32_t id;
};

static bool worse(struct pick a, struct pick b)
{
    return a.logit != b.logit ? a.logit < b.logit : a.id > b.id;
}

static void sift(struct pick *heap, size_t n, size_t i)
{
    for (;;) {
        size_t low = i, left = 2 * i + 1;
        for (size_t c = left; c < left + 2 && c < n; c++)
            if (worse(heap[c], heap[low]))
                low = c;
        if (low == i)
            return;
        struct pick swap = heap[i];
        heap[i] = heap[low];
        heap[low] = swap;
        i = low;
    }
}

static void heap_sort(struct pick *heap, size_t n)
{
    for (; n > 1; n--) {
        struct pick worst = heap[0];
        heap[0] = heap[n - 1];
        heap[n - 1] = worst;
        sift(heap, n - 1, 0);
    }
}

/* The best k of the candidates, best first; returns how many. */
static size_t pick_best(const struct request *r, const float *logits,
                        struct pick *best, size_t k)
{
    size_t all = r->n_targets ? r->n_targets : (size_t)r->p->info.engine.vocab;
    size_t n = 0;
    for (size_t i = 0; i < all; i++) {
        uint32_t id = r->n_targets ? r->targets[i] : (uint32_t)i;
        struct pick c = {logits[id], id};
        if (n < k) {
            best[n++] = c;
            for (size_t j = n / 2; n == k && j-- > 0;)
                sift(best, n, j);
        } else if (worse(best[0], c)) {
            best[0] = c;
            sift(best, n, 0);
        }
    }
    for (size_t j = n / 2; n < k && j-- > 0;)
        sift(best, n, j);
    heap_sort(best, n);
    return n;
}

/* log of the sum of exp over the whole vocabulary. */
static double log_sum_exp(const float *logits, int n)
{
    double max = -INFINITY, sum = 0.0;
    for (int i = 0; i < n; i++)
        max = fmax(max, (double)logits[i]);
    for (int i = 0; i < n; i++)
        sum += exp((double)logits[i] - max);
    return max + log(sum);
}

static int decode(const struct pipeline *p, const uint32_t *ids, size_t n,
                  bool skip_special, struct buf *text, struct err *err)
{
    buf_reset(text);
    int r = tokenizer_decode(p->tokenizer, ids, n, skip_special, text, err);
    return r == 0 && text->failed ? no_memory(err) : r;
}

/* The text's ids with id at the mask; padding is left out. */
static size_t put_in(const struct pipeline *p, const struct slot *slot,
                     uint32_t at, uint32_t id, uint32_t *ids)
{
    int64_t pad = tokenizer_role(p->tokenizer, TOKEN_PAD);
    size_t n = 0;
    for (uint32_t i = 0; i < slot->seq.n; i++) {
        uint32_t token = i == at ? id : slot->seq.ids[i];
        if ((int64_t)token != pad)
            ids[n++] = token;
    }
    return n;
}

static int add_fill(struct query *q, const struct slot *slot, uint32_t at,
                    struct pick pick, double lse, struct value *list,
                    uint32_t *ids, struct buf *text, struct err *err)
{
    const struct pipeline *p = q->req->p;
    struct arena *a = &q->arena;
    struct value *v = value_add(a, list, str_of(""), VALUE_MAP);
    if (!v)
        return no_memory(err);
    float score = (float)exp((double)pick.logit - lse);
    bool ok = value_add_float(a, v, "score", (double)score) &&
              value_add_int(a, v, "token", pick.id);
    int r = decode(p, &pick.id, 1, false, text, err);
    ok = ok && r == 0 && value_add_text(a, v, "token_str", buf_str(text));
    if (r < 0)
        return r;
    size_t n = put_in(p, slot, at, pick.id, ids);
    r = decode(p, ids, n, slot->seq.n_rows == 1, text, err);
    ok = ok && r == 0 && value_add_text(a, v, "sequence", buf_str(text));
    return r < 0 ? r : ok ? 0 : no_memory(err);
}

static int add_mask(struct query *q, const struct slot *slot, uint32_t row,
                    struct pick *best, uint32_t *ids, struct buf *text,
                    struct err *err)
{
    const struct request *req = q->req;
    int vocab = req->p->info.engine.vocab;
    const float *logits = slot->out + (size_t)row * (size_t)vocab;
    size_t n = pick_best(req, logits, best, req->top_k);
    double lse = log_sum_exp(logits, vocab);
    struct value *list = value_add(&q->arena, q->state, str_of(""), VALUE_LIST);
    int r = list ? 0 : no_memory(err);
    for (size_t i = 0; i < n && r == 0; i++)
        r = add_fill(q, slot, slot->seq.rows[row], best[i], lse, list, ids,
                     text, err);
    return r;
}

static int collect(struct query *q, struct slot *slot, struct err *err)
{
    struct pick *best = mem_try(q->req->top_k, sizeof(*best));
    uint32_t *ids = mem_try(slot->seq.n, sizeof(*ids));
    struct buf text = BUF_MAX(TEXT_BYTES_MAX);
    q->answer.tree = q->state = value_new(&q->arena, VALUE_LIST);
    int r = best && ids && q->state ? 0 : no_memory(err);
    for (uint32_t row = 0; row < slot->seq.n_rows && r == 0; row++)
        r = add_mask(q, slot, row, best, ids, &text, err);
    buf_fini(&text);
    free(ids);
    free(best);
    return r;
}

const struct task task_fill_mask = {
    .name = "fill-mask",
    .fits = fits,
    .defaults = defaults,
    .param = param,
    .begin = begin,
    .prepare = prepare,
    .collect = collect,
};
