/* pipeline/value.h - parameters that come in, results that go out: a tree.
 *
 * Everything lives in an arena, the caller's. A builder returns NULL, or leaves
 * the tree without the new child and says so, when the arena is full.
 */
#ifndef PIPELINE_VALUE_H
#define PIPELINE_VALUE_H
#include "base/arena.h"
#include <stdint.h>

enum value_kind {
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_TEXT,
    VALUE_LIST,
    VALUE_MAP,
};

struct value {
    enum value_kind kind;
    struct str key; /* of a member of a map */
    union {
        bool b;
        int64_t i;
        double f;
        struct str s;
        struct {
            struct value *first, *last;
            size_t count;
        };
    };
    struct value *next; /* the next child of the same parent */
};

const char *value_kind_name(enum value_kind kind); /* "a number", "a list" */

struct value *value_new(struct arena *a, enum value_kind kind) MUST_CHECK;
/* A new last child; key is kept, not copied (empty in a list). */
struct value *value_add(struct arena *a, struct value *parent, struct str key,
                        enum value_kind kind) MUST_CHECK;
/* The same with its contents; text is copied. False: out of memory. */
bool value_add_bool(struct arena *a, struct value *parent, const char *key,
                    bool b) MUST_CHECK;
bool value_add_int(struct arena *a, struct value *parent, const char *key,
                   int64_t i) MUST_CHECK;
bool value_add_float(struct arena *a, struct value *parent, const char *key,
                     double f) MUST_CHECK;
bool value_add_text(struct arena *a, struct value *parent, const char *key,
                    struct str s) MUST_CHECK;

/* A member of a map, or NULL (also when map is NULL or none). */
const struct value *value_get(const struct value *map, const char *key);

#endif
