/* base/base64.c - RFC 4648, with padding. */
#include "base/base64.h"

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
