/* cli/event_stream.c - server-sent events, as the HTML standard cuts them:
 * lines end in LF or CRLF, an empty line ends an event, a colon begins a
 * comment. */
#include "cli/event_stream.h"

void event_stream_init(struct event_stream *s, event_fn *fn, void *ctx)
{
    *s = (struct event_stream){.fn = fn,
                               .ctx = ctx,
                               .line = BUF_MAX(EVENT_MAX),
                               .name = BUF_MAX(256),
                               .data = BUF_MAX(EVENT_MAX)};
}

void event_stream_fini(struct event_stream *s)
{
    buf_fini(&s->line);
    buf_fini(&s->name);
    buf_fini(&s->data);
}

static int end_event(struct event_stream *s, struct err *err)
{
    int r = 0;
    if (s->data.len) {
        s->data.len--; /* the last line's break */
        r = s->fn(s->ctx, s->name.len ? buf_str(&s->name) : str_of("message"),
                  buf_str(&s->data), err);
    }
    buf_reset(&s->name);
    buf_reset(&s->data);
    return r;
}

static int take_line(struct event_stream *s, struct str line, struct err *err)
{
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (!line.n)
        return end_event(s, err);
    const char *colon = memchr(line.p, ':', line.n);
    size_t n = colon ? (size_t)(colon - line.p) : line.n;
    struct str field = str_n(line.p, n), value = str_n("", 0);
    if (colon)
        value = str_n(colon + 1, line.n - n - 1);
    if (value.n && value.p[0] == ' ')
        value = str_n(value.p + 1, value.n - 1);
    if (str_is(field, "event")) {
        buf_reset(&s->name);
        buf_add(&s->name, value.p, value.n);
    } else if (str_is(field, "data")) {
        buf_add(&s->data, value.p, value.n);
        buf_putc(&s->data, '\n');
    }
    return 0;
}

int event_stream_feed(struct event_stream *s, struct str bytes, struct err *err)
{
    while (bytes.n) {
        const char *end = memchr(bytes.p, '\n', bytes.n);
        size_t n = end ? (size_t)(end - bytes.p) : bytes.n;
        buf_add(&s->line, bytes.p, n);
        if (s->line.failed || s->data.failed || s->name.failed)
            return err_set(err, E_TOO_LARGE,
                           "the daemon sent an event of more than %d bytes",
                           EVENT_MAX);
        if (!end)
            return 0;
        int r = take_line(s, buf_str(&s->line), err);
        if (r < 0)
            return r;
        buf_reset(&s->line);
        bytes = str_n(bytes.p + n + 1, bytes.n - n - 1);
    }
    return 0;
}
