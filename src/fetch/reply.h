/* fetch/reply.h - what the headers of one HTTP answer say.
 *
 * Fed line by line as they come; every value is outside data, kept bounded or
 * not at all. No network here. One thread.
 */
#ifndef FETCH_REPLY_H
#define FETCH_REPLY_H
#include "hub/hub_path.h"
#include <stdint.h>

enum { REPLY_HEADERS_MAX = 64 << 10, REPLY_URL_MAX = 4096 };
#define REPLY_UNKNOWN UINT64_MAX

struct reply {
    int status;
    size_t header_bytes;     /* of all header lines so far */
    uint64_t content_length; /* or REPLY_UNKNOWN */
    uint64_t range_first, range_end, range_size; /* Content-Range, end one past
                                                    the last; or unknown */
    uint64_t retry_after_s;                      /* or REPLY_UNKNOWN */
    bool encoded;                 /* Content-Encoding other than identity */
    struct hub_hash linked;       /* X-Linked-ETag, else ETag, when a hash */
    char etag[160];               /* a strong one, as it stands; "" = none */
    char location[REPLY_URL_MAX]; /* "" = none */
    char error_code[64];          /* X-Error-Code */
    bool linked_etag;             /* linked came from X-Linked-ETag */
};

void reply_begin(struct reply *r);
/* One line, with or without its CRLF. A status line begins anew (an answer may
 * be preceded by 1xx). E_TOO_LARGE above the limit. */
int reply_header(struct reply *r, struct str line, struct err *err) MUST_CHECK;

#endif
