/* base/jsonw.c - writing JSON into a buf, in one pass. */
#include "base/jsonw.h"
#include "base/json.h"
#include "base/utf8.h"
#include <math.h>
#include <stdio.h>

enum { NUMBER_MAX = 32 };

static void before(struct jsonw *w)
{
    if (w->comma)
        buf_putc(w->out, ',');
    w->comma = true;
}

static void open_with(struct jsonw *w, char c)
{
    before(w);
    buf_putc(w->out, c);
    w->comma = false;
}

static void close_with(struct jsonw *w, char c)
{
    buf_putc(w->out, c);
    w->comma = true;
}

void jsonw_object(struct jsonw *w)
{
    open_with(w, '{');
}

void jsonw_end_object(struct jsonw *w)
{
    close_with(w, '}');
}

void jsonw_array(struct jsonw *w)
{
    open_with(w, '[');
}

void jsonw_end_array(struct jsonw *w)
{
    close_with(w, ']');
}

static void escape(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        buf_puts(out, "\\\"");
        break;
    case '\\':
        buf_puts(out, "\\\\");
        break;
    case '\n':
        buf_puts(out, "\\n");
        break;
    case '\t':
        buf_puts(out, "\\t");
        break;
    case '\r':
        buf_puts(out, "\\r");
        break;
    default:
        buf_addf(out, "\\u%04x", c);
    }
}

static void quoted(struct buf *out, struct str s)
{
    size_t from = 0, i = 0;
    buf_putc(out, '"');
    while (i < s.n) {
        unsigned char c = (unsigned char)s.p[i];
        uint32_t cp;
        size_t len = c < 0x80 ? 1 : utf8_decode(s.p + i, s.n - i, &cp);
        if (len && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            i += len;
            continue;
        }
        buf_add(out, s.p + from, i - from);
        if (len)
            escape(out, c);
        else
            buf_puts(out, "\xEF\xBF\xBD");
        from = ++i;
    }
    buf_add(out, s.p + from, i - from);
    buf_putc(out, '"');
}

void jsonw_key_n(struct jsonw *w, struct str key)
{
    before(w);
    quoted(w->out, key);
    buf_putc(w->out, ':');
    w->comma = false;
}

void jsonw_key(struct jsonw *w, const char *key)
{
    jsonw_key_n(w, str_of(key));
}

void jsonw_str(struct jsonw *w, struct str s)
{
    before(w);
    quoted(w->out, s);
}

void jsonw_z(struct jsonw *w, const char *z)
{
    if (z)
        jsonw_str(w, str_of(z));
    else
        jsonw_null(w);
}

void jsonw_raw(struct jsonw *w, struct str json)
{
    before(w);
    buf_add(w->out, json.p, json.n);
}

void jsonw_int(struct jsonw *w, int64_t v)
{
    char text[NUMBER_MAX];
    int n = snprintf(text, sizeof(text), "%lld", (long long)v);
    jsonw_raw(w, str_n(text, (size_t)n));
}

void jsonw_uint(struct jsonw *w, uint64_t v)
{
    char text[NUMBER_MAX];
    int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
    jsonw_raw(w, str_n(text, (size_t)n));
}

/* What looks like an integer beyond 64 bits is no number to many readers, ours
 * among them; and -0 is 0 to those that read it as an integer. */
static void put_number(struct jsonw *w, char *text, size_t n, double v)
{
    bool whole = fabs(v) >= 0x1p63 || (v == 0 && signbit(v));
    if (whole && !memchr(text, 'e', n)) {
        text[n++] = '.';
        text[n++] = '0';
    }
    jsonw_raw(w, str_n(text, n));
}

void jsonw_double(struct jsonw *w, double v)
{
    char text[NUMBER_MAX];
    if (!isfinite(v))
        jsonw_null(w);
    else
        put_number(w, text, json_print_double(text, v), v);
}

void jsonw_float(struct jsonw *w, float v)
{
    char text[NUMBER_MAX];
    if (!isfinite(v))
        jsonw_null(w);
    else
        put_number(w, text, json_print_float(text, v), (double)v);
}

void jsonw_floats(struct jsonw *w, const float *v, size_t n)
{
    jsonw_array(w);
    for (size_t i = 0; i < n; i++)
        jsonw_float(w, v[i]);
    jsonw_end_array(w);
}

void jsonw_bool(struct jsonw *w, bool v)
{
    jsonw_raw(w, str_of(v ? "true" : "false"));
}

void jsonw_null(struct jsonw *w)
{
    jsonw_raw(w, str_of("null"));
}

void jsonw_kz(struct jsonw *w, const char *key, const char *z)
{
    jsonw_key(w, key);
    jsonw_z(w, z);
}

void jsonw_kstr(struct jsonw *w, const char *key, struct str s)
{
    jsonw_key(w, key);
    jsonw_str(w, s);
}

void jsonw_kint(struct jsonw *w, const char *key, int64_t v)
{
    jsonw_key(w, key);
    jsonw_int(w, v);
}

void jsonw_kuint(struct jsonw *w, const char *key, uint64_t v)
{
    jsonw_key(w, key);
    jsonw_uint(w, v);
}

void jsonw_kdouble(struct jsonw *w, const char *key, double v)
{
    jsonw_key(w, key);
    jsonw_double(w, v);
}

void jsonw_kbool(struct jsonw *w, const char *key, bool v)
{
    jsonw_key(w, key);
    jsonw_bool(w, v);
}
