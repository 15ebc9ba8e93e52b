/* http/guard.h - what a request must look like before anyone reads it.
 *
 * Pure: looks at the headers that were parsed and says no with a code and a
 * sentence. Against smuggling: no ambiguous framing. Against web pages: the
 * Host must be one of ours (else 421: a name that was rebound), an Origin must
 * be our own or listed (else 403).
 */
#ifndef HTTP_GUARD_H
#define HTTP_GUARD_H
#include "base/err.h"
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guard_header {
    struct str name, value;
};

struct guard_rules {
    const char *const *hosts;   /* NULL-terminated, beside localhost, 127.0.0.1
                                   and [::1]; may be NULL */
    const char *const *origins; /* NULL-terminated; may be NULL */
    bool any_address; /* a Host that is an IP address is ours: we listen beyond
                         loopback, and an address cannot be rebound */
    size_t headers;   /* how many */
    size_t header_bytes; /* all of them, with the request line */
    size_t body_bytes;
};

enum { GUARD_CHUNKED = -1 };

/* 0 or a negative code. *ret_body is the body's length, 0, or GUARD_CHUNKED; it
 * is known unless guard_is_framing(code). */
int guard_check(const struct guard_rules *rules, const struct guard_header *h,
                size_t n, size_t bytes, int64_t *ret_body,
                struct err *err) MUST_CHECK;
/* Whether the code says that it is unclear where the request ends, so that its
 * connection cannot go on. */
bool guard_is_framing(int code);

/* A Host header's value, with or without a port. */
bool guard_host(const struct guard_rules *rules, struct str host);
/* "application/json", with or without parameters. */
bool guard_is_json(struct str content_type);
/* image, audio or video of any kind, or application/octet-stream. No web page
 * can send these to another origin without asking first.
 * *ret_media: of the first three, without parameters; may be NULL. */
bool guard_is_bytes(struct str content_type, struct str *ret_media);
/* "multipart/form-data". */
bool guard_is_form(struct str content_type);

#endif
