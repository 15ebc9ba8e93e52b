/* base/buf.c - bytes that grow up to a ceiling. Growth doubles. */
#include "base/buf.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(struct buf *b, int code)
{
    if (!b->failed)
        b->failed = code;
    return code;
}

void *buf_room(struct buf *b, size_t n)
{
    if (n > b->max - b->len) {
        fail(b, -E2BIG);
        return NULL;
    }
    if (b->len + n > b->cap || !b->p) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < b->len + n)
            cap *= 2;
        char *p = realloc(b->p, cap);
        if (!p) {
            fail(b, -ENOMEM);
            return NULL;
        }
        b->p = p;
        b->cap = cap;
    }
    return b->p + b->len;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return 0;
    void *to = buf_room(b, n);
    if (!to)
        return b->failed;
    memcpy(to, p, n);
    b->len += n;
    return 0;
}

int buf_puts(struct buf *b, const char *z)
{
    return buf_add(b, z, strlen(z));
}

int buf_putc(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *to = n < 0 ? NULL : buf_room(b, (size_t)n + 1);
    if (!to)
        return fail(b, -E2BIG);
    va_start(ap, fmt);
    vsnprintf(to, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
    return 0;
}

void buf_shift(struct buf *b, size_t n)
{
    if (n < b->len)
        memmove(b->p, b->p + n, b->len - n);
    b->len -= n < b->len ? n : b->len;
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = 0;
}

char *buf_detach(struct buf *b)
{
    char *p = b->p;
    b->p = NULL;
    b->len = b->cap = 0;
    b->failed = 0;
    return p;
}

void buf_fini(struct buf *b)
{
    free(b->p);
    b->p = NULL;
    b->len = b->cap = 0;
}
