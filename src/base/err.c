/* base/err.c - codes, names and sentences of errors. */
#include "base/err.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int http;
} table[] = {
#define ERR_ROW(code, name, http) {name, http},
    ERR_TABLE(ERR_ROW)
#undef ERR_ROW
};

static void clean(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

/* A sentence that was cut must not end inside a UTF-8 sequence. */
static void trim_utf8(char *s)
{
    size_t n = strlen(s), back = 0;
    while (back < 4 && back < n &&
           ((unsigned char)s[n - 1 - back] & 0xC0) == 0x80)
        back++;
    if (back == n || n == 0)
        return;
    unsigned char lead = (unsigned char)s[n - 1 - back];
    size_t need = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    if (back < need)
        s[n - 1 - back] = 0;
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    if (!err)
        return -code;
    va_list ap;
    va_start(ap, fmt);
    err->code = code;
    vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    clean(err->msg);
    trim_utf8(err->msg);
    return -code;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
    if (!err)
        return -E_INTERNAL;
    char head[200];
    struct err old = *err;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(head, sizeof(head), fmt, ap);
    va_end(ap);
    return err_set(err, old.code, "%s: %s", head, old.msg);
}

static int row(int code)
{
    if (code < 0)
        code = -code;
    if (code == ENOMEM)
        code = E_INSUFFICIENT_MEMORY;
    if (code == ENOSPC)
        code = E_DISK_FULL;
    if (code <= E_FIRST || code >= E_END)
        code = E_INTERNAL;
    return code - E_FIRST - 1;
}

const char *err_name(int code)
{
    return table[row(code)].name;
}

int err_http_status(int code)
{
    return table[row(code)].http;
}

int err_from_name(const char *name, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (strlen(table[i].name) == n && !memcmp(table[i].name, name, n))
            return E_FIRST + 1 + (int)i;
    return E_INTERNAL;
}
