/* base/base64.h - RFC 4648, with padding. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H
#include "base/buf.h"

int base64_encode(struct buf *out, const void *p, size_t n);

#endif
