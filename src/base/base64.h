/* base/base64.h - RFC 4648, with padding. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H
#include "base/buf.h"

int base64_encode(struct buf *out, const void *p, size_t n);
/* Appends the bytes; the padding may be left out. -EINVAL: it is no base64. */
int base64_decode(struct buf *out, struct str text) MUST_CHECK;

#endif
