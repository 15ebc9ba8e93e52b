/* token/encode.c - runs the pipeline: added tokens, normalizer, pre-tokenizer,
 * model, truncation, template. */
#include "base/utf8.h"
#include "token/bert_words.h"
#include "token/machine.h"
#include <errno.h>
#include <stdlib.h>

void encoding_fini(struct encoding *e)
{
    free(e->ids);
    free(e->types);
    free(e->start);
    free(e->end);
    free(e->special);
    work_free(e->work);
    *e = (struct encoding){0};
}

/* A byte of the text, and the number of the code point that begins there. */
struct cursor {
    size_t at;
    uint32_t cp;
};
/* One run over one text. Pieces may overlap: where they begin and where they
 * end have a cursor each, so that neither ever goes back far. */
struct run {
    const struct tokenizer *t;
    struct token_work *w;
    struct str s;
    bool offsets;
    size_t limit; /* tokens beyond it are not needed */
    struct cursor from, to;
};

static bool continues(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* The number of the code point at a byte; 0 where nobody wants offsets. */
static uint32_t seek(const struct run *run, struct cursor *c, size_t to)
{
    if (!run->offsets)
        return 0;
    for (; c->at < to; c->at++)
        c->cp += !continues(run->s.p[c->at]);
    for (; c->at > to; c->at--)
        c->cp -= !continues(run->s.p[c->at - 1]);
    return c->cp;
}

/* The model on one piece of the normalized text. */
static void encode_piece(const struct run *run, struct piece p)
{
    struct token_list *out = &run->w->tokens;
    const struct text *text = &run->w->text;
    size_t first = out->n;
    if (p.id >= 0)
        token_add(out, (uint32_t)p.id, 0, p.to - p.from);
    else
        run->t->model_type->encode(run->t->model,
                                   str_n(text->p + p.from, p.to - p.from), out);
    for (size_t i = first; run->offsets && i < out->n; i++) {
        struct token *k = &out->v[i];
        k->from = text->start[p.from + k->from];
        k->to = text->end[p.from + k->to - 1];
    }
}

static int encode_general(const struct run *run, struct str s, uint32_t first)
{
    const struct tokenizer *t = run->t;
    struct token_work *w = run->w;
    w->pieces.n = 0;
    int r = text_set(&w->text, s, run->offsets, first);
    if (!r)
        r = chain_normalize(&t->normalizer, w);
    if (!r)
        r = added_split(&t->added, &t->added.normalized, text_str(&w->text),
                        &w->pieces);
    if (!r)
        r = chain_split(&t->pre_tokenizer, w);
    for (size_t i = 0; !r && i < w->pieces.n && w->tokens.n <= run->limit; i++)
        if (w->pieces.v[i].from < w->pieces.v[i].to)
            encode_piece(run, w->pieces.v[i]);
    return r;
}

/* A part of the text as it came. */
static int encode_raw(struct run *run, struct piece p)
{
    struct token_list *out = &run->w->tokens;
    struct str s = str_n(run->s.p + p.from, p.to - p.from);
    uint32_t first = seek(run, &run->from, p.from);
    if (p.id >= 0) {
        token_add(out, (uint32_t)p.id, first, seek(run, &run->to, p.to));
        return 0;
    }
    size_t before = out->n;
    if (run->t->fused && bert_words_encode(run->t->fused, s, run->offsets,
                                           first, run->limit, run->w))
        return 0;
    out->n = before;
    return encode_general(run, s, first);
}

static int encode_text(struct run *run)
{
    struct token_work *w = run->w;
    w->raw.n = 0;
    int r = added_split(&run->t->added, &run->t->added.raw, run->s, &w->raw);
    for (size_t i = 0; !r && i < w->raw.n && w->tokens.n <= run->limit; i++)
        r = encode_raw(run, w->raw.v[i]);
    return r ? r : w->tokens.failed ? -ENOMEM : 0;
}

static int reserve(struct encoding *e, size_t n)
{
    if (n <= e->cap)
        return 0;
    n += n / 2;
    struct {
        void **p;
        size_t size;
    } arrays[] = {
        {(void **)&e->ids, sizeof(*e->ids)},
        {(void **)&e->types, sizeof(*e->types)},
        {(void **)&e->start, sizeof(*e->start)},
        {(void **)&e->end, sizeof(*e->end)},
        {(void **)&e->special, sizeof(*e->special)},
    };
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
        void *p = realloc(*arrays[i].p, n * arrays[i].size);
        if (!p)
            return -ENOMEM;
        *arrays[i].p = p;
    }
    e->cap = n;
    return 0;
}

/* The longer one gives first, as the library's "longest_first" cuts. */
static void cut_pair(size_t *a, size_t *b, size_t max)
{
    bool swap = *a > *b;
    size_t small = swap ? *b : *a, large;
    large = small > max ? small : small > max - small ? small : max - small;
    if (small + large > max) {
        small = max / 2;
        large = small + max % 2;
    }
    *a = swap ? large : small;
    *b = swap ? small : large;
}

static void put_token(struct encoding *e, struct token k, uint8_t type,
                      bool special, bool offsets)
{
    e->ids[e->n] = k.id;
    e->types[e->n] = type;
    e->special[e->n] = special;
    if (offsets) {
        e->start[e->n] = k.from;
        e->end[e->n] = k.to;
    }
    e->n++;
}

/* n[i]: how many tokens of sequence i, which begin at v[i]. */
static int fill(struct encoding *e, const struct template *tp, unsigned flags,
                const struct token *const v[2], const size_t n[2])
{
    size_t total = 0;
    for (size_t i = 0; i < tp->n; i++)
        total += tp->piece[i].sequence < 0 ? 1 : n[tp->piece[i].sequence];
    if (reserve(e, total) < 0)
        return -ENOMEM;
    bool offsets = flags & TOKEN_OFFSETS;
    for (size_t i = 0; i < tp->n; i++) {
        const struct template_piece *p = &tp->piece[i];
        if (p->sequence < 0 && (flags & TOKEN_SPECIALS))
            put_token(e, (struct token){p->id, 0, 0}, p->type, true, offsets);
        for (size_t k = 0; p->sequence >= 0 && k < n[p->sequence]; k++)
            put_token(e, v[p->sequence][k], p->type, false, offsets);
    }
    return 0;
}

static int failed(int r, struct err *err)
{
    if (r == -E2BIG)
        return err_set(err, E_TOO_LARGE,
                       "the text is over the tokenizer's limit of %d MiB",
                       TEXT_MAX >> 20);
    return err_set(err, E_INSUFFICIENT_MEMORY,
                   "there is not enough memory to tokenize the text");
}

static int check(const struct template *tp, struct str a, const struct str *b,
                 unsigned flags, size_t max_tokens, struct err *err)
{
    if (!utf8_valid(a) || (b && !utf8_valid(*b)))
        return err_set(err, E_INVALID_REQUEST,
                       "the text is not valid UTF-8; send it as UTF-8");
    if (a.n > TEXT_MAX || (b && b->n > TEXT_MAX))
        return failed(-E2BIG, err);
    if (max_tokens && (flags & TOKEN_SPECIALS) && max_tokens < tp->n_added)
        return err_set(err, E_INVALID_REQUEST,
                       "%zu tokens have no room for the %zu special ones that "
                       "the tokenizer adds",
                       max_tokens, tp->n_added);
    return 0;
}

int tokenizer_encode(const struct tokenizer *t, struct str a,
                     const struct str *b, unsigned flags, size_t max_tokens,
                     struct encoding *e, struct err *err)
{
    const struct template *tp = b ? &t->post.pair : &t->post.one;
    e->n = 0;
    e->truncated = false;
    int r = check(tp, a, b, flags, max_tokens, err);
    if (r)
        return r;
    if (!e->work)
        e->work = work_new();
    struct token_list *list = &e->work->tokens;
    list->n = 0;
    list->failed = false;
    size_t room = SIZE_MAX;
    if (max_tokens)
        room = max_tokens - (flags & TOKEN_SPECIALS ? tp->n_added : 0);
    struct run run = {.t = t,
                      .w = e->work,
                      .s = a,
                      .offsets = flags & TOKEN_OFFSETS,
                      .limit = b ? SIZE_MAX : room};
    r = encode_text(&run);
    size_t n[2] = {list->n, 0};
    if (!r && b) {
        run.s = *b;
        run.from = run.to = (struct cursor){0};
        r = encode_text(&run);
        n[1] = list->n - n[0];
    }
    const struct token *const v[2] = {list->v, n[1] ? list->v + n[0] : NULL};
    if (!r && n[0] + n[1] > room) {
        e->truncated = true;
        if (b)
            cut_pair(&n[0], &n[1], room);
        else
            n[0] = room;
    }
    if (!r)
        r = fill(e, tp, flags, v, n);
    return r ? failed(r, err) : 0;
}
