/* token/wordpiece.c - WordPiece by walking the vocabulary's trie. */
#include "token/wordpiece.h"
#include "base/mem.h"

/* A file could make its tokens collide: those that would need more steps are
 * left to the trie. */
enum { STEPS_MAX = 16, BITS_MIN = 8 };

void wordpiece_word(const struct wordpiece *m, struct str word, size_t n_chars,
                    struct token_list *out)
{
    size_t first = out->n, at = 0;
    int64_t node = TRIE_ROOT;
    bool known = n_chars <= m->max_chars;
    while (known && at < word.n) {
        int32_t id = TRIE_NONE;
        struct str rest = str_n(word.p + at, word.n - at);
        size_t n =
            node == TRIE_NONE ? 0 : trie_longest(m->trie, node, rest, &id);
        known = n > 0;
        if (known)
            token_add(out, (uint32_t)id, at, at + n);
        at += n;
        node = m->inner;
    }
    if (!known) {
        out->n = first;
        token_add(out, m->unk, 0, word.n);
    }
}

static struct short_token short_token(const char *p, size_t n)
{
    struct short_token k = {0};
    memcpy(&k.lo, p, sizeof(k.lo));
    memcpy(&k.hi, p + 8, sizeof(k.hi));
    if (n < 8) {
        k.lo &= (UINT64_C(1) << 8 * n) - 1;
        k.hi = 0;
    } else {
        k.hi &= (UINT32_C(1) << 8 * (n - 8)) - 1;
    }
    k.hi |= (uint32_t)n << 24;
    return k;
}

static size_t slot_of(struct short_token k, unsigned bits)
{
    uint64_t h = (k.lo ^ k.hi * UINT64_C(0x9E3779B97F4A7C15)) *
                 UINT64_C(0xD6E8FEB86659FD93);
    return (size_t)(h >> (64 - bits));
}

int64_t wordpiece_short(const struct wordpiece *m, const char *word, size_t n)
{
    struct short_token k = short_token(word, n);
    size_t mask = ((size_t)1 << m->bits) - 1, at = slot_of(k, m->bits);
    for (int i = 0; i < STEPS_MAX && m->shorts[at].id; i++) {
        const struct short_token *s = &m->shorts[at];
        if (s->lo == k.lo && s->hi == k.hi)
            return (int64_t)s->id - 1;
        at = (at + 1) & mask;
    }
    return TRIE_NONE;
}

static void add_short(struct wordpiece *m, struct str token, size_t id)
{
    char bytes[WORDPIECE_SHORT + 1] = {0};
    memcpy(bytes, token.p, token.n);
    struct short_token k = short_token(bytes, token.n);
    k.id = (uint32_t)id + 1;
    size_t mask = ((size_t)1 << m->bits) - 1, at = slot_of(k, m->bits);
    for (int i = 0; i < STEPS_MAX; i++, at = (at + 1) & mask) {
        if (m->shorts[at].id)
            continue;
        m->shorts[at] = k;
        return;
    }
}

static int index_short(struct wordpiece *m, const struct vocab *vocab,
                       const struct place *at, struct err *err)
{
    m->bits = BITS_MIN;
    while ((size_t)1 << m->bits < 2 * vocab->count)
        m->bits++;
    m->shorts = mem_try((size_t)1 << m->bits, sizeof(*m->shorts));
    if (!m->shorts)
        return err_set(err, E_INSUFFICIENT_MEMORY,
                       "%s: there is not enough memory for its vocabulary",
                       at->file);
    for (size_t id = 0; id < vocab->n; id++) {
        struct str token = vocab_token(vocab, id);
        if (token.n > 0 && token.n <= WORDPIECE_SHORT)
            add_short(m, token, id);
    }
    return 0;
}

static void close_model(void *self)
{
    struct wordpiece *m = self;
    if (m)
        free(m->shorts);
    free(m);
}

static void encode(const void *self, struct str piece, struct token_list *out)
{
    wordpiece_word(self, piece, text_count(piece), out);
}

static int open_vocab(struct json v, struct vocab *vocab,
                      const struct place *at, struct err *err)
{
    if (vocab->n)
        return 0;
    struct json list;
    struct place in = place_in(at, "vocab", -1);
    int r = field_of(v, "vocab", JSON_OBJECT, FIELD_REQUIRED, at, &list, err);
    return r ? r : vocab_from_json(vocab, list, &in, err);
}

static int open(void **ret_self, struct json v, struct vocab *vocab,
                const struct place *at, struct err *err)
{
    struct wordpiece *m = mem_new(struct wordpiece);
    *ret_self = m;
    struct str unk = str_of("[UNK]"), prefix = str_of("##");
    int64_t max_chars = 100;
    int r = field_str(v, "unk_token", FIELD_OPTIONAL, at, &unk, err);
    if (!r)
        r = field_str(v, "continuing_subword_prefix", FIELD_OPTIONAL, at,
                      &prefix, err);
    if (!r)
        r = field_int(v, "max_input_chars_per_word", FIELD_OPTIONAL, 0,
                      WORDPIECE_CHARS_MAX, at, &max_chars, err);
    if (!r)
        r = open_vocab(v, vocab, at, err);
    if (r)
        return r;
    int32_t id = trie_find(&vocab->trie, unk);
    if (id == TRIE_NONE)
        return field_bad(at, "unk_token", json_get(v, "unk_token"),
                         "a token of the vocabulary", err);
    m->unk = (uint32_t)id;
    m->max_chars = (size_t)max_chars;
    m->trie = &vocab->trie;
    m->inner = trie_walk(&vocab->trie, TRIE_ROOT, prefix);
    return index_short(m, vocab, at, err);
}

static int64_t unknown(const void *self)
{
    return ((const struct wordpiece *)self)->unk;
}

const struct model_type wordpiece_type = {
    .name = "WordPiece",
    .open = open,
    .close = close_model,
    .encode = encode,
    .unknown = unknown,
};
