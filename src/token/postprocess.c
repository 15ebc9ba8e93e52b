/* token/postprocess.c - TemplateProcessing and BertProcessing, as templates. */
#include "token/postprocess.h"
#include <stdio.h>

struct reader {
    const struct vocab *vocab;
    struct json specials; /* TemplateProcessing's special_tokens */
    const struct place *at;
    struct err *err;
};

static int add(struct template *t, int sequence, uint32_t id, int64_t type,
               const struct reader *rd)
{
    if (t->n == TEMPLATE_MAX)
        return err_set(rd->err, E_UNSUPPORTED_OPTION,
                       "%s: %s has a template of more than %d pieces",
                       rd->at->file, rd->at->path, TEMPLATE_MAX);
    t->piece[t->n++] = (struct template_piece){sequence, id, (uint8_t)type};
    t->n_added += sequence < 0;
    return 0;
}

static bool known(const struct vocab *vocab, struct json v, int64_t *id)
{
    return json_to_int(v, 0, VOCAB_MAX - 1, id) &&
           vocab_token(vocab, (size_t)*id).p;
}

/* A special token by its name in special_tokens: one or more ids. */
static int add_special(struct template *t, struct str name, int64_t type,
                       const struct reader *rd)
{
    struct json ids = json_get(json_get_n(rd->specials, name), "ids");
    if (json_type(ids) != JSON_ARRAY || json_count(ids) == 0)
        return err_set(rd->err, E_DAMAGED_FILE,
                       "%s: %s.special_tokens has no ids for \"%.*s\", which "
                       "its template names",
                       rd->at->file, rd->at->path, STR_FMT(name));
    int r = 0;
    for (struct json_iter it = json_iter(ids); !r && json_next(&it);) {
        int64_t id;
        if (!known(rd->vocab, it.value, &id))
            return field_bad(rd->at, "special_tokens", it.value,
                             "an id of the vocabulary", rd->err);
        r = add(t, -1, (uint32_t)id, type, rd);
    }
    return r;
}

/* {"Sequence": {"id": "A", "type_id": 0}} or {"SpecialToken": {...}}. */
static int add_object(struct template *t, struct json v,
                      const struct reader *rd)
{
    struct json sequence = json_get(v, "Sequence");
    struct json special = json_get(v, "SpecialToken");
    bool is_sequence = json_type(sequence) == JSON_OBJECT;
    struct json o = is_sequence ? sequence : special;
    struct str id = {0};
    int64_t type = 0;
    if (json_type(o) != JSON_OBJECT)
        return field_bad(rd->at, "single or pair", v,
                         "pieces that are a Sequence or a SpecialToken",
                         rd->err);
    int r = field_str(o, "id", FIELD_REQUIRED, rd->at, &id, rd->err);
    if (!r)
        r = field_int(o, "type_id", FIELD_REQUIRED, 0, UINT8_MAX, rd->at, &type,
                      rd->err);
    if (r || !is_sequence)
        return r ? r : add_special(t, id, type, rd);
    if (!str_is(id, "A") && !str_is(id, "B"))
        return field_bad(rd->at, "Sequence.id", json_get(o, "id"), "A or B",
                         rd->err);
    return add(t, str_is(id, "B"), 0, type, rd);
}

/* Decimal digits to a type id. */
static bool to_type(struct str s, int64_t *ret)
{
    int64_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || n > UINT8_MAX)
            return false;
        n = n * 10 + (s.p[i] - '0');
    }
    *ret = n;
    return s.n > 0 && n <= UINT8_MAX;
}

/* Old files: "[CLS]:0", "$A", "$B:1", "$1". */
static int add_string(struct template *t, struct json v, struct str s,
                      const struct reader *rd)
{
    const char *colon = s.n ? memchr(s.p, ':', s.n) : NULL;
    struct str name = colon ? str_n(s.p, (size_t)(colon - s.p)) : s;
    int64_t type = 0, short_type;
    if (colon && !to_type(str_n(colon + 1, s.n - name.n - 1), &type))
        return field_bad(rd->at, "single or pair", v,
                         "pieces such as \"$A:0\" or \"[CLS]:0\"", rd->err);
    if (!str_starts(name, "$"))
        return add_special(t, name, type, rd);
    struct str which = str_n(name.p + 1, name.n - 1);
    if (which.n == 0 || str_is(which, "A") || str_is(which, "a"))
        return add(t, 0, 0, type, rd);
    if (str_is(which, "B") || str_is(which, "b"))
        return add(t, 1, 0, type, rd);
    if (!to_type(which, &short_type))
        return field_bad(rd->at, "single or pair", v,
                         "pieces such as \"$A:0\" or \"[CLS]:0\"", rd->err);
    return add(t, 0, 0, colon ? type : short_type, rd);
}

static int read_template(struct template *t, struct json v, const char *key,
                         const struct reader *rd)
{
    struct json list;
    int r =
        field_of(v, key, JSON_ARRAY, FIELD_REQUIRED, rd->at, &list, rd->err);
    for (struct json_iter it = json_iter(list); !r && json_next(&it);) {
        struct str s;
        r = json_to_str(it.value, &s) ? add_string(t, it.value, s, rd)
                                      : add_object(t, it.value, rd);
    }
    return r;
}

static int template_open(struct postprocessor *p, struct json v,
                         const struct reader *rd)
{
    struct reader in = *rd;
    int r = field_of(v, "special_tokens", JSON_OBJECT, FIELD_REQUIRED, rd->at,
                     &in.specials, rd->err);
    if (!r)
        r = read_template(&p->one, v, "single", &in);
    return r ? r : read_template(&p->pair, v, "pair", &in);
}

/* ["[SEP]", 102] */
static int read_token(struct json v, const char *key, const struct reader *rd,
                      uint32_t *ret)
{
    int64_t id = -1, n = 0;
    bool ok = json_type(json_get(v, key)) == JSON_ARRAY;
    for (struct json_iter it = json_iter(json_get(v, key)); json_next(&it); n++)
        ok = n != 1 ? ok : ok && known(rd->vocab, it.value, &id);
    if (!ok || n != 2)
        return field_bad(rd->at, key, json_get(v, key),
                         "a token and its id in the vocabulary", rd->err);
    *ret = (uint32_t)id;
    return 0;
}

static int bert_open(struct postprocessor *p, struct json v,
                     const struct reader *rd)
{
    uint32_t cls, sep;
    int r = read_token(v, "cls", rd, &cls);
    if (!r)
        r = read_token(v, "sep", rd, &sep);
    if (r)
        return r;
    p->one = (struct template){{{-1, cls, 0}, {0, 0, 0}, {-1, sep, 0}}, 3, 2};
    p->pair = (struct template){
        {{-1, cls, 0}, {0, 0, 0}, {-1, sep, 0}, {1, 0, 1}, {-1, sep, 1}}, 5, 3};
    return 0;
}

/* A new post-processor: a function that fills the templates, and a line. */
static const struct {
    const char *name;
    int (*open)(struct postprocessor *p, struct json v,
                const struct reader *rd);
} types[] = {
    {"TemplateProcessing", template_open},
    {"BertProcessing", bert_open},
};

int postprocessor_open(struct postprocessor *p, struct json v,
                       const struct vocab *vocab, const struct place *at,
                       struct err *err)
{
    struct reader rd = {.vocab = vocab, .at = at, .err = err};
    struct str type;
    p->one = p->pair = (struct template){0};
    if (json_type(v) == JSON_NONE || json_type(v) == JSON_NULL) {
        p->one = (struct template){{{0, 0, 0}}, 1, 0};
        p->pair = (struct template){{{0, 0, 0}, {1, 0, 1}}, 2, 0};
        return 0;
    }
    if (json_type(v) != JSON_OBJECT)
        return field_bad(at, "", v, "an object", err);
    int r = field_str(v, "type", FIELD_REQUIRED, at, &type, err);
    for (size_t i = 0; !r && i < ARRAY_LEN(types); i++)
        if (str_is(type, types[i].name))
            return types[i].open(p, v, &rd);
    return r ? r
             : field_unknown(at, "type", json_get(v, "type"),
                             "TemplateProcessing and BertProcessing", err);
}
