/* api/jsonwire.c - a client's JSON as the tree of a frame, or as JSON again.
 * The parser has bounded its depth: the way back up is a fixed stack. */
#include "api/infer.h"

enum { LEVELS = WIRE_DEPTH_MAX - 4 }; /* what stands around it in a frame */

static bool is_container(struct json v)
{
    return json_type(v) == JSON_ARRAY || json_type(v) == JSON_OBJECT;
}

static void put_scalar(struct buf *out, struct json v)
{
    int64_t i;
    double d;
    bool b;
    struct str s;
    if (json_to_str(v, &s))
        wire_put_text(out, s);
    else if (json_to_bool(v, &b))
        wire_put_bool(out, b);
    else if (json_type(v) == JSON_INT &&
             json_to_int(v, INT64_MIN, INT64_MAX, &i))
        wire_put_int(out, i);
    else if (json_to_double(v, &d))
        wire_put_float(out, d);
    else
        wire_put_null(out);
}

static void open_tree(struct buf *out, struct json v)
{
    if (json_type(v) == JSON_OBJECT)
        wire_put_map(out, json_count(v));
    else
        wire_put_array(out, json_count(v));
}

int json_wire(struct buf *out, struct json v, struct err *err)
{
    struct json_iter stack[LEVELS];
    int depth = 0;
    if (!is_container(v)) {
        put_scalar(out, v);
        return 0;
    }
    open_tree(out, v);
    stack[depth++] = json_iter(v);
    while (depth > 0) {
        struct json_iter *it = &stack[depth - 1];
        if (!json_next(it)) {
            depth--;
            continue;
        }
        if (it->object_)
            wire_put_text(out, it->key);
        if (!is_container(it->value)) {
            put_scalar(out, it->value);
            continue;
        }
        if (depth == LEVELS)
            return err_set(err, E_INVALID_REQUEST,
                           "it is nested deeper than %d levels", LEVELS);
        open_tree(out, it->value);
        struct json child = it->value;
        stack[depth++] = json_iter(child);
    }
    return 0;
}

/* ---- and as JSON again -------------------------------------------------- */

static void copy_scalar(struct jsonw *w, struct json v)
{
    int64_t i;
    double d;
    bool b;
    struct str s;
    if (json_to_str(v, &s))
        jsonw_str(w, s);
    else if (json_to_bool(v, &b))
        jsonw_bool(w, b);
    else if (json_type(v) == JSON_INT &&
             json_to_int(v, INT64_MIN, INT64_MAX, &i))
        jsonw_int(w, i);
    else if (json_to_double(v, &d))
        jsonw_double(w, d);
    else
        jsonw_null(w);
}

static void open_copy(struct jsonw *w, struct json v)
{
    if (json_type(v) == JSON_OBJECT)
        jsonw_object(w);
    else
        jsonw_array(w);
}

int json_copy(struct jsonw *w, struct json v, struct err *err)
{
    struct json_iter stack[LEVELS];
    int depth = 0;
    if (!is_container(v)) {
        copy_scalar(w, v);
        return 0;
    }
    open_copy(w, v);
    stack[depth++] = json_iter(v);
    while (depth > 0) {
        struct json_iter *it = &stack[depth - 1];
        if (!json_next(it)) {
            if (it->object_)
                jsonw_end_object(w);
            else
                jsonw_end_array(w);
            depth--;
            continue;
        }
        if (it->object_)
            jsonw_key_n(w, it->key);
        if (!is_container(it->value)) {
            copy_scalar(w, it->value);
            continue;
        }
        if (depth == LEVELS)
            return err_set(err, E_INVALID_REQUEST,
                           "it is nested deeper than %d levels", LEVELS);
        open_copy(w, it->value);
        struct json child = it->value;
        stack[depth++] = json_iter(child);
    }
    return 0;
}
