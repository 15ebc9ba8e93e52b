/* base/utf8.c - code points in and out of UTF-8. */
#include "base/utf8.h"

static uint32_t tail(const char *p, size_t i)
{
    return (unsigned char)p[i] & 0x3Fu;
}

static bool tails(const char *p, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (((unsigned char)p[i] & 0xC0) != 0x80)
            return false;
    return true;
}

size_t utf8_decode(const char *p, size_t n, uint32_t *ret)
{
    if (n == 0)
        return 0;
    unsigned char c = (unsigned char)p[0];
    size_t len = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (len == 0 || c > 0xF4 || len > n || !tails(p, len))
        return 0;
    uint32_t cp = c;
    if (len == 2)
        cp = (c & 0x1Fu) << 6 | tail(p, 1);
    else if (len == 3)
        cp = (c & 0x0Fu) << 12 | tail(p, 1) << 6 | tail(p, 2);
    else if (len == 4)
        cp =
            (c & 0x07u) << 18 | tail(p, 1) << 12 | tail(p, 2) << 6 | tail(p, 3);
    if (len == 3 && (cp < 0x800 || (cp >= 0xD800 && cp <= 0xDFFF)))
        return 0;
    if (len == 4 && (cp < 0x10000 || cp > 0x10FFFF))
        return 0;
    *ret = cp;
    return len;
}

size_t utf8_encode(uint32_t cp, char *p)
{
    if (cp < 0x80) {
        p[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        p[0] = (char)(0xC0 | cp >> 6);
        p[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        p[0] = (char)(0xE0 | cp >> 12);
        p[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        p[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    p[0] = (char)(0xF0 | cp >> 18);
    p[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    p[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    p[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

/* How many of the bytes from i on are ASCII, in steps of eight. */
static size_t ascii_ahead(struct str s, size_t i)
{
    uint64_t eight;
    size_t n = 0;
    for (; i + n + sizeof(eight) <= s.n; n += sizeof(eight)) {
        memcpy(&eight, s.p + i + n, sizeof(eight));
        if (eight & UINT64_C(0x8080808080808080))
            break;
    }
    return n;
}

bool utf8_valid(struct str s)
{
    size_t i = 0;
    while ((i += ascii_ahead(s, i)) < s.n) {
        uint32_t cp;
        size_t len = (unsigned char)s.p[i] < 0x80
                         ? 1
                         : utf8_decode(s.p + i, s.n - i, &cp);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}
