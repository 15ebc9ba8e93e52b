/* base/json.h - reading JSON. simdjson behind a C face.
 *
 * A document owns its text's parsed form; values are small handles into it, to
 * be passed by value, dead when the document is freed. Strings come unescaped,
 * as slices into the document, and may hold NUL. One thread per document.
 * Refused, each with its sentence: more than max_bytes, deeper than max_depth,
 * invalid UTF-8, duplicate keys, anything after the value.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H
#include "base/err.h"
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum json_type {
    JSON_NONE, /* no such key or element: what a failed look-up returns */
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,    /* fits int64 */
    JSON_UINT,   /* above INT64_MAX */
    JSON_DOUBLE, /* has a fraction or an exponent, or is beyond 64 bits */
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_doc;
struct json {
    const void *tape; /* private */
    uint64_t at;
};

/* Takes a copy of what it needs. NULL on failure. */
struct json_doc *json_parse(struct str text, size_t max_bytes, int max_depth,
                            struct err *err) MUST_CHECK;
void json_free(struct json_doc *doc);
struct json json_root(const struct json_doc *doc);

enum json_type json_type(struct json v);
const char *json_type_name(enum json_type t); /* "a string", "an array", ... */

/* Members and elements. Anything missing or of another kind gives JSON_NONE. */
struct json json_get(struct json object, const char *key);
struct json json_get_n(struct json object, struct str key);
size_t json_count(struct json array_or_object);

/* for (struct json_iter it = json_iter(v); json_next(&it);) uses it.key (empty
 * in arrays) and it.value. */
struct json_iter {
    struct json value;
    struct str key;
    struct json next_;
    size_t left_;
    bool object_;
};
struct json_iter json_iter(struct json array_or_object);
bool json_next(struct json_iter *it);

/* Typed getters. The json_to_* return false when the kind or the range is
 * wrong, and then leave *ret as it was. Numbers: integers only from JSON_INT
 * (or a double without a fraction), doubles from any number. */
bool json_to_str(struct json v, struct str *ret);
bool json_to_int(struct json v, int64_t min, int64_t max, int64_t *ret);
bool json_to_double(struct json v, double *ret);
bool json_to_bool(struct json v, bool *ret);

/* For the writer (base/jsonw.h): the shortest text that reads back to the same
 * number, into buf[32]; returns its length. Only C++ has std::to_chars. */
size_t json_print_double(char *buf, double v);
size_t json_print_float(char *buf, float v);

#ifdef __cplusplus
}
#endif
#endif
