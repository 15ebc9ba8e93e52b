/* base/str.h - a slice of somebody else's bytes. Not terminated, not owned.
 * (Included by C++ too: no compound literals here.) */
#ifndef BASE_STR_H
#define BASE_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

/* "%.*s" arguments. */
#define STR_FMT(s) (int)(s).n, (s).p

static inline struct str str_of(const char *z)
{
    struct str s = {z, z ? strlen(z) : 0};
    return s;
}
static inline struct str str_n(const void *p, size_t n)
{
    struct str s = {(const char *)p, n};
    return s;
}
static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || !memcmp(a.p, b.p, a.n));
}
static inline bool str_is(struct str a, const char *z)
{
    return str_eq(a, str_of(z));
}
static inline bool str_starts(struct str a, const char *z)
{
    size_t n = strlen(z);
    return a.n >= n && !memcmp(a.p, z, n);
}
static inline bool str_ends(struct str a, const char *z)
{
    size_t n = strlen(z);
    return a.n >= n && !memcmp(a.p + a.n - n, z, n);
}
/* Copies into a terminated buffer; false (and an empty buffer) if it does not
 * fit or holds a NUL. */
static inline bool str_to_z(struct str a, char *buf, size_t size)
{
    bool ok = a.n < size && (a.n == 0 || !memchr(a.p, 0, a.n));
    if (ok && a.n)
        memcpy(buf, a.p, a.n);
    if (size)
        buf[ok ? a.n : 0] = 0;
    return ok;
}

#endif
