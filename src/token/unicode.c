/* token/unicode.c - look-ups in the measured tables, and Hangul by arithmetic.
 */
#include "token/unicode.h"
#include <string.h>

/* Unicode standard, section 3.12: conjoining jamo behaviour. */
enum {
    S_BASE = 0xAC00,
    L_BASE = 0x1100,
    V_BASE = 0x1161,
    T_BASE = 0x11A7,
    L_COUNT = 19,
    V_COUNT = 21,
    T_COUNT = 28,
};

static size_t copy(uint32_t *out, size_t at, size_t n)
{
    memcpy(out, unicode_points + at, n * sizeof(*out));
    return n;
}

size_t unicode_lower(uint32_t cp, uint32_t *out)
{
    const struct unicode_char *u = unicode_get(cp);
    if (u->n_lower)
        return copy(out, u->lower_at, u->n_lower);
    out[0] = (uint32_t)((int32_t)cp + u->lower);
    return 1;
}

static size_t hangul_decompose(uint32_t s, uint32_t *out)
{
    uint32_t t = s % T_COUNT;
    out[0] = L_BASE + s / (V_COUNT * T_COUNT);
    out[1] = V_BASE + s % (V_COUNT * T_COUNT) / T_COUNT;
    out[2] = T_BASE + t;
    return t ? 3 : 2;
}

size_t unicode_decompose(uint32_t cp, bool compatibility, uint32_t *out)
{
    if (unicode_is_hangul(cp))
        return hangul_decompose(cp - S_BASE, out);
    const struct unicode_char *u = unicode_get(cp);
    if (compatibility && u->n_nfkd)
        return copy(out, u->nfkd_at, u->n_nfkd);
    if (!compatibility && u->n_nfd)
        return copy(out, u->nfd_at, u->n_nfd);
    out[0] = cp;
    return 1;
}

static uint32_t hangul_compose(uint32_t a, uint32_t b)
{
    if (a >= L_BASE && a < L_BASE + L_COUNT && b >= V_BASE &&
        b < V_BASE + V_COUNT)
        return S_BASE + ((a - L_BASE) * V_COUNT + (b - V_BASE)) * T_COUNT;
    if (unicode_is_hangul(a) && (a - S_BASE) % T_COUNT == 0 && b > T_BASE &&
        b < T_BASE + T_COUNT)
        return a + (b - T_BASE);
    return 0;
}

uint32_t unicode_compose(uint32_t first, uint32_t second)
{
    size_t lo = 0, hi = unicode_n_pairs;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct unicode_pair *p = &unicode_pairs[mid];
        if (p->first == first && p->second == second)
            return p->composed;
        if (p->first < first || (p->first == first && p->second < second))
            lo = mid + 1;
        else
            hi = mid;
    }
    return hangul_compose(first, second);
}
