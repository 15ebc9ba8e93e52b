/* token/pretokenize.c - the pre-tokenizers that look at one code point at a
 * time: BertPreTokenizer, Whitespace, WhitespaceSplit, Punctuation. */
#include "base/mem.h"
#include "token/parts.h"
#include "token/unicode.h"

/* What becomes of a code point: left out, a piece of its own, or part of a run
 * of the same kind. */
enum kind { KIND_REMOVED, KIND_ALONE, KIND_RUN, KIND_OTHER_RUN };

typedef enum kind kind_fn(const void *self, uint32_t cp);

static int split_piece(struct token_work *w, struct piece p, const void *self,
                       kind_fn *kind_of)
{
    enum kind before = KIND_REMOVED;
    size_t from = p.from;
    int r = 0;
    for (size_t at = p.from; at < p.to && !r;) {
        uint32_t cp;
        size_t next = at + text_next(w->text.p + at, &cp);
        enum kind kind = kind_of(self, cp);
        if (at > p.from && (kind != before || kind == KIND_ALONE)) {
            if (before != KIND_REMOVED)
                r = piece_add(&w->split, (struct piece){from, at, -1});
            from = at;
        }
        before = kind;
        at = next;
    }
    if (!r && before != KIND_REMOVED)
        r = piece_add(&w->split, (struct piece){from, p.to, -1});
    return r;
}

static int split_all(struct token_work *w, const void *self, kind_fn *kind_of)
{
    int r = 0;
    w->split.n = 0;
    for (size_t i = 0; i < w->pieces.n && !r; i++) {
        struct piece p = w->pieces.v[i];
        r = p.id >= 0 ? piece_add(&w->split, p)
                      : split_piece(w, p, self, kind_of);
    }
    struct piece_list made = w->split;
    w->split = w->pieces;
    w->pieces = made;
    return r;
}

static enum kind bert_kind(const void *self, uint32_t cp)
{
    (void)self;
    unsigned flags = unicode_get(cp)->flags;
    return flags & U_SPACE   ? KIND_REMOVED
           : flags & U_PUNCT ? KIND_ALONE
                             : KIND_RUN;
}

static int bert_split(const void *self, struct token_work *w)
{
    return split_all(w, self, bert_kind);
}

static enum kind whitespace_kind(const void *self, uint32_t cp)
{
    (void)self;
    unsigned flags = unicode_get(cp)->flags;
    return flags & U_WORD    ? KIND_RUN
           : flags & U_SPACE ? KIND_REMOVED
                             : KIND_OTHER_RUN;
}

static int whitespace_run(const void *self, struct token_work *w)
{
    return split_all(w, self, whitespace_kind);
}

static enum kind split_kind(const void *self, uint32_t cp)
{
    (void)self;
    return unicode_is(cp, U_SPACE) ? KIND_REMOVED : KIND_RUN;
}

static int whitespace_split_run(const void *self, struct token_work *w)
{
    return split_all(w, self, split_kind);
}

struct punctuation {
    enum kind kind;
};

static int punctuation_open(void **ret_self, struct json v,
                            const struct place *at, struct err *err)
{
    struct punctuation *p = mem_new(struct punctuation);
    *ret_self = p;
    struct str behavior = str_of("Isolated");
    int r = field_str(v, "behavior", FIELD_OPTIONAL, at, &behavior, err);
    if (r)
        return r;
    if (str_is(behavior, "Isolated"))
        p->kind = KIND_ALONE;
    else if (str_is(behavior, "Removed"))
        p->kind = KIND_REMOVED;
    else if (str_is(behavior, "Contiguous"))
        p->kind = KIND_OTHER_RUN;
    else
        return field_unknown(at, "behavior", json_get(v, "behavior"),
                             "Isolated, Removed and Contiguous", err);
    return 0;
}

static enum kind punctuation_kind(const void *self, uint32_t cp)
{
    const struct punctuation *p = self;
    return unicode_is(cp, U_PUNCT) ? p->kind : KIND_RUN;
}

static int punctuation_run(const void *self, struct token_work *w)
{
    return split_all(w, self, punctuation_kind);
}

const struct part_type bert_pre_tokenizer_type = {"BertPreTokenizer",
                                                  .split = bert_split};
const struct part_type whitespace_type = {"Whitespace",
                                          .split = whitespace_run};
const struct part_type whitespace_split_type = {"WhitespaceSplit",
                                                .split = whitespace_split_run};
const struct part_type punctuation_type = {"Punctuation", punctuation_open,
                                           free, .split = punctuation_run};
