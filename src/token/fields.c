/* token/fields.c - typed fields of JSON objects. */
#include "token/fields.h"
#include <inttypes.h>
#include <stdio.h>

enum { VALUE_MAX = 64 };

struct place place_in(const struct place *at, const char *key, int64_t index)
{
    struct place p = {.file = at->file};
    const char *dot = at->path[0] && key[0] ? "." : "";
    if (index < 0)
        snprintf(p.path, sizeof(p.path), "%.100s%s%.50s", at->path, dot, key);
    else
        snprintf(p.path, sizeof(p.path), "%.80s%s%.50s[%" PRId64 "]", at->path,
                 dot, key, index);
    return p;
}

/* How much of a string a sentence shows; never half a code point. */
static int shown(struct str s)
{
    size_t n = s.n < 40 ? s.n : 40;
    while (n && n < s.n && ((unsigned char)s.p[n] & 0xC0) == 0x80)
        n--;
    return (int)n;
}

/* A value as a sentence shows it: short ones as they are. */
static const char *show(struct json v, char out[VALUE_MAX])
{
    struct str s;
    int64_t i;
    double d;
    bool b;
    if (json_type(v) == JSON_NONE)
        snprintf(out, VALUE_MAX, "missing");
    else if (json_to_str(v, &s))
        snprintf(out, VALUE_MAX, "\"%.*s%s\"", shown(s), s.p,
                 (size_t)shown(s) < s.n ? "..." : "");
    else if (json_to_int(v, INT64_MIN, INT64_MAX, &i))
        snprintf(out, VALUE_MAX, "%" PRId64, i);
    else if (json_to_double(v, &d))
        snprintf(out, VALUE_MAX, "%g", d);
    else if (json_to_bool(v, &b))
        snprintf(out, VALUE_MAX, "%s", b ? "true" : "false");
    else
        snprintf(out, VALUE_MAX, "%s", json_type_name(json_type(v)));
    return out;
}

int field_bad(const struct place *at, const char *key, struct json v,
              const char *must, struct err *err)
{
    char value[VALUE_MAX];
    struct place p = place_in(at, key, -1);
    return err_set(err, E_DAMAGED_FILE, "%s: %s is %s; it must be %s", p.file,
                   p.path[0] ? p.path : "the whole", show(v, value), must);
}

int field_unknown(const struct place *at, const char *key, struct json v,
                  const char *known, struct err *err)
{
    char value[VALUE_MAX];
    struct place p = place_in(at, key, -1);
    return err_set(err, E_UNSUPPORTED_OPTION,
                   "%s: %s is %s, which berth does not know; it knows %s",
                   p.file, p.path, show(v, value), known);
}

static bool absent(struct json v)
{
    return json_type(v) == JSON_NONE || json_type(v) == JSON_NULL;
}

int field_bool(struct json object, const char *key, enum field_need need,
               const struct place *at, bool *ret, struct err *err)
{
    struct json v = json_get(object, key);
    if ((need == FIELD_OPTIONAL && absent(v)) || json_to_bool(v, ret))
        return 0;
    return field_bad(at, key, v, "true or false", err);
}

int field_str(struct json object, const char *key, enum field_need need,
              const struct place *at, struct str *ret, struct err *err)
{
    struct json v = json_get(object, key);
    if ((need == FIELD_OPTIONAL && absent(v)) || json_to_str(v, ret))
        return 0;
    return field_bad(at, key, v, "a string", err);
}

int field_int(struct json object, const char *key, enum field_need need,
              int64_t min, int64_t max, const struct place *at, int64_t *ret,
              struct err *err)
{
    struct json v = json_get(object, key);
    if ((need == FIELD_OPTIONAL && absent(v)) || json_to_int(v, min, max, ret))
        return 0;
    char must[VALUE_MAX];
    snprintf(must, sizeof(must), "an integer from %" PRId64 " to %" PRId64, min,
             max);
    return field_bad(at, key, v, must, err);
}

int field_of(struct json object, const char *key, enum json_type type,
             enum field_need need, const struct place *at, struct json *ret,
             struct err *err)
{
    struct json v = json_get(object, key);
    *ret = (struct json){0};
    if (need == FIELD_OPTIONAL && absent(v))
        return 0;
    if (json_type(v) != type)
        return field_bad(at, key, v, json_type_name(type), err);
    *ret = v;
    return 0;
}
