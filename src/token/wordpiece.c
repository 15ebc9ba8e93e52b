/* token/wordpiece.c - WordPiece by walking the vocabulary's trie. */
#include "token/wordpiece.h"
#include "base/mem.h"

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
    return 0;
}

static int64_t unknown(const void *self)
{
    return ((const struct wordpiece *)self)->unk;
}

const struct model_type wordpiece_type = {
    .name = "WordPiece",
    .open = open,
    .close = free,
    .encode = encode,
    .unknown = unknown,
};
