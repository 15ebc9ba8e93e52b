/* fuzz/fuzz_reply.c - the header lines of a hub's answers. */
#include "fetch/reply.h"
#include "fuzz.h"
#include <assert.h>

static void check(const struct reply *r)
{
    bool range = r->range_first != REPLY_UNKNOWN;
    assert(!range ||
           (r->range_first < r->range_end && r->range_end <= r->range_size));
    assert(strlen(r->etag) < sizeof(r->etag));
    assert(strlen(r->location) < sizeof(r->location));
    assert(r->header_bytes <= REPLY_HEADERS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct reply r;
    struct str rest = str_n(data, n);
    reply_begin(&r);
    while (rest.n > 0) {
        const char *end = memchr(rest.p, '\n', rest.n);
        size_t line = end ? (size_t)(end - rest.p) + 1 : rest.n;
        if (reply_header(&r, str_n(rest.p, line), NULL) < 0)
            return 0;
        rest = str_n(rest.p + line, rest.n - line);
    }
    check(&r);
    return 0;
}
