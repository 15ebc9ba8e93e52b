/* fuzz/fuzz_json.c - any bytes as JSON, and as the inputs of a job.
 *
 * What was read and written again must read the same.
 */
#include "api/inputs.h"
#include "base/jsonw.h"
#include "fuzz.h"
#include <stdlib.h>

enum { DEPTH = 16 };

static void put_scalar(struct jsonw *w, struct json v)
{
    bool b;
    double d;
    int64_t i;
    struct str s;
    if (json_to_bool(v, &b))
        jsonw_bool(w, b);
    else if (json_type(v) == JSON_INT &&
             json_to_int(v, INT64_MIN, INT64_MAX, &i))
        jsonw_int(w, i);
    else if (json_to_double(v, &d))
        jsonw_double(w, d);
    else if (json_to_str(v, &s))
        jsonw_str(w, s);
    else
        jsonw_null(w);
}

struct level {
    struct json_iter it;
    bool object;
};

static bool open_level(struct jsonw *w, struct level *l, struct json v)
{
    enum json_type t = json_type(v);
    if (t != JSON_OBJECT && t != JSON_ARRAY)
        return false;
    *l = (struct level){json_iter(v), t == JSON_OBJECT};
    if (l->object)
        jsonw_object(w);
    else
        jsonw_array(w);
    return true;
}

static void put(struct jsonw *w, struct json v)
{
    struct level stack[DEPTH + 2];
    int depth = 0;
    if (!open_level(w, &stack[0], v)) {
        put_scalar(w, v);
        return;
    }
    while (depth >= 0) {
        struct level *l = &stack[depth];
        if (!json_next(&l->it)) {
            if (l->object)
                jsonw_end_object(w);
            else
                jsonw_end_array(w);
            depth--;
            continue;
        }
        if (l->object)
            jsonw_key_n(w, l->it.key);
        if (depth + 1 < DEPTH + 2 &&
            open_level(w, &stack[depth + 1], l->it.value))
            depth++;
        else
            put_scalar(w, l->it.value);
    }
}

static void read_inputs(struct json v)
{
    struct err err;
    struct inputs in;
    struct arena a = ARENA_MAX(1 << 20);
    if (inputs_read(v, "inputs", &a, &in, &err) == 0 && in.n == 0)
        abort();
    if (inputs_pairs(v, &a, &in, &err) == 0 && in.items[0].n_parts < 2)
        abort();
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    struct json_doc *doc = json_parse(str_n(data, size), 1 << 20, DEPTH, &err);
    if (!doc)
        return 0;
    struct buf once = BUF_MAX(8 << 20), twice = BUF_MAX(8 << 20);
    struct jsonw w = jsonw_to(&once);
    put(&w, json_root(doc));
    read_inputs(json_root(doc));
    json_free(doc);
    doc = json_parse(buf_str(&once), 8 << 20, DEPTH, &err);
    if (!doc)
        abort();
    w = jsonw_to(&twice);
    put(&w, json_root(doc));
    if (!str_eq(buf_str(&once), buf_str(&twice)))
        abort();
    json_free(doc);
    buf_fini(&once);
    buf_fini(&twice);
    return 0;
}
