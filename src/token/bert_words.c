/* token/bert_words.c - the fused path of BERT tokenizers.
 *
 * One pass: each code point goes through BertNormalizer's steps and is either a
 * break or part of the current word; a finished word goes to the model at once.
 * No normalized text is ever stored, only the word.
 *
 * All steps look at one code point alone but for the reordering of combining
 * marks when accents are stripped. Reordering matters only where a mark
 * survives the stripping, so such a text is handed to the general path.
 */
#include "token/bert_words.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "token/unicode.h"
#include "token/wordpiece.h"

enum kind { KIND_WORD, KIND_BREAK, KIND_ALONE, KIND_DROP, KIND_HIGH };

struct bert_words {
    struct bert_normalizer normalizer;
    const struct wordpiece *model;
    unsigned char kind[256]; /* of a byte: KIND_HIGH from 0x80 on */
    char map[128];           /* what an ASCII byte becomes */
    char letter[256]; /* the same for those that runs are made of, or 0 */
};

struct pass {
    const struct bert_words *b;
    struct token_list *out;
    char *word;            /* [len] */
    uint32_t *start, *end; /* [len], where offsets are wanted */
    size_t len, n_chars;
    bool offsets;
};

static void ascii_tables(struct bert_words *b)
{
    const struct bert_normalizer *n = &b->normalizer;
    memset(b->kind, KIND_HIGH, sizeof(b->kind));
    for (uint32_t c = 0; c < 128; c++) {
        unsigned flags = unicode_get(c)->flags;
        uint32_t low[UNICODE_LONGEST] = {c};
        if (n->lowercase)
            unicode_lower(c, low);
        b->map[c] = (char)low[0];
        b->kind[c] = KIND_WORD;
        if (n->clean_text && (flags & U_DROP))
            b->kind[c] = KIND_DROP;
        else if ((n->clean_text && (flags & U_BLANK)) || (flags & U_SPACE))
            b->kind[c] = KIND_BREAK;
        else if (flags & U_PUNCT)
            b->kind[c] = KIND_ALONE;
        b->letter[c] = b->kind[c] == KIND_WORD ? b->map[c] : 0;
    }
}

struct bert_words *bert_words_new(const struct chain *normalizer,
                                  const struct chain *pre_tokenizer,
                                  const struct model_type *type,
                                  const void *model)
{
    if (normalizer->n != 1 || pre_tokenizer->n != 1 ||
        normalizer->part[0].type != &bert_normalizer_type ||
        pre_tokenizer->part[0].type != &bert_pre_tokenizer_type ||
        type != &wordpiece_type)
        return NULL;
    struct bert_words *b = mem_new(struct bert_words);
    b->normalizer = *(const struct bert_normalizer *)normalizer->part[0].self;
    b->model = model;
    ascii_tables(b);
    return b;
}

void bert_words_free(struct bert_words *b)
{
    free(b);
}

static void end_word(struct pass *p)
{
    if (p->len == 0)
        return;
    struct token_list *out = p->out;
    const struct wordpiece *m = p->b->model;
    size_t first = out->n;
    int64_t id = TRIE_NONE;
    /* Words of other scripts are seldom one token: the trie tells sooner. */
    if ((unsigned char)p->word[0] < 0x80 && p->len <= WORDPIECE_SHORT &&
        p->n_chars <= m->max_chars)
        id = wordpiece_short(m, p->word, p->len);
    if (id != TRIE_NONE)
        token_add(out, (uint32_t)id, 0, p->len);
    else
        wordpiece_word(m, str_n(p->word, p->len), p->n_chars, out);
    for (size_t i = first; p->offsets && i < out->n; i++) {
        out->v[i].from = p->start[out->v[i].from];
        out->v[i].to = p->end[out->v[i].to - 1];
    }
    p->len = p->n_chars = 0;
}

/* A code point of the current word, which came from number at of the original.
 * Of a word that is too long only the end is kept up to date. */
static void add_char(struct pass *p, const char *s, size_t n, uint32_t at)
{
    p->n_chars++;
    if (p->n_chars > p->b->model->max_chars + 1) {
        if (p->offsets)
            p->end[p->len - 1] = at + 1;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        p->word[p->len] = s[i];
        if (p->offsets) {
            p->start[p->len] = at;
            p->end[p->len] = at + 1;
        }
        p->len++;
    }
}

/* A code point as the normalizer left it. */
static void finished(struct pass *p, uint32_t cp, uint32_t at)
{
    unsigned flags = unicode_get(cp)->flags;
    char s[4];
    if (flags & (U_SPACE | U_PUNCT))
        end_word(p);
    if (flags & U_SPACE)
        return;
    add_char(p, s, utf8_encode(cp, s), at);
    if (flags & U_PUNCT)
        end_word(p);
}

static void lowered(struct pass *p, uint32_t cp, uint32_t at)
{
    const struct unicode_char *u = unicode_get(cp);
    if (!p->b->normalizer.lowercase) {
        finished(p, cp, at);
    } else if (!u->n_lower) {
        finished(p, (uint32_t)((int32_t)cp + u->lower), at);
    } else {
        uint32_t low[UNICODE_LONGEST];
        size_t n = unicode_lower(cp, low);
        for (size_t i = 0; i < n; i++)
            finished(p, low[i], at);
    }
}

/* A code point of the decomposed text. False: it is a mark that survives. */
static bool kept(struct pass *p, uint32_t cp, uint32_t at)
{
    const struct unicode_char *u = unicode_get(cp);
    if (u->flags & U_MN)
        return true;
    if (u->rank)
        return false;
    lowered(p, cp, at);
    return true;
}

static bool stripped(struct pass *p, uint32_t cp, uint32_t at)
{
    if (!unicode_get(cp)->n_nfd && !unicode_is_hangul(cp))
        return kept(p, cp, at);
    uint32_t d[UNICODE_LONGEST];
    size_t n = unicode_decompose(cp, false, d);
    bool all = true;
    for (size_t i = 0; i < n && all; i++)
        all = kept(p, d[i], at);
    return all;
}

/* Nothing happens to it, and it breaks no word: most letters of most scripts.
 */
static bool plain(const struct unicode_char *u, uint32_t cp)
{
    return !(u->flags & (0xFF ^ U_WORD)) && !u->rank && !u->n_nfd &&
           !u->n_lower && !u->lower && !unicode_is_hangul(cp);
}

static bool code_point(struct pass *p, uint32_t cp, const char *s, size_t len,
                       uint32_t at)
{
    const struct bert_normalizer *n = &p->b->normalizer;
    const struct unicode_char *u = unicode_get(cp);
    unsigned flags = u->flags;
    if (plain(u, cp)) {
        add_char(p, s, len, at);
        return true;
    }
    if (n->clean_text && (flags & (U_DROP | U_BLANK))) {
        if (flags & U_BLANK)
            end_word(p);
        return true;
    }
    bool apart = n->handle_chinese_chars && (flags & U_CJK);
    bool known = true;
    if (apart)
        end_word(p);
    if (n->strip_accents)
        known = stripped(p, cp, at);
    else
        lowered(p, cp, at);
    if (apart)
        end_word(p);
    return known;
}

static void ascii(struct pass *p, unsigned char c, uint32_t at)
{
    enum kind kind = p->b->kind[c];
    if (kind == KIND_DROP)
        return;
    if (kind != KIND_WORD)
        end_word(p);
    if (kind == KIND_BREAK)
        return;
    add_char(p, &p->b->map[c], 1, at);
    if (kind == KIND_ALONE)
        end_word(p);
}

/* A run of letters and digits, which most texts are made of; returns its
 * length, 0 where the word is too long already. */
static size_t ascii_run(struct pass *p, const char *s, size_t n, uint32_t at)
{
    size_t room = p->b->model->max_chars + 1;
    room = room > p->n_chars ? room - p->n_chars : 0;
    n = n < room ? n : room;
    char *to = p->word + p->len;
    size_t i = 0;
    const char *letter = p->b->letter;
    for (char c; i < n && (c = letter[(unsigned char)s[i]]); i++)
        to[i] = c;
    for (size_t k = 0; p->offsets && k < i; k++) {
        p->start[p->len + k] = at + (uint32_t)k;
        p->end[p->len + k] = at + (uint32_t)k + 1;
    }
    p->len += i;
    p->n_chars += i;
    return i;
}

bool bert_words_encode(const struct bert_words *b, struct str s, bool offsets,
                       uint32_t first, size_t limit, struct token_work *w)
{
    size_t room = 4 * (b->model->max_chars + 2) + WORDPIECE_SHORT + 1;
    if (text_room(&w->word, room, offsets) < 0)
        return false;
    struct pass p = {.b = b,
                     .out = &w->tokens,
                     .word = w->word.p,
                     .start = w->word.start,
                     .end = w->word.end,
                     .offsets = offsets};
    for (size_t i = 0; i < s.n && w->tokens.n <= limit; first++) {
        size_t run = ascii_run(&p, s.p + i, s.n - i, first);
        i += run;
        first += (uint32_t)run;
        if (i == s.n)
            break;
        uint32_t cp;
        size_t len = text_next(s.p + i, &cp);
        if (cp < 0x80)
            ascii(&p, (unsigned char)cp, first);
        else if (!code_point(&p, cp, s.p + i, len, first))
            return false;
        i += len;
    }
    end_word(&p);
    return true;
}
