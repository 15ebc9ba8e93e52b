/* token/text.c - texts with alignments. */
#include "token/text.h"
#include "base/utf8.h"
#include <errno.h>
#include <stdlib.h>

void text_fini(struct text *t)
{
    free(t->p);
    free(t->start);
    free(t->end);
    *t = (struct text){0};
}

static int grow(void **p, size_t n, size_t size)
{
    void *q = realloc(*p, n * size);
    if (q)
        *p = q;
    return q ? 0 : -ENOMEM;
}

static int reserve(struct text *t, size_t n)
{
    if (n > TEXT_MAX)
        return -E2BIG;
    size_t cap = n < 256 ? 256 : n + n / 2;
    int r = 0;
    if (n > t->cap) {
        r = grow((void **)&t->p, cap, 1);
        t->cap = r ? t->cap : cap;
    }
    if (!r && t->aligned && n > t->align_cap) {
        r = grow((void **)&t->start, cap, sizeof(*t->start));
        if (!r)
            r = grow((void **)&t->end, cap, sizeof(*t->end));
        t->align_cap = r ? t->align_cap : cap;
    }
    return r;
}

int text_room(struct text *t, size_t n, bool aligned)
{
    t->aligned = aligned;
    return reserve(t, n);
}

int text_set(struct text *t, struct str s, bool aligned, uint32_t first)
{
    t->n = 0;
    int r = text_room(t, s.n, aligned);
    if (r)
        return r;
    if (s.n)
        memcpy(t->p, s.p, s.n);
    t->n = s.n;
    for (size_t i = 0; aligned && i < s.n; i++) {
        first += i > 0 && ((unsigned char)s.p[i] & 0xC0) != 0x80;
        t->start[i] = first;
        t->end[i] = first + 1;
    }
    return 0;
}

size_t text_count(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

struct rewrite rewrite_begin(const struct text *in, struct text *out)
{
    out->n = 0;
    out->aligned = in->aligned;
    return (struct rewrite){.in = in, .out = out};
}

bool rewrite_peek(const struct rewrite *w, uint32_t *ret)
{
    if (w->at >= w->in->n)
        return false;
    text_next(w->in->p + w->at, ret);
    return true;
}

/* cp, aligned as byte `like` of the input. */
static void put(struct rewrite *w, uint32_t cp, size_t like)
{
    struct text *out = w->out;
    if (!w->failed && out->n + 4 > out->cap)
        w->failed = reserve(out, out->n + 4);
    if (!w->failed && out->aligned && out->n + 4 > out->align_cap)
        w->failed = reserve(out, out->n + 4);
    if (w->failed)
        return;
    size_t len = utf8_encode(cp, out->p + out->n);
    for (size_t i = 0; out->aligned && i < len; i++) {
        out->start[out->n + i] = w->in->start[like];
        out->end[out->n + i] = w->in->end[like];
    }
    out->n += len;
}

void rewrite_replace(struct rewrite *w, uint32_t cp)
{
    put(w, cp, w->at);
    rewrite_drop(w);
}

void rewrite_insert(struct rewrite *w, uint32_t cp)
{
    put(w, cp, w->at ? w->at - 1 : 0);
}

void rewrite_drop(struct rewrite *w)
{
    uint32_t cp;
    w->at += text_next(w->in->p + w->at, &cp);
}
