/* cli/human.c - numbers and text for people to read. */
#include "cli/human.h"
#include "base/utf8.h"
#include <stdio.h>
#include <wchar.h>

char *human_bytes(char *buf, uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    double v = (double)bytes;
    size_t u = 0;
    while (v >= 999.95 && u + 1 < ARRAY_LEN(units)) {
        v /= 1000;
        u++;
    }
    snprintf(buf, HUMAN_TEXT, u ? "%.1f %s" : "%.0f %s", v, units[u]);
    return buf;
}

char *human_count(char *buf, uint64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
    char *to = buf;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = 0;
    return buf;
}

char *human_span(char *buf, uint64_t ms)
{
    unsigned long long s = ms / 1000;
    if (ms < 1000)
        snprintf(buf, HUMAN_TEXT, "%d ms", (int)ms);
    else if (s < 60)
        snprintf(buf, HUMAN_TEXT, "%llu s", s);
    else if (s < 3600)
        snprintf(buf, HUMAN_TEXT, "%llu min %llu s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(buf, HUMAN_TEXT, "%llu h %llu min", s / 3600, s / 60 % 60);
    else
        snprintf(buf, HUMAN_TEXT, "%llu d %llu h", s / 86400, s / 3600 % 24);
    return buf;
}

static bool steers(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) ||
           (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
}

void human_clean(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n;) {
        uint32_t cp = 0;
        size_t n = utf8_decode(text.p + i, text.n - i, &cp);
        if (!n || steers(cp))
            buf_putc(out, '?');
        else
            buf_add(out, text.p + i, n);
        i += n ? n : 1;
    }
}

static size_t columns(uint32_t cp)
{
    int w = wcwidth((wchar_t)cp);
    return w < 0 ? 1 : (size_t)w; /* -1: this locale does not know it */
}

void human_clean_lines(struct buf *out, struct str text)
{
    while (text.n) {
        size_t n = 0;
        while (n < text.n && text.p[n] != '\n' && text.p[n] != '\t')
            n++;
        human_clean(out, str_n(text.p, n));
        if (n < text.n)
            buf_putc(out, text.p[n++]);
        text = str_n(text.p + n, text.n - n);
    }
}

size_t human_width(struct str text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.n;) {
        uint32_t cp = 0;
        size_t n = utf8_decode(text.p + i, text.n - i, &cp);
        width += n ? columns(cp) : 1;
        i += n ? n : 1;
    }
    return width;
}

size_t human_fit(struct str text, size_t width)
{
    size_t i = 0;
    while (i < text.n) {
        uint32_t cp = 0;
        size_t n = utf8_decode(text.p + i, text.n - i, &cp);
        size_t w = n ? columns(cp) : 1;
        if (w > width)
            break;
        width -= w;
        i += n ? n : 1;
    }
    return i;
}
