/* base/log.c - one JSON object a line, written with one write(2). */
#include "base/log.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/jsonw.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192 };

static _Atomic int log_threshold = LOG_INFO;
static const char *const names[] = {"error", "warn", "info", "debug"};

void log_set_level(enum log_level level)
{
    log_threshold = (int)level;
}

int log_level_parse(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_is(name, names[i]))
            return (int)i;
    return -1;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    if ((int)level > log_threshold)
        return;
    char text[LINE_MAX_BYTES / 8], stamp[CLOCK_TEXT];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    struct buf b = BUF_MAX(LINE_MAX_BYTES);
    struct jsonw w = jsonw_to(&b);
    jsonw_object(&w);
    jsonw_kz(&w, "time", clock_text(clock_wall_ms(), stamp));
    jsonw_kz(&w, "level", names[level]);
    jsonw_kz(&w, "msg", text);
    jsonw_end_object(&w);
    buf_putc(&b, '\n');
    if (!b.failed && write(STDERR_FILENO, b.p, b.len) < 0) {
        /* Nobody reads the log: nothing can be done about it here. */
    }
    buf_fini(&b);
}
