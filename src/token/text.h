/* token/text.h - a text on its way through the normalizers.
 *
 * UTF-8; where offsets are wanted (aligned), each byte also knows the code
 * points of the original that it came from. A normalizer reads one text and
 * writes the next through a struct rewrite, which carries the alignments over
 * as the library does: what replaces a code point takes its place, what is
 * inserted shares the place of what was read last.
 */
#ifndef TOKEN_TEXT_H
#define TOKEN_TEXT_H
#include "base/attr.h"
#include "base/str.h"
#include <stdint.h>

enum { TEXT_MAX = 64 << 20 }; /* bytes of a normalized text */

/* Owner: whoever holds the struct; one thread. */
struct text {
    char *p;               /* [n] */
    uint32_t *start, *end; /* [n] code points of the original; when aligned */
    size_t n, cap, align_cap;
    bool aligned;
};
void text_fini(struct text *t);
/* s, whose first code point is number first of the original. -E2BIG, -ENOMEM.
 */
int text_set(struct text *t, struct str s, bool aligned,
             uint32_t first) MUST_CHECK;

/* Room for n bytes. -E2BIG, -ENOMEM. */
int text_room(struct text *t, size_t n, bool aligned) MUST_CHECK;

static inline struct str text_str(const struct text *t)
{
    return str_n(t->p, t->n);
}

/* The next code point of valid UTF-8 at p; returns its length. */
static inline size_t text_next(const char *p, uint32_t *ret)
{
    const unsigned char *s = (const unsigned char *)p;
    if (s[0] < 0x80) {
        *ret = s[0];
        return 1;
    }
    if (s[0] < 0xE0) {
        *ret = (s[0] & 0x1Fu) << 6 | (s[1] & 0x3Fu);
        return 2;
    }
    if (s[0] < 0xF0) {
        *ret = (s[0] & 0xFu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
        return 3;
    }
    *ret = (s[0] & 7u) << 18 | (s[1] & 0x3Fu) << 12 | (s[2] & 0x3Fu) << 6 |
           (s[3] & 0x3Fu);
    return 4;
}
/* How many code points valid UTF-8 has. */
size_t text_count(struct str s);

struct rewrite {
    const struct text *in;
    struct text *out;
    size_t at;  /* the next byte to read */
    int failed; /* 0, -E2BIG or -ENOMEM: look once, at the end */
};
/* out is emptied first. */
struct rewrite rewrite_begin(const struct text *in, struct text *out);
/* The next code point of the input, not consumed; false at its end. */
bool rewrite_peek(const struct rewrite *w, uint32_t *ret);
/* cp in the place of the next code point, which is consumed. */
void rewrite_replace(struct rewrite *w, uint32_t cp);
/* cp between what was consumed and what comes. */
void rewrite_insert(struct rewrite *w, uint32_t cp);
/* Consumes the next code point. */
void rewrite_drop(struct rewrite *w);

#endif
