/* cli/sse.h - server-sent events out of the bytes of a reply. */
#ifndef CLI_SSE_H
#define CLI_SSE_H
#include "base/buf.h"
#include "base/err.h"

enum { SSE_EVENT_MAX = 8 << 20 };

/* Called for each event: its name ("message" when it has none) and its data. A
 * negative return ends the stream with that code. */
typedef int sse_fn(void *ctx, struct str name, struct str data,
                   struct err *err);

struct sse {
    sse_fn *fn;
    void *ctx;
    struct buf line, name, data; /* of the event that is coming in */
};

void sse_init(struct sse *s, sse_fn *fn, void *ctx);
int sse_feed(struct sse *s, struct str bytes, struct err *err) MUST_CHECK;
void sse_fini(struct sse *s);

#endif
