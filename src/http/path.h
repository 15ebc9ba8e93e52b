/* http/path.h - percent-decoding, once and strictly. Pure. */
#ifndef HTTP_PATH_H
#define HTTP_PATH_H
#include "base/err.h"
#include "base/str.h"

/* Decodes raw (a request target without its query) in place into *ret, a slice
 * of the same memory. Refused: no '/' in front, bad escapes, NUL and control
 * characters, invalid UTF-8, "." and ".." as segments. */
int path_decode(char *raw, size_t n, struct str *ret,
                struct err *err) MUST_CHECK;
/* The value of key in a raw query, decoded ('+' is a space) and terminated into
 * out; false when it is not there, too long or badly escaped. */
bool path_query(struct str query, const char *key, char *out, size_t size);

#endif
