/* token/parts.c - the tables of components, and chains of them.
 *
 * A new component is a file that defines its type, and a line here.
 */
#include "token/parts.h"
#include "base/mem.h"
#include <errno.h>
#include <stdio.h>

extern const struct part_type lowercase_type, strip_accents_type;
extern const struct part_type nfc_type, nfd_type, nfkc_type, nfkd_type;
extern const struct part_type whitespace_type, whitespace_split_type;
extern const struct part_type punctuation_type, wordpiece_decoder_type;
extern const struct model_type wordpiece_type;

const struct part_type *const normalizer_types[] = {
    &bert_normalizer_type,
    &lowercase_type,
    &strip_accents_type,
    &nfc_type,
    &nfd_type,
    &nfkc_type,
    &nfkd_type,
    NULL,
};
const struct part_type *const pre_tokenizer_types[] = {
    &bert_pre_tokenizer_type,
    &whitespace_type,
    &whitespace_split_type,
    &punctuation_type,
    NULL,
};
const struct part_type *const decoder_types[] = {
    &wordpiece_decoder_type,
    NULL,
};
const struct model_type *const model_types[] = {
    &wordpiece_type,
    NULL,
};

/* What is still to be opened, the next one last. */
struct todo {
    struct json v[CHAIN_MAX];
    struct place at[CHAIN_MAX];
    size_t n;
};

static int too_many(const struct place *at, struct err *err)
{
    return err_set(err, E_UNSUPPORTED_OPTION,
                   "%s: %s has more than %d components", at->file, at->path,
                   CHAIN_MAX);
}

/* A sequence's members take its place. */
static int unfold(struct todo *todo, struct json list, const char *key,
                  const struct place *at, struct err *err)
{
    size_t n = json_count(list), i = 0;
    if (todo->n + n > CHAIN_MAX)
        return too_many(at, err);
    for (struct json_iter it = json_iter(list); json_next(&it); i++) {
        todo->v[todo->n + n - 1 - i] = it.value;
        todo->at[todo->n + n - 1 - i] = place_in(at, key, (int64_t)i);
    }
    todo->n += n;
    return 0;
}

static void list_names(const struct part_type *const *types, char *out,
                       size_t size)
{
    size_t n = 0;
    out[0] = 0;
    for (; *types && n < size; types++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "",
                              (*types)->name);
}

static int open_part(struct chain *c, const struct part_type *const *types,
                     struct json v, struct str type, const struct place *at,
                     struct err *err)
{
    const struct part_type *const *t = types;
    while (*t && !str_is(type, (*t)->name))
        t++;
    if (!*t) {
        char names[200];
        list_names(types, names, sizeof(names));
        return field_unknown(at, "type", json_get(v, "type"), names, err);
    }
    if (c->n == CHAIN_MAX)
        return too_many(at, err);
    struct part *p = &c->part[c->n++];
    *p = (struct part){.type = *t};
    return p->type->open ? p->type->open(&p->self, v, at, err) : 0;
}

static int open_next(struct chain *c, struct todo *todo,
                     const struct part_type *const *types, const char *sequence,
                     struct err *err)
{
    struct json v = todo->v[--todo->n];
    struct place at = todo->at[todo->n];
    struct str type;
    struct json list;
    if (json_type(v) != JSON_OBJECT)
        return field_bad(&at, "", v, "an object", err);
    int r = field_str(v, "type", FIELD_REQUIRED, &at, &type, err);
    if (r || !str_is(type, "Sequence"))
        return r ? r : open_part(c, types, v, type, &at, err);
    r = field_of(v, sequence, JSON_ARRAY, FIELD_REQUIRED, &at, &list, err);
    return r ? r : unfold(todo, list, sequence, &at, err);
}

int chain_open(struct chain *c, const struct part_type *const *types,
               struct json v, const char *sequence, const struct place *at,
               struct err *err)
{
    if (json_type(v) == JSON_NONE || json_type(v) == JSON_NULL)
        return 0;
    struct todo todo = {.n = 1};
    todo.v[0] = v;
    todo.at[0] = *at;
    int r = 0;
    /* Every round takes one away, and the JSON has an end. */
    while (!r && todo.n)
        r = open_next(c, &todo, types, sequence, err);
    return r;
}

void chain_close(struct chain *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->part[i].type->close)
            c->part[i].type->close(c->part[i].self);
    c->n = 0;
}

int chain_normalize(const struct chain *c, struct token_work *w)
{
    int r = 0;
    for (size_t i = 0; i < c->n && !r; i++) {
        const struct part *p = &c->part[i];
        r = p->type->normalize(p->self, &w->text, &w->spare);
        struct text made = w->spare;
        w->spare = w->text;
        w->text = made;
    }
    return r;
}

int chain_split(const struct chain *c, struct token_work *w)
{
    int r = 0;
    for (size_t i = 0; i < c->n && !r; i++)
        r = c->part[i].type->split(c->part[i].self, w);
    return r;
}
