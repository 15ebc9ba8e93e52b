/* token/extras.c - tokens that are added by the files beside tokenizer.json. */
#include "base/mem.h"
#include "token/machine.h"
#include <errno.h>

struct list {
    struct added_token *v; /* [n] */
    size_t n, cap;
    struct err *err;
};

static int push(struct list *l, struct added_token t)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 32;
        struct added_token *v =
            cap > ADDED_MAX ? NULL : realloc(l->v, cap * sizeof(*v));
        if (!v)
            return err_set(l->err, E_DAMAGED_FILE,
                           "the tokenizer's files add more than %d tokens",
                           ADDED_MAX / 2);
        l->v = v;
        l->cap = cap;
    }
    l->v[l->n++] = t;
    return 0;
}

/* A string, or an object with content and flags. */
static int push_token(struct list *l, struct json v, bool special,
                      const struct place *at, const char *key)
{
    struct added_token t = {.special = special};
    if (!json_to_str(v, &t.content) &&
        !json_to_str(json_get(v, "content"), &t.content))
        return field_bad(at, key, v, "a token, or an object with its content",
                         l->err);
    json_to_bool(json_get(v, "special"), &t.special);
    t.special |= special;
    t.normalized = !t.special;
    json_to_bool(json_get(v, "normalized"), &t.normalized);
    json_to_bool(json_get(v, "single_word"), &t.single_word);
    json_to_bool(json_get(v, "lstrip"), &t.lstrip);
    json_to_bool(json_get(v, "rstrip"), &t.rstrip);
    return push(l, t);
}

/* Decimal digits to an id. */
static bool to_id(struct str s, uint32_t *ret)
{
    uint32_t id = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || id >= VOCAB_MAX)
            return false;
        id = id * 10 + (uint32_t)(s.p[i] - '0');
    }
    *ret = id;
    return s.n > 0 && id < VOCAB_MAX;
}

static int id_order(const void *a, const void *b)
{
    uint32_t x = ((const struct added_token *)a)->id;
    uint32_t y = ((const struct added_token *)b)->id;
    return (x > y) - (x < y);
}

/* {"101": {"content": "[CLS]", "special": true, ...}, ...} */
static int push_decoder(struct list *l, struct json decoder)
{
    struct place at = {.file = "tokenizer_config.json"};
    int r = 0;
    for (struct json_iter it = json_iter(decoder); !r && json_next(&it);) {
        r = push_token(l, it.value, false, &at, "added_tokens_decoder");
        if (!r && !to_id(it.key, &l->v[l->n - 1].id))
            r = err_set(l->err, E_DAMAGED_FILE,
                        "tokenizer_config.json: added_tokens_decoder has the "
                        "key \"%.*s\"; it must be an id from 0 to %d",
                        it.key.n < 40 ? (int)it.key.n : 40, it.key.p,
                        VOCAB_MAX - 1);
    }
    return r;
}

/* {"<new>": 30522, ...} */
static int push_added_json(struct list *l, struct json added)
{
    struct place at = {.file = "added_tokens.json"};
    int r = 0;
    for (struct json_iter it = json_iter(added); !r && json_next(&it);) {
        int64_t id;
        if (!json_to_int(it.value, 0, VOCAB_MAX - 1, &id))
            return field_bad(&at, "a token", it.value,
                             "an id from 0 to 2097151", l->err);
        r = push(l, (struct added_token){.content = it.key,
                                         .id = (uint32_t)id,
                                         .normalized = true});
    }
    return r;
}

/* The class's own name for a role, where the vocabulary has it. */
static int push_default(struct list *l, enum token_role role,
                        const struct vocab *bert)
{
    struct str name = str_of(bert ? bert_tokens[role] : NULL);
    if (!name.p || trie_find(&bert->trie, name) == TRIE_NONE)
        return 0;
    return push(l, (struct added_token){.content = name, .special = true});
}

static int push_roles(struct list *l, struct json config, struct json map,
                      const struct vocab *bert)
{
    static const enum token_role order[] = {TOKEN_BOS, TOKEN_EOS, TOKEN_UNK,
                                            TOKEN_SEP, TOKEN_PAD, TOKEN_CLS,
                                            TOKEN_MASK};
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(order) && !r; i++) {
        struct place at;
        struct json v = role_token(config, map, order[i], &at);
        r = json_type(v) == JSON_NONE
                ? push_default(l, order[i], bert)
                : push_token(l, v, true, &at, role_keys[order[i]]);
    }
    return r;
}

static int push_additional(struct list *l, struct json object, const char *file)
{
    static const char *const keys[] = {"additional_special_tokens",
                                       "extra_special_tokens"};
    struct place at = {.file = file};
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct json v = json_get(object, keys[i]);
        if (json_type(v) != JSON_ARRAY)
            continue;
        for (struct json_iter it = json_iter(v); !r && json_next(&it);)
            r = push_token(l, it.value, true, &at, keys[i]);
    }
    return r;
}

/* Tokens of added_tokens.json that a role or a list calls special are that. */
static void mark_special(struct list *l, size_t n_added)
{
    for (size_t i = 0; i < n_added; i++)
        for (size_t k = n_added; k < l->n && !l->v[i].special; k++)
            if (str_eq(l->v[i].content, l->v[k].content)) {
                l->v[i].special = true;
                l->v[i].normalized = false;
            }
}

int extras_read(const struct extras_files *files, const struct vocab *bert,
                struct added_token **ret, size_t *ret_n, struct err *err)
{
    struct list l = {.err = err};
    struct json config = files->config, map = files->map;
    struct json decoder = json_get(config, "added_tokens_decoder");
    bool modern = json_type(decoder) == JSON_OBJECT;
    int r =
        modern ? push_decoder(&l, decoder) : push_added_json(&l, files->added);
    size_t n_added = l.n;
    if (n_added)
        qsort(l.v, n_added, sizeof(*l.v), id_order);
    if (!r)
        r = push_roles(&l, config, map, bert);
    if (!r)
        r = push_additional(&l, config, "tokenizer_config.json");
    if (!r && !modern)
        r = push_additional(&l, map, "special_tokens_map.json");
    if (r) {
        free(l.v);
        return r;
    }
    if (!modern)
        mark_special(&l, n_added);
    *ret = l.v;
    *ret_n = l.n;
    return 0;
}
