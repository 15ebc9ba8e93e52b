/* token/added.c - added tokens: reading them, finding them. */
#include "token/added.h"
#include "base/mem.h"
#include "token/unicode.h"
#include <errno.h>

enum { ARENA_BYTES = 64 << 20 };

static int out_of_memory(const struct place *at, struct err *err)
{
    return err_set(err, E_INSUFFICIENT_MEMORY,
                   "%s: there is not enough memory for its added tokens",
                   at->file);
}

static int read_flags(struct added_token *t, struct json v,
                      const struct place *at, struct err *err)
{
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {
        {"single_word", &t->single_word}, {"lstrip", &t->lstrip},
        {"rstrip", &t->rstrip},           {"normalized", &t->normalized},
        {"special", &t->special},
    };
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(flags) && !r; i++)
        r = field_bool(v, flags[i].key, FIELD_REQUIRED, at, flags[i].flag, err);
    return r;
}

/* The id that the library gives: the vocabulary's, or the next free one. */
static size_t id_for(const struct added *a, const struct vocab *vocab,
                     struct str content)
{
    int32_t known = trie_find(&vocab->trie, content);
    return known == TRIE_NONE ? a->next_id : (size_t)known;
}

static int keep(struct added *a, struct added_token t, size_t id,
                struct vocab *vocab, const struct place *at, struct err *err)
{
    struct str taken = vocab_token(vocab, id);
    if (id >= VOCAB_MAX || (taken.p && !str_eq(taken, t.content)))
        return err_set(err, E_DAMAGED_FILE,
                       "%s: there is no id for the added token \"%.*s\": %zu "
                       "is taken or too large",
                       at->file, STR_FMT(t.content), id);
    t.id = (uint32_t)id;
    char *copy = arena_str(&a->arena, t.content);
    if (!copy || (!taken.p && vocab_put(vocab, t.content, id) < 0))
        return out_of_memory(at, err);
    t.content.p = copy;
    a->token[a->n++] = t;
    if (id >= a->next_id)
        a->next_id = id + 1;
    return 0;
}

static int read_token(struct added *a, struct json v, struct vocab *vocab,
                      const struct place *at, struct err *err)
{
    struct added_token t = {0};
    int64_t id = -1;
    if (json_type(v) != JSON_OBJECT)
        return field_bad(at, "", v, "an object", err);
    int r = field_str(v, "content", FIELD_REQUIRED, at, &t.content, err);
    if (!r)
        r = field_int(v, "id", FIELD_REQUIRED, 0, VOCAB_MAX - 1, at, &id, err);
    if (!r)
        r = read_flags(&t, v, at, err);
    if (r)
        return r;
    if (t.content.n == 0 || t.content.n > VOCAB_TOKEN_BYTES_MAX)
        return field_bad(at, "content", json_get(v, "content"),
                         "a string of 1 to 4096 bytes", err);
    size_t given = id_for(a, vocab, t.content);
    if ((size_t)id != given)
        return err_set(err, E_DAMAGED_FILE,
                       "%s: %s.id is %d, but by the rest of the file \"%.*s\" "
                       "has the id %zu",
                       at->file, at->path, (int)id, STR_FMT(t.content), given);
    return keep(a, t, given, vocab, at, err);
}

/* The first of equal ones, and none that the list had. */
static int add_extras(struct added *a, const struct added_token *extra,
                      size_t n, struct vocab *vocab, const struct place *at,
                      struct err *err)
{
    size_t listed = a->n;
    struct trie known = {0};
    struct trie_key *keys = mem_try(listed + n, sizeof(*keys));
    for (size_t i = 0; keys && i < listed + n; i++)
        keys[i] = (struct trie_key){i < listed ? a->token[i].content
                                               : extra[i - listed].content,
                                    (int32_t)i};
    int r = keys ? trie_build(&known, keys, listed + n, NULL) : -ENOMEM;
    if (r)
        r = out_of_memory(at, err);
    for (size_t i = 0; i < n && !r; i++) {
        struct added_token t = extra[i];
        if (trie_find(&known, t.content) != (int32_t)(listed + i) ||
            t.content.n == 0 || t.content.n > VOCAB_TOKEN_BYTES_MAX)
            continue;
        r = keep(a, t, id_for(a, vocab, t.content), vocab, at, err);
    }
    trie_fini(&known);
    free(keys);
    return r;
}

/* The library lets special tokens win where two match alike. */
static int specials_first(struct added *a)
{
    struct added_token *sorted = mem_try(a->n, sizeof(*sorted));
    if (!sorted)
        return -ENOMEM;
    size_t n = 0;
    for (int special = 1; special >= 0; special--)
        for (size_t i = 0; i < a->n; i++)
            if (a->token[i].special == special)
                sorted[n++] = a->token[i];
    free(a->token);
    a->token = sorted;
    return 0;
}

static int build_set(struct added_set *set, struct trie_key *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        set->first[(unsigned char)keys[i].key.p[0]] = true;
    set->n = n;
    return trie_build(&set->trie, keys, n, NULL);
}

/* A token as it looks in normalized text, in a's arena. */
static int pattern_of(struct added *a, const struct added_token *t,
                      const struct chain *normalizer, struct str *ret)
{
    struct token_work *w = work_new();
    int r = text_set(&w->text, t->content, false, 0);
    if (!r)
        r = chain_normalize(normalizer, w);
    if (!r) {
        ret->n = w->text.n;
        ret->p = arena_str(&a->arena, text_str(&w->text));
        r = ret->p ? 0 : -ENOMEM;
    }
    work_free(w);
    return r;
}

static int build_sets(struct added *a, const struct chain *normalizer,
                      struct trie_key *keys, const struct place *at,
                      struct err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++)
        if (!a->token[i].normalized)
            keys[n++] = (struct trie_key){a->token[i].content, (int32_t)i};
    if (build_set(&a->raw, keys, n) < 0)
        return out_of_memory(at, err);
    n = 0;
    for (size_t i = 0; i < a->n; i++) {
        if (!a->token[i].normalized)
            continue;
        struct trie_key *k = &keys[n++];
        k->value = (int32_t)i;
        if (pattern_of(a, &a->token[i], normalizer, &k->key) < 0)
            return out_of_memory(at, err);
        if (k->key.n == 0)
            return err_set(err, E_UNSUPPORTED_OPTION,
                           "%s: nothing is left of the added token with the id "
                           "%u once it is normalized",
                           at->file, a->token[i].id);
    }
    return build_set(&a->normalized, keys, n) < 0 ? out_of_memory(at, err) : 0;
}

static int build(struct added *a, const struct chain *normalizer,
                 const struct place *at, struct err *err)
{
    struct trie_key *keys = mem_try(a->n, sizeof(*keys));
    if (!keys || specials_first(a) < 0) {
        free(keys);
        return out_of_memory(at, err);
    }
    for (size_t i = 0; i < a->n; i++)
        keys[i] = (struct trie_key){a->token[i].content, (int32_t)i};
    struct str twice;
    int r = trie_build(&a->by_content, keys, a->n, &twice);
    if (r == -EEXIST)
        r = err_set(err, E_DAMAGED_FILE,
                    "%s: added_tokens lists \"%.*s\" twice", at->file,
                    STR_FMT(twice));
    else if (r < 0)
        r = out_of_memory(at, err);
    if (!r)
        r = build_sets(a, normalizer, keys, at, err);
    free(keys);
    return r;
}

int added_open(struct added *a, struct json list, struct vocab *vocab,
               const struct added_token *extra, size_t n_extra,
               const struct chain *normalizer, const struct place *at,
               struct err *err)
{
    a->arena = (struct arena)ARENA_MAX(ARENA_BYTES);
    a->next_id = vocab->count;
    size_t n = json_count(list), i = 0;
    if (n > ADDED_MAX)
        return err_set(err, E_DAMAGED_FILE,
                       "%s: added_tokens has %zu tokens; at most %d are taken",
                       at->file, n, ADDED_MAX);
    a->token = mem_try(n + n_extra, sizeof(*a->token));
    if (!a->token)
        return out_of_memory(at, err);
    int r = 0;
    for (struct json_iter it = json_iter(list); !r && json_next(&it);) {
        struct place in = place_in(at, "added_tokens", (int64_t)i++);
        r = read_token(a, it.value, vocab, &in, err);
    }
    if (!r)
        r = add_extras(a, extra, n_extra, vocab, at, err);
    return r ? r : build(a, normalizer, at, err);
}

void added_close(struct added *a)
{
    trie_fini(&a->by_content);
    trie_fini(&a->raw.trie);
    trie_fini(&a->normalized.trie);
    free(a->token);
    arena_fini(&a->arena);
}

/* The code point that ends before byte at (> 0); *ret_from is where it begins.
 */
static uint32_t before(struct str s, size_t at, size_t *ret_from)
{
    uint32_t cp;
    do
        at--;
    while (((unsigned char)s.p[at] & 0xC0) == 0x80);
    text_next(s.p + at, &cp);
    *ret_from = at;
    return cp;
}

static bool word_beside(struct str s, size_t from, size_t to)
{
    uint32_t cp;
    size_t at;
    if (from > 0 && unicode_is(before(s, from, &at), U_WORD))
        return true;
    if (to == s.n)
        return false;
    text_next(s.p + to, &cp);
    return unicode_is(cp, U_WORD);
}

/* Where the blanks before byte at begin, but not before stop. */
static size_t spaces_before(struct str s, size_t at, size_t stop)
{
    size_t from;
    while (at > stop && unicode_is(before(s, at, &from), U_SPACE))
        at = from;
    return at;
}

static size_t spaces_after(struct str s, size_t at)
{
    uint32_t cp;
    while (at < s.n) {
        size_t n = text_next(s.p + at, &cp);
        if (!unicode_is(cp, U_SPACE))
            break;
        at += n;
    }
    return at;
}

/* The leftmost match from at on, and the longest there. */
static bool next_match(const struct added_set *set, struct str s, size_t at,
                       struct piece *ret)
{
    for (; at < s.n; at++) {
        int32_t index = TRIE_NONE;
        if (!set->first[(unsigned char)s.p[at]])
            continue;
        size_t n = trie_longest(&set->trie, TRIE_ROOT,
                                str_n(s.p + at, s.n - at), &index);
        if (n) {
            *ret = (struct piece){at, at + n, index};
            return true;
        }
    }
    return false;
}

int added_split(const struct added *a, const struct added_set *set,
                struct str s, struct piece_list *out)
{
    /* A match may begin inside the blanks that an rstrip token took before it;
     * like the library's, the pieces overlap then. */
    struct piece m;
    size_t done = 0, blanks = 0; /* blanks: the end of those taken last */
    int r = 0;
    for (size_t at = 0; set->n && !r && next_match(set, s, at, &m);) {
        const struct added_token *t = &a->token[m.id];
        at = m.to;
        if (t->single_word && word_beside(s, m.from, m.to))
            continue;
        if (t->lstrip)
            m.from = m.from < done ? done : spaces_before(s, m.from, done);
        if (t->rstrip && m.to > blanks)
            blanks = spaces_after(s, m.to);
        if (t->rstrip)
            m.to = blanks;
        if (done < m.from)
            r = piece_add(out, (struct piece){done, m.from, -1});
        m.id = t->id;
        if (!r && m.from < m.to)
            r = piece_add(out, m);
        done = m.to;
    }
    if (!r && done != s.n)
        r = piece_add(out, (struct piece){done, s.n, -1});
    return r;
}
