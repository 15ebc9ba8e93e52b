/* base/utf8.h - code points in and out of UTF-8, strictly (RFC 3629). */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H
#include "base/str.h"
#include <stdint.h>

/* Length of the sequence at p (1 to 4), its code point in *ret; 0 when it is
 * invalid or cut: overlong forms, surrogates and beyond U+10FFFF included. */
size_t utf8_decode(const char *p, size_t n, uint32_t *ret);
/* Writes 1 to 4 bytes; returns how many. */
size_t utf8_encode(uint32_t cp, char *p);
bool utf8_valid(struct str s);

#endif
