/* api/inputs.c - JSON inputs to the items of a job. */
#include "api/inputs.h"
#include "ipc/frame.h"
#include "ipc/task.h"

static int out_of_memory(struct err *err)
{
    return err_set(err, E_TOO_LARGE,
                   "the inputs need more memory than one request may take");
}

int inputs_new(struct inputs *in, size_t n, struct arena *a, const char *key,
               struct err *err)
{
    if (n == 0)
        return err_set(err, E_INVALID_REQUEST, "'%s' is empty", key);
    if (n > FRAME_ITEMS_MAX)
        return err_set(err, E_INVALID_REQUEST,
                       "'%s' has %zu elements, at most %d are taken at once",
                       key, n, FRAME_ITEMS_MAX);
    in->items = arena_alloc(a, n, sizeof(*in->items));
    if (!in->items)
        return out_of_memory(err);
    in->n = n;
    return 0;
}

int inputs_parts(struct item *item, size_t n, struct arena *a, struct err *err)
{
    item->parts = arena_alloc(a, n, sizeof(*item->parts));
    if (!item->parts)
        return out_of_memory(err);
    item->n_parts = n;
    return 0;
}

static int set_text(struct item *item, struct str text, struct arena *a,
                    struct err *err)
{
    int r = inputs_parts(item, 1, a, err);
    if (r == 0)
        item->parts[0] = (struct part){.kind = PART_TEXT, .data = text};
    return r;
}

static int set_tokens(struct item *item, struct json list, const char *key,
                      struct arena *a, struct err *err)
{
    size_t n = json_count(list), i = 0;
    if (n == 0)
        return err_set(err, E_INVALID_REQUEST,
                       "'%s' holds an empty list of tokens", key);
    unsigned char *ids = arena_alloc(a, n, 4);
    if (!ids)
        return out_of_memory(err);
    for (struct json_iter it = json_iter(list); json_next(&it); i++) {
        int64_t id;
        if (!json_to_int(it.value, 0, UINT32_MAX, &id))
            return err_set(err, E_INVALID_REQUEST,
                           "'%s' holds %s among its token ids, which are whole "
                           "numbers from 0 to %u",
                           key, json_type_name(json_type(it.value)),
                           UINT32_MAX);
        for (int b = 0; b < 4; b++)
            ids[4 * i + (size_t)b] = (unsigned char)((uint64_t)id >> 8 * b);
    }
    int r = inputs_parts(item, 1, a, err);
    if (r == 0)
        item->parts[0] =
            (struct part){.kind = PART_TOKENS, .data = str_n(ids, 4 * n)};
    return r;
}

static int set_one(struct inputs *in, size_t i, struct json v, const char *key,
                   struct arena *a, struct err *err)
{
    struct str text;
    if (json_to_str(v, &text)) {
        in->characters += text.n;
        return set_text(&in->items[i], text, a, err);
    }
    if (json_type(v) == JSON_ARRAY)
        return set_tokens(&in->items[i], v, key, a, err);
    return err_set(err, E_INVALID_REQUEST,
                   "'%s[%zu]' is %s, it should be a string or a list of token "
                   "ids",
                   key, i, json_type_name(json_type(v)));
}

static bool is_number(struct json v)
{
    enum json_type t = json_type(v);
    return t == JSON_INT || t == JSON_UINT || t == JSON_DOUBLE;
}

/* A list: of token ids when its first element is a number. */
static int read_list(struct json v, const char *key, struct arena *a,
                     struct inputs *in, struct err *err)
{
    struct json_iter first = json_iter(v);
    int r;
    if (json_next(&first) && is_number(first.value)) {
        in->single = true;
        r = inputs_new(in, 1, a, key, err);
        return r < 0 ? r : set_tokens(&in->items[0], v, key, a, err);
    }
    r = inputs_new(in, json_count(v), a, key, err);
    size_t i = 0;
    for (struct json_iter it = json_iter(v); r == 0 && json_next(&it); i++)
        r = set_one(in, i, it.value, key, a, err);
    return r;
}

int inputs_read(struct json v, const char *key, struct arena *a,
                struct inputs *ret, struct err *err)
{
    *ret = (struct inputs){0};
    if (json_type(v) == JSON_STRING)
        return inputs_text(v, key, a, ret, err);
    if (json_type(v) == JSON_ARRAY)
        return read_list(v, key, a, ret, err);
    if (json_type(v) == JSON_NONE)
        return err_set(err, E_INVALID_REQUEST, "'%s' is missing", key);
    return err_set(err, E_INVALID_REQUEST,
                   "'%s' is %s, it should be a string, a list of strings, or "
                   "token ids",
                   key, json_type_name(json_type(v)));
}

int inputs_text(struct json v, const char *key, struct arena *a,
                struct inputs *ret, struct err *err)
{
    struct str text;
    *ret = (struct inputs){.single = true};
    if (!json_to_str(v, &text))
        return err_set(err, E_INVALID_REQUEST,
                       "'%s' is %s, it should be a string", key,
                       json_type_name(json_type(v)));
    int r = inputs_new(ret, 1, a, key, err);
    ret->characters = text.n;
    return r < 0 ? r : set_text(&ret->items[0], text, a, err);
}

/* The next item: its source, and as many of the sentences as fit. */
static int set_pairs(struct item *item, struct str source, size_t n,
                     struct json_iter *it, struct arena *a, struct err *err)
{
    int r = inputs_parts(item, n + 1, a, err);
    if (r < 0)
        return r;
    item->parts[0] = (struct part){
        .kind = PART_TEXT, .role = str_of("source"), .data = source};
    for (size_t i = 1; i <= n && json_next(it); i++) {
        struct part p = {.kind = PART_TEXT, .role = str_of("sentence")};
        if (!json_to_str(it->value, &p.data))
            return err_set(err, E_INVALID_REQUEST,
                           "'sentences' holds %s, it should hold strings",
                           json_type_name(json_type(it->value)));
        item->parts[i] = p;
    }
    return 0;
}

int inputs_pairs(struct json v, struct arena *a, struct inputs *ret,
                 struct err *err)
{
    enum { AT_ONCE = TASK_PAIRS_MAX - 1 };
    struct str source;
    struct json list = json_get(v, "sentences");
    *ret = (struct inputs){0};
    if (!json_to_str(json_get(v, "source_sentence"), &source))
        return err_set(err, E_INVALID_REQUEST,
                       "'source_sentence' is missing or not a string");
    if (json_type(list) != JSON_ARRAY)
        return err_set(err, E_INVALID_REQUEST,
                       "'sentences' is missing or not a list");
    size_t all = json_count(list);
    int r = inputs_new(ret, (all + AT_ONCE - 1) / AT_ONCE, a, "sentences", err);
    struct json_iter it = json_iter(list);
    for (size_t i = 0; r == 0 && i < ret->n; i++) {
        size_t left = all - i * AT_ONCE;
        r = set_pairs(&ret->items[i], source, left < AT_ONCE ? left : AT_ONCE,
                      &it, a, err);
    }
    return r;
}

int inputs_dimensions(struct json body, struct wire_map *m, struct err *err)
{
    int64_t n;
    struct json v = json_get(body, "dimensions");
    if (json_type(v) == JSON_NONE || json_type(v) == JSON_NULL)
        return 0;
    if (!json_to_int(v, 1, INT32_MAX, &n))
        return err_set(err, E_INVALID_REQUEST,
                       "'dimensions' should be a whole number above 0");
    wire_kuint(m, "dimensions", (uint64_t)n);
    return 0;
}
