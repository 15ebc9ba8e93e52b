/* api/stream.c - answers of server-sent events.
 *
 * Of events a reader that does not keep up is cut rather than waited for: its
 * buffer has an end, and Last-Event-ID lets it come back for what it missed.
 * What is made for one reader alone waits for it instead (stream_job).
 */
#include "api/call.h"
#include "base/clock.h"

static const uint64_t PING_NS = 15ull * 1000 * 1000 * 1000;

static void detach(struct stream *s)
{
    loop_timer_clear(s->api->loop, &s->ping);
    loop_later_clear(s->api->loop, &s->later);
    list_del(&s->link);
    s->r = NULL;
}

/* Tells the owner, who frees. */
static void drop(struct stream *s)
{
    detach(s);
    s->closed(s);
}

static void on_abort(void *ctx)
{
    drop(ctx);
}

/* Not at once: the owner may be in the midst of a subscription's callback. */
static void drop_later(struct loop_later *d)
{
    drop(d->ctx);
}

void stream_bytes(struct stream *s, const void *p, size_t n)
{
    if (!s->r || http_stream_write(s->r, p, n) == 0)
        return;
    http_stream_end(s->r);
    s->r = NULL;
    loop_later(s->api->loop, &s->later);
}

static void on_ping(struct loop_timer *t)
{
    struct stream *s = t->ctx;
    if (!s->r)
        return;
    loop_timer_set(s->api->loop, t, clock_now_ns() + PING_NS);
    stream_bytes(s, ": ping\n\n", 8);
}

static void begin(struct stream *s, struct api *a, struct http_request *r,
                  const char *type)
{
    s->api = a;
    s->r = r;
    s->ping = (struct loop_timer){.fn = on_ping, .ctx = s};
    s->later = (struct loop_later){.fn = drop_later, .ctx = s};
    list_init(&s->link);
    http_on_abort(r, on_abort, s);
    http_stream_begin(r, 200, type);
}

void stream_begin(struct stream *s, struct api *a, struct http_request *r,
                  const char *type)
{
    begin(s, a, r, type);
    list_add(&a->streams, &s->link);
}

static void ping_later(struct stream *s)
{
    loop_timer_set(s->api->loop, &s->ping, clock_now_ns() + PING_NS);
}

void stream_events(struct stream *s, struct api *a, struct http_request *r)
{
    stream_begin(s, a, r, "text/event-stream");
    ping_later(s);
}

static void on_drained(void *ctx)
{
    struct stream *s = ctx;
    s->drained(s);
}

void stream_job(struct stream *s, struct api *a, struct http_request *r)
{
    begin(s, a, r, "text/event-stream");
    http_on_drained(r, on_drained, s);
    ping_later(s);
}

void stream_event(struct stream *s, uint64_t id, const char *event,
                  struct str data)
{
    struct buf b = BUF_MAX(1 << 20);
    if (!s->r)
        return;
    if (id)
        buf_addf(&b, "id: %llu\n", (unsigned long long)id);
    if (event)
        buf_addf(&b, "event: %s\n", event);
    buf_puts(&b, "data: ");
    buf_add(&b, data.p, data.n);
    buf_puts(&b, "\n\n");
    if (b.failed == 0)
        stream_bytes(s, b.p, b.len);
    if (s->r && s->drained)
        ping_later(s); /* only while nothing else comes */
    buf_fini(&b);
}

void stream_end(struct stream *s)
{
    if (s->r)
        http_stream_end(s->r);
    detach(s);
}

void api_end_streams(struct api *a)
{
    while (!list_empty(&a->streams)) {
        struct stream *s = list_of(a->streams.next, struct stream, link);
        if (s->r)
            http_stream_end(s->r);
        drop(s);
    }
}
