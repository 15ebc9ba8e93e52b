/* api/happenings.c - GET /berth/events: what happens, as it happens. */
#include "api/call.h"
#include "base/mem.h"

struct events {
    struct stream stream;
    struct manager_subscription *subscription;
};

static void closed(struct stream *s)
{
    struct events *e = list_of(s, struct events, stream);
    manager_unsubscribe(s->api->manager, e->subscription);
    free(e);
}

static void on_event(void *ctx, const struct manager_event *event)
{
    struct events *e = ctx;
    struct buf b = BUF_MAX(65536);
    struct jsonw w = jsonw_to(&b);
    event_json(&w, event);
    if (b.failed == 0)
        stream_event(&e->stream, event->seq, NULL, buf_str(&b));
    buf_fini(&b);
}

/* Last-Event-ID, or none: new events only. */
static uint64_t since(struct http_request *r)
{
    struct str s = http_header(r, "last-event-id");
    uint64_t v = 0;
    if (s.n == 0 || s.n > 19)
        return UINT64_MAX;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return UINT64_MAX;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    return v;
}

void events_follow(const struct call *c)
{
    struct events *e = mem_new(struct events);
    uint64_t from = since(c->r);
    e->stream.closed = closed;
    stream_events(&e->stream, c->api, c->r);
    e->subscription = manager_subscribe(c->api->manager, from, on_event, e);
}
