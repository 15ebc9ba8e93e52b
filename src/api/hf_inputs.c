/* api/hf_inputs.c - "inputs" of the Hugging Face Inference API to items.
 *
 * Of every task one input is one item, and a list of inputs a list of items.
 * What is not text comes as the body itself, or in JSON as base64, plain or as
 * a data: address.
 */
#include "api/hf_task.h"
#include "base/base64.h"
#include <stdio.h>

enum { WHERE = 32, TABLE_BYTES = 4 << 20 };

/* One input that is being read. */
struct one {
    const struct hf_source *from;
    struct json v;
    char where[WHERE]; /* "inputs" or "inputs[3]" */
    struct item *item;
    struct inputs *in;
};
typedef int one_fn(struct one *o, struct err *err);

static int wrong(const struct one *o, const char *should, struct err *err)
{
    return err_set(
        err, E_INVALID_REQUEST, "'%s' is %s, it should be %s", o->where,
        json_type(o->v) == JSON_NONE ? "missing"
                                     : json_type_name(json_type(o->v)),
        should);
}

static int no_room(struct err *err)
{
    return err_set(err, E_TOO_LARGE,
                   "the inputs need more memory than one request may take");
}

/* v: one input, or a list of them when list is true. */
static int read_items(const struct hf_source *from, bool list, one_fn *fn,
                      struct inputs *ret, struct err *err)
{
    struct json v = from->inputs;
    *ret = (struct inputs){.single = !list};
    int r =
        inputs_new(ret, list ? json_count(v) : 1, from->arena, "inputs", err);
    if (r < 0)
        return r;
    struct one o = {.from = from, .v = v, .where = "inputs", .in = ret};
    if (!list) {
        o.item = &ret->items[0];
        return fn(&o, err);
    }
    size_t i = 0;
    for (struct json_iter it = json_iter(v); r == 0 && json_next(&it); i++) {
        o.v = it.value;
        o.item = &ret->items[i];
        snprintf(o.where, sizeof(o.where), "inputs[%zu]", i);
        r = fn(&o, err);
    }
    return r;
}

static int no_bytes(const struct hf_source *from, struct err *err)
{
    if (!from->raw)
        return 0;
    return err_set(err, E_UNSUPPORTED_TYPE,
                   "this task takes no bytes: its body is a JSON object, with "
                   "the Content-Type application/json");
}

static int read_json(const struct hf_source *from, one_fn *fn,
                     struct inputs *ret, struct err *err)
{
    int r = no_bytes(from, err);
    if (r < 0)
        return r;
    return read_items(from, json_type(from->inputs) == JSON_ARRAY, fn, ret,
                      err);
}

static int add_part(struct one *o, size_t at, struct part p)
{
    o->item->parts[at] = p;
    if (p.kind == PART_TEXT)
        o->in->characters += p.data.n;
    return 0;
}

/* ---- texts -------------------------------------------------------------- */

int hf_read_vectors(const struct hf_source *from, struct inputs *ret,
                    struct err *err)
{
    int r = no_bytes(from, err);
    return r < 0 ? r
                 : inputs_read(from->inputs, "inputs", from->arena, ret, err);
}

int hf_read_similar(const struct hf_source *from, struct inputs *ret,
                    struct err *err)
{
    int r = no_bytes(from, err);
    return r < 0 ? r : inputs_pairs(from->inputs, from->arena, ret, err);
}

static int put_text(struct one *o, size_t at, struct json v, const char *key,
                    const char *role, struct err *err)
{
    struct part p = {.kind = PART_TEXT, .role = str_of(role)};
    if (!json_to_str(v, &p.data))
        return err_set(err, E_INVALID_REQUEST,
                       "'%s' of '%s' is missing or not a string", key,
                       o->where);
    return add_part(o, at, p);
}

static int one_text(struct one *o, struct err *err)
{
    struct part p = {.kind = PART_TEXT};
    if (!json_to_str(o->v, &p.data))
        return wrong(o, "a string", err);
    int r = inputs_parts(o->item, 1, o->from->arena, err);
    return r < 0 ? r : add_part(o, 0, p);
}

int hf_read_texts(const struct hf_source *from, struct inputs *ret,
                  struct err *err)
{
    return read_json(from, one_text, ret, err);
}

static int one_pair(struct one *o, struct err *err)
{
    if (json_type(o->v) == JSON_STRING)
        return one_text(o, err);
    if (json_type(o->v) != JSON_OBJECT)
        return wrong(o, "a string, or an object with 'text' and 'text_pair'",
                     err);
    struct json pair = json_get(o->v, "text_pair");
    bool two = json_type(pair) != JSON_NONE && json_type(pair) != JSON_NULL;
    int r = inputs_parts(o->item, two ? 2 : 1, o->from->arena, err);
    if (r == 0)
        r = put_text(o, 0, json_get(o->v, "text"), "text", "", err);
    if (r == 0 && two)
        r = put_text(o, 1, pair, "text_pair", "pair", err);
    return r;
}

int hf_read_pairs(const struct hf_source *from, struct inputs *ret,
                  struct err *err)
{
    return read_json(from, one_pair, ret, err);
}

static int one_question(struct one *o, struct err *err)
{
    if (json_type(o->v) != JSON_OBJECT)
        return wrong(o, "an object with 'question' and 'context'", err);
    int r = inputs_parts(o->item, 2, o->from->arena, err);
    if (r == 0)
        r = put_text(o, 0, json_get(o->v, "question"), "question", "question",
                     err);
    return r < 0 ? r
                 : put_text(o, 1, json_get(o->v, "context"), "context",
                            "context", err);
}

int hf_read_questions(const struct hf_source *from, struct inputs *ret,
                      struct err *err)
{
    return read_json(from, one_question, ret, err);
}

/* ---- JSON as a text ----------------------------------------------------- */

/* The value's JSON as a text part. */
static int put_json(struct one *o, size_t at, struct json v, const char *key,
                    const char *role, struct err *err)
{
    struct buf out = BUF_MAX(TABLE_BYTES);
    struct jsonw w = jsonw_to(&out);
    struct part p = {.kind = PART_TEXT, .role = str_of(role)};
    int r = json_copy(&w, v, err);
    if (r < 0)
        err_prefix(err, "'%s' of '%s'", key, o->where);
    else if (out.failed)
        r = err_set(err, E_TOO_LARGE, "'%s' of '%s' has more than %d MiB", key,
                    o->where, TABLE_BYTES >> 20);
    else
        p.data = str_n(arena_str(o->from->arena, buf_str(&out)), out.len);
    buf_fini(&out);
    if (r < 0)
        return r;
    return p.data.p ? add_part(o, at, p) : no_room(err);
}

static int one_table(struct one *o, struct err *err)
{
    struct json table = json_get(o->v, "table");
    struct json question = json_get(o->v, "query"); /* huggingface_hub's */
    if (json_type(question) == JSON_NONE)
        question = json_get(o->v, "question");
    if (json_type(table) != JSON_OBJECT)
        return wrong(o,
                     "an object with 'query' and 'table', an object of "
                     "columns",
                     err);
    int r = inputs_parts(o->item, 2, o->from->arena, err);
    if (r == 0)
        r = put_text(o, 0, question, "query", "question", err);
    return r < 0 ? r : put_json(o, 1, table, "table", "table", err);
}

int hf_read_tables(const struct hf_source *from, struct inputs *ret,
                   struct err *err)
{
    return read_json(from, one_table, ret, err);
}

/* ---- bytes -------------------------------------------------------------- */

/* "data:image/png;base64,...": its media type; s becomes what follows. */
static struct str cut_address(struct str *s)
{
    const char *comma = s->n ? memchr(s->p, ',', s->n) : NULL;
    struct str media = {0};
    if (!comma || !str_starts(*s, "data:"))
        return media;
    size_t n = (size_t)(comma - s->p);
    guard_is_bytes(str_n(s->p + 5, n - 5), &media);
    *s = str_n(comma + 1, s->n - n - 1);
    return media;
}

static int put_bytes(struct one *o, size_t at, struct json v, const char *role,
                     struct err *err)
{
    struct str s;
    struct part p = {.kind = PART_BYTES, .role = str_of(role)};
    if (!json_to_str(v, &s))
        return err_set(err, E_INVALID_REQUEST,
                       "'%s' should be bytes in base64, or the body should be "
                       "the bytes themselves with their Content-Type",
                       o->where);
    p.media = cut_address(&s);
    /* A buf over memory of the arena, which it does not outgrow. */
    struct buf out = {.cap = s.n / 4 * 3 + 4, .max = s.n / 4 * 3 + 4};
    out.p = arena_alloc(o->from->arena, out.cap, 1);
    if (!out.p)
        return no_room(err);
    if (base64_decode(&out, s) < 0 || out.len == 0)
        return err_set(err, E_INVALID_REQUEST,
                       "'%s' is empty or not base64, in which images and sound "
                       "come",
                       o->where);
    p.data = buf_str(&out);
    return add_part(o, at, p);
}

static int one_media(struct one *o, struct err *err)
{
    int r = inputs_parts(o->item, 1, o->from->arena, err);
    return r < 0 ? r : put_bytes(o, 0, o->v, "", err);
}

static int raw_media(const struct hf_source *from, struct inputs *ret,
                     struct err *err)
{
    *ret = (struct inputs){.single = true};
    if (from->bytes.n == 0)
        return err_set(err, E_INVALID_REQUEST, "the body is empty");
    int r = inputs_new(ret, 1, from->arena, "inputs", err);
    if (r == 0)
        r = inputs_parts(&ret->items[0], 1, from->arena, err);
    if (r == 0)
        ret->items[0].parts[0] = (struct part){
            .kind = PART_BYTES, .media = from->media, .data = from->bytes};
    return r;
}

int hf_read_media(const struct hf_source *from, struct inputs *ret,
                  struct err *err)
{
    return from->raw ? raw_media(from, ret, err)
                     : read_json(from, one_media, ret, err);
}

static int one_couple(struct one *o, struct err *err)
{
    if (json_type(o->v) != JSON_ARRAY || json_count(o->v) != 2)
        return wrong(o, "a list of two images", err);
    int r = inputs_parts(o->item, 2, o->from->arena, err);
    size_t i = 0;
    for (struct json_iter it = json_iter(o->v); r == 0 && json_next(&it); i++)
        r = put_bytes(o, i, it.value, "", err);
    return r;
}

int hf_read_couples(const struct hf_source *from, struct inputs *ret,
                    struct err *err)
{
    struct json_iter first = json_iter(from->inputs);
    int r = no_bytes(from, err);
    if (r < 0)
        return r;
    bool list = json_type(from->inputs) == JSON_ARRAY && json_next(&first) &&
                json_type(first.value) == JSON_ARRAY;
    return read_items(from, list, one_couple, ret, err);
}

/* Words that have been read already can do without their picture. */
static int one_document(struct one *o, struct err *err)
{
    struct json words = json_get(o->v, "word_boxes");
    if (json_type(words) == JSON_NONE)
        words = json_get(o->from->parameters, "word_boxes");
    struct json image = json_get(o->v, "image");
    bool read = json_type(words) == JSON_ARRAY;
    bool sees = !read || json_type(image) != JSON_NONE;
    size_t n = 0;
    if (json_type(o->v) != JSON_OBJECT)
        return wrong(o, "an object with 'image' and 'question'", err);
    int r = inputs_parts(o->item, (size_t)1 + sees + read, o->from->arena, err);
    if (r == 0 && sees)
        r = put_bytes(o, n++, image, "", err);
    if (r == 0)
        r = put_text(o, n++, json_get(o->v, "question"), "question", "question",
                     err);
    if (r == 0 && read)
        r = put_json(o, n++, words, "word_boxes", "words", err);
    return r;
}

int hf_read_documents(const struct hf_source *from, struct inputs *ret,
                      struct err *err)
{
    return read_json(from, one_document, ret, err);
}

/* One message of the user: what is to be seen, and what is said of it. */
static int one_message(struct one *o, struct err *err)
{
    struct json image = json_get(o->v, "image"), text = json_get(o->v, "text");
    bool sees = json_type(image) != JSON_NONE;
    if (json_type(o->v) == JSON_STRING)
        text = o->v;
    else if (json_type(o->v) != JSON_OBJECT)
        return wrong(o, "an object with 'image' and 'text'", err);
    int r = inputs_parts(o->item, sees ? 2 : 1, o->from->arena, err);
    if (r == 0 && sees)
        r = put_bytes(o, 0, image, "user", err);
    return r < 0 ? r : put_text(o, sees, text, "text", sees ? "" : "user", err);
}

int hf_read_messages(const struct hf_source *from, struct inputs *ret,
                     struct err *err)
{
    return read_json(from, one_message, ret, err);
}
