/* pipeline/value.c - parameters and results as a tree in an arena. */
#include "pipeline/value.h"

const char *value_kind_name(enum value_kind kind)
{
    static const char *const names[] = {"nothing",  "true or false", "a number",
                                        "a number", "text",          "a list",
                                        "a map"};
    return names[kind];
}

struct value *value_new(struct arena *a, enum value_kind kind)
{
    struct value *v = arena_alloc(a, 1, sizeof(*v));
    if (v)
        v->kind = kind;
    return v;
}

struct value *value_add(struct arena *a, struct value *parent, struct str key,
                        enum value_kind kind)
{
    struct value *v = value_new(a, kind);
    if (!v)
        return NULL;
    v->key = key;
    if (parent->last)
        parent->last->next = v;
    else
        parent->first = v;
    parent->last = v;
    parent->count++;
    return v;
}

bool value_add_bool(struct arena *a, struct value *parent, const char *key,
                    bool b)
{
    struct value *v = value_add(a, parent, str_of(key), VALUE_BOOL);
    if (v)
        v->b = b;
    return v;
}

bool value_add_int(struct arena *a, struct value *parent, const char *key,
                   int64_t i)
{
    struct value *v = value_add(a, parent, str_of(key), VALUE_INT);
    if (v)
        v->i = i;
    return v;
}

bool value_add_float(struct arena *a, struct value *parent, const char *key,
                     double f)
{
    struct value *v = value_add(a, parent, str_of(key), VALUE_FLOAT);
    if (v)
        v->f = f;
    return v;
}

bool value_add_text(struct arena *a, struct value *parent, const char *key,
                    struct str s)
{
    char *copy = arena_str(a, s);
    struct value *v =
        copy ? value_add(a, parent, str_of(key), VALUE_TEXT) : NULL;
    if (v)
        v->s = str_n(copy, s.n);
    return v;
}

const struct value *value_get(const struct value *map, const char *key)
{
    if (!map || map->kind != VALUE_MAP)
        return NULL;
    for (const struct value *v = map->first; v; v = v->next)
        if (str_is(v->key, key))
            return v;
    return NULL;
}
