/* base/size.h - arithmetic on sizes that came from outside. */
#ifndef BASE_SIZE_H
#define BASE_SIZE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False on overflow, and *ret is then untouched. */
static inline bool size_mul(size_t a, size_t b, size_t *ret)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *ret = r;
    return true;
}
static inline bool size_add(size_t a, size_t b, size_t *ret)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *ret = r;
    return true;
}
static inline size_t size_round(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

#endif
