/* token/vocab.c - vocabularies from JSON and from lines. */
#include "token/vocab.h"
#include "base/mem.h"
#include <errno.h>

enum { ARENA_BYTES = 512 << 20 };

void vocab_fini(struct vocab *v)
{
    trie_fini(&v->trie);
    free(v->token);
    arena_fini(&v->arena);
    *v = (struct vocab){0};
}

static int reserve(struct vocab *v, size_t n)
{
    if (n <= v->cap)
        return 0;
    size_t cap = n + n / 2;
    struct str *p = realloc(v->token, cap * sizeof(*p));
    if (!p)
        return -ENOMEM;
    memset(p + v->cap, 0, (cap - v->cap) * sizeof(*p));
    v->token = p;
    v->cap = cap;
    return 0;
}

int vocab_put(struct vocab *v, struct str token, size_t id)
{
    if (reserve(v, id + 1) < 0)
        return -ENOMEM;
    if (v->token[id].p)
        return -EEXIST;
    char *copy = arena_str(&v->arena, token);
    if (!copy)
        return -ENOMEM;
    v->token[id] = str_n(copy, token.n);
    if (v->n < id + 1)
        v->n = id + 1;
    return 0;
}

static int out_of_memory(const char *file, struct err *err)
{
    return err_set(err, E_INSUFFICIENT_MEMORY,
                   "%s: there is not enough memory for its vocabulary", file);
}

/* The look-up, once all tokens are in place. */
static int index_tokens(struct vocab *v, const char *file, struct err *err)
{
    struct trie_key *keys = mem_try(v->n, sizeof(*keys));
    if (!keys)
        return out_of_memory(file, err);
    size_t n = 0;
    for (size_t id = 0; id < v->n; id++)
        if (v->token[id].p)
            keys[n++] = (struct trie_key){v->token[id], (int32_t)id};
    v->count = n;
    struct str twice;
    int r = trie_build(&v->trie, keys, n, &twice);
    free(keys);
    if (r == -EEXIST)
        return err_set(err, E_DAMAGED_FILE,
                       "%s: the token \"%.*s\" is in it twice", file,
                       STR_FMT(twice));
    return r < 0 ? out_of_memory(file, err) : 0;
}

static int add_json(struct vocab *v, struct json_iter *it,
                    const struct place *at, struct err *err)
{
    int64_t id;
    if (!json_to_int(it->value, 0, VOCAB_MAX - 1, &id)) {
        char key[64];
        if (!str_to_z(it->key, key, sizeof(key)))
            memcpy(key, "...", 4);
        return field_bad(at, key, it->value, "an id from 0 to 2097151", err);
    }
    if (it->key.n > VOCAB_TOKEN_BYTES_MAX)
        return err_set(err, E_DAMAGED_FILE,
                       "%s: %s has a token of %zu bytes (id %d); at most %d "
                       "are taken",
                       at->file, at->path, it->key.n, (int)id,
                       VOCAB_TOKEN_BYTES_MAX);
    int r = vocab_put(v, it->key, (size_t)id);
    if (r == -EEXIST)
        return err_set(err, E_DAMAGED_FILE,
                       "%s: %s gives the id %d to both \"%.*s\" and \"%.*s\"",
                       at->file, at->path, (int)id, STR_FMT(v->token[id]),
                       STR_FMT(it->key));
    return r < 0 ? out_of_memory(at->file, err) : 0;
}

int vocab_from_json(struct vocab *v, struct json object, const struct place *at,
                    struct err *err)
{
    v->arena = (struct arena)ARENA_MAX(ARENA_BYTES);
    size_t n = json_count(object);
    if (n == 0 || n > VOCAB_MAX)
        return err_set(err, E_DAMAGED_FILE,
                       "%s: %s has %zu tokens; it must have 1 to %d", at->file,
                       at->path, n, VOCAB_MAX);
    if (reserve(v, n) < 0)
        return out_of_memory(at->file, err);
    int r = 0;
    for (struct json_iter it = json_iter(object); !r && json_next(&it);)
        r = add_json(v, &it, at, err);
    return r ? r : index_tokens(v, at->file, err);
}

/* The next line without its end (LF, CR LF or CR); false at the end of text. */
static bool next_line(struct str *text, struct str *ret)
{
    if (text->n == 0)
        return false;
    size_t n = 0;
    while (n < text->n && text->p[n] != '\n' && text->p[n] != '\r')
        n++;
    *ret = str_n(text->p, n);
    size_t end = n + (n < text->n);
    if (end < text->n && text->p[n] == '\r' && text->p[end] == '\n')
        end++;
    *text = str_n(text->p + end, text->n - end);
    return true;
}

int vocab_from_lines(struct vocab *v, struct str text, const char *file,
                     struct err *err)
{
    v->arena = (struct arena)ARENA_MAX(ARENA_BYTES);
    struct str line;
    for (size_t id = 0; next_line(&text, &line); id++) {
        if (id >= VOCAB_MAX || line.n > VOCAB_TOKEN_BYTES_MAX)
            return err_set(err, E_DAMAGED_FILE,
                           "%s: line %zu is beyond the limits of %d tokens and "
                           "%d bytes in each",
                           file, id + 1, VOCAB_MAX, VOCAB_TOKEN_BYTES_MAX);
        if (vocab_put(v, line, id) < 0)
            return out_of_memory(file, err);
    }
    if (v->n == 0)
        return err_set(err, E_DAMAGED_FILE, "%s: there is no token in it",
                       file);
    return index_tokens(v, file, err);
}
