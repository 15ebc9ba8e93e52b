/* token/normalize_bert.c - BertNormalizer, step by step as the library takes
 * them: clean, space out Chinese characters, strip accents, lower. The fused
 * path (bert_words.c) does the same in one pass for most texts. */
#include "base/mem.h"
#include "token/normalize.h"
#include "token/parts.h"
#include "token/unicode.h"

static int bert_open(void **ret_self, struct json v, const struct place *at,
                     struct err *err)
{
    struct bert_normalizer *n = mem_new(struct bert_normalizer);
    *ret_self = n;
    int r =
        field_bool(v, "clean_text", FIELD_REQUIRED, at, &n->clean_text, err);
    if (!r)
        r = field_bool(v, "handle_chinese_chars", FIELD_REQUIRED, at,
                       &n->handle_chinese_chars, err);
    if (!r)
        r = field_bool(v, "lowercase", FIELD_REQUIRED, at, &n->lowercase, err);
    n->strip_accents = n->lowercase;
    if (!r)
        r = field_bool(v, "strip_accents", FIELD_OPTIONAL, at,
                       &n->strip_accents, err);
    return r;
}

static void bert_close(void *self)
{
    free(self);
}

/* The first two steps look at one code point each. */
static int clean(const struct bert_normalizer *n, const struct text *in,
                 struct text *out)
{
    struct rewrite w = rewrite_begin(in, out);
    for (uint32_t cp; rewrite_peek(&w, &cp) && !w.failed;) {
        unsigned flags = unicode_get(cp)->flags;
        if (n->clean_text && (flags & U_DROP)) {
            rewrite_drop(&w);
        } else if (n->handle_chinese_chars && (flags & U_CJK)) {
            rewrite_replace(&w, ' ');
            rewrite_insert(&w, cp);
            rewrite_insert(&w, ' ');
        } else {
            rewrite_replace(&w, n->clean_text && (flags & U_BLANK) ? ' ' : cp);
        }
    }
    return w.failed;
}

static int finish(const struct bert_normalizer *n, const struct text *in,
                  struct text *out)
{
    struct rewrite w = rewrite_begin(in, out);
    for (uint32_t cp; rewrite_peek(&w, &cp) && !w.failed;) {
        if (n->strip_accents && unicode_is(cp, U_MN))
            rewrite_drop(&w);
        else if (n->lowercase)
            normalize_lower(&w, cp);
        else
            rewrite_replace(&w, cp);
    }
    return w.failed;
}

static int bert(const void *self, const struct text *in, struct text *out)
{
    const struct bert_normalizer *n = self;
    struct text cleaned = {0}, decomposed = {0};
    int r = clean(n, in, &cleaned);
    if (!r && n->strip_accents)
        r = normalize_form(&cleaned, 0, &decomposed);
    if (!r)
        r = finish(n, n->strip_accents ? &decomposed : &cleaned, out);
    text_fini(&cleaned);
    text_fini(&decomposed);
    return r;
}

const struct part_type bert_normalizer_type = {"BertNormalizer", bert_open,
                                               bert_close, .normalize = bert};
