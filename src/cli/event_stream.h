/* cli/event_stream.h - server-sent events out of the bytes of a reply. */
#ifndef CLI_EVENT_STREAM_H
#define CLI_EVENT_STREAM_H
#include "base/buf.h"
#include "base/err.h"

enum { EVENT_MAX = 8 << 20 };

/* Called for each event: its name ("message" when it has none) and its data. A
 * negative return ends the stream with that code. */
typedef int event_fn(void *ctx, struct str name, struct str data,
                     struct err *err);

struct event_stream {
    event_fn *fn;
    void *ctx;
    struct buf line, name, data; /* of the event that is coming in */
};

void event_stream_init(struct event_stream *s, event_fn *fn, void *ctx);
int event_stream_feed(struct event_stream *s, struct str bytes,
                      struct err *err) MUST_CHECK;
void event_stream_fini(struct event_stream *s);

#endif
