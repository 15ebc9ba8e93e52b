/* base/jsonw.h - writing JSON into a buf, in one pass.
 *
 * Commas are the writer's business. Strings are escaped; invalid UTF-8 becomes
 * U+FFFD. Floats are the shortest text that reads back to the same value
 * (std::to_chars); NaN and infinity are written as null. Look at buf.failed at
 * the end.
 */
#ifndef BASE_JSONW_H
#define BASE_JSONW_H
#include "base/buf.h"
#include <stdbool.h>

struct jsonw {
    struct buf *out;
    bool comma; /* the next value needs one before it */
};

static inline struct jsonw jsonw_to(struct buf *out)
{
    return (struct jsonw){.out = out};
}

void jsonw_object(struct jsonw *w);
void jsonw_end_object(struct jsonw *w);
void jsonw_array(struct jsonw *w);
void jsonw_end_array(struct jsonw *w);
void jsonw_key(struct jsonw *w, const char *key);
void jsonw_key_n(struct jsonw *w, struct str key);

void jsonw_str(struct jsonw *w, struct str s);
void jsonw_z(struct jsonw *w, const char *z); /* NULL is written as null */
void jsonw_int(struct jsonw *w, int64_t v);
void jsonw_uint(struct jsonw *w, uint64_t v);
void jsonw_double(struct jsonw *w, double v);
void jsonw_float(struct jsonw *w, float v);
void jsonw_floats(struct jsonw *w, const float *v, size_t n); /* an array */
void jsonw_bool(struct jsonw *w, bool v);
void jsonw_null(struct jsonw *w);
void jsonw_raw(struct jsonw *w, struct str json); /* a value, as it is */

/* Key and value in one call. */
void jsonw_kz(struct jsonw *w, const char *key, const char *z);
void jsonw_kstr(struct jsonw *w, const char *key, struct str s);
void jsonw_kint(struct jsonw *w, const char *key, int64_t v);
void jsonw_kuint(struct jsonw *w, const char *key, uint64_t v);
void jsonw_kdouble(struct jsonw *w, const char *key, double v);
void jsonw_kbool(struct jsonw *w, const char *key, bool v);

#endif
