/* http/path.c - percent-decoding, once and strictly. */
#include "http/path.h"
#include "base/utf8.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The character at *i, which moves past it; -1 for a bad escape. */
static int next_char(struct str s, size_t *i)
{
    char c = s.p[(*i)++];
    if (c != '%')
        return (unsigned char)c;
    if (s.n - *i < 2)
        return -1;
    int high = hex(s.p[*i]), low = hex(s.p[*i + 1]);
    *i += 2;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool has_dots(struct str path)
{
    for (size_t i = 0; i < path.n;) {
        size_t end = ++i;
        while (end < path.n && path.p[end] != '/')
            end++;
        struct str segment = str_n(path.p + i, end - i);
        if (str_is(segment, ".") || str_is(segment, ".."))
            return true;
        i = end;
    }
    return false;
}

int path_decode(char *raw, size_t n, struct str *ret, struct err *err)
{
    size_t out = 0;
    if (n == 0 || raw[0] != '/')
        return err_set(err, E_INVALID_REQUEST,
                       "a request's target begins with '/'");
    for (size_t i = 0; i < n;) {
        int c = next_char(str_n(raw, n), &i);
        if (c < 0)
            return err_set(err, E_INVALID_REQUEST,
                           "the path holds a '%%' without two hex digits");
        if (c < ' ' || c == 127)
            return err_set(err, E_INVALID_REQUEST,
                           "the path holds a control character");
        raw[out++] = (char)c;
    }
    struct str path = str_n(raw, out);
    if (!utf8_valid(path))
        return err_set(err, E_INVALID_REQUEST, "the path is not UTF-8");
    if (has_dots(path))
        return err_set(err, E_INVALID_REQUEST,
                       "the path holds '.' or '..' as a segment");
    *ret = path;
    return 0;
}

/* Decodes one side of "key=value"; false when it does not fit. */
static bool decode_word(struct str s, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        int c = next_char(s, &i);
        if (c <= 0 || n + 1 >= size)
            return false;
        out[n++] = c == '+' && s.p[i - 1] == '+' ? ' ' : (char)c;
    }
    out[n] = 0;
    return utf8_valid(str_n(out, n));
}

bool path_query(struct str query, const char *key, char *out, size_t size)
{
    for (size_t i = 0; i < query.n;) {
        size_t end = i, mid;
        while (end < query.n && query.p[end] != '&')
            end++;
        for (mid = i; mid < end && query.p[mid] != '=';)
            mid++;
        char name[64];
        if (decode_word(str_n(query.p + i, mid - i), name, sizeof(name)) &&
            !strcmp(name, key)) {
            size_t from = mid < end ? mid + 1 : end;
            return size > 0 &&
                   decode_word(str_n(query.p + from, end - from), out, size);
        }
        i = end + 1;
    }
    return false;
}
