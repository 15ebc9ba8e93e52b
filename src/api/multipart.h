/* api/multipart.h - a form with files (RFC 7578), read out of a whole body.
 *
 * Slices point into the body. Refused: no end, a part without a name, more or
 * longer of anything than the limits below.
 */
#ifndef API_MULTIPART_H
#define API_MULTIPART_H
#include "base/err.h"
#include "base/str.h"
#include <stdbool.h>

enum {
    MULTIPART_PARTS_MAX = 32,
    MULTIPART_BOUNDARY_MAX = 70,  /* RFC 2046's */
    MULTIPART_HEADERS_MAX = 4096, /* bytes of one part's headers */
    MULTIPART_NAME_MAX = 64,
};

struct multipart_part {
    struct str name;
    struct str type; /* its Content-Type; "" = none */
    struct str data;
};
struct multipart {
    struct multipart_part parts[MULTIPART_PARTS_MAX];
    size_t n;
};

/* content_type: of the request, with its boundary. E_INVALID_REQUEST. A name
 * that comes twice is refused, unless it ends in "[]". */
int multipart_read(struct multipart *m, struct str content_type,
                   struct str body, struct err *err) MUST_CHECK;
/* The first of that name, or NULL. */
const struct multipart_part *multipart_find(const struct multipart *m,
                                            const char *name);

#endif
