/* base/base64.c - RFC 4648, with padding. */
#include "base/base64.h"
#include <errno.h>

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(struct buf *out, const void *p, size_t n)
{
    const unsigned char *s = p;
    char *to = buf_room(out, (n + 2) / 3 * 4);
    if (!to)
        return out->failed;
    out->len += (n + 2) / 3 * 4;
    for (size_t i = 0; i < n; i += 3, to += 4) {
        unsigned v = (unsigned)s[i] << 16;
        if (i + 1 < n)
            v |= (unsigned)s[i + 1] << 8;
        if (i + 2 < n)
            v |= s[i + 2];
        to[0] = digits[v >> 18];
        to[1] = digits[v >> 12 & 63];
        to[2] = i + 1 < n ? digits[v >> 6 & 63] : '=';
        to[3] = i + 2 < n ? digits[v & 63] : '=';
    }
    return 0;
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct buf *out, struct str text)
{
    size_t n = text.n;
    for (int i = 0; i < 2 && n > 0 && n % 4 == (size_t)(-i & 3); i++)
        n -= text.p[n - 1] == '=';
    if (n % 4 == 1)
        return -EINVAL;
    unsigned char *to = buf_room(out, n / 4 * 3 + 2);
    if (!to)
        return out->failed;
    unsigned v = 0, bits = 0;
    size_t made = 0;
    for (size_t i = 0; i < n; i++) {
        int d = value_of(text.p[i]);
        if (d < 0)
            return -EINVAL;
        v = v << 6 | (unsigned)d;
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        to[made++] = (unsigned char)(v >> bits);
        v &= (1u << bits) - 1;
    }
    out->len += made;
    return 0;
}
